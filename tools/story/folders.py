"""Folders of one run of the story. They go with it; those of a run that was killed go with the next one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


CACHE = Path("/var/cache/berth")


def make(parent: Path, name: str) -> Path:
    """PARENT/NAME-PID-xxxxxxxx, for this process. Removes those whose process is gone."""
    for folder in parent.glob(f"{name}-*-*"):
        pid = folder.name.removeprefix(f"{name}-").split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-", dir=parent))


def _in_use(folder: Path) -> bool:
    """Something is mounted in it, or a process names it: what was killed has left work running."""
    if str(folder) in Path("/proc/self/mounts").read_text():
        return True
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                return True
        except OSError:
            continue  # It has ended meanwhile.
    return False
