#!/usr/bin/env python3
"""What `berth serve` and `berth apply` say and do where something is missing, broken, full or wrong."""

import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import berth
from berth import BINARY, LIMIT, Server, pod, wait_for


def serve(*options: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Where it is expected to be refused. One that starts all the same is stopped with what it made."""
    process = subprocess.Popen([*prefix, str(BINARY), "serve", "--port", "0", *options], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=30 * berth.SLOWDOWN)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, errors = process.communicate(timeout=LIMIT)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


class RefusalTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="berth-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        os.chmod(self.folder, 0o755)

    def serve_without(self, tool: str) -> subprocess.CompletedProcess:
        """In a mount namespace of its own, where the tool is a file that cannot be run."""
        hide = 'tool=$1; shift; mount --bind /dev/null "$tool" && exec "$@"'
        return serve("--data", str(self.folder / "data"),
                     prefix=("unshare", "--mount", "sh", "-c", hide, "sh", shutil.which(tool)))

    def test_missing_runtime_is_named_with_how_to_get_it(self) -> None:
        done = self.serve_without("runc")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"lacks: runc")
        self.assertRegex(done.stderr, r"sudo apt-get install .*runc")
        self.assertEqual(done.stdout, "")

    def test_missing_monitor_is_named_with_how_to_get_it(self) -> None:
        done = self.serve_without("conmon")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"lacks: conmon")
        self.assertRegex(done.stderr, r"sudo apt-get install .*conmon")

    def test_without_root_says_so(self) -> None:
        copy = self.folder / "berth"
        shutil.copy(BINARY, copy)
        os.chmod(copy, 0o755)
        home = self.folder / "home"
        home.mkdir(mode=0o777)
        os.chmod(home, 0o777)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "serve",
                               "--data", home / "data", "--port", "0"],
                              text=True, capture_output=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"root")
        self.assertRegex(done.stderr, r"sudo berth serve")

    def test_corrupt_database_is_refused_and_left_alone(self) -> None:
        server = Server()
        self.addCleanup(shutil.rmtree, server.folder, True)
        server.start()
        server.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"},
                                     "data": {"a": "1"}})
        self.assertEqual(server.stop(), 0)
        databases = [path for path in (server.data / "store").iterdir() if path.name.endswith((".db", ".sqlite"))]
        self.assertEqual(len(databases), 1, list((server.data / "store").iterdir()))
        good = databases[0].read_bytes()
        noise = os.urandom(len(good))
        for what, broken in (("its first page", noise[:4096] + good[4096:]),
                             ("all pages but the first", good[:4096] + noise[4096:]),
                             ("its second half is missing", good[:len(good) // 2])):
            with self.subTest(what):
                databases[0].write_bytes(broken)
                done = serve("--data", str(server.data))
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(str(databases[0]), done.stderr)
                self.assertRegex(done.stderr, r"corrupt|not a database|damaged|malformed")
                self.assertEqual(databases[0].read_bytes(), broken, "a refused database was changed")

        databases[0].write_bytes(good)
        server.start()
        self.assertEqual(server.get("configmaps", "kept")["data"], {"a": "1"})
        server.finish()

    def test_bad_options_are_refused(self) -> None:
        for options, word in ((("--emulate-device", "gpu"), "emulate-device"),
                              (("--pod-subnet", "10.0.0.0/33"), "10.0.0.0/33"),
                              (("--port", "99999"), "99999"), (("--address", "192.0.2.1"), "192.0.2.1"),
                              (("--host-dir", "/nowhere"), "/nowhere"), (("--cni-conf-dir", "/nowhere"), "/nowhere"),
                              (("--node-name", "My Machine"), "My Machine"),
                              (("--cgroup-root", "berth"), "berth"), (("--cgroup-root", "/"), "/berth"),
                              (("--cgroup-root", "/a/../b"), "/a/../b")):
            with self.subTest(options=options):
                done = serve("--data", str(self.folder / "data"), *options)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(word, done.stderr)
                self.assertFalse((self.folder / "data").exists(), "it left something behind")


class DiskTest(unittest.TestCase):
    """The data folder on a disk of its own that is soon full."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="berth-e2e-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", self.folder], check=True)
        self.server = Server(folder=self.folder)
        self.addCleanup(self.remove)
        self.server.start()
        self.filler = Path(self.folder) / "filler"

    def remove(self) -> None:
        if self.server.process.poll() is None:
            self.server.kill()
        subprocess.run(["umount", "-l", self.folder], check=True)
        os.rmdir(self.folder)

    def fill(self) -> None:
        with open(self.filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 12))
            except OSError:
                pass

    def create_map(self, name: str) -> None:
        self.server.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                                          "data": {"v": "x" * 100_000}})

    def room_again(self) -> None:
        self.filler.unlink()

        def recovered() -> bool:
            try:
                self.create_map("after")
            except berth.ApiError as error:
                return error.code == 409
            return True

        wait_for("writing works when there is room again", recovered)

    def test_full_disk_is_said_and_passes(self) -> None:
        self.fill()
        accepted = []
        refusal = None
        for number in range(400):
            try:
                self.create_map(f"large-{number}")
                accepted.append(f"large-{number}")
            except berth.ApiError as error:
                refusal = error
                break
        self.assertIsNotNone(refusal, "nothing was refused though the disk is full")
        self.assertGreaterEqual(refusal.code, 500)
        self.assertRegex(str(refusal), r"(?i)full|no space|disk")
        self.assertEqual(len(self.server.list("configmaps")), len(accepted), "reading works on a full disk")
        with self.assertRaisesRegex(berth.ApiError, "500.*cannot write"):
            self.server.request("GET", "/readyz")
        self.room_again()
        self.server.kill()
        self.server.start()
        names = {item["metadata"]["name"] for item in self.server.list("configmaps")}
        self.assertLessEqual({*accepted, "after"}, names)
        self.server.finish()

    def test_pods_outlive_a_full_disk(self) -> None:
        self.server.create("pods", pod("counter", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"))
        self.server.create("pods", pod("ends", "trap 'exit 7' USR1; while :; do sleep 0.1; done"))
        before = self.server.wait_phase("counter", "Running")["status"]["containerStatuses"][0]["containerID"]
        self.server.wait_phase("ends", "Running")
        self.fill()
        with self.assertRaisesRegex(berth.ApiError, "507.*disk is full; free space"):
            self.server.create("pods", pod("late", "exit 5"))
        end_of("ends", self.server)
        self.server.kill()
        try:
            self.server.start()  # a byte may be left for what it writes
        except AssertionError as refused:
            self.assertRegex(str(refused), r"No space left on device|disk is full")
        self.filler.unlink()
        if self.server.process.poll() is not None:
            self.server.start()
        ended = self.server.wait_phase("ends", "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual(ended["exitCode"], 7, ended)
        after = self.server.get("pods", "counter")["status"]["containerStatuses"][0]
        self.assertEqual((after["containerID"], after["restartCount"]), (before, 0))
        last = int(self.server.logs("counter").split()[-1])
        self.server.wait_log("counter", rf"(?m)^{last + 20}$")
        self.server.create("pods", pod("late", "exit 5"))
        self.server.wait_phase("late", "Failed")
        self.server.finish()


class OneServerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.server.start()
        self.addCleanup(self.server.finish)

    def test_second_server_is_refused(self) -> None:
        done = serve("--data", str(self.server.data))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(self.server.data), done.stderr)
        self.assertRegex(done.stderr, r"already|another")
        self.assertTrue(self.server.list("configmaps") is not None, "the first goes on")

    def test_stop_leaves_pods_and_the_next_adopts_them(self) -> None:
        self.server.create("pods", pod("counter", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"))
        self.server.create("pods", pod("ends", "trap 'exit 7' USR1; while :; do sleep 0.1; done"))
        before = self.server.wait_phase("counter", "Running")["status"]["containerStatuses"][0]
        self.server.wait_phase("ends", "Running")
        self.server.wait_log("counter", r"(?m)^5$")
        self.assertEqual(self.server.stop(), 0)
        self.assertIn("go on running", self.server.log.read_text())
        self.assertTrue(self.server.processes(), "the pods go on")
        end_of("ends", self.server)
        self.server.start()
        ended = self.server.wait_phase("ends", "Failed")["status"]["containerStatuses"][0]
        self.assertEqual(ended["state"]["terminated"]["exitCode"], 7)
        last = int(self.server.logs("counter").split()[-1])
        numbers = [int(word) for word in self.server.wait_log("counter", rf"(?m)^{last + 5}$").split()]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "the counter started again")
        after = self.server.get("pods", "counter")["status"]["containerStatuses"][0]
        self.assertEqual(after["containerID"], before["containerID"])
        self.assertEqual(after["restartCount"], 0)

    def test_drain_stops_pods(self) -> None:
        self.server.create("pods", pod("long", "sleep 1000"))
        self.server.wait_phase("long", "Running")
        self.assertEqual(self.server.stop(), 0)
        self.server.start("--drain")
        self.server.wait_phase("long", "Running")
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.server.leftovers(), [])

    def test_bad_manifest_names_every_error_and_applies_nothing(self) -> None:
        file = self.server.folder / "bad.yaml"
        file.write_text("apiVersion: v1\n"
                        "kind: ConfigMap\n"
                        "metadata: {name: good}\n"
                        "---\n"
                        "apiVersion: v1\n"
                        "kind: Pod\n"
                        "meta:\n"
                        "  name: first\n"
                        "spec:\n"
                        "  restartPolicy: Sometimes\n"
                        "  containers:\n"
                        "  - name: main\n"
                        "    image: host\n"
                        "    resources: {limits: {memory: lots}}\n")
        done = self.server.cli("apply", "-f", str(file))
        self.assertEqual(done.returncode, 2, done.stderr)
        for place in (f"{file}:7:1: meta: unknown field `meta`; did you mean `metadata`?",
                      f"{file}:10:3: spec.restartPolicy: ",
                      f"{file}:14:26: spec.containers[0].resources.limits"):
            self.assertIn(place, done.stderr)
        self.assertFalse(self.server.exists("configmaps", "good"), "part of a bad manifest was applied")
        self.assertFalse(self.server.exists("pods", "first"))


def end_of(name: str, server: Server) -> None:
    """Signals the container of a pod while no server runs, and waits until it has gone."""
    uid = next(path.name for path in (server.data / "pods").iterdir()
               if path.is_dir() and any(f"_{name}_{path.name}" in log.name
                                        for log in (server.data / "logs").iterdir()))
    pid = int((server.data / "pods" / uid / "containers" / "main" / "0" / "bundle" / "pid").read_text())
    os.kill(pid, signal.SIGUSR1)
    wait_for(f"{name} ended", lambda: not Path(f"/proc/{pid}").exists())


if __name__ == "__main__":
    berth.main()
