"""Puts the example programs where pods see them, and makes the manifests of this run.

Pods of the image `host` do not see homes, so the programs are copied to /var/cache/berth/examples, the place that the
manifests name. The run itself uses a copy of its own, so that two runs do not meet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import children
import folders

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CACHE = folders.CACHE
PLACE = CACHE / "examples"


class StoryError(Exception):
    """The story cannot go on, or something in it was not as it should be."""


def python_environment() -> Path:
    done = children.run([ROOT / "tools" / "python_env"])
    if done.returncode != 0:
        raise StoryError("tools/python_env failed")
    return Path(done.stdout.strip())


def install(place: Path, environment: Path) -> None:
    """Copies the programs there; outputs that are there already are kept."""
    place.mkdir(parents=True, exist_ok=True)
    for folder in (entry for entry in EXAMPLES.iterdir() if entry.is_dir()):
        target = place / folder.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "data").mkdir(exist_ok=True)
    link = place / "python.new"
    link.unlink(missing_ok=True)
    link.symlink_to(environment)
    os.replace(link, place / "python")


class Programs:
    """The copy that this run uses, and its outputs in `data`."""

    def __init__(self, environment: Path) -> None:
        install(PLACE, environment)
        self.place = folders.make(CACHE, "story")
        self.place.chmod(0o755)
        install(self.place, environment)
        self.data = self.place / "data"
        self.python = self.place / "python" / "bin" / "python"

    def manifest(self, name: str, *replacements: tuple[str, str]) -> Path:
        """The example's manifest, for this copy, with the given texts replaced."""
        text = (EXAMPLES / name).read_text()
        for old, new in ((str(PLACE), str(self.place)), *replacements):
            if old not in text:
                raise StoryError(f"examples/{name} does not contain {old!r} any more")
            text = text.replace(old, new)
        path = self.place / name
        path.write_text(text)
        return path

    def random_model(self, name: str) -> None:
        """The weights before training, for the first deployment."""
        out = self.data / "models" / name
        command = [self.python, self.place / "train" / "train.py", "--steps=0", f"--out={out}"]
        done = children.run(command, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise StoryError(f"writing the random weights failed:\n{done.stdout}")

    def remove(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
