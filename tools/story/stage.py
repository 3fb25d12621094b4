"""What the steps of the story are made of: waiting for something to be true, applying a manifest, keeping a fact."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import api
import children
from api import ApiError, Object
from engines import Engine
from programs import EXAMPLES, Programs, StoryError
from server import Server
from terminal import Terminal
from timeline import PodRecord, Timeline

PAUSE_S = 0.1
# How much longer than usual a step may take: others use the machine, too.
PATIENCE = 4

Value = TypeVar("Value")


@dataclass
class Facts:
    """What the report is made of."""

    waits: list[dict[str, Any]] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    samples: dict[str, str] = field(default_factory=dict)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    rollout: dict[str, Any] = field(default_factory=dict)
    latency: dict[str, dict[str, Any]] = field(default_factory=dict)
    hogs: dict[str, Any] = field(default_factory=dict)
    elastic: dict[str, Any] = field(default_factory=dict)
    sharing: dict[str, float] = field(default_factory=dict)
    queues_text: str = ""
    server_mebibytes: float = 0.0


class Stage:
    def __init__(
        self, server: Server, programs: Programs, terminal: Terminal, engine: Engine
    ) -> None:
        self.programs = programs
        self.terminal = terminal
        self.engine = engine
        self.server = server
        self.api = server.api()
        self.berth = server.command()
        self.timeline = Timeline(self.api)
        self.facts = Facts()
        self._children: list[subprocess.Popen[str]] = []

    def wait_for(self, what: str, condition: Callable[[], Value | None], limit_s: float) -> Value:
        """The first value of `condition` that is true. Failing says what was waited for."""
        limit_s *= PATIENCE
        end, problem = time.monotonic() + limit_s, ""
        while time.monotonic() < end:
            try:
                if value := condition():
                    return value
                problem = ""
            except (ApiError, OSError) as error:
                problem = f"\n{error}"
            time.sleep(PAUSE_S)
        raise StoryError(f"{what}: not so after {limit_s:.0f} s{problem}")

    def expect(self, what: str, holds: bool) -> None:
        if not holds:
            raise StoryError(f"this should hold and does not: {what}")

    def apply_as_it_is(self, name: str) -> None:
        self.berth.run("apply", "-f", str(EXAMPLES / name))

    def apply(self, name: str, *replacements: tuple[str, str]) -> None:
        self.berth.run("apply", "-f", str(self.programs.manifest(name, *replacements)))

    def running(self, selector: str) -> list[Object]:
        pods = self.api.pods(selector)
        return [pod for pod in pods if api.phase(pod) == "Running" and not api.is_leaving(pod)]

    def waiting(self, selector: str) -> tuple[str, str] | None:
        """(pod, reason) of one that is not placed and says why."""
        for pod in self.api.pods(selector):
            if reason := api.why_waiting(pod):
                return api.name_of(pod), reason
        return None

    def keep_wait(self, queue: str, pod: str, reason: str) -> None:
        explained = self.berth.run("explain", "pod", pod, check=False)
        self.facts.waits.append(
            {"queue": queue, "pod": pod, "reason": reason, "explain": explained.strip()}
        )
        self.terminal.say(f"{pod} waits: {reason}", queue)
        self.terminal.quote(explained)

    def child(self, *command: str | Path) -> subprocess.Popen[str]:
        children.start(
            [*command],
            self._children.append,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Out of reach of Ctrl-C, but in one session: the kernel shares CPUs among sessions, and
            # what is compared with Berth is a machine on which nobody shares anything out.
            process_group=0,
        )
        return self._children[-1]

    def output_of(self, process: subprocess.Popen[str], limit_s: float) -> str:
        """What it printed, when it has ended by itself."""
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as late:
            raise StoryError(f"no end after {limit_s:.0f} s: {process.args}") from late
        self._children.remove(process)
        return output

    def end_child(self, process: subprocess.Popen[str]) -> str:
        """What it printed."""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        self._children.remove(process)
        return output

    def end_children(self) -> None:
        for process in list(self._children):
            self.end_child(process)

    def newest_pod(self, prefix: str) -> PodRecord:
        """The pod of that name that came last."""
        found = [r for r in self.timeline.records() if r.name.startswith(prefix)]
        if not found:
            raise StoryError(f"no pod {prefix}… was ever seen")
        return found[-1]

    def evicted(self) -> list[PodRecord]:
        return [record for record in self.timeline.records() if record.evicted]
