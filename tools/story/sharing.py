"""The steps about devices: the batch borrows them, the gang takes its part back, the batch goes on."""

from __future__ import annotations

import re
from typing import Any

import api
from programs import StoryError
from stage import Stage
from timeline import devices_of, held_at

DEVICES = 4


def batch_fills_the_machine(stage: Stage) -> None:
    stage.apply_as_it_is("queues.yaml")
    stage.apply("batch.yaml")
    pods = stage.wait_for(
        "four parts of the batch run, one on each GPU",
        lambda: found if len(found := stage.running("app=duplicates")) == DEVICES else None,
        30,
    )
    used = [device for pod in pods for device in devices_of(pod)]
    stage.expect(f"the four have four different GPUs: {used}", len(set(used)) == DEVICES)
    stage.terminal.say(
        f"{len(pods)} parts run, one on each GPU: {', '.join(sorted(used))}", "batch"
    )
    stage.terminal.say("it is promised one GPU, and borrows three that nobody uses", "batch")
    stage.wait_for("every part has saved some progress", lambda: _all_parts_have_saved(stage), 30)


def _all_parts_have_saved(stage: Stage) -> bool:
    saved = (stage.programs.data / "batch").glob("progress-*.json")
    return sum(1 for _ in saved) >= DEVICES


def train(stage: Stage) -> None:
    trained = stage.engine.model("trained")
    stage.apply("train.yaml", ("trained.gguf", trained))
    wait = stage.wait_for("the gang says why it waits", lambda: stage.waiting("app=train"), 15)
    stage.keep_wait("research", *wait)
    stage.expect(
        f"the reason names what is missing: {wait[1]}",
        re.search(r"gpu|device", wait[1], re.IGNORECASE) is not None,
    )
    gang = stage.wait_for(
        "both workers run at the same time",
        lambda: found if len(found := stage.running("app=train")) == 2 else None,
        60,
    )
    for record in stage.evicted():
        stage.terminal.say(f"{record.name} was asked to leave, and saved its place", record.queue)
    stage.expect("the batch gave GPUs back", bool(stage.evicted()))
    placed = {api.name_of(pod): ", ".join(devices_of(pod)) for pod in gang}
    for name, devices in placed.items():
        stage.terminal.say(f"{name} runs on {devices}", "research")
    _check_shares(stage)
    _follow_training(stage, [api.name_of(pod) for pod in gang])
    stage.expect(
        "the trained model was written",
        (stage.programs.data / "models" / trained).exists(),
    )


def _check_shares(stage: Stage) -> None:
    """While all three teams want the machine, each has what it was promised and asks for."""
    asked = {"research": 2.0, "product": 0.5, "batch": 1.0}

    def held() -> dict[str, float] | None:
        # The batch has none for a moment, between the end of a part and the start of the next.
        found = held_at(stage.timeline.records(), stage.timeline.now_s())
        return found if all(found.get(queue, 0.0) >= asked[queue] for queue in asked) else None

    def told() -> bool:
        devices = (queue.get("status", {}).get("allocated", {}) for queue in stage.api.queues())
        return sum("nvidia.com/gpu" in allocated for allocated in devices) >= len(asked)

    stage.facts.sharing = stage.wait_for(f"the queues hold what they asked for: {asked}", held, 20)
    stage.wait_for("the queues' status says so", told, 20)
    stage.facts.queues_text = stage.berth.run("queue", "tree")
    stage.terminal.quote(stage.facts.queues_text)
    text = ", ".join(f"{queue} {count:g}" for queue, count in sorted(stage.facts.sharing.items()))
    stage.terminal.say(f"GPUs now: {text}", "berth")


def _follow_training(stage: Stage, workers: list[str]) -> None:
    """Shows the loss while it falls, until the Job is complete."""
    told = 0

    def complete() -> bool:
        nonlocal told
        losses = re.findall(r"^step (\d+)/(\d+) loss ([0-9.]+)", _leader_log(stage, workers), re.M)
        for step, steps, loss in losses[told:]:
            stage.terminal.say(f"step {step} of {steps}: loss {loss}", "research")
        told = len(losses)
        stage.facts.losses = [(int(step), float(loss)) for step, _, loss in losses]
        job = stage.api.get(f"/apis/batch/v1/namespaces/{api.NAMESPACE}/jobs/train")
        if api.condition(job, "Failed").get("status") == "True":
            raise StoryError(f"the training failed:\n{_leader_log(stage, workers)}")
        return api.condition(job, "Complete").get("status") == "True"

    stage.wait_for("the training is complete", complete, 300)
    losses = stage.facts.losses
    stage.expect(f"the loss fell: {losses}", bool(losses) and losses[-1][1] < losses[0][1] / 2)


def _leader_log(stage: Stage, workers: list[str]) -> str:
    return stage.api.log(next(name for name in sorted(workers)))


def batch_resumes(stage: Stage) -> None:
    evicted = {record.index: record.name for record in stage.evicted() if record.queue == "batch"}

    def find() -> list[dict[str, Any]] | None:
        found = []
        for record in stage.timeline.records():
            if record.queue != "batch" or record.name in evicted.values():
                continue
            if record.index in evicted and record.running_s is not None:
                line = _resumed_from(stage, record.name)
                if line:
                    found.append(
                        {
                            "part": int(record.index),
                            "line": line,
                            "pod": record.name,
                            "was": evicted[record.index],
                        }
                    )
        return found or None

    stage.facts.resumed = stage.wait_for("an evicted part goes on from its checkpoint", find, 60)
    for part in stage.facts.resumed:
        stage.terminal.say(
            f"{part['pod']} goes on with part {part['part']} from line {part['line']}, "
            f"where {part['was']} had stopped",
            "batch",
        )


def _resumed_from(stage: Stage, pod: str) -> int:
    found = re.search(r"^resumed from line (\d+)", stage.api.log(pod), re.M)
    return int(found.group(1)) if found else 0
