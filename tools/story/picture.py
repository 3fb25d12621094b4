"""The picture of the story: one HTML page without scripts or outside files, for a browser or a mail."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

import elastic

WIDTH, LEFT, RIGHT = 1080, 120, 16
LANE, GAP, TOP = 46, 10, 34
CHART_WIDTH, CHART_HEIGHT = 520, 200

STYLE = """
:root { --ink: #1d2733; --soft: #66758a; --page: #f7f5f0; --card: #fff; --lane: #ece8df;
  --research: #7a4fbf; --product: #0f8f9c; --batch: #d9962b; --bad: #c4473a }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebef; --soft: #94a1b3; --page: #14181e;
  --card: #1d232b; --lane: #2a323d; --research: #a98be3; --product: #43bdc9; --batch: #e5b15c; --bad: #e87b70 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  margin: 0 auto; padding: 32px 20px; max-width: 1120px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 16px; margin: 0 0 12px }
p { margin: 4px 0 } .soft { color: var(--soft) }
section { background: var(--card); border-radius: 12px; padding: 20px; margin-top: 18px }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 18px } @media (max-width: 800px) { .pair { display: block } }
svg { width: 100%; height: auto; display: block } svg text { fill: var(--soft); font-size: 12px }
table { border-collapse: collapse; width: 100% } th { text-align: left; color: var(--soft); font-weight: 500 }
td, th { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--lane) } .number { text-align: right }
.dot { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px }
blockquote { margin: 6px 0 14px; padding: 8px 14px; border-left: 3px solid var(--lane); overflow-wrap: anywhere;
  font-family: Georgia, serif; font-size: 16px }
