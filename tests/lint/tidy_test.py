"""tools/tidy finds what it says it finds."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TIDY = Path(__file__).resolve().parents[2] / "tools" / "tidy"

LIBRARIES = """
berth_library(base DEPS fmt::fmt)
berth_library(core DEPS berth_base)
berth_library(node DEPS berth_core)
"""
PAGE = "".join(f"| `src/{folder}/` | text |\n" for folder in ("base", "core", "node"))


def findings(files: dict[str, str], page: str = PAGE) -> str:
    """What tidy prints of a small tree that is clean but for `files`."""
    with tempfile.TemporaryDirectory() as root:
        clean = {
            "src/CMakeLists.txt": LIBRARIES,
            "src/base/error.h": "",
            "src/core/state.h": "",
            "src/node/agent.h": "",
            "docs/ARCHITECTURE.md": page,
        }
        for name, text in (clean | files).items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, TIDY, root], capture_output=True, text=True).stdout


class TidyTest(unittest.TestCase):
    def test_clean_tree(self):
        self.assertEqual(findings({}), "tidy: no findings\n")

    def test_include_upwards(self):
        out = findings({"src/core/bad.h": '#include "node/agent.h"\n'})
        self.assertIn("src/core/bad.h:1: src/core may not include src/node", out)

    def test_include_through_a_dependency_is_fine(self):
        self.assertIn("no findings", findings({"src/node/good.h": '#include "base/error.h"\n'}))

    def test_clock_in_core(self):
        out = findings({"src/core/bad.cc": "auto t = std::chrono::steady_clock::now();\n"})
        self.assertIn("`steady_clock` in src/core", out)

    def test_thread_in_core(self):
        self.assertIn("<thread> in src/core", findings({"src/core/bad.h": "#include <thread>\n"}))

    def test_wall_clock_outside_app(self):
        out = findings({"src/node/bad.cc": "std::chrono::system_clock::now();\n"})
        self.assertIn("`system_clock` outside src/app", out)

    def test_own_header_first(self):
        out = findings({"src/node/agent.cc": '#include <vector>\n#include "node/agent.h"\n'})
        self.assertIn("src/node/agent.cc:1: the first include is not the file's own header", out)

    def test_folder_missing_on_the_page(self):
        out = findings({}, page=PAGE.replace("`src/node/`", "`node/`"))
        self.assertIn("src/node/ is not in the table of folders", out)

    def test_folder_gone_from_disk(self):
        out = findings({}, page=PAGE + "| `src/old/` | text |\n")
        self.assertIn("src/old/ is in the table but not on disk", out)

    def test_crowded_folder(self):
        out = findings({f"src/node/part_{n}.h": "" for n in range(16)})
        self.assertIn("sources in one folder", out)

    def test_two_types_of_one_name(self):
        one, two = ("namespace berth::node {{\n{}struct Twin {{\n}};\n{}}}  // namespace berth::node\n".format(*text)
                    for text in (("", ""), ("namespace {\n", "}  // namespace\n")))
        self.assertIn("no findings", findings({"src/node/a.cc": one, "src/node/b.cc": two}))
        out = findings({"src/node/a.cc": one, "src/node/c.h": one})
        self.assertIn("src/node/c.h:2: berth::node::Twin is defined in src/node/a.cc too", out)


if __name__ == "__main__":
    unittest.main()
