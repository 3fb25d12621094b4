"""The step about elastic serving: the trained model as a ModelService behind the gateway, under bursts of two tenants."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import api
from programs import StoryError
from stage import Stage

MODEL = "harbour"
SERVICE = f"/apis/berth.dev/v1alpha1/namespaces/{api.NAMESPACE}/modelservices/{MODEL}"
OBJECTIVE = {"ttft_ms": 1000.0, "tpot_ms": 60.0, "share": 0.95}
# The same arrivals in every run: bursts (coefficient of variation 3) for 40 s, and between them somebody who floods.
READERS = ("--arrivals=gamma", "--cv=3", "--rate=3", "--duration=40s", "--seed=4")
CRAWLER = ("--arrivals=closed", "--concurrency=12", "--duration=15s", "--seed=5")
CALM_S = 10.0
TENANTS = ("readers", "crawler")


def serve_elastically(stage: Stage) -> None:
    stage.berth.run("delete", "deployment", MODEL)
    stage.berth.run("delete", "service", MODEL)
    stage.apply("elastic.yaml", *stage.engine.service_changes("trained"))
    keys = {tenant: _key(stage, tenant) for tenant in TENANTS}
    gateway = _Gateway(stage)
    stage.wait_for("the gateway knows the model", lambda: gateway.knows(keys["readers"]), 20)
    stage.expect("nothing runs while nobody asks", _status(stage).get("replicas", 0) == 0)
    woken_ms = [gateway.ask(stage, keys["readers"])]
    stage.terminal.say(
        f"the first request was held while a replica started: {woken_ms[0]:.0f} ms", "product"
    )

    watch = _Watch(stage)
    readers = gateway.load(stage, keys["readers"], *READERS)
    time.sleep(CALM_S)
    stage.terminal.say("the crawler floods: 12 clients that never pause", "batch")
    flood_began = stage.timeline.now_s()
    crawler = gateway.load(stage, keys["crawler"], *CRAWLER)
    stage.wait_for("it scales up", lambda: _desired(stage) >= 2, 30)
    results = {"crawler": json.loads(stage.output_of(crawler, 120))}
    flood_ended = stage.timeline.now_s()
    results["readers"] = json.loads(stage.output_of(readers, 120))
    explained = stage.berth.run("explain", "modelservice", MODEL)
    stage.terminal.quote(explained)
    stage.wait_for("it goes to zero when nobody asks", lambda: _desired(stage) == 0, 60)
    stage.wait_for(
        "the last replica is gone",
        lambda: not stage.api.pods(f"berth.dev/model-service={MODEL}"),
        60,
    )
    stage.terminal.say("nobody asked for 6 s: no replica is left", "product")
    woken_ms.append(gateway.ask(stage, keys["readers"]))
    stage.terminal.say(f"and it wakes: {woken_ms[1]:.0f} ms", "product")
    steps = watch.stop()

    tenants = by_tenant(gateway.lines())
    stage.facts.elastic = {
        "objective": OBJECTIVE,
        "tenants": tenants,
        "woken_ms": [round(each, 1) for each in woken_ms],
        "steps": steps,
        "flood": [round(flood_began, 1), round(flood_ended, 1)],
        "why": _events(stage),
        "explain": explained.strip(),
        "cost": _cost(stage, tenants),
    }
    for tenant, result in results.items():
        stage.expect(f"every request of {tenant} was answered: {result['failed']} failed", result["failed"] == 0)
    stage.expect(
        f"who floods waits, the others do not for it: {tenants}",
        tenants["readers"]["ttft_p50_ms"] < tenants["crawler"]["ttft_p50_ms"],
    )
    for line in lines_of(stage.facts.elastic):
        stage.terminal.say(line, "product")
    gateway.end(stage)


def _key(stage: Stage, tenant: str) -> str:
    return stage.berth.run("key", "create", tenant, "--name", "story").strip().splitlines()[-1]


def _status(stage: Stage) -> dict[str, Any]:
    return stage.api.get(SERVICE).get("status", {})


def _desired(stage: Stage) -> int:
    return _status(stage).get("desired", {}).get("default", 0)


def _events(stage: Stage) -> list[str]:
    events = stage.api.list(f"/api/v1/namespaces/{api.NAMESPACE}/events")
    own = [event for event in events if event["involvedObject"]["kind"] == "ModelService"]
    scaled = [event for event in own if event["reason"] in ("ScaledUp", "ScaledDown")]
    return [event["message"] for event in sorted(scaled, key=lambda event: event["firstTimestamp"])]


def _cost(stage: Stage, tenants: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the model's devices cost, by Berth's own books, and what that is for its tokens."""
    books = json.loads(stage.berth.run("cost", "--by", "model", "--since", "10m", "-o", "json"))
    row = next((row for row in books["rows"] if row["key"].endswith(MODEL)), None)
    if row is None:
        raise StoryError(f"the books know nothing of {MODEL}: {books}")
    return {
        "amount": row["costMicro"] / 1e6,
        "currency": books["currency"],
        "device_seconds": row["deviceSeconds"],
        "tokens": row.get("inputTokens", 0) + row.get("outputTokens", 0)
        or sum(each["input_tokens"] + each["output_tokens"] for each in tenants.values()),
    }


