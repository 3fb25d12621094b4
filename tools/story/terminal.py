"""What the user sees while the story runs: plain lines on stderr, colour only where it is a terminal."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

QUEUE_COLOURS = {"research": "35", "product": "36", "batch": "33"}


class Terminal:
    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._colour = out.isatty() and "NO_COLOR" not in os.environ
        self._began = time.monotonic()

    def paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    def paint_queue(self, text: str, queue: str) -> str:
        return self.paint(text, QUEUE_COLOURS[queue]) if queue in QUEUE_COLOURS else text

    def restart_clock(self) -> None:
        self._began = time.monotonic()

    def line(self, text: str = "") -> None:
        print(text, file=self._out, flush=True)

    def title(self, text: str) -> None:
        self.line()
        self.line(self.paint(text, "1"))

    def say(self, text: str, who: str = "") -> None:
        """One thing that happened, with the seconds since the start and whose work it was."""
        clock = self.paint(f"{time.monotonic() - self._began:6.1f} s", "2")
        name = self.paint(f"{who:<9}", QUEUE_COLOURS.get(who, "1"))
        self.line(f"{clock}  {name} {text}")

    def quote(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            self.line(self.paint(f"            | {line}", "2"))

    def fail(self, text: str) -> None:
        self.line(self.paint(text, "31"))
