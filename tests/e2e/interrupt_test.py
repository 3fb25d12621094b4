#!/usr/bin/env python3
"""Ctrl-C, SIGTERM and kill -9 of the main job (`./run`) at random moments: nothing of it stays on the machine."""

import argparse
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import berth
from berth import BINARY, ROOT, Server, wait_for

MAIN_JOB = ROOT / "tools" / "story" / "main_job"
# Which signal, and at most how long after what the story says. "the story" begins with the server's line.
MOMENTS = ((signal.SIGINT, "nothing", 3), (signal.SIGINT, "the story", 60), (signal.SIGKILL, "the story", 40),
           (signal.SIGTERM, "the story", 40), (signal.SIGINT, "nothing", 8))
OPTIONS = argparse.Namespace(rounds=3, seed=0)


class Story:
    """The main job in a session of its own, and what its server makes meanwhile."""

    def __init__(self) -> None:
        self.output = ""
        self.server: Server | None = None
        # In a process group of its own: Ctrl-C of a terminal reaches all of the group.
        self.process = subprocess.Popen([MAIN_JOB, "--berth", BINARY], text=True, start_new_session=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.begun = threading.Event()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for line in self.process.stderr:
            self.output += line
            if found := re.search(r"kubeconfig (/var/lib/berth-story-\S+?)/kubeconfig", line):
                self.server = Server(folder=found.group(1))
                self.server.data = Path(found.group(1))
                self.begun.set()
        self.begun.set()

    def note(self) -> None:
        """Pods and the network that are there now, to look for later."""
        if self.server is None:
            return
        try:
            self.server.uids |= set(os.listdir(self.server.data / "pods"))
            text = (self.server.data / "network" / "network.json").read_text()
            self.server.bridges |= set(re.findall(r'"bridge": *"(\w+)"', text))
        except FileNotFoundError:
            pass

    def let_run(self, seconds: float) -> None:
        """For so long, or to its end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            self.note()
            select.select([], [], [], min(0.1, max(0.0, end - time.monotonic())))

    def left(self) -> list[str]:
        found = self.server.leftovers() if self.server else []
        pid = self.process.pid
        found += [f"folder {folder}" for folder in [*Path("/var/lib").glob(f"berth-story-{pid}-*"),
                                                    *Path("/var/cache/berth").glob(f"story-{pid}-*")]]
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3]) == pid:
                    found.append(f"process {entry.name} of its session")
            except (OSError, ValueError):
                continue
        return found


class InterruptTest(unittest.TestCase):
    def test_nothing_is_left_behind(self) -> None:
        print(f"seed {OPTIONS.seed}, {OPTIONS.rounds} rounds", flush=True)
        chance = random.Random(OPTIONS.seed)
        for number in range(OPTIONS.rounds):
            kind, after, most = MOMENTS[number % len(MOMENTS)]
            with self.subTest(round=number, kind=kind.name, after=after):
                self.interrupt(kind, after, chance.uniform(0, most))

    def interrupt(self, kind: signal.Signals, after: str, seconds: float) -> None:
        story = Story()
        self.addCleanup(story.process.stderr.close)
        if after == "the story":
            self.assertTrue(story.begun.wait(timeout=berth.LIMIT * 5), story.output)
            self.assertIsNotNone(story.server, story.output)
        story.let_run(seconds)
        story.note()
        began = time.monotonic()
        if kind == signal.SIGINT:
            os.killpg(story.process.pid, kind)
        else:
            story.process.send_signal(kind)
        code = story.process.wait(timeout=berth.LIMIT)
        print(f"{kind.name} {seconds:.1f} s after {after}: ended with {code} in {time.monotonic() - began:.1f} s",
              flush=True)
        if kind == signal.SIGKILL:
            # Its server is told by the kernel. The folders of a killed run go with the next one.
            wait_for("the server stops by itself", lambda: not self.without_folders(story))
            return
        story.reader.join(timeout=berth.LIMIT)
        self.assertIn(code, (0, 130), story.output[-2000:])
        self.assertEqual(story.left(), [], story.output[-2000:])

    @staticmethod
    def without_folders(story: Story) -> list[str]:
        return [trace for trace in story.left() if not trace.startswith(("folder", "address"))]

    def tearDown(self) -> None:
        for folder in (*Path("/var/lib").glob("berth-story-*"), *Path("/var/cache/berth").glob("story-*")):
            pid = folder.name.split("-")[-2]
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often it is interrupted (default 3)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="which moments")
    OPTIONS, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    if subprocess.run([ROOT / "tools" / "python_env"], capture_output=True).returncode != 0:
        berth.skip("tools/python_env could not be made")
    berth.main()
