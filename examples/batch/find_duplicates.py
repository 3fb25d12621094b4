"""Finds near-duplicates in a training text: patient work that can be interrupted at any time.

    JOB_COMPLETION_INDEX=0 python find_duplicates.py --parts 12 --out duplicates-0.txt

Compares each line of this part with all lines of the text. What was found so far is saved to $BERTH_CHECKPOINT_FILE every few
lines and on SIGTERM; a later start goes on from there and ends with the same result.
Stopped before the end it exits with 143, so that the Job starts it again.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

STOPPED = 128 + signal.SIGTERM
WORTH_A_LOOK = 0.5


def say(message: str) -> None:
    print(message, flush=True)


@dataclass
class Progress:
    lines_done: int = 0
    found: list[tuple[int, int, float]] = field(default_factory=list)

    @staticmethod
    def load(path: Path | None) -> Progress:
        return Progress(**json.loads(path.read_text())) if path and path.exists() else Progress()

    def save(self, path: Path | None) -> None:
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(asdict(self)))
        os.replace(partial, path)


def likeness(left: Sequence[str], right: Sequence[str]) -> float:
    return difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()


def most_similar(lines: list[str], number: int) -> tuple[int, float]:
    """The other line most like this one, and how much (0..1). Words first, as letters cost more."""
    line, words = lines[number], lines[number].split()
    candidates = [
        other
        for other in range(len(lines))
        if other != number and likeness(lines[other].split(), words) >= WORTH_A_LOOK
    ]
    scored = [(likeness(lines[other], line), -other) for other in candidates]
    ratio, other = max(scored, default=(0.0, 1))
    return -other, round(ratio, 4)


def work(args: argparse.Namespace, checkpoint: Path | None, part: int) -> bool:
    """Whether the part was finished; not, when SIGTERM came."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    signal.signal(signal.SIGINT, lambda number, _: stopping.append(number))

    lines = args.text.read_text().splitlines()
    mine = range(part, len(lines), args.parts)
    progress = Progress.load(checkpoint)
    if progress.lines_done:
        say(f"resumed from line {progress.lines_done} of {len(mine)}")
    for number in mine[progress.lines_done :]:
        if stopping:
            progress.save(checkpoint)
            say(f"stopped at line {progress.lines_done} of {len(mine)}, as asked")
            return False
        other, ratio = most_similar(lines, number)
        if ratio >= args.threshold:
            progress.found.append((number, other, ratio))
        progress.lines_done += 1
        if progress.lines_done % args.every == 0 or progress.lines_done == len(mine):
            progress.save(checkpoint)
            say(f"line {progress.lines_done}/{len(mine)}, {len(progress.found)} near-duplicates")

    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = [f"{number}\t{other}\t{ratio}" for number, other, ratio in progress.found]
    args.out.write_text("\n".join(["line\tlike\tratio", *report]) + "\n")
    say(f"wrote {args.out}")
    return True


def main(argv: list[str] | None = None) -> int:
    text = Path(__file__).resolve().parent.parent / "train" / "harbour.txt"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, default=text)
    parser.add_argument("--out", type=Path, required=True, help="where the findings go")
    parser.add_argument("--parts", type=int, default=1, help="the text is shared among so many")
    parser.add_argument("--threshold", type=float, default=0.9, help="likeness that counts, 0..1")
    parser.add_argument("--every", type=int, default=2, help="lines between checkpoints")
    args = parser.parse_args(argv)
    if not args.text.is_file():
        parser.error(f"--text: no file {args.text}")

    part = int(os.environ.get("JOB_COMPLETION_INDEX", "0"))
    if not 0 <= part < args.parts:
        parser.error(f"JOB_COMPLETION_INDEX: {part} is not one of {args.parts} parts")
    path = os.environ.get("BERTH_CHECKPOINT_FILE")
    say(f"part {part} of {args.parts} of {args.text.name}")
    return 0 if work(args, Path(path) if path else None, part) else STOPPED


if __name__ == "__main__":
    sys.exit(main())
