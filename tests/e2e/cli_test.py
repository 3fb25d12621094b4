#!/usr/bin/env python3
"""The command line: help with examples, output formats, completion by real shells, exit codes."""

import json
import os
import re
import shutil
import subprocess
import unittest

import berth
from berth import BINARY, LIMIT, Server


def setUpModule() -> None:
    global server
    server = Server()
    server.start()


def tearDownModule() -> None:
    server.finish()


def berth_cli(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    return server.cli(*arguments, stdin=stdin)


def config_map(name: str, order: str, labels: dict) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels},
            "data": {"order": order}}


class Case(unittest.TestCase):
    def good(self, *arguments: str) -> str:
        done = berth_cli(*arguments)
        self.assertEqual(done.returncode, 0, f"berth {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def make(self, manifest: dict) -> None:
        server.create("configmaps", manifest)
        self.addCleanup(server.delete, "configmaps", manifest["metadata"]["name"])


class GetTest(Case):
    def setUp(self) -> None:
        self.make(config_map("b", "10", {"team": "red"}))
        self.make(config_map("a", "9", {"team": "blue", "x": "y"}))
        self.make(config_map("c", "512Mi", {}))

    def names(self, *arguments: str) -> list:
        return [line.split()[0] for line in self.good("get", "cm", "--no-headers", *arguments).splitlines()]

    def test_sorted(self) -> None:
        self.assertEqual(self.names("--sort-by", ".data.order"), ["a", "b", "c"], "by size, not as text")
        self.assertEqual(self.names("--sort-by", "{.metadata.name}"), ["a", "b", "c"])
        self.assertEqual(self.names("-o", "name", "--sort-by", ".data.order"),
                         ["configmap/a", "configmap/b", "configmap/c"])
        items = json.loads(self.good("get", "cm", "-o", "json", "--sort-by", ".data.order"))["items"]
        self.assertEqual([item["metadata"]["name"] for item in items], ["a", "b", "c"])
        wrong = berth_cli("get", "cm", "--sort-by", ".no.such")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("no object has a field `.no.such`", wrong.stderr)
        self.assertTrue(berth_cli("get").stderr.startswith("error: KIND is required"))

    def test_labels_and_selectors(self) -> None:
        shown = self.good("get", "cm", "--show-labels")
        self.assertRegex(shown, r"NAME +DATA +AGE +LABELS\n")
        self.assertRegex(shown, r"a +1 +\d+s +team=blue,x=y\n")
        self.assertRegex(shown, r"c +1 +\d+s +<none>\n")
        self.assertEqual(self.names("-l", "team in (red, green)"), ["b"])
        self.assertEqual(self.names("-l", "!team"), ["c"])
        self.assertEqual(self.names("--field-selector", "metadata.name=c"), ["c"])
        self.assertRegex(self.good("get", "cm", "-A"), r"NAMESPACE +NAME(.|\n)*default +a ")

    def test_formats(self) -> None:
        self.assertEqual(json.loads(self.good("get", "cm", "a", "-o", "json"))["data"], {"order": "9"})
        self.assertIn("  order: \"9\"\n", self.good("get", "cm", "a", "-o", "yaml"))
        self.assertEqual(self.good("get", "cm/a", "-o", "name"), "configmap/a\n")
        self.assertIn("INTERNAL-IP", self.good("get", "nodes", "-o", "wide"))
        self.assertNotIn("INTERNAL-IP", self.good("get", "nodes"))

    def watch(self, *arguments: str) -> subprocess.Popen:
        watch = subprocess.Popen([BINARY, "get", *arguments, "-w"], text=True, stdout=subprocess.PIPE,
                                 env=os.environ | {"KUBECONFIG": str(server.data / "kubeconfig")})
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait, timeout=LIMIT)
        self.addCleanup(watch.terminate)
        return watch

    def test_watch_with_labels(self) -> None:
        watch = self.watch("cm", "--show-labels", "-l", "team=red")
        self.assertIn("LABELS", watch.stdout.readline())
        self.assertIn("team=red", watch.stdout.readline())
        server.patch("configmaps", "a", {"metadata": {"labels": {"team": "red"}}})
        self.assertRegex(watch.stdout.readline(), r"^a .*team=red,x=y")

    def test_watch_of_nothing_yet_begins_with_the_header(self) -> None:
        watch = self.watch("cm", "-l", "team=late")
        self.make(config_map("with-a-long-name", "9", {"team": "late"}))
        header, row = watch.stdout.readline(), watch.stdout.readline()
        self.assertRegex(header, r"^NAME +DATA +AGE$")
        self.assertEqual(header.index("DATA"), row.index("1"))


