#!/usr/bin/env python3
"""Two `berth serve` on one machine: their networks differ by themselves, or the second is refused in clear words."""

import json
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import berth
from berth import BINARY, LIMIT, Server, pod, wait_for

SERVE_PORT = "python3 -c 'import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000, bind=\"0.0.0.0\")'"


def servers_without_range() -> list:
    made = [Server(), Server()]
    for server in made:
        server.options = ["--port", "0"]
    return made


class TwoServersTest(unittest.TestCase):
    def serve(self, server: Server) -> str:
        """A Service in front of one pod; its address."""
        script = f"mkdir /tmp/w; cd /tmp/w; echo {server.folder.name} >who; {SERVE_PORT}"
        server.create("pods", pod("web", script, labels={"app": "web"}))
        made = server.create("services", {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}})
        server.wait_phase("web", "Running")
        return made["spec"]["clusterIP"]

    @staticmethod
    def fetch(address: str) -> str:
        done = subprocess.run(["python3", "-c", f"import urllib.request as u; "
                               f"print(u.urlopen('http://{address}/who', timeout=2).read().decode())"],
                              text=True, capture_output=True)
        return done.stdout.strip()

    @staticmethod
    def network(server: Server) -> dict:
        return json.loads((server.data / "network" / "network.json").read_text())

    def test_both_reach_their_own_services(self) -> None:
        first, second = servers_without_range()
        self.addCleanup(first.finish)
        self.addCleanup(second.finish)
        with ThreadPoolExecutor() as both:  # at once: neither can see what the other chooses
            list(both.map(Server.start, (first, second)))
        one, two = self.network(first), self.network(second)
        for part in ("bridge", "pods", "services"):
            self.assertNotEqual(one[part], two[part])
        addresses = [self.serve(server) for server in (first, second)]
        for server, address in zip((first, second), addresses):
            self.assertTrue(address.startswith(".".join(self.network(server)["services"].split(".")[:2]) + "."),
                            f"{address} is not of {self.network(server)['services']}")
            wait_for(f"{address} answers from this machine",
                     lambda: self.fetch(address) == server.folder.name)
            name = "client"
            server.create("pods", pod(name, f"python3 -c 'import urllib.request as u; "
                                            f"print(u.urlopen(\"http://web/who\").read().decode())'"))
            server.wait_phase(name, "Succeeded")
            self.assertIn(server.folder.name, server.logs(name))
        # The first may go and come again beside the second, though names were free meanwhile.
        first.stop()
        first.start()
        self.assertEqual(self.network(first)["services"], one["services"])
        wait_for("it answers as before", lambda: self.fetch(addresses[0]) == first.folder.name)

    def test_a_name_that_another_took_meanwhile_is_left_to_it(self) -> None:
        first, second = servers_without_range()
        self.addCleanup(first.finish)
        self.addCleanup(second.finish)
        first.start()
        before = self.network(first)
        first.stop()  # nothing runs, so its bridge goes
        second.start()
        if self.network(second)["bridge"] != before["bridge"]:
            self.skipTest("a third server of this machine took the name")
        first.start("--service-subnet", "10.111.0.0/16")
        self.assertNotEqual(self.network(first)["bridge"], before["bridge"])
        self.assertNotEqual(self.network(first)["pods"], self.network(second)["pods"])

    def test_the_range_of_another_is_refused(self) -> None:
        first = Server()
        self.addCleanup(first.finish)
        first.start()
        taken = self.network(first)["services"]
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            done = subprocess.run([BINARY, "serve", "--data", data, "--port", "0", "--service-subnet", taken],
                                  text=True, capture_output=True, timeout=LIMIT)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"of another Berth on this machine ({first.data}", done.stderr)
            self.assertRegex(done.stderr, r"give another, such as 10\.\d+\.0\.0/16")
            self.assertFalse(data.exists(), "nothing was made")


if __name__ == "__main__":
    berth.main()
