#!/usr/bin/env python3
"""The ledger of a real server: what was deleted is billed, kills lose and double nothing, budgets are carried out, and
what a gateway counted tells the cost of a million tokens."""

import csv
import io
import json
import random
import subprocess
import threading
import time
import unittest

from berth import BINARY, Server, main, pod, wait_for
from gateway import Gateway, Upstream, free_port

CONFIGURATION = """
apiVersion: config.berth.dev/v1alpha1
kind: BerthConfiguration
prices:
- {resource: nvidia.com/gpu, perHour: %s, currency: USD}
- {resource: cpu, perHour: 0.5, currency: USD}
"""
GPU = {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}


class CostTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server("--emulate-device", "nvidia.com/gpu=4:80Gi")
        self.server.options[1] = str(free_port())  # gateways find it again after a kill
        self.addCleanup(self.server.finish)
        self.configure("3600")  # one a second
        self.server.options += ["--config", str(self.file)]
        self.server.start()

    def configure(self, per_hour: str) -> None:
        self.file = self.server.folder / "configuration.yaml"
        self.file.write_text(CONFIGURATION % per_hour)

    def cost(self, *arguments: str) -> dict:
        done = self.server.cli("cost", "-o", "json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def bill(self) -> list[dict]:
        done = self.server.cli("cost", "--since", "24h", "-o", "focus")
        self.assertEqual(done.returncode, 0, done.stderr)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def queue(self, name: str, **budget: object) -> None:
        manifest = {"apiVersion": "berth.dev/v1alpha1", "kind": "Queue", "metadata": {"name": name},
                    "spec": {"budget": {"currency": "USD", "period": "Month"} | budget}}
        done = self.server.cli("apply", "-f", "-", stdin=json.dumps(manifest))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_kills_lose_and_double_nothing(self) -> None:
        dice = random.Random(7)
        seen: dict[str, tuple[str, int]] = {}  # uid: name, seconds that it ran at most
        born: dict[str, float] = {}
        for round_number in range(6):
            names = [f"p{round_number}-{i}" for i in range(3)]
            for name in names:
                self.server.create("pods", pod(name, f"sleep {dice.uniform(1.1, 2.5):.1f}", resources=GPU))
                born[name] = time.time()
            if dice.random() < 0.5:
                time.sleep(dice.uniform(0, 1))
            self.server.kill()
            self.server.start()
            for name in names:
                last = self.server.wait_phase(name, "Succeeded", "Failed")
                seen[last["metadata"]["uid"]] = (name, time.time() - born[name])
            for name in names[:2]:
                self.server.delete("pods", name)
            if dice.random() < 0.5:
                self.server.kill()
                self.server.start()
            for name in names[:2]:
                self.server.wait_gone("pods", name)
        rows = [row for row in self.bill() if row["ChargeDescription"] == "nvidia.com/gpu"]
        self.assertEqual(sorted(row["ResourceId"] for row in rows), sorted(seen), "each once, deleted or not")
        for row in rows:
            name, at_most = seen[row["ResourceId"]]
            # A second of a GPU costs 1, and Kubernetes' times are whole seconds.
            self.assertLessEqual(float(row["BilledCost"]), at_most + 1, name)
            self.assertAlmostEqual(float(row["BilledCost"]), float(row["ConsumedQuantity"]) * 3600, 3, name)

        # Everything adds up, by every dimension, to the last micro-unit.
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        totals = set()
        for by in ("queue", "tenant", "model", "job", "consumer"):
            report = self.cost("--by", by, "--until", until)
            self.assertEqual(sum(row["costMicro"] for row in report["rows"]), report["allocatedMicro"])
            self.assertEqual(report["allocatedMicro"] + report["idleMicro"] + report["overheadMicro"],
                             report["totalMicro"])
            totals.add((report["allocatedMicro"], report["totalMicro"]))
        self.assertEqual(len(totals), 1, totals)

    def test_a_price_that_changes_leaves_the_past(self) -> None:
        self.server.create("pods", pod("a", "true", resources=GPU))
        self.server.wait_phase("a", "Succeeded")
        before = self.cost("--by", "job", "--until", "0s")["rows"]
        self.configure("7200")
        self.server.kill()
        self.server.start()
        self.assertEqual(self.cost("--by", "job", "--until", "0s")["rows"], before)
        self.file.write_text(self.file.read_text().replace("USD", "EUR"))
        self.server.stop()
        self.addCleanup(self.server.start)
        self.addCleanup(self.configure, "7200")
        with self.assertRaisesRegex(AssertionError, "(?s)ended with 2: .*the ledger is in USD"):
            self.server.start()

    def test_a_spent_budget_blocks_and_says_what_would_change_it(self) -> None:
        self.queue("small", amount=2, onExceeded="Block")
        self.server.create("pods", pod("runs", "sleep 1000", labels={"berth.dev/queue": "small"}, resources=GPU))
        self.server.wait_phase("runs", "Running")
        queue = "/apis/berth.dev/v1alpha1/queues/small"
        wait_for("it is spent", lambda: self.server.request("GET", queue)["status"].get("budget", {}).get("state")
                 == "Blocked")
        self.server.create("pods", pod("waits", "true", labels={"berth.dev/queue": "small"}, resources=GPU))
        self.server.create("pods", pod("other", "true", resources=GPU))
        self.server.wait_phase("other", "Succeeded")

        def reason() -> str:
            conditions = self.server.get("pods", "waits").get("status", {}).get("conditions", [])
            return next((c.get("message", "") for c in conditions if c["type"] == "PodScheduled"), "")

        wait_for("it says why", lambda: "queue small has spent its budget of 2.000000 USD a month" in reason())
        self.assertIn("raise the budget of queue small", self.server.cli("explain", "pod", "waits").stdout)
        self.assertIn("small", self.server.cli("get", "queues").stdout)
        events = [event["reason"] for event in self.server.list("events") if event["involvedObject"]["kind"] == "Queue"]
        self.assertIn("BudgetBlocked", events)
        # It stays so over a kill, and ends with a higher budget.
        self.server.kill()
        self.server.start()
        self.assertEqual(self.server.get("pods", "waits")["status"]["phase"], "Pending")
        self.assertEqual(self.server.get("pods", "runs")["status"]["phase"], "Running")
        self.queue("small", amount=1_000_000, onExceeded="Block")
        self.server.wait_phase("waits", "Succeeded")

    def test_a_spent_budget_preempts(self) -> None:
        self.queue("tiny", amount=2, onExceeded="Preempt")
        self.server.create("pods", pod("runs", "sleep 1000", labels={"berth.dev/queue": "tiny"}, resources=GPU))
        self.server.create("pods", pod("stays", "sleep 1000", resources=GPU))
        self.server.wait_phase("runs", "Running")
        self.server.wait_phase("stays", "Running")
        self.server.wait_gone("pods", "runs")
        self.assertEqual(self.server.get("pods", "stays")["status"]["phase"], "Running")
        row = next(row for row in self.cost()["rows"] if row["key"] == "tiny")
        self.assertLess(row["costMicro"], 30_000_000, "it went soon after 2 were spent")

    def test_what_a_gateway_counted_tells_the_cost_of_a_million_tokens(self) -> None:
        upstream = Upstream()
        self.addCleanup(upstream.kill)
        labels = {"berth.dev/model-service": "m"}
        self.server.create("pods", pod("serves", "sleep 1000", labels=labels, resources=GPU))
        self.server.wait_phase("serves", "Running")
        options = (f"--upstream=m={upstream.url}", "--anonymous=ann", "--discover",
                   "--kubeconfig", str(self.server.data / "kubeconfig"))
        stop = threading.Event()
        killer = threading.Thread(target=self.kill_until, args=(stop,))
        asked = 0
        killer.start()
        try:
            port = 0
            for _ in range(3):
                gateway = Gateway(*options, port=port)
                self.addCleanup(gateway.finish)
                port = gateway.port
                gateway.ready("m", 1)
                done = subprocess.run([BINARY, "load", gateway.base_url, "--model=m", "--requests=40", "--concurrency=4",
                                       "--input-tokens=50", "--output-tokens=10", "-o", "json"], text=True,
                                      capture_output=True, timeout=120)
                self.assertEqual(json.loads(done.stdout)["ok"], 40, done.stdout)
                asked += 40
                self.server_is_up(stop, killer)
                self.assertEqual(gateway.stop(), 0)
                tokens = [(line["input_tokens"], line["output_tokens"]) for line in gateway.log()]
                self.assertEqual((len(tokens), sum(t[1] for t in tokens)), (40, 400))
                if asked < 120:
                    stop = threading.Event()
                    killer = threading.Thread(target=self.kill_until, args=(stop,))
                    killer.start()
        finally:
            stop.set()
            killer.join()

        def row() -> dict:
            rows = [row for row in self.cost("--by", "model")["rows"] if row["key"] == "m"]
            return rows[0] if rows else {}

        wait_for("all tokens", lambda: row().get("outputTokens", 0) >= 1200)
        found = row()
        self.assertEqual((found["inputTokens"], found["outputTokens"]), (6000, 1200))
        self.assertEqual(found["costPerMillionTokensMicro"], found["costMicro"] * 1_000_000 // 7200)
        tenant = next(row for row in self.cost("--by", "tenant")["rows"] if row["key"] == "ann")
        self.assertEqual(tenant["outputTokens"], 1200)
        self.assertIn("PER 1M TOKENS", self.server.cli("cost", "--by", "model").stdout)

    def kill_until(self, stop: threading.Event) -> None:
        while not stop.wait(0.3):
            self.server.kill()
            self.server.start()

    @staticmethod
    def server_is_up(stop: threading.Event, killer: threading.Thread) -> None:
        stop.set()
        killer.join()


if __name__ == "__main__":
    main()
