"""`berth serve` for the time of the story, in folders of its own, and the proof that nothing of it stays behind."""

from __future__ import annotations

import json
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import children
import folders
from api import Api, ApiError, Command
from terminal import Terminal

DEVICES = "nvidia.com/gpu=4:80Gi"
# What a GPU costs in the story, for its bill.
CONFIGURATION = """\
apiVersion: config.berth.dev/v1alpha1
kind: BerthConfiguration
prices:
- {resource: nvidia.com/gpu, perHour: 2.40, currency: EUR}
"""
READY_LIMIT_S = 120.0
STOP_LIMIT_S = 120.0


def _entries(folder: str) -> set[str]:
    path = Path(folder)
    return {entry.name for entry in path.iterdir()} if path.is_dir() else set()


def _traces(names: set[str]) -> set[str]:
    """What of these pods and networks is on this machine, in words: others may use Berth, too."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    found = {f"mount {line.split()[1]}" for line in lines}
    found |= {f"network namespace {name}" for name in _entries("/run/netns")}
    found |= {f"network interface {name}" for name in _entries("/sys/class/net")}
    tables = children.run(["nft", "list", "tables"]).stdout
    found |= {f"nftables {line}" for line in tables.splitlines()}
    found |= {f"cgroup {folder}" for folder in Path("/sys/fs/cgroup").rglob("pod*") if folder.is_dir()}
    words = {trace: re.split(r"[^\w-]+", trace) for trace in found}
    return {
        trace
        for trace in found
        if any(word.removeprefix("berth-").removeprefix("pod") in names for word in words[trace])
    }


def _processes_naming(text: str) -> set[str]:
    """Processes with `text` in their arguments: the containers' monitors name the data folder."""
    found = set()
    for name in _entries("/proc"):
        try:
            if name.isdigit() and text.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                found.add(f"process {name}")
        except OSError:
            continue  # It has ended meanwhile.
    return found


class Server:
    def __init__(self, binary: Path, log: Path, terminal: Terminal) -> None:
        self._binary = binary
        self._log = log
        self._log.write_text("")
        self._terminal = terminal
        self._process: subprocess.Popen[str] | None = None
        self._names: set[str] = set()
        # Not in /var/cache, which pods see, and short: it is part of socket names.
        self.data = folders.make(Path("/var/lib"), "berth-story")
        self.kubeconfig = self.data / "kubeconfig"
        self._configuration = log.with_name("configuration.yaml")
        self._configuration.write_text(CONFIGURATION)

    def start(self) -> str:
        """What it says of itself, once it is ready."""
        began = time.monotonic()
        with self._log.open("a") as log:
            children.start(
                [
                    *(self._binary, "serve", "--data", self.data, "--port", "0"),
                    *("--emulate-device", DEVICES, "--allow-host-path", "--drain"),
                    *("--host-dir", folders.CACHE, "--config", self._configuration),
                ],
                self._keep,
                # It stops what runs, also when the story is killed.
                end_with=signal.SIGTERM,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C is for the story, which then stops the server when it has cleaned up.
                start_new_session=True,
            )
        assert self._process is not None and self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], READY_LIMIT_S)
        line = self._process.stdout.readline().strip() if ready else ""
        if not line:
            code = self._process.poll() if not ready else self._process.wait(timeout=STOP_LIMIT_S)
            problem = f"is not ready after {READY_LIMIT_S:.0f} s"
            if code is not None:
                problem = f"ended with exit code {code}"
            raise ApiError(f"berth serve {problem}; its log:\n{self.log_tail()}")
        self._terminal.say(f"{line} (ready after {time.monotonic() - began:.2f} s)", "berth")
        return line

    def _keep(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def api(self) -> Api:
        return Api(self.kubeconfig)

    def command(self) -> Command:
        return Command(self._binary, self.kubeconfig)

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def resident_mebibytes(self) -> float:
        assert self._process is not None
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self, pods: set[str]) -> list[str]:
        """Stops all work and the server, and removes its data. What stays behind, in words.

        `pods` are the uids of those that are gone already.
        """
        self._names |= pods | _entries(f"{self.data}/pods") | self._bridge()
        ended_early = self._process is not None and self._process.poll() is not None
        self._terminate()
        if ended_early and self._left_behind():
            # It ended by itself and left work running: the next one adopts that, and stops it.
            try:
                self.start()
            except ApiError as error:
                self._terminal.fail(f"cleaning up: {error}")
            self._terminate()
        left = self._left_behind()
        if not left:
            shutil.rmtree(self.data, ignore_errors=True)
        return left

    def _bridge(self) -> set[str]:
        try:
            network = json.loads((self.data / "network" / "network.json").read_text())
        except FileNotFoundError:
            return set()
        return {network["bridge"]}

    def _terminate(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _left_behind(self) -> list[str]:
        return sorted(_traces(self._names) | _processes_naming(str(self.data)))
