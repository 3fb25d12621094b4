"""What happened, as JSON for machines and as a few lines for people."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import elastic
import timeline
from programs import ROOT
from stage import Facts, Stage
from terminal import Terminal
from timeline import PodRecord

GUARANTEED = {"research": 2, "product": 1, "batch": 1}
CELL_LETTERS = {"research": "R", "product": "P", "batch": "b"}
PICTURE_CELLS = 72


def make(stage: Stage, seconds: float) -> dict[str, Any]:
    now = stage.timeline.now_s()
    records = stage.timeline.records()
    facts = stage.facts
    return {
        "machine": _machine(),
        "commit": _commit(),
        "engine": stage.engine.name,
        "seconds": round(seconds, 1),
        "story_s": round(now, 1),
        "queues": _queues(records, now),
        "sharing_while_training": facts.sharing,
        "berth_queue": facts.queues_text,
        "waits": facts.waits,
        "training": {"loss": facts.losses, "sample": facts.samples},
        "resumed": facts.resumed,
        "rollout": facts.rollout,
        "latency": facts.latency,
        "hogs": facts.hogs,
        "elastic": facts.elastic,
        "server_mebibytes": facts.server_mebibytes,
        "pods": [_pod(record, now) for record in records],
        "marks": stage.timeline.marks,
    }


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} CPUs, {memory:.0f} GiB, {os.uname().sysname} {os.uname().release}"


def _commit() -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return done.stdout.strip()


def _queues(records: list[PodRecord], now: float) -> dict[str, dict[str, Any]]:
    used = timeline.device_seconds(records, now)
    table = {}
    for queue, guaranteed in GUARANTEED.items():
        own = [record for record in records if record.queue == queue]
        waits = [record.waited_s(now) for record in own]
        table[queue] = {
            "guaranteed": guaranteed,
            "pods": len(own),
            "gpu_seconds": round(used.get(queue, 0.0), 1),
            "longest_wait_s": round(max(waits, default=0.0), 1),
            "evicted": sum(record.evicted for record in own),
        }
    return table


def _pod(record: PodRecord, now: float) -> dict[str, Any]:
    return {
        "name": record.name,
        "queue": record.queue,
        "devices": record.devices,
        "share": record.share,
        "created_s": round(record.created_s, 2),
        "bound_s": _rounded(record.bound_s),
        "running_s": _rounded(record.running_s),
        "ended_s": _rounded(record.ended_s),
        "waited_s": round(record.waited_s(now), 2),
        "evicted": record.evicted,
        "reasons": record.reasons,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def write(report: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(report, indent=2) + "\n")


def device_names(records: list[PodRecord]) -> list[str]:
    return sorted({device for record in records for device in record.devices})


def _row(records: list[PodRecord], device: str, seconds: float) -> str:
    """Who held the device, a letter for each slice of time; of two that share it, the later one."""
    cells = [" "] * PICTURE_CELLS
    for record in records:
        interval = record.held(seconds)
        if interval is None or device not in record.devices:
            continue
        first = int(interval[0] / seconds * PICTURE_CELLS)
        last = max(first + 1, round(interval[1] / seconds * PICTURE_CELLS))
        for cell in range(first, min(last, PICTURE_CELLS)):
            cells[cell] = CELL_LETTERS.get(record.queue, "?")
    return "".join(cells)


def show(report: dict[str, Any], stage: Stage, out: Terminal) -> None:
    records, seconds = stage.timeline.records(), stage.timeline.now_s()
    out.title(f"What happened in {report['seconds']:.0f} s on {report['machine']}")
    out.line()
    for device in device_names(records):
        row = _row(records, device, seconds)
        painted = "".join(_painted_cell(cell, out) for cell in row)
        out.line(f"  {device[-18:]:>18} |{painted}|")
    out.line(f"  {'':>18}  R research   P product   b batch;  0 to {seconds:.0f} s")
    out.line()
    out.line("  queue      promised   GPU-seconds   pods   evicted   longest wait")
    for name, row in report["queues"].items():
        out.line(
            f"  {name:<9} {row['guaranteed']:>6} GPU   {row['gpu_seconds']:>9.1f}   {row['pods']:>6}"
            f"   {row['evicted']:>7}   {row['longest_wait_s']:>10.1f} s"
        )
    shares = ", ".join(
        f"{queue} {held:g}" for queue, held in report["sharing_while_training"].items()
    )
    out.line(f"\n  (f) when all three wanted the machine, they held: {shares}")
    _show_findings(report, stage.facts, out)


def _painted_cell(cell: str, out: Terminal) -> str:
    queue = next((name for name, letter in CELL_LETTERS.items() if letter == cell), "")
    return out.paint_queue(cell, queue)


def _show_findings(report: dict[str, Any], facts: Facts, out: Terminal) -> None:
    out.line()
    for wait in facts.waits:
        out.line(f"  {wait['pod']} waited: {wait['reason']}")
    losses = facts.losses
    out.line(f"  loss {losses[0][1]:.2f} -> {losses[-1][1]:.2f} after {losses[-1][0]} steps")
    for when in ("before", "after"):
        out.line(f"  {when:>6}: {facts.samples[when][:90]!r}")
    out.line(
        f"  rollout: {facts.rollout['requests']} requests, {facts.rollout['failed']} failed, "
        f"p95 {facts.rollout['p95_ms']} ms"
    )
    latency = ", ".join(f"{what} {row['p95_ms']} ms" for what, row in facts.latency.items())
    out.line(f"  p95 of the service: {latency}")
    for line in elastic.lines_of(facts.elastic):
        out.line(f"  elastic: {line}")
    for why in facts.elastic["why"]:
        out.line(f"    {why[:150]}")
    out.line(
        f"  hogs: {facts.hogs['cpu_used']} CPUs of {facts.hogs['cpu_limit']}; "
        f"memory {facts.hogs['memory_hog']};  berth serve: {report['server_mebibytes']} MiB"
    )
