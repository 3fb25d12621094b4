"""The batch example: stopped anywhere it goes on, and finds what it would have found."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

import programs


class BatchTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="berth-batch-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.text = self.folder / "text.txt"
        text = (programs.EXAMPLES / "train" / "harbour.txt").read_text()
        self.text.write_text("\n".join(text.splitlines()[:120]) + "\n")
        self.progress = self.folder / "progress.json"

    def arguments(self, out: str) -> list[str]:
        return ["batch/find_duplicates.py", f"--text={self.text}", f"--out={self.folder / out}"]

    def test_resumed_run_finds_the_same(self) -> None:
        whole = programs.run(*self.arguments("whole"))
        self.assertEqual(whole.returncode, 0, whole.stdout)

        process = programs.start(
            *self.arguments("resumed"), BERTH_CHECKPOINT_FILE=str(self.progress)
        )
        programs.read_until(process, "line 4/")
        code, output = programs.stop(process)
        self.assertEqual(code, 143, output)
        done = json.loads(self.progress.read_text())["lines_done"]
        self.assertGreaterEqual(done, 4)

        resumed = programs.run(*self.arguments("resumed"), BERTH_CHECKPOINT_FILE=str(self.progress))
        self.assertIn(f"resumed from line {done} of 120", resumed.stdout)
        self.assertEqual((self.folder / "resumed").read_text(), (self.folder / "whole").read_text())

    def test_parts_cover_the_text_once(self) -> None:
        lines = 0
        for part in range(7):
            done = programs.run(
                *self.arguments(f"part{part}"), "--parts=7", JOB_COMPLETION_INDEX=str(part)
            )
            lines += int(done.stdout.split("line ")[-1].split("/")[0])
        self.assertEqual(lines, 120)

    def test_part_that_does_not_exist_is_refused(self) -> None:
        done = programs.run(*self.arguments("x"), "--parts=2", JOB_COMPLETION_INDEX="2")
        self.assertEqual(done.returncode, 2)
        self.assertIn("2 is not one of 2 parts", done.stdout)


if __name__ == "__main__":
    unittest.main()