class _Gateway:
    """`berth gateway` as a process of its own."""

    def __init__(self, stage: Stage) -> None:
        self._log = stage.programs.place / "access.log"
        self._process = stage.child(
            *(stage.berth.binary, "--kubeconfig", stage.server.kubeconfig, "gateway", "--discover"),
            *("--port=0", f"--access-log={self._log}"),
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", line)
        if not found:
            raise StoryError(f"berth gateway did not start: {line!r}")
        self.url = found.group(0)
        stage.terminal.say(line.strip(), "berth")

    def knows(self, key: str) -> bool:
        request = urllib.request.Request(
            f"{self.url}/v1/models", headers={"Authorization": f"Bearer {key}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return any(model["id"] == MODEL for model in json.load(answer)["data"])

    def ask(self, stage: Stage, key: str) -> float:
        """One short request; how long it took, in milliseconds."""
        body = json.dumps({"model": MODEL, "prompt": "The tide", "max_tokens": 4}).encode()
        request = urllib.request.Request(
            f"{self.url}/v1/completions",
            body,
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        began = time.monotonic()
        with urllib.request.urlopen(request, timeout=stage.engine.ready_limit_s) as answer:
            answer.read()
        return 1000 * (time.monotonic() - began)

    def load(self, stage: Stage, key: str, *options: str) -> subprocess.Popen[str]:
        return stage.child(
            *(stage.berth.binary, "load", self.url, f"--model={MODEL}", "--key", key, *options),
            *("--input-tokens=8", "--output-tokens=48", '--extra={"ignore_eos":true}', "-o", "json"),
        )

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def end(self, stage: Stage) -> None:
        stage.end_child(self._process)


class _Watch:
    """How many replicas are wanted and ready, whenever that changes: (seconds, wanted, ready)."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._steps: list[tuple[float, int, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            try:
                status = _status(self._stage)
            except api.ApiError:
                continue
            now = (status.get("desired", {}).get("default", 0), status.get("readyReplicas", 0))
            if not self._steps or self._steps[-1][1:] != now:
                self._steps.append((round(self._stage.timeline.now_s(), 1), *now))

    def stop(self) -> list[tuple[float, int, int]]:
        self._over.set()
        self._thread.join()
        return self._steps


def _percentile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


def by_tenant(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Requests, those within the objective, and tokens, from the gateway's access log."""
    table = {}
    for tenant in sorted({line["tenant"] for line in lines}):
        own = [line for line in lines if line["tenant"] == tenant]
        answered = [line for line in own if line["outcome"] == "answered"]
        table[tenant] = {
            "requests": len(own),
            "inside": sum(_is_inside(line) for line in answered),
            "ttft_p50_ms": round(_percentile([line["ttft_ms"] for line in answered], 0.5), 1),
            "ttft_p95_ms": round(_percentile([line["ttft_ms"] for line in answered], 0.95), 1),
            "input_tokens": sum(line["input_tokens"] for line in own),
            "output_tokens": sum(line["output_tokens"] for line in own),
        }
    return table


def _is_inside(line: dict[str, Any]) -> bool:
    gaps = max(1, line["output_tokens"] - 1)
    tpot_ms = (line["duration_ms"] - line["ttft_ms"]) / gaps
    return line["ttft_ms"] <= OBJECTIVE["ttft_ms"] and tpot_ms <= OBJECTIVE["tpot_ms"]


def lines_of(facts: dict[str, Any]) -> list[str]:
    """The findings, for people."""
    lines = []
    for tenant, row in facts["tenants"].items():
        lines.append(
            f"{tenant:<8} {row['requests']:>4} requests, {100 * row['inside'] / max(1, row['requests']):.0f}% "
            f"within the objective, TTFT p50 {row['ttft_p50_ms']:.0f} ms, p95 {row['ttft_p95_ms']:.0f} ms, "
            f"{row['output_tokens']} tokens out"
        )
    most = max((step[1] for step in facts["steps"]), default=0)
    woken = " and ".join(f"{each:.0f} ms" for each in facts["woken_ms"])
    lines.append(f"0 to {most} replicas and back to 0; woken twice, answered after {woken}")
    cost = facts["cost"]
    lines.append(
        f"{cost['device_seconds']:.0f} GPU-seconds cost {cost['amount']:.4f} {cost['currency']} for {cost['tokens']} "
        f"tokens: {1e6 * cost['amount'] / max(1, cost['tokens']):.2f} a million"
    )
    return lines
