"""Runs the release binary's gateway for tests, before real servers that may misbehave."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("BERTH_BINARY", ROOT / "build" / "release" / "berth"))
LIMIT = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what: str, condition, limit: float = LIMIT):
    end = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(0.02)
    return value


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


class Upstream:
    """A faulty server that can be killed, stopped, and started again on its port."""

    def __init__(self, *options: str) -> None:
        self.port, self.options = free_port(), options
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, Path(__file__).with_name("faulty_upstream.py"),
                                         f"--port={self.port}", *self.options])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Gateway:
    def __init__(self, *options: str, binary: Path = BINARY, port: int = 0) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="berth-gateway-")
        self.access_log = Path(self.folder.name) / "access.log"
        self.process = subprocess.Popen([binary, "gateway", f"--port={port}", f"--access-log={self.access_log}", *options],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)/v1", line).group(1))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def metrics(self) -> dict[str, float]:
        text = get(self.port, "/metrics")[1]
        return {name: float(value) for name, value in re.findall(r"^(berth_\S+) (\S+)$", text, re.M)}

    def ready(self, model: str, replicas: int) -> None:
        name = f'berth_gateway_ready_replicas{{model="{model}"}}'
        wait_for(f"{replicas} ready", lambda: self.metrics().get(name) == replicas)

    def log(self) -> list[dict]:
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=LIMIT)
        self.process.stdout.close()
        return code

    def finish(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()
