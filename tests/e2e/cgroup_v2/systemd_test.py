#!/usr/bin/env python3
"""Berth under systemd: as the service of deploy/systemd, and as root starts it in a session. Runs only in the virtual
machine: it installs units."""

import os
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import berth  # noqa: E402
from berth import BINARY, LIMIT, Server, pod, wait_for  # noqa: E402

TREE = Path("/sys/fs/cgroup")
UNITS = berth.ROOT / "deploy" / "systemd"
COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 1; done"


def systemctl(*arguments: str) -> str:
    done = subprocess.run(["systemctl", *arguments], text=True, capture_output=True, timeout=LIMIT)
    if done.returncode != 0:
        raise AssertionError(f"systemctl {' '.join(arguments)}: {done.stderr}{done.stdout}")
    return done.stdout.strip()


def busy_systemd() -> None:
    """All that makes systemd look through its cgroups again and write what it thinks belongs there."""
    systemctl("daemon-reload")
    subprocess.run(["systemd-run", "--wait", "--property=CPUWeight=50", "--property=IOWeight=50",
                    "--property=MemoryMax=1G", "--property=AllowedCPUs=0", "true"], check=True, capture_output=True,
                   timeout=LIMIT)
    systemctl("set-property", "--runtime", "system.slice", "CPUWeight=200")
    systemctl("daemon-reexec")
    systemctl("daemon-reload")


class Case(unittest.TestCase):
    server: Server
    root: Path

    def start_pod(self, name: str, script: str, *phases: str, **more) -> Path:
        self.server.create("pods", pod(name, script, resources={"limits": {"cpu": "500m", "memory": "64Mi"}}, **more))
        self.addCleanup(self.remove, name)
        item = self.server.wait_phase(name, *(phases or ("Running",)))
        return self.root / f"pod{item['metadata']['uid']}" / "main-0"

    def remove(self, name: str) -> None:
        if self.server.exists("pods", name):
            self.server.delete("pods", name)
            self.server.wait_gone("pods", name)

    def check_limits(self, main: Path) -> None:
        for folder in (main, main.parent):
            self.assertEqual((folder / "memory.max").read_text().strip(), str(64 << 20))
            self.assertEqual((folder / "cpu.max").read_text().strip(), "50000 100000")

    def check_counts_on(self, name: str, before: dict) -> None:
        last = int(self.server.wait_log(name, r"\d\n").split()[-1])
        self.server.wait_log(name, rf"(?m)^{last + 2}$")
        after = self.status(name)
        self.assertEqual((after["containerID"], after["restartCount"]), (before["containerID"], 0))

    def status(self, name: str) -> dict:
        return self.server.get("pods", name)["status"]["containerStatuses"][0]


class ServiceTest(Case):
    root = TREE / "system.slice" / "berth-pods.service"

    @classmethod
    def setUpClass(cls) -> None:
        subprocess.run(["ln", "-sf", BINARY, "/usr/local/bin/berth"], check=True)
        for unit in UNITS.glob("*.service"):
            shutil.copy(unit, "/etc/systemd/system")
        systemctl("daemon-reload")
        cls.server = Server(folder="/var/lib")
        cls.server.data = Path("/var/lib/berth")
        systemctl("start", "berth")
        cls.connect()

    @classmethod
    def connect(cls) -> None:
        def answers():
            try:
                cls.server.connect()
                return cls.server.list("configmaps") is not None
            except (OSError, berth.ApiError):
                return False

        wait_for("the service answers", answers)

    @classmethod
    def tearDownClass(cls) -> None:
        systemctl("stop", "berth", "berth-pods")

    def main_pid(self) -> int:
        return int(systemctl("show", "--property=MainPID", "--value", "berth"))

    def test_pods_are_in_the_delegated_cgroup(self) -> None:
        main = self.start_pod("placed", "sleep 1000")
        self.check_limits(main)
        self.assertTrue((main / "cgroup.procs").read_text().strip())
        own = TREE / "system.slice" / "berth.service" / "cgroup.procs"
        self.assertEqual(own.read_text().split(), [str(self.main_pid())])
        self.assertFalse((TREE / "berth").exists())
        self.assertEqual(systemctl("is-active", "berth", "berth-pods"), "active\nactive")

    def test_memory_limit_kills_and_is_reported(self) -> None:
        self.start_pod("oom", "", "Failed", command=["python3", "-c", "x = bytearray(300 << 20)"])
        self.assertEqual(self.status("oom")["state"]["terminated"]["reason"], "OOMKilled")

    def test_restart_leaves_pods_running(self) -> None:
        main = self.start_pod("through", COUNT)
        before = self.status("through")
        pid = self.main_pid()
        systemctl("restart", "berth")
        self.connect()
        self.assertNotEqual(self.main_pid(), pid)
        self.check_counts_on("through", before)
        self.check_limits(main)

    def test_killed_service_comes_back_and_adopts(self) -> None:
        main = self.start_pod("survivor", COUNT)
        before = self.status("survivor")
        pid = self.main_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for("systemd starts it again", lambda: self.main_pid() not in (0, pid))
        self.connect()
        self.check_counts_on("survivor", before)
        self.check_limits(main)

    def test_systemd_leaves_the_pods_cgroups_alone(self) -> None:
        main = self.start_pod("steady", "sleep 1000")
        busy_systemd()
        self.check_limits(main)
        self.check_limits(self.start_pod("later", "sleep 1000"))

    def test_stop_of_the_pods_unit_ends_them(self) -> None:
        main = self.start_pod("ended", "sleep 1000")
        systemctl("stop", "berth")
        self.assertTrue((main / "cgroup.procs").read_text().strip(), "the pod goes on")
        systemctl("stop", "berth-pods")
        wait_for("its processes have ended", lambda: not main.exists() or
                 not (main / "cgroup.procs").read_text().strip())
        systemctl("start", "berth")
        self.connect()
        self.server.wait_phase("ended", "Failed")


class SessionTest(Case):
    """As over ssh: Berth's process is in a session's scope, which systemd stops when the user leaves."""

    root = TREE / "berth"

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(prefix=("systemd-run", "--quiet", "--scope", "--slice=user.slice", "--unit=session-7.scope"))
        cls.server.start()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.finish()

    def test_systemd_leaves_the_pods_cgroups_alone(self) -> None:
        main = self.start_pod("steady", "sleep 1000")
        self.assertIn("/user.slice/session-7.scope", Path(f"/proc/{self.server.process.pid}/cgroup").read_text())
        busy_systemd()
        self.check_limits(main)
        self.check_limits(self.start_pod("later", "sleep 1000"))

    def test_end_of_the_session_leaves_pods_running(self) -> None:
        main = self.start_pod("through", COUNT)
        before = self.status("through")
        systemctl("stop", "session-7.scope")
        self.server.process.wait(timeout=LIMIT)
        self.server.process.stdout.close()
        self.assertTrue((main / "cgroup.procs").read_text().strip(), "the pod goes on")
        self.server.start()
        self.check_counts_on("through", before)
        self.check_limits(main)


if __name__ == "__main__":
    berth.main()
