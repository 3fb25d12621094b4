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
import elastic  # noqa: E402
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


def answered(tenant: str, ttft_ms: float, duration_ms: float, outcome: str = "answered") -> dict:
    return {
        "tenant": tenant,
        "outcome": outcome,
        "ttft_ms": ttft_ms,
        "duration_ms": duration_ms,
        "input_tokens": 5,
        "output_tokens": 3,
    }


class ElasticTest(unittest.TestCase):
    def test_requests_are_judged_by_the_objective_and_added_up_by_tenant(self) -> None:
        table = elastic.by_tenant(
            [
                answered("ann", 1000, 1120),
                answered("ann", 1001, 1010),
                answered("ann", 10, 131),
                answered("ann", 0, 50, "refused"),
                answered("bob", 10, 20),
            ]
        )
        self.assertEqual(table["ann"]["requests"], 4)
        self.assertEqual(table["ann"]["inside"], 1)
        self.assertEqual(table["ann"]["ttft_p50_ms"], 1000)
        self.assertEqual(table["bob"]["inside"], 1)
        self.assertEqual(table["bob"]["output_tokens"], 3)


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
            "elastic": {
                "tenants": elastic.by_tenant([answered("ann", 100, 160)]),
                "woken_ms": [300.0, 280.0],
                "steps": [(1.0, 0, 0), (2.0, 1, 0), (2.5, 3, 1), (9.0, 0, 0)],
                "flood": [3.0, 6.0],
                "why": ["from 0 to 1 replicas: 1 < 2 waits"],
                "cost": {"amount": 0.5, "currency": "EUR", "device_seconds": 60.0, "tokens": 250_000},
            },
        }
        page = picture.page(report)
        drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
        self.assertEqual(len(drawings), 4)
        for drawing in drawings:
            ElementTree.fromstring(drawing)
        self.assertIn("1 &lt; 2", page)
        self.assertIn("from 0 to 1 replicas: 1 &lt; 2 waits", page)
        self.assertIn("2.00 a million", page)
        tops = [
            rect.get("y")
            for rect in ElementTree.fromstring(drawings[0]).iter("rect")
            if rect.get("fill") == "var(--product)"
        ]
        self.assertEqual(len(set(tops)), 2, "two that share a device lie below each other")


if __name__ == "__main__":
    unittest.main()
