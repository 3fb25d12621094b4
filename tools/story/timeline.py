"""Watches the pods while the story runs: who waited and why, who held which device, and when."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field

import api
from api import Api, ApiError, Object

WATCH_SECONDS = 2
RETRY_S = 0.2
QUEUE_LABEL = "berth.dev/queue"
DEVICES_ANNOTATION = "berth.dev/devices"
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"


@dataclass
class PodRecord:
    """Times are seconds since the start of the story; None: it has not happened."""

    name: str
    queue: str
    index: str
    created_s: float
    devices: list[str] = field(default_factory=list)
    share: float = 1.0
    bound_s: float | None = None
    running_s: float | None = None
    ended_s: float | None = None
    evicted: bool = False
    reasons: list[str] = field(default_factory=list)

    def held(self, now_s: float) -> tuple[float, float] | None:
        """When it held its devices."""
        if self.bound_s is None or not self.devices:
            return None
        return self.bound_s, self.ended_s if self.ended_s is not None else now_s

    def waited_s(self, now_s: float) -> float:
        end = self.bound_s if self.bound_s is not None else self.ended_s
        return (end if end is not None else now_s) - self.created_s


def devices_of(pod: Object) -> list[str]:
    """The names of the devices that the pod was given: {"nvidia.com/gpu":[{"id":"gpu-0","milli":1000}]}."""
    text = api.annotation(pod, DEVICES_ANNOTATION)
    return [device["id"] for devices in json.loads(text or "{}").values() for device in devices]


def _has_ended(pod: Object) -> bool:
    return api.phase(pod) in ("Succeeded", "Failed")


class Timeline:
    def __init__(self, source: Api) -> None:
        self._source = source
        self._began = time.monotonic()
        self._records: dict[str, PodRecord] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._marks: list[tuple[float, str]] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def now_s(self) -> float:
        return time.monotonic() - self._began

    def mark(self, text: str) -> None:
        self._marks.append((self.now_s(), text))

    @property
    def marks(self) -> list[tuple[float, str]]:
        return list(self._marks)

    def records(self) -> list[PodRecord]:
        with self._lock:
            return sorted(self._records.values(), key=lambda record: record.created_s)

    def _watch(self) -> None:
        version = ""
        while not self._stop.is_set():
            try:
                if not version:
                    pods = self._source.get(api.PODS)
                    self.observe(pods["items"])
                    version = pods["metadata"]["resourceVersion"]
                for event in self._source.watch(api.PODS, version, WATCH_SECONDS):
                    version = event["object"]["metadata"]["resourceVersion"]
                    self.note(event["object"], gone=event["type"] == "DELETED")
            except ApiError:
                # The steps ask the API too, and report what is wrong with it.
                version = ""
                self._stop.wait(RETRY_S)

    def note(self, pod: Object, gone: bool) -> None:
        now = self.now_s()
        with self._lock:
            record = self._update(pod["metadata"]["uid"], pod, now)
            if gone and record.ended_s is None:
                record.ended_s = now

    def uids(self) -> set[str]:
        """Of every pod that there ever was."""
        with self._lock:
            return set(self._records)

    def observe(self, pods: list[Object]) -> None:
        now = self.now_s()
        with self._lock:
            seen = set()
            for pod in pods:
                uid = pod["metadata"]["uid"]
                seen.add(uid)
                self._update(uid, pod, now)
            for uid, record in self._records.items():
                if uid not in seen and record.ended_s is None:
                    record.ended_s = now

    def _update(self, uid: str, pod: Object, now: float) -> PodRecord:
        record = self._records.get(uid)
        if record is None:
            queue = api.label(pod, QUEUE_LABEL) or "default"
            index = api.annotation(pod, INDEX_ANNOTATION)
            record = self._records[uid] = PodRecord(api.name_of(pod), queue, index, now)
        record.devices = record.devices or devices_of(pod)
        fraction = api.annotation(pod, "berth.dev/gpu-fraction")
        record.share = float(fraction) if fraction else 1.0
        if record.bound_s is None and pod["spec"].get("nodeName"):
            record.bound_s = now
        if record.running_s is None and api.phase(pod) == "Running":
            record.running_s = now
        if record.ended_s is None and _has_ended(pod):
            record.ended_s = now
        if api.condition(pod, "DisruptionTarget").get("status") == "True":
            record.evicted = True
        reason = api.why_waiting(pod)
        if reason and reason not in record.reasons:
            record.reasons.append(reason)
        return record


def device_seconds(records: list[PodRecord], now_s: float) -> dict[str, float]:
    """What each queue held, in device-seconds; half a device for a second is half of one."""
    used: dict[str, float] = {}
    for record in records:
        interval = record.held(now_s)
        if interval:
            held = (interval[1] - interval[0]) * record.share * len(record.devices)
            used[record.queue] = used.get(record.queue, 0.0) + held
    return used


def held_at(records: list[PodRecord], when_s: float) -> dict[str, float]:
    """Devices that each queue held at that moment."""
    held: dict[str, float] = {}
    for record in records:
        interval = record.held(when_s)
        if interval and interval[0] <= when_s < interval[1] + 1e-9:
            held[record.queue] = held.get(record.queue, 0.0) + record.share * len(record.devices)
    return held
