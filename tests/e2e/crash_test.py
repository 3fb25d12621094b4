#!/usr/bin/env python3
"""kill -9 of `berth serve` under load, round after round: what was acknowledged stays, nothing is left over.

A round kills at a random instant, or right at a moment that is hard to survive (see KILL_POINTS), starts again,
and checks: acknowledged creates, changes and deletes; devices, in the API and on the machine; gangs; exit codes;
and that no container, monitor, network namespace, address, mount, cgroup or file is left of what is gone.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import berth
from berth import BINARY, ApiError, Server, container, pod, wait_for
from orphans import Machine, orphans, shared_devices

GPU = "nvidia.com/gpu"
# Invariant: a gang that starts becomes whole, or its members are evicted, within this time.
GANG_LIMIT = 30
COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.5; done"
KILL_POINTS = ("any time", "any time", "creation", "binding", "stop", "import", "start")
OPTIONS = argparse.Namespace(rounds=30, seed=0)


def delete_if_there(server: Server, plural: str, name: str) -> None:
    """The scheduler may have preempted a pod meanwhile, and so deleted it."""
    try:
        server.delete(plural, name)
    except ApiError as error:
        if error.code != 404:
            raise


class Load(threading.Thread):
    """Creates, changes and deletes for as long as the server answers, and remembers what it was told."""

    def __init__(self, server: Server, name: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.name = name
        self.random = random.Random(seed)
        # ConfigMap → the value acknowledged last. In `asked` is what may or may not have been done.
        self.maps: dict[str, str] = {}
        self.asked: dict[str, str | None] = {}
        self.pods: set[str] = set()
        self.deleted: set[tuple[str, str]] = set()
        self.versions: dict[tuple[str, str], int] = {}
        self.stopping = False
        self.failure: Exception | None = None

    def run(self) -> None:
        count = 0
        while not self.stopping:
            try:
                self.step(f"{self.name}-{count}")
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

    def step(self, name: str) -> None:
        choice = self.random.random()
        if choice < 0.3:
            self.write_map(name, self.server.create, "configmaps", {
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": name}})
        elif choice < 0.5 and self.maps:
            victim = self.random.choice(sorted(self.maps))
            self.write_map(victim, self.server.patch, "configmaps", victim, {"data": {"n": name}}, value=name)
        elif choice < 0.8 and len(self.pods) < 4:
            self.asked[f"pod {name}"] = None
            self.note("pods", self.server.create("pods", self.pod(name)))
            self.pods.add(name)
            del self.asked[f"pod {name}"]
        elif choice < 0.9 and len(self.pods) > 2:
            victim = self.random.choice(sorted(self.pods))
            self.pods.discard(victim)
            delete_if_there(self.server, "pods", victim)
            self.deleted.add(("pods", victim))
        elif len(self.maps) > 10:
            victim = self.random.choice(sorted(self.maps))
            value = self.maps.pop(victim)
            self.asked[victim] = value
            self.server.delete("configmaps", victim)
            del self.asked[victim]
            self.deleted.add(("configmaps", victim))

    def pod(self, name: str) -> dict:
        resources = {"limits": {GPU: "1"}} if self.random.random() < 0.5 else None
        code = self.random.randrange(1, 100)
        script = self.random.choice([f"exit {code}", "sleep 1000", f"sleep 2; exit {code}"])
        return pod(name, script, resources=resources, annotations={"code": str(code)})

    def write_map(self, name: str, call, *arguments, value: str | None = None) -> None:
        self.asked[name] = value or name
        self.note("configmaps", call(*arguments))
        self.maps[name] = self.asked.pop(name)

    def note(self, plural: str, answer: dict) -> None:
        self.versions[(plural, answer["metadata"]["name"])] = int(answer["metadata"]["resourceVersion"])


class CrashTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server("--emulate-device", f"{GPU}=4:80Gi")
        self.addCleanup(self.server.finish)
        self.chance = random.Random(OPTIONS.seed)
        self.highest = 0
        self.pods: set[str] = set()  # that were acknowledged, and that nobody has asked to delete
        self.image = self.make_image()

    def make_image(self) -> Path | None:
        """An image whose import takes long enough to be cut."""
        if not all(shutil.which(tool) for tool in ("umoci", "skopeo", "busybox")):
            return None
        files = self.server.folder / "files"
        files.mkdir()
        shutil.copy(shutil.which("busybox"), files / "busybox")
        (files / "filler").write_bytes(random.Random(1).randbytes(8 << 20))
        for arguments in (["init", "--layout", "layout"], ["new", "--image", "layout:t"],
                          ["insert", "--image", "layout:t", "files", "/bin"]):
            subprocess.run(["umoci", *arguments], cwd=self.server.folder, check=True, capture_output=True)
        return self.server.folder / "layout"

    def test_kill_at_random_points(self) -> None:
        print(f"seed {OPTIONS.seed}, {OPTIONS.rounds} rounds", flush=True)
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
        for number in range(OPTIONS.rounds):
            begin = time.monotonic()
            point = self.chance.choice(KILL_POINTS)
            self.round(number, point)
            now = self.server.get("pods", "steady")["status"]["containerStatuses"][0]
            self.assertEqual((now["containerID"], now["restartCount"]), (steady, 0))
            print(f"round {number}, killed at {point}: {time.monotonic() - begin:.1f} s", flush=True)
        self.check_counter()
        wait_for("the Deployment is whole", lambda: self.server.get("deployments", "web").get("status", {})
                 .get("readyReplicas") == 2)

    # A round.

    def round(self, number: int, point: str) -> None:
        gang = f"gang-{number}"
        self.server.create("jobs", self.gang(gang))
        loads = [Load(self.server, f"r{number}-{i}", OPTIONS.seed * 100_000 + number * 10 + i) for i in range(2)]
        for load in loads:
            load.start()
        self.wait_until(point, gang)
        self.server.kill()
        for load in loads:
            load.stopping = True
            load.join(timeout=berth.LIMIT)
            self.assertIsNone(load.failure)
        if point == "start":
            self.kill_while_starting()
        self.server.start()
        self.check_acknowledged(loads)
        self.check_devices()
        self.check_gang(gang)
        self.check_exit_codes()
        self.check_image()
        self.server.delete("jobs", gang)
        self.make_room()
        left = []

        def none_left() -> bool:
            nonlocal left
            left = orphans(self.server)
            return not left

        try:
            wait_for("nothing is orphaned", none_left)
        except AssertionError:
            self.fail("orphaned:\n" + "\n".join(left))

    def wait_until(self, point: str, gang: str) -> None:
        """Returns at the moment to kill at."""
        machine = Machine(self.server)
        before = set(machine.containers())
        end = time.monotonic() + self.chance.uniform(0.2, 1.5)
        if point == "creation":
            # runc has made a container's folder: it is created, and may not be started yet.
            while time.monotonic() < end and not set(machine.containers()) - before:
                pass
            time.sleep(self.chance.uniform(0, 0.06))
        elif point == "binding":
            while time.monotonic() < end and not any("nodeName" in item["spec"]
                                                     for item in self.server.list("pods", f"gang={gang}")):
                pass
        elif point == "stop":
            running = [item["metadata"]["name"] for item in self.server.list("pods", "app=web")]
            if running:
                delete_if_there(self.server, "pods", self.chance.choice(running))
            time.sleep(self.chance.uniform(0, 0.3))
        elif point == "import" and self.image:
            self.server.cli("image", "rm", "crash:1", "--data", str(self.server.data))
            importing = subprocess.Popen([BINARY, "image", "import", self.image, "--name", "crash:1", "--data",
                                          self.server.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(self.chance.uniform(0, 0.5))
            importing.kill()
            importing.wait(timeout=berth.LIMIT)
        else:
            # The one wait of this test that is for no condition: the instant of the crash.
            time.sleep(self.chance.uniform(0, 1.5))

    def kill_while_starting(self) -> None:
        with open(self.server.log, "a") as log:
            starting = subprocess.Popen([BINARY, "serve", "--data", self.server.data, *self.server.options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        time.sleep(self.chance.uniform(0, 0.6))
        starting.kill()
        starting.wait(timeout=berth.LIMIT)

    def gang(self, name: str) -> dict:
        return {"apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": name, "labels": {"berth.dev/gang": "true"}},
                "spec": {"completions": 2, "parallelism": 2, "completionMode": "Indexed",
                         "template": {"metadata": {"labels": {"gang": name}},
                                      "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                                               "containers": [container("exec sleep 100000", resources={
                                                   "limits": {GPU: "1"}})]}}}}

    def make_room(self) -> None:
        """For the next round: of the loads' pods that run only some stay."""
        for item in self.server.list("pods"):
            name = item["metadata"]["name"]
            if name in self.pods and (self.chance.random() < 0.7 or self.is_over(item)):
                self.pods.discard(name)
                delete_if_there(self.server, "pods", name)

    # What must hold after a crash.

    def check_acknowledged(self, loads: list[Load]) -> None:
        there: dict[tuple[str, str], dict] = {}
        newest = 0
        for plural in ("configmaps", "pods"):
            answer = self.server.request("GET", self.server.path(plural))
            newest = max(newest, int(answer["metadata"]["resourceVersion"]))
            for item in answer["items"]:
                there[(plural, item["metadata"]["name"])] = item
        for load in loads:
            for name, value in load.maps.items():
                item = there.get(("configmaps", name))
                self.assertIsNotNone(item, f"{name} was acknowledged and is lost")
                self.assertIn(item["data"]["n"], (value, load.asked.get(name, value)), f"{name} went back")
            for key, version in load.versions.items():
                if key in there:
                    self.assertGreaterEqual(int(there[key]["metadata"]["resourceVersion"]), version, f"{key} went back")
                self.highest = max(self.highest, version)
            for key in load.deleted:
                alive = key in there and "deletionTimestamp" not in there[key]["metadata"]
                self.assertFalse(alive, f"{key} was deleted and is back")
            self.pods |= load.pods
        for name in sorted(self.pods):
            if ("pods", name) not in there:
                self.assertIn("Preempted:", self.events_of(name), f"{name} was lost")
                self.pods.discard(name)
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
            if not given or self.is_over(item):
                continue
            for device in json.loads(given).get(GPU, []):
                name = item["metadata"]["name"]
                self.assertNotIn(device["id"], holders, f"{device['id']} is given to {name} as well")
                holders[device["id"]] = name
        self.assertEqual(shared_devices(self.server), [])

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
        """A pod that ended did so with its program's own exit code."""
        for item in self.server.list("pods"):
            name = item["metadata"]["name"]
            if name not in self.pods or not self.is_over(item) or "deletionTimestamp" in item["metadata"]:
                continue
            told = f"{name}: {json.dumps(item['status'])}{self.events_of(name)}"
            if "Preempted:" in told:
                continue
            ended = item["status"]["containerStatuses"][0]["state"].get("terminated")
            self.assertIsNotNone(ended, told)
            self.assertEqual(str(ended["exitCode"]), item["metadata"]["annotations"]["code"],
                             told)
            script = item["spec"]["containers"][0]["command"][-1]
            self.assertRegex(script, r"exit \d+$", f"{name} ended by itself: {json.dumps(item['status'])}")

    def check_image(self) -> None:
        """A cut import left the image whole or not at all, and no work of its own."""
        if self.image is None:
            return
        listed = self.server.cli("image", "ls", "--data", str(self.server.data))
        self.assertEqual(listed.returncode, 0, listed.stderr)
        images = self.server.data / "images"
        unpacked = os.listdir(images / "unpacked")
        self.assertEqual(len(unpacked), 1 if "crash" in listed.stdout else 0, f"{unpacked}\n{listed.stdout}")
        self.assertEqual(os.listdir(images / "work"), [])

    @staticmethod
    def is_over(item: dict) -> bool:
        return item.get("status", {}).get("phase") in ("Failed", "Succeeded")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="how often it is killed (default 30)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="which kill points and which load")
    OPTIONS, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    berth.main()