class ExitCodeTest(Case):
    def code(self, *arguments: str, stdin: str = "") -> int:
        return berth_cli(*arguments, stdin=stdin).returncode

    def test_zero_when_done_one_when_it_failed_two_when_the_input_is_wrong(self) -> None:
        self.assertEqual(self.code("get", "pods"), 0)
        for failed in (["get", "pod", "none"], ["describe", "pod", "none"], ["logs", "none"],
                       ["delete", "pod", "none"], ["scale", "deployment/none", "--replicas", "1"],
                       ["explain", "pod", "none"]):
            self.assertEqual(self.code(*failed), 1, failed)
        for wrong in (["get"], ["get", "nosuch"], ["get", "pods", "-o", "xml"], ["nosuch"], ["--nosuch"],
                      ["get", "pods", "-l", "a=b=c"], ["apply", "-f", "/nowhere"], ["completion", "tcsh"],
                      ["advise", "running", "deploy/none"]):
            self.assertEqual(self.code(*wrong), 2, wrong)
        self.assertEqual(self.code("apply", "-f", "-", stdin="kind: Pod\n"), 2)
        self.assertEqual(self.code("--kubeconfig", "/nowhere", "get", "pods"), 2)


class HelpTest(Case):
    def commands(self, *path: str) -> list:
        """Every command below, each as its words."""
        found, inside = [], False
        for line in self.good(*path, "--help").splitlines():
            if line.startswith("Subcommands"):
                inside = True
            elif inside and line.startswith("  ") and not line.startswith("   "):
                name = line.split()[0].rstrip(",")
                found += [(*path, name), *self.commands(*path, name)]
            elif inside and line and not line.startswith(" "):
                inside = False
        return found

    def test_every_command_has_an_example(self) -> None:
        commands = self.commands()
        self.assertGreater(len(commands), 25)
        without = [" ".join(command) for command in commands if "Example" not in self.good(*command, "--help")]
        self.assertEqual(without, [])

    def test_every_option_names_what_it_expects(self) -> None:
        a_type_only = re.compile(r"^  (\S+) (TEXT|INT|UINT|FLOAT|ENUM)\b", re.MULTILINE)
        for command in [(), *self.commands()]:
            with self.subTest(command=command):
                self.assertEqual(a_type_only.findall(self.good(*command, "--help")), [])


class CompletionTest(Case):
    """What a shell offers when Tab is pressed at the end of a line."""

    def setUp(self) -> None:
        self.make(config_map("first", "1", {}))
        self.make(config_map("second", "2", {}))
        self.env = os.environ | {"KUBECONFIG": str(server.data / "kubeconfig"),
                                 "PATH": f"{BINARY.resolve().parent}:{os.environ['PATH']}"}

    def run_shell(self, *argv: str, stdin: str = "") -> list:
        done = subprocess.run(argv, input=stdin, text=True, capture_output=True, env=self.env, timeout=LIMIT)
        self.assertEqual(done.stderr, "")
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    def bash(self, line: str) -> list:
        words = line.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        return self.run_shell("bash", "--norc", "-c", "source <(berth completion bash); "
                              f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _berth; "
                              "for offer in \"${COMPREPLY[@]}\"; do echo \"$offer\"; done")

    def fish(self, line: str) -> list:
        return self.run_shell("fish", "--no-config", "-c",
                              f"berth completion fish | source; complete -C '{line}'")

    def check(self, offered) -> None:
        self.assertIn("get", offered("berth "))
        self.assertEqual(offered("berth gr"), [])
        self.assertEqual(offered("berth expl"), ["explain"])
        self.assertIn("pods", offered("berth get po"))
        self.assertEqual(set(offered("berth get configmaps ")) & {"first", "second"}, {"first", "second"})
        self.assertEqual(offered("berth get configmaps fi"), ["first"])
        self.assertIn("--sort-by", offered("berth get --so"))
        self.assertEqual(sorted(offered("berth queue ")), ["create", "ls", "set", "tree"])
        self.assertIn("--guarantee", offered("berth queue create --gu"))
        self.assertIn("--data", offered("berth serve --d"))
        self.assertLessEqual({"json", "name", "wide", "yaml"}, set(offered("berth get pods -o ")))
        self.assertIn("kube-system", offered("berth -n kube"))

    def test_bash(self) -> None:
        self.check(self.bash)
        self.assertEqual(self.bash("berth -n kube-system get configmaps fi"), [], "of that namespace")
        self.assertIn("--namespace", self.bash("berth get --name"))

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self) -> None:
        self.check(self.fish)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self) -> None:
        # What the line editor would do, seen through a terminal: Tab twice lists what there is.
        import pty
        import select
        import time
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir("/")
            os.execvpe("zsh", ["zsh", "-f", "-i"], self.env | {"TERM": "dumb", "PS1": "READY> "})
        try:
            def typed(text: str, expected: str) -> str:
                os.write(terminal, text.encode())
                seen, end = "", time.monotonic() + LIMIT
                while expected not in seen:
                    ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
                    self.assertTrue(ready, f"not seen: {expected!r} in {seen!r}")
                    seen += os.read(terminal, 4096).decode(errors="replace")
                return seen
            typed("PS1='READY> '; source <(berth completion zsh); echo do''ne\n", "done")
            typed("berth expl\t", "berth explain")
            typed("\x15berth get configmaps fi\t", "configmaps first")
            typed("\x15berth queue cr\t", "queue create")
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(terminal)


if __name__ == "__main__":
    berth.main()
