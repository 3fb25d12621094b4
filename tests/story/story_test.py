"""The parts of the main job that can be wrong without a server: what is read from pods, what is added up, what is drawn."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "story"))
import api  # noqa: E402
import picture  # noqa: E402
import timeline  # noqa: E402
from timeline import PodRecord, Timeline  # noqa: E402


def pod(name: str, phase: str, device: str = "", node: str = "", reason: str = "") -> api.Object:
    scheduled = {"type": "PodScheduled", "status": "False" if reason else "True", "message": reason}
    given = {"nvidia.com/gpu": [{"id": device, "milli": 1000}]} if device else {}
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "labels": {"berth.dev/queue": "research"},
            "annotations": {"berth.dev/devices": json.dumps(given)} if device else {},
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": [scheduled]},
    }


class TimelineTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.timeline = Timeline(source=None)
        self.timeline.now_s = lambda: self.now

    def observe(self, now: float, *pods: api.Object) -> None:
        self.now = now
        self.timeline.observe(list(pods))

    def test_a_pod_waits_holds_and_ends(self) -> None:
        self.observe(1, pod("train-0", "Pending", reason="no GPU is free"))
        self.observe(4, pod("train-0", "Pending", "gpu-1", "here"))
        self.observe(5, pod("train-0", "Running", "gpu-1", "here"))
        self.observe(9, pod("train-0", "Succeeded", "gpu-1", "here"))
        self.observe(12)
        (record,) = self.timeline.records()
        self.assertEqual(record.reasons, ["no GPU is free"])
        self.assertEqual(record.waited_s(12), 3)
        self.assertEqual(record.held(12), (4, 9))
        self.assertEqual(record.running_s, 5)

    def test_a_pod_that_vanishes_has_ended(self) -> None:
        self.observe(1, pod("train-0", "Running", "gpu-1", "here"))
        self.observe(3)
        self.assertEqual(self.timeline.records()[0].held(9), (1, 3))

    def test_shares_of_a_device_count_as_shares(self) -> None:
        records = [
            PodRecord("a", "product", "", 0, ["gpu-0"], 0.5, bound_s=0, ended_s=10),
            PodRecord("b", "batch", "", 0, ["gpu-1"], 1.0, bound_s=2),
            PodRecord("c", "batch", "", 0),
        ]
        self.assertEqual(timeline.device_seconds(records, 6), {"product": 5, "batch": 4})
        self.assertEqual(timeline.held_at(records, 1), {"product": 0.5})


class KubeconfigTest(unittest.TestCase):
    def test_missing_field_is_named(self) -> None:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("clusters:\n- cluster:\n    server: https://127.0.0.1:1\n")
            file.flush()
            with self.assertRaisesRegex(api.ApiError, "no token"):
                api.Api(Path(file.name))


class PictureTest(unittest.TestCase):
    def test_drawings_are_well_formed_and_escaped(self) -> None:
        shared = {"queue": "product", "share": 0.5, "evicted": False, "devices": ["gpu-0"]}
        report = {
            "machine": "2 CPUs",
            "commit": "abc",
            "seconds": 20.0,
            "story_s": 20.0,
            "pods": [
                {"name": "old<", "bound_s": 1.0, "ended_s": 9.0, **shared},
                {"name": "new", "bound_s": 8.0, "ended_s": None, **shared},
            ],
            "marks": [(0, "a")],
            "queues": {},
            "waits": [{"pod": "x", "reason": "1 < 2"}],
            "training": {"loss": [(1, 6.0), (9, 1.0)], "sample": {"before": "<", "after": "&"}},
            "rollout": {"requests": 1, "failed": 0},
            "hogs": {"cpu_used": 0.2, "cpu_limit": 0.2, "memory_hog": "OOMKilled"},
            "latency": {"without Berth": {"p50_ms": 1, "p95_ms": 2}},
        }
        page = picture.page(report)
        drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
        self.assertEqual(len(drawings), 3)
        for drawing in drawings:
            ElementTree.fromstring(drawing)
        self.assertIn("1 &lt; 2", page)
        tops = [
            rect.get("y")
            for rect in ElementTree.fromstring(drawings[0]).iter("rect")
            if rect.get("fill") == "var(--product)"
        ]
        self.assertEqual(len(set(tops)), 2, "two that share a device lie below each other")


if __name__ == "__main__":
    unittest.main()
