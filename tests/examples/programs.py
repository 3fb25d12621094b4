"""Where the tests find the example programs, and how they run them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = ["--width", "32", "--layers", "1", "--batch", "2", "--length", "32"]


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / program), *arguments]


def environment(**extra: str) -> dict[str, str]:
    hidden = ("WORLD_SIZE", "JOB_COMPLETION_INDEX", "MASTER_ADDR", "BERTH_CHECKPOINT_FILE")
    return {name: value for name, value in os.environ.items() if name not in hidden} | extra


def run(program: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(program, *arguments),
        env=environment(**extra),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )


def start(program: str, *arguments: str, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(program, *arguments),
        env=environment(**extra),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def read_until(process: subprocess.Popen[str], text: str, limit_s: float = 60) -> str:
    """The output up to the line that contains `text`."""
    assert process.stdout is not None
    end, output = time.monotonic() + limit_s, ""
    while time.monotonic() < end:
        line = process.stdout.readline()
        output += line
        if text in line:
            return output
        if not line:
            break
    raise AssertionError(f"no {text!r} in:\n{output}")


def stop(process: subprocess.Popen[str], limit_s: float = 60) -> tuple[int, str]:
    """Sends SIGTERM; (exit code, the rest of the output)."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=limit_s)
    return process.returncode, output


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
