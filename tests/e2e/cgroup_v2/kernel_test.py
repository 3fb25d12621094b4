#!/usr/bin/env python3
"""What Berth does with the kernel's files of cgroup v2: each limit, what is over it, and who is where."""

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import berth  # noqa: E402
from berth import BINARY, LIMIT, Server, pod, wait_for  # noqa: E402

TREE = Path("/sys/fs/cgroup")
ROOT = TREE / "berth"


def setUpModule() -> None:
    global server
    if not (TREE / "cgroup.controllers").exists():
        berth.skip("this machine has no cgroup v2")
    server = Server()
    server.start()


def tearDownModule() -> None:
    server.finish()


def container_status(name: str) -> dict:
    return server.get("pods", name)["status"]["containerStatuses"][0]


def read(folder: Path, file: str) -> str:
    return (folder / file).read_text().strip()


class Case(unittest.TestCase):
    def start_pod(self, name: str, script: str, **more) -> Path:
        """Runs it and answers the container's cgroup."""
        server.create("pods", pod(name, script, **more))
        self.addCleanup(self.remove, name)
        item = server.wait_phase(name, "Running", "Succeeded", "Failed")
        return self.group(item) / "main-0"

    def group(self, item: dict) -> Path:
        quality = {"Guaranteed": "", "Burstable": "burstable", "BestEffort": "besteffort"}[item["status"]["qosClass"]]
        return ROOT / quality / f"pod{item['metadata']['uid']}"

    def remove(self, name: str) -> None:
        if server.exists("pods", name):
            server.delete("pods", name)
            server.wait_gone("pods", name)


class FilesTest(Case):
    def test_limits_are_in_the_kernels_files(self) -> None:
        limits = {"cpu": "500m", "memory": "64Mi"}
        main = self.start_pod("held", "sleep 1000", resources={"limits": limits})
        for folder in (main, main.parent):
            self.assertEqual(read(folder, "cpu.weight"), "20", "512 shares of 262144 on a scale of 10000")
            self.assertEqual(read(folder, "cpu.max"), "50000 100000")
            self.assertEqual(read(folder, "memory.max"), str(64 << 20))
            self.assertEqual(read(folder, "memory.swap.max"), "0")
            self.assertEqual(read(folder, "memory.high"), "max")
            self.assertRegex(read(folder, "io.bfq.weight"), r"\b500$")
        self.assertEqual(read(main, "memory.oom.group"), "1")
        self.assertEqual(read(main.parent, "memory.oom.group"), "0", "one container's end is not the others'")
        self.assertEqual(read(main.parent, "pids.max"), "16384")
        self.assertRegex(read(main.parent, "io.weight"), r"\b4950$")

    def test_classes_weigh_differently(self) -> None:
        main = self.start_pod("light", "sleep 1000")
        self.assertEqual(main.parent.parent.name, "besteffort")
        self.assertEqual(read(main.parent.parent, "cpu.weight"), "1")
        self.assertRegex(read(main.parent, "io.bfq.weight"), r"\b50$")
        burstable = self.start_pod("middle", "sleep 1000", resources={"requests": {"cpu": "1"}})
        self.assertEqual(read(burstable.parent, "cpu.weight"), "39")
        self.assertRegex(read(burstable.parent, "io.bfq.weight"), r"\b200$")

    def test_no_process_is_in_a_cgroup_that_gives_controllers(self) -> None:
        main = self.start_pod("leaf", "sleep 1000")
        for folder in (ROOT, ROOT / "besteffort", main.parent):
            controllers = set(read(folder, "cgroup.subtree_control").split())
            self.assertLessEqual({"cpu", "memory", "io", "pids"}, controllers, folder)
            self.assertEqual(read(folder, "cgroup.procs"), "", folder)
        self.assertTrue(read(main, "cgroup.procs"))
        own = Path(f"/proc/{server.process.pid}/cgroup").read_text()
        self.assertNotIn("/berth", own)
        monitors = read(ROOT / "monitors", "cgroup.procs").split()
        self.assertTrue(any("conmon" in Path(f"/proc/{pid}/comm").read_text() for pid in monitors), monitors)

    def test_nothing_is_said_to_be_missing(self) -> None:
        self.assertNotRegex(server.log.read_text(), r"(?i)controller|Block IO|swap")

    def test_a_container_sees_its_own_cgroup_alone(self) -> None:
        self.start_pod("inside", "cat /proc/self/cgroup; cat /sys/fs/cgroup/memory.max; "
                       "echo 1 > /sys/fs/cgroup/memory.max && echo wrote; true",
                       resources={"limits": {"memory": "64Mi"}})
        server.wait_phase("inside", "Succeeded")
        self.assertEqual(server.logs("inside").split("\n")[:2], ["0::/", str(64 << 20)])
        self.assertNotIn("wrote", server.logs("inside"))

    def test_usage_is_of_the_container(self) -> None:
        self.start_pod("busy", "", command=["python3", "-c", "x = bytearray(50 << 20)\nwhile True: pass"],
                       resources={"limits": {"cpu": "500m", "memory": "128Mi"}})

        def reported():
            done = server.cli("top", "pods")
            line = re.search(r"(?m)^.*\bbusy\b.*$", done.stdout)
            found = re.search(r"busy\s+(\d+)m?\s+(\d+)Mi", line.group(0)) if line else None
            # The first sample counts what started the container, over a moment.
            return found if found and 250 < int(found.group(1)) < 650 else None

        found = wait_for("about half a CPU is shown", reported)
        self.assertTrue(50 <= int(found.group(2)) <= 128, found.group(0))


