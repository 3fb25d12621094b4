"""What differs between the engines that may serve the model of the story."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from programs import StoryError

# What pods of the image `host` see of this machine's software.
SEEN_BY_PODS = ("/usr/", "/bin/", "/opt/", "/snap/", "/nix/")


@dataclass(frozen=True)
class Engine:
    name: str
    program: str = ""  # that has to be installed; empty: comes with the Python environment
    model_suffix: str = ".gguf"
    ready_limit_s: int = 120
    memory: str = "512Mi"

    def model(self, which: str) -> str:
        return f"{which}{self.model_suffix}"

    def manifest_changes(self, which: str) -> list[tuple[str, str]]:
        """What to replace in examples/serve.yaml so that this engine serves `random` or `trained`."""
        return [
            ("--engine=llama.cpp", f"--engine={self.name}"),
            ("random.gguf", self.model(which)),
            ("failureThreshold: 120", f"failureThreshold: {self.ready_limit_s}"),
            ("memory: 512Mi", f"memory: {self.memory}"),
        ]

    def service_changes(self, which: str) -> list[tuple[str, str]]:
        """The same for examples/elastic.yaml."""
        changes = [("trained.gguf", self.model(which))]
        if self.program:
            changes += [("command: [", "# command: ["), ("memory: 512Mi", f"memory: {self.memory}")]
        if self.name == "vllm":
            changes += [("kind: llamacpp", "kind: vllm"), ('args: [--threads, "1"]', "args: []")]
        return changes

    def check_installed(self) -> None:
        if not self.program:
            return
        found = shutil.which(self.program)
        if not found:
            raise StoryError(
                f"--engine {self.name}: no {self.program} is in PATH; install it first"
            )
        if not str(Path(found).resolve()).startswith(SEEN_BY_PODS):
            raise StoryError(
                f"--engine {self.name}: {found} is not where pods see it; install it below /usr or /opt"
            )


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("llama.cpp"),
        Engine("llama-server", program="llama-server"),
        Engine("vllm", program="vllm", model_suffix="", ready_limit_s=300, memory="12Gi"),
    )
}
