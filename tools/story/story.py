"""The story: its steps in order. Each does something to Berth, waits until it is true, and keeps the facts for the report."""

from __future__ import annotations

import elastic
import serving
import sharing
from stage import Stage

STEPS = (
    ("a", "A low-priority batch fills the machine", sharing.batch_fills_the_machine),
    ("", "A team puts a model on line, before it is trained", serving.deploy_untrained),
    ("b", "A gang of two trains the model", sharing.train),
    ("c", "The batch goes on where it was", sharing.batch_resumes),
    ("d", "The trained model replaces the untrained one", serving.roll_over),
    ("e", "Hogs beside the service", serving.hogs),
    ("g", "The model has as many servers as its objective needs", elastic.serve_elastically),
)


def play(stage: Stage) -> None:
    """Raises StoryError where something is not as it should be."""
    stage.terminal.say("writing a model with random weights, for the first deployment", "story")
    stage.programs.random_model(stage.engine.model("random"))
    stage.timeline.start()
    for letter, title, step in STEPS:
        stage.terminal.title(f"({letter}) {title}" if letter else f"    {title}")
        stage.timeline.mark(letter)
        step(stage)
    stage.facts.server_mebibytes = round(stage.server.resident_mebibytes(), 1)
