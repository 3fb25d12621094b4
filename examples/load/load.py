"""Keeps requests flowing to a served model, and says how it went. Standard library only.

    python load.py --url http://10.0.0.7:80 --seconds 10

Each client asks at its own steady pace over a new connection a request, so that a Service spreads them anew.
It ends after --seconds or on SIGTERM, and then prints one JSON object: requests, failures with their reasons, and latencies.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field


@dataclass
class Outcomes:
    latencies_s: list[float] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, began: float, latency_s: float, error: str | None) -> None:
        with self.lock:
            if error is None:
                self.latencies_s.append(latency_s)
            else:
                failure = {"at": round(began, 3), "after_s": round(latency_s, 3), "error": error}
                self.failures.append(failure)


def percentile(values: list[float], percent: float) -> float:
    """Nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def ask(address: urllib.parse.SplitResult, body: bytes, timeout: float) -> str | None:
    """None, or what went wrong. An answer without text counts as wrong."""
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port or 80, timeout=timeout
    )
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", "/v1/completions", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            return f"HTTP {answer.status}: {content[:200].decode(errors='replace')}"
        if not json.loads(content)["choices"][0]["text"]:
            return "an answer without text"
        return None
    except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def client(
    args: argparse.Namespace, number: int, stop: threading.Event, outcomes: Outcomes
) -> None:
    address = urllib.parse.urlsplit(args.url)
    body = json.dumps(
        {
            "model": args.model,
            "prompt": args.prompt,
            "max_tokens": args.tokens,
            "temperature": 0.5,
            "ignore_eos": True,
        }
    ).encode()
    interval = args.clients / args.rate
    due = time.monotonic() + interval * number / args.clients
    while not stop.wait(max(0.0, due - time.monotonic())):
        began, wall = time.monotonic(), time.time()
        error = ask(address, body, args.timeout)
        outcomes.add(wall, time.monotonic() - began, error)
        due = max(due + interval, time.monotonic())


def summary(outcomes: Outcomes, seconds: float) -> dict[str, object]:
    with outcomes.lock:
        latencies, failures = list(outcomes.latencies_s), list(outcomes.failures)
    return {
        "requests": len(latencies) + len(failures),
        "failed": len(failures),
        "failures": failures[:20],
        "seconds": round(seconds, 2),
        "p50_ms": round(percentile(latencies, 50) * 1000, 2),
        "p95_ms": round(percentile(latencies, 95) * 1000, 2),
        "p99_ms": round(percentile(latencies, 99) * 1000, 2),
        "max_ms": round(max(latencies, default=0.0) * 1000, 2),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="http://ADDRESS:PORT")
    parser.add_argument("--model", default="harbour")
    parser.add_argument("--prompt", default="The harbour master")
    parser.add_argument("--tokens", type=int, default=32, help="tokens an answer")
    parser.add_argument("--clients", type=int, default=4, help="requests in flight at most")
    parser.add_argument("--rate", type=float, default=40, help="requests a second, all together")
    parser.add_argument("--timeout", type=float, default=30, help="seconds a request may take")
    parser.add_argument("--seconds", type=float, default=0, help="0 goes on until SIGTERM")
    args = parser.parse_args(argv)

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    outcomes = Outcomes()
    began = time.monotonic()
    clients = [
        threading.Thread(target=client, args=(args, number, stop, outcomes))
        for number in range(args.clients)
    ]
    for thread in clients:
        thread.start()
    stop.wait(args.seconds or None)
    stop.set()
    for thread in clients:
        thread.join()
    print(json.dumps(summary(outcomes, time.monotonic() - began)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
