#!/usr/bin/env python3
"""A firewall that keeps pods from their network is told of at start, with the cure. In a network namespace of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import berth
from berth import BINARY, LIMIT


class FirewallTest(unittest.TestCase):
    def serve(self, before: str) -> str:
        """The log of a `berth serve` that starts where `before` has been run."""
        folder = Path(tempfile.mkdtemp(prefix="berth-e2e-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        script = f"set -e; ip link set lo up; {before}; exec {BINARY} serve --data {folder}/data --port 0"
        with open(folder / "log", "w") as log:
            process = subprocess.Popen(["unshare", "-n", "sh", "-c", script], text=True,
                                       stdout=subprocess.PIPE, stderr=log)
        try:
            self.assertIn("Berth serves", process.stdout.readline(), (folder / "log").read_text())
            process.send_signal(signal.SIGTERM)  # what is wrong is told before it is attended to
            self.assertEqual(process.wait(timeout=LIMIT), 0)
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()
        return (folder / "log").read_text()

    def test_nothing_in_the_way(self) -> None:
        self.assertNotIn("firewall", self.serve("true"))

    def test_a_policy_that_drops(self) -> None:
        log = self.serve("nft add table inet fw; nft add chain inet fw through "
                         "'{ type filter hook forward priority 0; policy drop; }'")
        self.assertIn("drops forwarded packets (chain through of the nftables table inet fw)", log)
        self.assertIn("`nft insert rule inet fw through iifname berth0 accept`", log)

    def test_the_cure_helps(self) -> None:
        log = self.serve("nft add table inet fw; nft add chain inet fw through "
                         "'{ type filter hook forward priority 0; policy drop; }'; "
                         "nft insert rule inet fw through iifname berth0 accept; "
                         "nft insert rule inet fw through oifname berth0 accept")
        self.assertNotIn("firewall", log)


if __name__ == "__main__":
    berth.main()
