#!/usr/bin/env python3
"""Runs clang-tidy over the sources of src/, and remembers which were clean: `tools/clang_tidy.py [PATH]...`.

A source is not looked at again while nothing that it was checked with has changed: its own text and that of all it
includes, the compile command, .clang-tidy and clang-tidy itself. What is remembered lies in ~/.cache/berth/clang-tidy.
Needs build/debug/compile_commands.json (`cmake --preset debug`).
"""

import functools
import hashlib
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "debug"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "berth" / "clang-tidy"


@dataclass
class Verdict:
    path: str
    findings: str  # empty where there are none
    remembered: bool = False


@functools.cache
def file_hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


@functools.cache
def tool_version() -> str:
    return subprocess.run(["clang-tidy-19", "--version"], check=True, capture_output=True, text=True).stdout


def in_any_checkout(path: str) -> str:
    """Files of this checkout by their place in it, so that another checkout can use what this one found."""
    return path.removeprefix(f"{ROOT}/")


def record_of(path: str, command: str) -> Path:
    asked = "\n".join([path, command.replace(str(ROOT), ""), file_hash(ROOT / ".clang-tidy"), tool_version()])
    return CACHE / f"{hashlib.sha256(asked.encode()).hexdigest()}.json"


def is_known_clean(record: Path) -> bool:
    try:
        read = json.loads(record.read_text())
    except (OSError, ValueError):
        return False
    return all(file_hash(ROOT / path) == seen for path, seen in read.items())


def files_read(command: str, folder: str) -> list[str]:
    """What the compiler reads for this command, by its own account; nothing where it cannot tell."""
    words = shlex.split(command)
    output = words.index("-o")
    listed = subprocess.run(["clang++-19", "-w", *words[1:output], *words[output + 2:], "-M"], cwd=folder,
                            capture_output=True, text=True)
    if listed.returncode != 0:
        return []
    return shlex.split(listed.stdout.replace("\\\n", " "))[1:]


def check(entry: dict[str, str]) -> Verdict:
    path = in_any_checkout(entry["file"])
    record = record_of(path, entry["command"])
    if is_known_clean(record):
        return Verdict(path, "", remembered=True)
    # Before the check: a file that is changed meanwhile must not count as looked at.
    seen = {in_any_checkout(p): file_hash(Path(p)) for p in files_read(entry["command"], entry["directory"])}
    done = subprocess.run(["clang-tidy-19", "--quiet", "-p", str(BUILD), entry["file"]], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        return Verdict(path, done.stdout)
    if seen:
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = record.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(seen))
        draft.replace(record)
    return Verdict(path, "")


def check_sources(paths: list[str]) -> Iterator[Verdict]:
    """All of src/, or what lies below the given paths."""
    wanted = [(ROOT / p).resolve() for p in paths or ["src"]]
    entries = [e for e in json.loads((BUILD / "compile_commands.json").read_text())
               if any(Path(e["file"]).is_relative_to(w) for w in wanted)]
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        yield from pool.map(check, entries)


def main() -> int:
    verdicts = []
    for verdict in check_sources(sys.argv[1:]):
        print(verdict.findings, end="", flush=True)
        verdicts.append(verdict)
    bad = sum(bool(v.findings) for v in verdicts)
    remembered = sum(v.remembered for v in verdicts)
    print(f"clang-tidy: {len(verdicts)} sources, {remembered} known to be clean, {bad} with findings")
    return 1 if bad or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
