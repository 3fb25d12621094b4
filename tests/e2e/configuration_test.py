#!/usr/bin/env python3
"""`berth serve --config`: what it says counts, is read again on SIGHUP, and is in the journal, as is what is measured."""

import json
import signal
import subprocess
import unittest

import berth
from berth import BINARY, LIMIT, Server, pod, wait_for

HEAD = "apiVersion: config.berth.dev/v1alpha1\nkind: BerthConfiguration\n"
BAD = HEAD + "placement: {policy: packed}\nqueueDefaults: {reclaimDelay: soon}\nprice: []\n"


class ConfigurationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server("--emulate-device", "nvidia.com/gpu=2:80Gi")
        self.addCleanup(self.server.finish)
        self.file = self.server.folder / "berth.yaml"

    def start(self, text: str) -> None:
        self.file.write_text(text)
        self.server.start("--config", str(self.file))

    def reload(self, text: str) -> None:
        self.file.write_text(text)
        self.server.process.send_signal(signal.SIGHUP)

    def journalled(self, kind: str) -> list:
        """Everything of a kind in the journal: of its snapshot and its events, in order."""
        found = []
        for segment in sorted((self.server.data / "journal").glob("*.jsonl")):
            for line in segment.read_text().splitlines():
                record = json.loads(line)
                events = record.get("events", []) + [record.get("snapshot", {})]
                found += [event[kind] for event in events if kind in event]
        return found

    def profiles(self) -> list:
        return [policy.get("profile", "pack") for policy in self.journalled("policy")]

    def events(self, reason: str) -> list:
        return [event for event in self.server.list("events") if event["reason"] == reason]

    def test_it_counts_is_read_again_and_replays(self) -> None:
        self.start(HEAD + "placement: {policy: spread}\nqueueDefaults: {protection: 7s, reclaim: guarantee}\n"
                   "prices: [{resource: nvidia.com/gpu, perHour: 2, currency: EUR}]\n")
        self.server.create("pods", pod("one", "true"))
        self.server.wait_phase("one", "Succeeded")
        self.assertEqual(self.profiles()[0], "spread")
        self.assertEqual(self.journalled("policy")[0]["accelerator_weights_milli"], [["nvidia.com/gpu", 1000]])
        queue = self.journalled("queue")[-1]
        self.assertEqual((queue["times"]["protection"], queue["reclaim"]), (7_000_000_000, 1))

        self.reload(HEAD + "placement: {policy: least-used}\n")
        event = wait_for("an Event tells of it", lambda: self.events("ConfigurationReloaded"))[0]
        self.assertEqual((event["type"], event["involvedObject"]["kind"]), ("Normal", "Node"))
        wait_for("the new placement is in the journal", lambda: self.profiles()[-1] == "least-used")
        wait_for("queues have their old defaults", lambda: "reclaim" not in self.journalled("queue")[-1])

        before = len(self.journalled("policy"))
        self.reload(BAD)
        event = wait_for("an Event tells of it", lambda: self.events("ConfigurationRefused"))[0]
        self.assertEqual(event["type"], "Warning")
        for place in ("berth.yaml:3:13: placement.policy:", "berth.yaml:4:17: queueDefaults.reclaimDelay:",
                      "berth.yaml:5:1: price: unknown field `price`; did you mean `prices`?"):
            self.assertIn(place, event["message"])
            self.assertIn(place, self.server.log.read_text())
        self.server.create("pods", pod("two", "true"))
        self.server.wait_phase("two", "Succeeded")
        self.assertEqual(len(self.journalled("policy")), before, "nothing was taken over")

        # One event a window of 10 s.
        sample = wait_for("what is measured is in the journal", lambda: self.journalled("usage"))[0]["samples"][0]
        node = self.server.request("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
        self.assertEqual(sample["node"], node)
        self.assertGreater(sample["memory_permille"], 0)
        self.assertNotIn("device_permille", sample, "emulated devices do not tell")

        replayed = self.server.cli("replay", str(self.server.data / "journal"))
        self.assertEqual(replayed.returncode, 0, replayed.stdout + replayed.stderr)

    def test_a_bad_file_is_refused_with_all_its_errors_and_nothing_is_made(self) -> None:
        self.file.write_text(BAD)
        done = subprocess.run([BINARY, "serve", "--data", self.server.data, "--config", self.file],
                              text=True, capture_output=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count(f"{self.file}:"), 3, done.stderr)
        self.assertIn("error: 3 problems found, nothing was started", done.stderr)
        self.assertFalse(self.server.data.exists())
        missing = subprocess.run([BINARY, "serve", "--config", "/nowhere.yaml"], text=True, capture_output=True)
        self.assertEqual(missing.returncode, 2)
        self.assertIn("/nowhere.yaml", missing.stderr)

    def test_without_one_a_hangup_stops_the_server(self) -> None:
        # Under nohup, what this test starts would ignore it too.
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_DFL))
        self.server.start()
        self.server.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.server.process.wait(timeout=LIMIT), 0)
        self.server.process.stdout.close()


if __name__ == "__main__":
    berth.main()
