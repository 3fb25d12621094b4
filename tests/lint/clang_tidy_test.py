"""tools/clang_tidy.py looks again at what has changed, and only at that."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import clang_tidy  # noqa: E402


class ClangTidyTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        before = clang_tidy.ROOT, clang_tidy.BUILD, clang_tidy.CACHE
        self.addCleanup(self.place, *before)
        self.place(self.root, self.root / "build", self.root / "cache")
        self.write(".clang-tidy", "Checks: '-*,readability-container-size-empty'\nWarningsAsErrors: '*'\n")
        self.write("src/a.h", "#include <string>\nbool is_empty(const std::string& s);\n")
        self.write("src/a.cc", '#include "a.h"\nbool is_empty(const std::string& s) { return s.empty(); }\n')
        self.write("build/compile_commands.json", json.dumps(
            [{"directory": str(self.root / "build"), "file": str(self.root / "src/a.cc"),
              "command": f"c++ -std=c++20 -o a.o -c {self.root}/src/a.cc"}]))

    @staticmethod
    def place(root: Path, build: Path, cache: Path) -> None:
        clang_tidy.ROOT, clang_tidy.BUILD, clang_tidy.CACHE = root, build, cache

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def check(self) -> clang_tidy.Verdict:
        clang_tidy.file_hash.cache_clear()  # as in a new process
        (verdict,) = clang_tidy.check_sources([])
        return verdict

    def test_clean_source_is_remembered(self) -> None:
        self.assertFalse(self.check().remembered)
        self.assertEqual(self.check(), clang_tidy.Verdict("src/a.cc", "", remembered=True))

    def test_changed_header_is_looked_at(self) -> None:
        self.check()
        self.write("src/a.h", "#include <string>\nbool is_empty(const std::string& text);\n")
        self.assertFalse(self.check().remembered)

    def test_changed_configuration_is_looked_at(self) -> None:
        self.check()
        self.write(".clang-tidy", "Checks: '-*,misc-unused-using-decls'\nWarningsAsErrors: '*'\n")
        self.assertFalse(self.check().remembered)

    def test_finding_is_not_remembered(self) -> None:
        self.write("src/a.cc", '#include "a.h"\nbool is_empty(const std::string& s) { return s.size() == 0; }\n')
        for _ in range(2):
            verdict = self.check()
            self.assertIn("readability-container-size-empty", verdict.findings)
            self.assertFalse(verdict.remembered)


if __name__ == "__main__":
    unittest.main()