class OverTest(Case):
    def test_out_of_memory_ends_all_of_a_container(self) -> None:
        # The shell would go on without its child, and nobody would know.
        self.start_pod("group", "python3 -c 'x = bytearray(300 << 20)'; echo survived; sleep 1000",
                       resources={"limits": {"memory": "32Mi"}})
        server.wait_phase("group", "Failed")
        ended = container_status("group")["state"]["terminated"]
        self.assertEqual((ended["reason"], ended["exitCode"]), ("OOMKilled", 137))
        self.assertNotIn("survived", server.logs("group"))

    def test_one_containers_end_is_not_the_others(self) -> None:
        server.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "two"}, "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [
                berth.container("sleep 1000", resources={"limits": {"memory": "32Mi"}}) | {"name": "calm"},
                berth.container("", command=["python3", "-c", "x = bytearray(300 << 20)"],
                                resources={"limits": {"memory": "32Mi"}}) | {"name": "greedy"}]}})
        self.addCleanup(self.remove, "two")

        def ended():
            found = {c["name"]: c["state"] for c in server.get("pods", "two").get("status", {})
                     .get("containerStatuses") or []}
            return found if "terminated" in found.get("greedy", {}) else None

        states = wait_for("the greedy one has ended", ended)
        self.assertEqual(states["greedy"]["terminated"]["reason"], "OOMKilled")
        self.assertIn("running", states["calm"])

    def test_resize_changes_the_files_and_not_the_processes(self) -> None:
        main = self.start_pod("grown", "sleep 1000", resources={"limits": {"memory": "64Mi", "cpu": "200m"}})
        before = read(main, "cgroup.procs").split()[0]
        self.resize("grown", memory="96Mi", cpu="400m")
        wait_for("the limits are in force", lambda: read(main, "memory.max") == str(96 << 20)
                 and read(main, "cpu.max") == "40000 100000")
        wait_for("so are the pod's", lambda: read(main.parent, "memory.max") == str(96 << 20))
        self.assertEqual(read(main, "cgroup.procs").split()[0], before)

    def test_resize_below_what_is_in_use_is_refused_and_kills_nothing(self) -> None:
        main = self.start_pod("full", "", command=["python3", "-c", "x = bytearray(60 << 20)\nprint('full', flush=True)"
                                                   "\nimport time\ntime.sleep(10000)"],
                              resources={"limits": {"memory": "128Mi", "cpu": "200m"}})
        server.wait_log("full", "full")
        self.resize("full", memory="32Mi", cpu="200m")
        event = wait_for("the refusal is reported", lambda: next(
            (e for e in server.list("events") if e["reason"] == "FailedResize"), None))
        self.assertIn("in use", event["message"])
        self.assertIn("running", container_status("full")["state"])
        self.assertEqual(read(main, "memory.max"), str(128 << 20))
        self.assertEqual(read(main.parent, "memory.max"), str(128 << 20))

    def resize(self, name: str, **limits: str) -> None:
        server.request("PATCH", server.path("pods", name) + "/resize",
                       {"spec": {"containers": [{"name": "main", "resources": {
                           "limits": limits, "requests": limits}}]}}, "application/strategic-merge-patch+json")

    def test_a_device_made_inside_cannot_be_opened(self) -> None:
        # /dev/vda is this machine's disk; the rules are a program in the kernel, attached to the cgroup.
        disk = os.stat("/dev/vda").st_rdev
        self.start_pod("maker", f"mknod /dev/disk b {os.major(disk)} {os.minor(disk)} && echo made; "
                       "head -c 1 /dev/disk && echo read; head -c 1 /dev/zero | wc -c; true")
        server.wait_phase("maker", "Succeeded", "Failed")
        text = server.logs("maker")
        self.assertIn("made", text)
        self.assertNotIn("read", text.split("\n"))
        self.assertRegex(text, r"(?i)not permitted")
        self.assertRegex(text, r"(?m)^1$", "a device that everybody has")