"""


def _colour(queue: str) -> str:
    return f"var(--{queue})" if queue in ("research", "product", "batch") else "var(--soft)"


def _tick_step(seconds: float, wanted: int = 10) -> float:
    """A round distance between ticks: 1, 2 or 5 times a power of ten."""
    rough = max(seconds, 1e-9) / wanted
    power = 10 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough)


def _text(x: float, y: float, content: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(content)}</text>'


def _rect(x: float, y: float, width: float, height: float, fill: str, title: str = "") -> str:
    hover = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" '
        f'fill="{fill}">{hover}</rect>'
    )


def _slots(pods: list[dict[str, Any]], device: str) -> list[tuple[dict[str, Any], float]]:
    """The pods of a device with how far down its lane each begins: those that share it lie below each other."""
    placed: list[tuple[dict[str, Any], float]] = []
    for pod in sorted(pods, key=lambda pod: pod["bound_s"]):
        if device not in pod["devices"]:
            continue
        beside = [
            (offset, other["share"])
            for other, offset in placed
            if other["ended_s"] > pod["bound_s"] and other["share"] < 1
        ]
        free = 0.0
        while pod["share"] < 1 and any(abs(offset - free) < 1e-6 for offset, _ in beside):
            free += pod["share"]
        placed.append((pod, min(free, max(0.0, 1 - pod["share"]))))
    return placed


def _timeline(report: dict[str, Any]) -> str:
    end = report["story_s"]
    pods = [
        {**pod, "ended_s": pod["ended_s"] if pod["ended_s"] is not None else end}
        for pod in report["pods"]
        if pod["bound_s"] is not None and pod["devices"]
    ]
    devices = sorted({device for pod in pods for device in pod["devices"]})
    height = TOP + len(devices) * (LANE + GAP) + 24

    def x(seconds: float) -> float:
        return LEFT + seconds / end * (WIDTH - LEFT - RIGHT)

    parts = []
    for number, device in enumerate(devices):
        y = TOP + number * (LANE + GAP)
        parts.append(_rect(x(0), y, x(end) - x(0), LANE, "var(--lane)"))
        parts.append(_text(LEFT - 10, y + LANE / 2 + 4, device[-16:], "end"))
        for pod, offset in _slots(pods, device):
            begin, until = pod["bound_s"], pod["ended_s"]
            title = f"{pod['name']} ({pod['queue']}): {begin:.1f} s to {until:.1f} s"
            title += ", asked to leave" if pod["evicted"] else ""
            width = max(1.5, x(until) - x(begin) - 1.5)
            top, tall = y + offset * LANE, pod["share"] * LANE - (1 if pod["share"] < 1 else 0)
            parts.append(_rect(x(begin), top, width, tall, _colour(pod["queue"]), title))
            if pod["evicted"]:
                parts.append(_rect(x(until) - 4, top, 4, tall, "var(--bad)", "asked to leave"))
    bottom = TOP + len(devices) * (LANE + GAP)
    step = _tick_step(end)
    for tick in range(int(end / step) + 1):
        parts.append(_text(x(tick * step), bottom + 14, f"{tick * step:g} s", "middle"))
    for seconds, name in report["marks"]:
        parts.append(
            f'<line x1="{x(seconds):.1f}" x2="{x(seconds):.1f}" y1="22" y2="{bottom}" '
            f'stroke="var(--soft)" stroke-dasharray="2 4"/>'
        )
        parts.append(_text(x(seconds) + 3, 18, name))
    return f'<svg viewBox="0 0 {WIDTH} {height}">{"".join(parts)}</svg>'


def _loss_chart(losses: list[tuple[int, float]]) -> str:
    left, bottom = 44, CHART_HEIGHT - 28
    most, last = max(loss for _, loss in losses), losses[-1][0]

    def point(step: float, loss: float) -> tuple[float, float]:
        across = left + step / last * (CHART_WIDTH - left - 12)
        return across, bottom - loss / most * (bottom - 12)

    line = " ".join("{:.1f},{:.1f}".format(*point(step, loss)) for step, loss in losses)
    parts = [
        f'<polyline points="{line}" fill="none" stroke="var(--research)" stroke-width="3" '
        f'stroke-linejoin="round"/>',
        f'<line x1="{left}" x2="{CHART_WIDTH - 12}" y1="{bottom}" y2="{bottom}" stroke="var(--lane)"/>',
    ]
    parts += [_text(left - 8, point(0, y)[1] + 4, f"{y:g}", "end") for y in range(int(most) + 1)]
    parts += [_text(point(last, 0)[0], bottom + 18, f"step {last}", "end")]
    step, loss = losses[-1]
    x, y = point(step, loss)
    parts.append(_text(x, y - 10, f"{loss:.2f}", "end", 'font-weight="600"'))
    return f'<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}">{"".join(parts)}</svg>'


def _latency_chart(latency: dict[str, dict[str, Any]]) -> str:
    left, row_height = 170, 52
    most = max(row["p95_ms"] for row in latency.values()) or 1
    parts = []
    for number, (what, row) in enumerate(latency.items()):
        y = 8 + number * row_height
        width = max(2.0, row["p95_ms"] / most * (CHART_WIDTH - left - 90))
        fill = "var(--bad)" if "without Berth" in what else "var(--product)"
        parts.append(_text(left - 10, y + 19, what, "end"))
        parts.append(_rect(left, y, width, 30, fill, f"p50 {row['p50_ms']} ms"))
        parts.append(
            _text(left + width + 8, y + 20, f"{row['p95_ms']:.1f} ms", "start", 'font-weight="600"')
        )
    height = 8 + len(latency) * row_height
    return f'<svg viewBox="0 0 {CHART_WIDTH} {height}">{"".join(parts)}</svg>'


def _replica_chart(facts: dict[str, Any]) -> str:
    """Wanted and ready replicas over time; the flood is shaded."""
    left, bottom, height = 30, 150, 180
    steps = facts["steps"]
    begin, end = steps[0][0], max(steps[-1][0], facts["flood"][1]) + 1
    most = max(max(step[1], step[2]) for step in steps) or 1

    def x(seconds: float) -> float:
        return left + (seconds - begin) / (end - begin) * (WIDTH - left - RIGHT)

    def y(replicas: float) -> float:
        return bottom - replicas / most * (bottom - 24)

    def line(which: int, colour: str) -> str:
        points = []
        for at, following in zip(steps, [*steps[1:], (end, 0, 0)]):
            points += [(x(at[0]), y(at[which])), (x(following[0]), y(at[which]))]
        text = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="3"/>'

    flood = facts["flood"]
    parts = [_rect(x(flood[0]), 20, x(flood[1]) - x(flood[0]), bottom - 20, "var(--lane)")]
    parts.append(_text(x(flood[0]) + 4, 34, "the crawler floods"))
    parts += [line(1, "var(--batch)"), line(2, "var(--product)")]
    parts += [_text(left - 8, y(count) + 4, str(count), "end") for count in range(most + 1)]
    step = _tick_step(end - begin)
    first = math.ceil(begin / step)
    parts += [
        _text(x(tick * step), bottom + 18, f"{tick * step:g} s", "middle")
        for tick in range(first, int(end / step) + 1)
    ]
    return f'<svg viewBox="0 0 {WIDTH} {height}">{"".join(parts)}</svg>'


def _elastic(report: dict[str, Any]) -> str:
    facts = report.get("elastic")
    if not facts:
        return ""
    findings = "".join(f"<p>{escape(line)}</p>" for line in elastic.lines_of(facts))
    why = "".join(f"<p>{escape(text)}</p>" for text in facts["why"])
    return f"""<section><h2>One model, as many servers as its objective needs</h2>
