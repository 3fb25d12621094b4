#!/usr/bin/env python3
"""`timeSlicing`: two Jobs that save their work take turns on one device, both end, and the journal replays."""

import subprocess
import unittest

import berth
from berth import BINARY, Server, container, wait_for

CONFIGURATION = """apiVersion: config.berth.dev/v1alpha1
kind: BerthConfiguration
queueDefaults: {protection: 0s}
timeSlicing: {policy: las, round: 3s, restartCost: 500ms}
"""
# Counts to 60 in steps of 0.1 s, saves each in a file, goes on from there.
WORK = ('n=$(cat /saved/n 2>/dev/null || echo 0); echo "from $n"; '
        'while [ $n -lt 60 ]; do sleep 0.1; n=$((n+1)); echo $n > /saved/n; done')


class TimeSlicingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server("--emulate-device", "nvidia.com/gpu=1:16Gi", "--allow-host-path")
        self.addCleanup(self.server.finish)
        file = self.server.folder / "berth.yaml"
        file.write_text(CONFIGURATION)
        self.server.start("--config", str(file))

    def job(self, name: str) -> None:
        saved = self.server.folder / name
        saved.mkdir()
        main = container(WORK, resources={"limits": {"nvidia.com/gpu": 1}},
                         volumeMounts=[{"name": "saved", "mountPath": "/saved"}])
        self.server.create("jobs", {
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": {
                "metadata": {"annotations": {"berth.dev/restartable": "true"}},
                "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [main],
                         "volumes": [{"name": "saved", "hostPath": {"path": str(saved)}}]}}}})

    def events(self, text: str) -> list:
        return [event for event in self.server.list("events") if text in event["message"]]

    def ended(self, name: str) -> bool:
        return self.server.get("jobs", name).get("status", {}).get("succeeded", 0) == 1

    def test_two_jobs_take_turns_and_both_end(self) -> None:
        self.job("one")
        self.job("two")
        wait_for("one tells when the next round is", lambda: self.events("next round at"))
        wait_for("both had a turn", lambda: all((self.server.folder / name / "n").exists() for name in ("one", "two")))
        self.assertFalse(self.ended("one") and self.ended("two"))
        for name in ("one", "two"):
            wait_for(f"{name} ended", lambda name=name: self.ended(name))
        self.assertTrue(self.events("which has the next turn on its devices"))
        for name in ("one", "two"):
            self.assertEqual((self.server.folder / name / "n").read_text().strip(), "60")
        self.server.stop()
        replay = subprocess.run([BINARY, "replay", self.server.data / "journal"], capture_output=True, text=True)
        self.assertEqual(replay.returncode, 0, replay.stdout + replay.stderr)


if __name__ == "__main__":
    berth.main()