class EndTest(Case):
    def test_what_a_killed_server_left_is_adopted(self) -> None:
        main = self.start_pod("kept", "i=0; while :; do i=$((i+1)); echo $i; sleep 1; done",
                              resources={"limits": {"memory": "64Mi"}})
        before = container_status("kept")
        processes = read(main, "cgroup.procs")
        server.kill()
        self.assertTrue(Path(f"/proc/{processes.split()[0]}").exists())
        server.start()
        last = int(server.logs("kept").split()[-1])
        server.wait_log("kept", rf"(?m)^{last + 3}$")
        after = container_status("kept")
        self.assertEqual((after["containerID"], after["restartCount"]), (before["containerID"], 0))
        self.assertEqual(read(main, "cgroup.procs").split()[0], processes.split()[0])
        self.assertEqual(read(main, "memory.max"), str(64 << 20))

    def test_processes_that_left_their_session_end_with_the_pod(self) -> None:
        main = self.start_pod("scattered", "for i in 1 2 3 4 5; do setsid sh -c 'trap \"\" TERM; sleep 5000' & done; "
                              "trap '' TERM; echo up; wait")
        server.wait_log("scattered", "up")
        server.delete("pods", "scattered")
        server.wait_gone("pods", "scattered")
        self.assertFalse(main.parent.exists())


class NestedTest(unittest.TestCase):
    """Where the root that Berth sees is not the machine's: in somebody else's container."""

    def setUp(self) -> None:
        self.nested = TREE / "nested"
        self.nested.mkdir()
        self.addCleanup(self.remove)

    def remove(self) -> None:
        for child in sorted(self.nested.rglob("*/"), reverse=True):
            child.rmdir()
        self.nested.rmdir()

    def serve(self, before: str = "") -> subprocess.Popen:
        script = (f"echo 0 > {self.nested}/cgroup.procs; exec unshare --cgroup --mount sh -c '"
                  f"umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; {before} exec \"$@\"' sh \"$@\"")
        return subprocess.Popen(["sh", "-c", script, "sh", str(BINARY), "serve", "--port", "0", "--data",
                                 str(server.folder / "nested"), "--service-subnet", "10.127.0.0/16"],
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_a_root_with_processes_is_refused_with_what_to_do(self) -> None:
        process = self.serve()
        output, errors = process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, 1, output + errors)
        self.assertIn("processes run in this cgroup", errors)
        self.assertIn("--cgroup-root", errors)

    def test_what_the_documentation_says_helps(self) -> None:
        page = (berth.ROOT / "docs" / "service.md").read_text()
        advice = re.search(r"(?m)^mkdir /sys/fs/cgroup/main.*$", page).group(0).replace("'", "'\\''")
        process = self.serve(advice + ";")
        line = process.stdout.readline()
        process.terminate()
        errors = process.communicate(timeout=LIMIT)[1]
        self.assertTrue(line.startswith("Berth serves"), line + errors)


if __name__ == "__main__":
    berth.main()
