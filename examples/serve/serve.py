"""Serves a model through the OpenAI routes, and leaves without cutting anybody off.

    python serve.py --model model.gguf --name harbour --port 8080

The engine is llama.cpp in this process (the `xllamacpp` package), or the real `llama-server` or `vllm` where installed
(`--engine`). All of them answer /health (ready or not), /v1/models, /v1/completions, /v1/chat/completions and /metrics.

On SIGTERM it goes on answering while the Service takes this address away, finishes what it is answering, and exits 0.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ENGINES = ("llama.cpp", "llama-server", "vllm")
BUSY = re.compile(
    r"^(?:llamacpp:requests_(?:processing|deferred)|vllm:num_requests_(?:running|waiting))"
    r"(?:\{[^}]*\})? ([0-9.eE+]+)$",
    re.MULTILINE,
)


def say(message: str) -> None:
    print(message, flush=True)


def get(port: int, path: str, timeout: float = 5) -> tuple[int, str]:
    """(status, body); status 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


class InProcess:
    """llama.cpp's server as a library. It ends with this process."""

    def __init__(self, args: argparse.Namespace) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(args.model)
        parameters.model_alias = {args.name}
        parameters.hostnames = [args.host]
        parameters.port = args.port
        parameters.n_parallel = args.parallel
        parameters.n_ctx = args.context * args.parallel
        parameters.cpuparams.n_threads = args.threads
        parameters.cpuparams_batch.n_threads = args.threads
        parameters.endpoint_metrics = True
        self._server = xllamacpp.Server(parameters)

    def ended(self) -> bool:
        return False

    def stop(self) -> None:
        pass


class Subprocess:
    """A server of its own, from a binary on this machine."""

    def __init__(self, command: list[str]) -> None:
        if not shutil.which(command[0]):
            raise SystemExit(f"serve.py: no {command[0]} is installed; use --engine {ENGINES[0]}")
        self._process = subprocess.Popen(command, start_new_session=True)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()


def llama_server_command(args: argparse.Namespace) -> list[str]:
    return [
        *("llama-server", "-m", str(args.model), "--alias", args.name),
        *("--host", args.host, "--port", str(args.port), "--metrics"),
        *("--parallel", str(args.parallel), "-c", str(args.context * args.parallel)),
        *("-t", str(args.threads)),
    ]


def vllm_command(args: argparse.Namespace) -> list[str]:
    return [
        *("vllm", "serve", str(args.model), "--served-model-name", args.name),
        *("--host", args.host, "--port", str(args.port)),
        *("--max-model-len", str(args.context), "--enforce-eager"),
    ]


def start(args: argparse.Namespace) -> InProcess | Subprocess:
    if args.engine == "llama-server":
        return Subprocess(llama_server_command(args))
    if args.engine == "vllm":
        return Subprocess(vllm_command(args))
    return InProcess(args)


def requests_in_progress(port: int) -> float:
    status, text = get(port, "/metrics")
    return sum(float(value) for value in BUSY.findall(text)) if status == 200 else 0.0


def drain(port: int, at_least: float, at_most: float) -> None:
    """Answers on until nothing is being answered, and for `at_least` seconds: a Service needs a
    moment to send nobody here any more."""
    begin = time.monotonic()
    time.sleep(at_least)
    while requests_in_progress(port) > 0 and time.monotonic() - begin < at_most:
        time.sleep(0.05)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="GGUF file (vllm: a folder)")
    parser.add_argument("--name", default="harbour", help="name that requests ask for")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--parallel", type=int, default=4, help="requests answered at once")
    parser.add_argument("--context", type=int, default=256, help="tokens a request")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--drain", type=float, default=2, help="seconds to answer on after SIGTERM")
    args = parser.parse_args(argv)
    if not args.model.exists():
        parser.error(f"--model: no file {args.model}")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    signal.signal(signal.SIGINT, lambda *_: asked_to_stop.set())

    begin = time.monotonic()
    engine = start(args)
    while get(args.port, "/health")[0] != 200:
        if engine.ended():
            say(f"{args.engine} ended before it was ready")
            return 1
        if asked_to_stop.wait(0.05):
            engine.stop()
            return 0
    seconds = time.monotonic() - begin
    say(f"{args.engine} serves {args.model} as {args.name!r}, ready after {seconds:.2f} s")

    while not asked_to_stop.wait(0.5):
        if engine.ended():
            say(f"{args.engine} ended by itself")
            return 1
    say("asked to stop: draining")
    drain(args.port, args.drain, at_most=20)
    engine.stop()
    say("drained")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # llama.cpp's threads would hold up an ordinary exit; nothing is being answered any more.
    os._exit(code)
