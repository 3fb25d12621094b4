#!/usr/bin/env python3
"""kill -9 of `berth serve` at random points under load: what was acknowledged stays, and what runs goes on.

By hand, `python3 tests/e2e/crash_test.py`: a container whose creation the kill cuts may still end with 137
without having run, so that ./test does not run it yet.
BERTH_CRASH_ROUNDS says how often it is killed (default 15), BERTH_CRASH_SEED which run it is.
"""

import json
import os
import random
import re
import threading
import time
import unittest

import berth
from berth import ApiError, Server, container, pod, wait_for

ROUNDS = int(os.environ.get("BERTH_CRASH_ROUNDS", "15"))
SEED = int(os.environ.get("BERTH_CRASH_SEED", time.time_ns() % 1_000_000))
GPU = "nvidia.com/gpu"
# Invariant: a gang that starts becomes whole, or its members are evicted, within this time.
GANG_LIMIT = 30
COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.5; done"


class Load(threading.Thread):
    """Creates and deletes for as long as the server answers, and remembers what it was told."""

    def __init__(self, server: Server, seed: int, ledger: dict) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.random = random.Random(seed)
        self.ledger = ledger  # (plural, name) → resource version, or None once a delete was asked for
        self.prefix = f"r{seed}"
        self.stopping = False
        self.failure: Exception | None = None

    def run(self) -> None:
        count = 0
        while not self.stopping:
            try:
                self.step(count)
            except ApiError as error:
                self.failure = error
                return
            except OSError:
                return  # the server was killed: the outcome of this one is unknown
            except Exception as error:  # noqa: BLE001: http.client's own, when an answer is cut
                if type(error).__module__ != "http.client":
                    self.failure = error
                return
            count += 1
            time.sleep(0.02)

    def step(self, count: int) -> None:
        name = f"{self.prefix}-{count}"
        choice = self.random.random()
        if choice < 0.35:
            self.note("configmaps", self.server.create("configmaps", {
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": "0"}}))
        elif choice < 0.55:
            self.change_one(count)
        elif choice < 0.8:
            running = [n for (p, n), v in self.ledger.items() if p == "pods" and v and n.startswith("r")]
            if len(running) < 8:
                resources = {"limits": {GPU: "1"}} if self.random.random() < 0.5 else None
                code = self.random.randrange(1, 100)
                script = self.random.choice([f"exit {code}", "sleep 1000", f"sleep 2; exit {code}"])
                made = pod(name, script, resources=resources, annotations={"code": str(code)})
                self.note("pods", self.server.create("pods", made))
            else:
                victim = self.random.choice(running)
                self.ledger[("pods", victim)] = None
                self.server.delete("pods", victim)
        else:
            maps = [n for (p, n), v in self.ledger.items() if p == "configmaps" and v]
            if len(maps) > 20:
                victim = self.random.choice(maps)
                self.ledger[("configmaps", victim)] = None
                self.server.delete("configmaps", victim)

    def change_one(self, count: int) -> None:
        maps = [n for (p, n), v in self.ledger.items() if p == "configmaps" and v]
        if maps:
            self.note("configmaps", self.server.patch("configmaps", self.random.choice(maps),
                                                      {"data": {"n": str(count)}}))

    def note(self, plural: str, answer: dict) -> None:
        key, version = (plural, answer["metadata"]["name"]), int(answer["metadata"]["resourceVersion"])
        before = self.ledger.setdefault(key, version)
        # The other load may have asked for its deletion meanwhile.
        if before is not None and before < version:
            self.ledger[key] = version


class CrashTest(unittest.TestCase):
    def setUp(self) -> None:
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        self.server = Server("--emulate-device", f"{GPU}=4:80Gi")
        self.addCleanup(self.server.finish)
        self.ledger: dict = {}
        self.highest = 0

    def test_kill_at_random_points(self) -> None:
        self.server.start()
        self.server.create("pods", pod("steady", COUNTER))
        self.server.create("deployments", {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}},
                                  "spec": {"terminationGracePeriodSeconds": 1,
                                           "containers": [container("exec sleep 100000")]}}}})
        self.server.wait_phase("steady", "Running")
        steady = self.server.get("pods", "steady")["status"]["containerStatuses"][0]["containerID"]
        chance = random.Random(SEED)
        for number in range(ROUNDS):
            begin = time.monotonic()
            self.round(number, chance)
            print(f"round {number}: {time.monotonic() - begin:.1f} s", flush=True)
            now = self.server.get("pods", "steady")["status"]["containerStatuses"][0]
            self.assertEqual((now["containerID"], now["restartCount"]), (steady, 0))
        self.check_counter()
        wait_for("the Deployment is whole", lambda: self.server.get("deployments", "web").get("status", {})
                 .get("readyReplicas") == 2)
        self.check_exit_codes()

    def round(self, number: int, chance: random.Random) -> None:
        gang = f"gang-{number}"
        self.server.create("jobs", self.gang(gang))
        loads = [Load(self.server, SEED * 1000 + number * 10 + i, self.ledger) for i in range(2)]
        for load in loads:
            load.start()
        # The one wait of this test that is for no condition: the point of the crash.
        time.sleep(chance.uniform(0, 1.5))
        self.server.kill()
        for load in loads:
            load.stopping = True
            load.join(timeout=berth.LIMIT)
            self.assertIsNone(load.failure)
        self.server.start()
        self.check_ledger()
        self.check_devices()
        self.check_gang(gang)
        self.server.delete("jobs", gang)
        for item in self.server.list("pods", f"gang={gang}"):
            self.server.wait_gone("pods", item["metadata"]["name"])
        # Room for the next round: of the load's pods only some stay.
        for (plural, name), version in list(self.ledger.items()):
            if plural == "pods" and version and chance.random() < 0.5:
                if not self.server.exists("pods", name):
                    self.assertIn("Preempted:", self.events_of(name), f"{name} was lost")
                    self.ledger[(plural, name)] = None
                    continue
                if self.server.get("pods", name)["status"].get("phase") not in ("Failed", "Succeeded"):
                    self.ledger[(plural, name)] = None
                    self.server.delete("pods", name)

    def gang(self, name: str) -> dict:
        return {"apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": name, "labels": {"berth.dev/gang": "true"}},
                "spec": {"completions": 2, "parallelism": 2, "completionMode": "Indexed",
                         "template": {"metadata": {"labels": {"gang": name}},
                                      "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                                               "containers": [container("exec sleep 100000", resources={
                                                   "limits": {GPU: "1"}})]}}}}

    def check_ledger(self) -> None:
        there = {}
        newest = 0
        for plural in ("configmaps", "pods"):
            answer = self.server.request("GET", self.server.path(plural))
            newest = max(newest, int(answer["metadata"]["resourceVersion"]))
            for item in answer["items"]:
                there[(plural, item["metadata"]["name"])] = int(item["metadata"]["resourceVersion"])
        for key, version in self.ledger.items():
            if version is not None:
                if key not in there:
                    if "Preempted:" in self.events_of(key[1]):
                        self.ledger[key] = None
                        continue
                    self.fail(f"{key} was acknowledged and is lost{self.events_of(key[1])}")
                self.assertGreaterEqual(there[key], version, f"{key} went back")
                self.highest = max(self.highest, version)
        self.assertGreaterEqual(newest, self.highest, "resource versions went back")
        self.highest = newest

    def events_of(self, name: str) -> str:
        return "".join(f"\n{event['lastTimestamp']} {event['reason']}: {event['message']}"
                       for event in self.server.list("events")
                       if event["involvedObject"].get("name") == name)

    def check_devices(self) -> None:
        holders: dict[str, str] = {}
        for item in self.server.list("pods"):
            given = item["metadata"].get("annotations", {}).get("berth.dev/devices")
            if not given or item.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                continue
            for device in json.loads(given).get(GPU, []):
                name = item["metadata"]["name"]
                self.assertNotIn(device["id"], holders, f"{device['id']} is given to {name} as well")
                holders[device["id"]] = name

    def check_gang(self, name: str) -> None:
        """None or all of its pods are bound; half is allowed for a while only."""
        def bound() -> int:
            return sum("nodeName" in item["spec"] and "deletionTimestamp" not in item["metadata"]
                       for item in self.server.list("pods", f"gang={name}"))

        # The limit counts from the crash; what a loaded machine needs to answer comes on top.
        wait_for(f"{name} is whole or not started", lambda: bound() in (0, 2), GANG_LIMIT)

    def check_counter(self) -> None:
        numbers = [int(word) for word in self.server.logs("steady").split()]
        start = numbers[0]
        self.assertEqual(numbers, list(range(start, start + len(numbers))), "the counter was cut")

    def check_exit_codes(self) -> None:
        for (plural, name), version in self.ledger.items():
            if plural != "pods" or not version:
                continue
            if "Preempted:" in self.events_of(name):
                continue
            item = self.server.get("pods", name)
            script = item["spec"]["containers"][0]["command"][-1]
            if not re.search(r"exit \d+$", script) or "nodeName" not in item["spec"]:
                continue
            done = self.server.wait_phase(name, "Failed", "Succeeded")
            ended = done["status"]["containerStatuses"][0]["state"]["terminated"]
            self.assertEqual(str(ended["exitCode"]), item["metadata"]["annotations"]["code"],
                             f"{name}: {json.dumps(done['status'])}")


if __name__ == "__main__":
    berth.main()