<p class="soft">replicas <span style="color:var(--batch)">wanted</span> and
<span style="color:var(--product)">ready</span></p>{_replica_chart(facts)}{findings}
<h2>Why it scaled</h2>{why}</section>"""


def _queue_table(queues: dict[str, dict[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td><span class="dot" style="background:{_colour(name)}"></span>{escape(name)}</td>'
        f'<td class="number">{row["guaranteed"]}</td><td class="number">{row["gpu_seconds"]:.0f}</td>'
        f'<td class="number">{row["pods"]}</td><td class="number">{row["evicted"]}</td>'
        f'<td class="number">{row["longest_wait_s"]:.1f} s</td></tr>'
        for name, row in queues.items()
    )
    heads = ("promised GPUs", "GPU-seconds", "pods", "asked to leave", "longest wait")
    head = "".join(f'<th class="number">{text}</th>' for text in heads)
    return f"<table><tr><th>queue</th>{head}</tr>{rows}</table>"


def _waits(report: dict[str, Any]) -> str:
    return "".join(
        f"<p><b>{escape(wait['pod'])}</b>: {escape(wait['reason'])}</p>" for wait in report["waits"]
    )


def page(report: dict[str, Any]) -> str:
    training, rollout, hogs = report["training"], report["rollout"], report["hogs"]
    sample = training["sample"]
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Berth: one machine, three teams</title><style>{STYLE}</style>
<h1>One machine, three teams</h1>
<p class="soft">{escape(report["machine"])}; {report["seconds"]:.0f} s; Berth {escape(report["commit"])}</p>
<section><h2>Who held which GPU</h2>{_timeline(report)}</section>
<section><h2>Who got what</h2>{_queue_table(report["queues"])}</section>
<section><h2>Who waited, and why</h2>{_waits(report)}</section>
<div class="pair">
<section><h2>Training: loss, in nats a byte</h2>{_loss_chart(training["loss"])}</section>
<section><h2>The service's latency, p95</h2>{_latency_chart(report["latency"])}
<p class="soft">Hogs: eight spinning processes got {hogs["cpu_used"]:.2f} CPUs of their {hogs["cpu_limit"]};
the memory hog ended as {escape(hogs["memory_hog"])}.</p></section>
</div>
{_elastic(report)}
<section><h2>What the model says</h2>
<p class="soft">before</p><blockquote>{escape(sample["before"])}</blockquote>
<p class="soft">after {training["loss"][-1][0]} steps, rolled out under {rollout["requests"]} requests of which
{rollout["failed"]} failed</p><blockquote>{escape(sample["after"])}</blockquote></section>
</html>
"""


def write(report: dict[str, Any], path: Path) -> None:
    path.write_text(page(report))
