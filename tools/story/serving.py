"""The steps about the service: on line, rolled over under load, and measured beside hogs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import api
from programs import StoryError
from stage import Stage

PROMPT = "The harbour master"
LOAD_SECONDS = 6.0


def deploy_untrained(stage: Stage) -> None:
    stage.apply("serve.yaml", *stage.engine.manifest_changes("random"))
    wait = stage.wait_for(
        "the model's pod says why it waits", lambda: stage.waiting("app=harbour"), 15
    )
    stage.keep_wait("product", *wait)
    stage.wait_for(
        "the model answers", lambda: _one_ready_server(stage), 30 + stage.engine.ready_limit_s
    )
    stage.facts.samples["before"] = _sample(stage)
    record = stage.newest_pod("harbour")
    stage.terminal.say(
        f"on line after {stage.timeline.now_s() - record.created_s:.1f} s, "
        f"on half of {', '.join(record.devices)}",
        "product",
    )
    stage.terminal.say(f"{PROMPT!r} goes on as {stage.facts.samples['before'][:60]!r}", "product")


def _one_ready_server(stage: Stage) -> bool:
    return any(api.is_ready(pod) for pod in stage.running("app=harbour"))


def _address(stage: Stage) -> str:
    service = stage.api.get(f"/api/v1/namespaces/{api.NAMESPACE}/services/harbour")
    return f"http://{service['spec']['clusterIP']}:80"


def _sample(stage: Stage) -> str:
    body = {"model": "harbour", "prompt": PROMPT, "max_tokens": 120, "temperature": 0.2, "seed": 1}
    request = urllib.request.Request(
        f"{_address(stage)}/v1/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )

    def ask() -> str:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["choices"][0]["text"]

    return stage.wait_for("the Service's address answers", ask, 15)


def roll_over(stage: Stage) -> None:
    load = _start_load(stage, _address(stage), seconds=0)
    old = {api.name_of(pod) for pod in stage.running("app=harbour")}
    stage.apply("serve.yaml", *stage.engine.manifest_changes("trained"))
    began = time.monotonic()

    def rolled_over() -> bool:
        pods = stage.api.pods("app=harbour")
        names = {api.name_of(pod) for pod in pods}
        return bool(names) and not names & old and all(api.is_ready(pod) for pod in pods)

    stage.wait_for(
        "the new version has replaced the old one", rolled_over, 30 + stage.engine.ready_limit_s
    )
    took = time.monotonic() - began
    result = json.loads(stage.end_child(load))
    stage.facts.rollout = {**result, "rollover_seconds": round(took, 2)}
    stage.expect(f"no request failed: {result['failures']}", result["failed"] == 0)
    stage.expect("requests were made", result["requests"] > 0)
    stage.facts.samples["after"] = _sample(stage)
    stage.terminal.say(
        f"rolled over in {took:.1f} s; {result['requests']} requests meanwhile, none failed, "
        f"p95 {result['p95_ms']} ms",
        "product",
    )
    stage.terminal.say(f"{PROMPT!r} goes on as {stage.facts.samples['after'][:90]!r}", "product")


def _start_load(stage: Stage, url: str, seconds: float = LOAD_SECONDS) -> subprocess.Popen[str]:
    # The clients go before everything else: the figures are the service's, not the clients' own waiting.
    return stage.child(
        *("nice", "-n", "-10", sys.executable, stage.programs.place / "load" / "load.py"),
        *("--url", url, "--seconds", str(seconds)),
    )


def _measure(stage: Stage, what: str, url: str) -> dict[str, Any]:
    output = stage.output_of(_start_load(stage, url), limit_s=LOAD_SECONDS + 120)
    result = json.loads(output)
    stage.facts.latency[what] = result
    stage.terminal.say(f"{what}: p50 {result['p50_ms']} ms, p95 {result['p95_ms']} ms", "product")
    return result


def hogs(stage: Stage) -> None:
    quiet = _measure(stage, "without hogs", _address(stage))
    stage.apply("hogs.yaml")
    stage.wait_for("the CPU hog runs", lambda: _runs(stage, "cpu-hog"), 20)
    began, used = time.monotonic(), _cpu_seconds(stage, "cpu-hog")
    held = _measure(stage, "with hogs, under Berth", _address(stage))
    cpus = (_cpu_seconds(stage, "cpu-hog") - used) / (time.monotonic() - began)
    reason = stage.wait_for("the memory hog is stopped", lambda: _memory_hog_reason(stage), 20)
    stage.facts.hogs = {"cpu_limit": 0.2, "cpu_used": round(cpus, 3), "memory_hog": reason}
    stage.terminal.say(f"8 spinning processes got {cpus:.2f} CPUs of their limit of 0.20", "batch")
    stage.terminal.say(f"the memory hog ended at its limit of 128 MiB: {reason}", "batch")
    stage.expect(f"the CPU hog was held to 0.2 CPUs: {cpus:.2f}", cpus < 0.25)
    stage.expect(f"the memory hog was stopped for its memory: {reason}", reason == "OOMKilled")
    stage.berth.run("delete", "pods", "-l", "app=hog")
    bare = _measure_without_berth(stage)
    # Other load on the machine slows all three alike, so what the hogs add is judged by what they add unhindered.
    added, unhindered = held["p95_ms"] - quiet["p95_ms"], bare["p95_ms"] - quiet["p95_ms"]
    stage.expect(
        f"the service's p95 stays put: {quiet['p95_ms']} ms, with hogs {held['p95_ms']} ms, "
        f"with hogs and without Berth {bare['p95_ms']} ms",
        added <= max(quiet["p95_ms"], unhindered / 2),
    )
    stage.expect("no request failed", held["failed"] == 0)


def _runs(stage: Stage, pod: str) -> bool:
    return api.phase(stage.api.pod(pod)) == "Running"


def _memory_hog_reason(stage: Stage) -> str:
    for status in stage.api.pod("memory-hog")["status"].get("containerStatuses", []):
        if ended := status.get("state", {}).get("terminated"):
            return ended.get("reason", "")
    return ""


def _cpu_seconds(stage: Stage, pod: str) -> float:
    """CPU time of the pod's processes, as the kernel counts it, not as Berth reports it."""
    uid = stage.api.pod(pod)["metadata"]["uid"]
    for root in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"):
        for folder in Path(root).rglob(f"*{uid}*"):
            if (usage := folder / "cpuacct.usage").is_file():
                return int(usage.read_text()) / 1e9
            if (stat := folder / "cpu.stat").is_file():
                found = re.search(r"usage_usec (\d+)", stat.read_text())
                if found:
                    return int(found.group(1)) / 1e6
    raise StoryError(f"no cgroup of the pod {pod} ({uid})")


def _measure_without_berth(stage: Stage) -> dict[str, Any]:
    """The same server and the same hogs as plain processes, side by side."""
    port = free_port()
    model = stage.programs.data / "models" / stage.engine.model("trained")
    place = stage.programs.place
    server = stage.child(
        *(stage.programs.python, place / "serve" / "serve.py", f"--engine={stage.engine.name}"),
        *(f"--model={model}", f"--port={port}", "--drain=0"),
    )
    url = f"http://127.0.0.1:{port}"
    stage.wait_for(
        "a server without Berth answers", lambda: _healthy(url), stage.engine.ready_limit_s
    )
    hogs = [
        stage.child(sys.executable, place / "hogs" / "hog.py", "cpu", "--processes=8"),
        stage.child(sys.executable, place / "hogs" / "hog.py", "memory", "--mebibytes=512"),
    ]
    bare = _measure(stage, "with hogs, without Berth", url)
    for process in (*hogs, server):
        stage.end_child(process)
    return bare


def _healthy(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
        return answer.status == 200


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
