"""Programs that the story starts, and Ctrl-C: between the start of one and the moment when somebody has its handle, a
signal has to wait, or nobody would end it. Should the story itself be killed, the kernel ends them.
"""

from __future__ import annotations

import signal
import subprocess
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Interrupts:
    """Raises KeyboardInterrupt for the first signal, once, and only where `allowed`."""

    def __init__(self) -> None:
        self._allowed = False
        self._pending = False
        self._raised = False

    def on_signal(self, _number: int, _frame: types.FrameType | None) -> None:
        self._pending = True
        self._raise_if_due()

    def _raise_if_due(self) -> None:
        if self._allowed and self._pending and not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    @contextmanager
    def set_allowed(self, allowed: bool) -> Iterator[None]:
        before, self._allowed = self._allowed, allowed
        try:
            self._raise_if_due()
            yield
        finally:
            self._allowed = before
        self._raise_if_due()


_interrupts = _Interrupts()


def catch_signals() -> None:
    """From here on a signal waits until `interruptible` is entered."""
    for number in SIGNALS:
        # A handler, where ignoring would be inherited by every child.
        signal.signal(number, _interrupts.on_signal)


@contextmanager
def interruptible() -> Iterator[None]:
    """In it the first signal raises KeyboardInterrupt. There is only one: cleaning up is not cut short."""
    with _interrupts.set_allowed(True):
        yield


def start(
    command: list[str | Path],
    keep: Callable[[subprocess.Popen[str]], None],
    end_with: signal.Signals = signal.SIGKILL,
    **options: Any,
) -> None:
    """As Popen; `keep` is given the handle before any signal. `end_with`: what it gets when the story is killed."""
    tied = ["setpriv", "--pdeathsig", end_with.name.removeprefix("SIG"), *map(str, command)]
    with _interrupts.set_allowed(False):
        keep(subprocess.Popen(tied, text=True, **options))


def run(
    command: list[str | Path], limit_s: float | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """To its end, or to that of the patience with it; as `subprocess.run`."""
    started: list[subprocess.Popen[str]] = []
    try:
        start(command, started.append, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options)
        output, _ = started[0].communicate(timeout=limit_s)
    except BaseException:
        for process in started:
            process.kill()
            process.wait()
        raise
    return subprocess.CompletedProcess(command, started[0].returncode, output)
