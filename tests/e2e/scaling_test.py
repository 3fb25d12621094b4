#!/usr/bin/env python3
"""Services that scale by what the gateway sees: `berth serve`, `berth gateway` that discovers, and llama.cpp behind it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import berth
from berth import ROOT, Server, wait_for

MAKE_MODEL = """
import sys
sys.path.insert(0, {train!r})
import model, weights, pathlib
shape = model.Shape(width=256, layers=6, hidden=768)
weights.write_gguf(pathlib.Path({path!r}), "tiny", shape, model.random_parameters(shape, seed=3))
"""


# A large replica costs as much as one and a half small ones.
PRICES = """
apiVersion: config.berth.dev/v1alpha1
kind: BerthConfiguration
prices:
- {resource: example.com/small, perHour: 1, currency: EUR}
- {resource: example.com/large, perHour: 1.5, currency: EUR}
"""


def setUpModule() -> None:
    global server, gateway, model_file, python
    done = subprocess.run([ROOT / "tools" / "python_env"], text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise unittest.SkipTest("the Python packages cannot be had")
    environment = done.stdout.strip().splitlines()[-1]
    python = f"{environment}/bin/python"
    folder = Path(tempfile.mkdtemp(prefix="berth-models-"))
    folder.chmod(0o755)
    model_file = folder / "tiny.gguf"
    script = MAKE_MODEL.format(train=str(ROOT / "examples" / "train"), path=str(model_file))
    subprocess.run([python, "-c", script], check=True)
    prices = folder / "prices.yaml"
    prices.write_text(PRICES)
    server = Server("--host-dir", str(folder), "--host-dir", environment, "--config", str(prices),
                    "--emulate-device", "example.com/small=4:1Gi", "--emulate-device", "example.com/large=1:1Gi")
    server.start()
    gateway = Gateway()


def tearDownModule() -> None:
    gateway.finish()
    server.finish()
    subprocess.run(["rm", "-rf", model_file.parent], check=True)


class Gateway:
    """`berth gateway` that knows what the server knows, as a user with no more rights than it needs."""

    def __init__(self) -> None:
        self.key = server.cli("key", "create", "default").stdout.strip().splitlines()[-1]
        token = server.request("POST", "/berth/v1/users", {"name": "gate"})["token"]
        rbac = "rbac.authorization.k8s.io"
        server.request("POST", f"/apis/{rbac}/v1/clusterrolebindings",
                       {"metadata": {"name": "gate"}, "subjects": [{"kind": "User", "name": "gate", "apiGroup": rbac}],
                        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "gateway"}})
        config = (server.data / "kubeconfig").read_text().replace(server.token, token)
        self.folder = tempfile.TemporaryDirectory(prefix="berth-gateway-")
        path = Path(self.folder.name) / "kubeconfig"
        path.write_text(config)
        self.access_log = Path(self.folder.name) / "access.log"
        self.process = subprocess.Popen(
            [berth.BINARY, "gateway", "--port=0", f"--kubeconfig={path}", f"--access-log={self.access_log}"],
            stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)/v1", self.process.stdout.readline()).group(1))

    def knows(self, model: str) -> bool:
        return model in [each["id"] for each in self.get("/v1/models")[1].get("data", [])]

    def get(self, path: str, body: dict | None = None) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=berth.LIMIT)
        try:
            connection.request("POST" if body else "GET", path, json.dumps(body) if body else None,
                               {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.load(answer)
        finally:
            connection.close()

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=berth.LIMIT) as answer:
            return answer.read().decode()

    def ask(self, model: str) -> tuple[int, dict]:
        return self.get("/v1/completions", {"model": model, "prompt": "tide", "max_tokens": 4})

    def load(self, model: str, rate: float, seconds: int) -> subprocess.Popen:
        return subprocess.Popen(
            [berth.BINARY, "load", f"http://127.0.0.1:{self.port}", f"--model={model}", "--key", self.key,
             f"--rate={rate}", f"--duration={seconds}s", "--input-tokens=8", "--output-tokens=32",
             '--extra={"ignore_eos":true}', "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def finish(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=berth.LIMIT)
        self.process.stdout.close()
        self.folder.cleanup()


def is_well(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Watched:
    """How many replicas were wanted, change by change."""

    def __init__(self, ask) -> None:
        self.steps: list[int] = []
        self.ask, self.over = ask, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.over.wait(0.1):
            try:
                wanted = self.ask()
            except (OSError, berth.ApiError):
                continue  # the server starts again
            if not self.steps or self.steps[-1] != wanted:
                self.steps.append(wanted)

    def stop(self) -> list[int]:
        self.over.set()
        self.thread.join()
        return self.steps


class ScalingTest(unittest.TestCase):
    def status(self) -> dict:
        return server.get("modelservices", "tiny").get("status", {})

    def desired(self) -> int:
        return self.status().get("desired", {}).get("default", 0)

    def told(self) -> str:
        return server.cli("explain", "modelservice", "tiny").stdout

    def figures(self, load: subprocess.Popen) -> dict:
        out, _ = load.communicate(timeout=berth.LIMIT)
        figures = json.loads(out)
        self.assertEqual(figures["failed"], 0, figures)
        return figures

    def make(self, name: str, cpu: str) -> None:
        server.create("modelservices", {
            "apiVersion": "berth.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": name},
            "spec": {"model": {"uri": str(model_file)},
                     "engine": {"kind": "llamacpp", "command": [python], "contextTokens": 512, "sequences": 2,
                                "args": ["--threads", "1"]},
                     "variants": [{"resources": {"requests": {"cpu": "100m"},
                                                 "limits": {"cpu": cpu, "memory": "512Mi"}}}],
                     "replicas": {"min": 0, "max": 3},
                     "objective": {"ttft": {"target": "1s"}, "tpot": {"target": "100ms"}},
                     "scaling": {"idleAfter": "5s", "holdFor": "5s"}}})
        wait_for("the gateway knows the model", lambda: gateway.knows(name))

    def worth(self) -> dict:
        """By pod: what is written on it."""
        values = {pod["metadata"]["name"]: pod["metadata"].get("annotations", {}).get("berth.dev/growth-value")
                  for pod in server.list("pods", "berth.dev/model-service=tiny")}
        return {name: float(value) for name, value in values.items() if value}

    def test_0_a_request_to_a_model_at_zero_is_held_and_answered_soon_after_loading(self) -> None:
        self.make("quick", "1")
        self.addCleanup(server.delete, "modelservices", "quick")
        for _ in range(2):
            self.wake()
            server.patch("modelservices", "quick", {"spec": {"scaling": {"idleAfter": "1s"}}})
            wait_for("the replica is gone", lambda: not server.list("pods", "berth.dev/model-service=quick"))
        server.patch("modelservices", "quick", {"spec": {"scaling": {"standby": 1}}})
        wait_for("one stands by, and nobody asks",
                 lambda: server.get("modelservices", "quick")["status"].get("readyReplicas") == 1)
        self.assertIn("1 of them stand by", server.cli("explain", "modelservice", "quick").stdout)

    def wake(self) -> None:
        asked = time.monotonic()
        answers: list[tuple] = []
        thread = threading.Thread(target=lambda: answers.append((gateway.ask("quick"), time.monotonic())))
        thread.start()
        pods = wait_for("a pod", lambda: server.list("pods", "berth.dev/model-service=quick"))
        made = time.monotonic()
        name = pods[-1]["metadata"]["name"]
        address = wait_for("its address", lambda: server.get("pods", name).get("status", {}).get("podIP"))
        while not is_well(f"{address}:8080"):
            self.assertLess(time.monotonic(), asked + berth.LIMIT, "the engine is not well")
            time.sleep(0.005)
        well = time.monotonic()
        thread.join(timeout=berth.LIMIT)
        (status, answer), answered = answers[0]
        self.assertEqual(status, 200, answer)
        held, load = 1e3 * (answered - asked), 1e3 * (well - made)
        print(f"\nhold on cold start: answered after {held:.0f} ms, {load:.0f} of them from the pod to a loaded engine: "
              f"{held - load:.0f} added (goal: under 100)", file=sys.stderr)
        self.assertLess(held - load, 5000, "the goal is 100 ms on a quiet machine")

    def test_1_a_service_scales_up_holds_goes_to_zero_and_wakes(self) -> None:
        self.make("tiny", "200m")
        wait_for("nothing is wanted, and it says why", lambda: "no request yet" in self.told())
        self.assertEqual(self.desired(), 0)
        self.assertEqual(gateway.ask("tiny")[0], 200, "held, and answered")

        watched = Watched(self.desired)
        burst = gateway.load("tiny", 10, 12)
        wait_for("it scales up", lambda: self.desired() >= 2 and self.status().get("readyReplicas", 0) >= 2)
        self.assertRegex(self.told(), r"work foreseen|as it came of late|needed for what runs|were measured")
        worth = wait_for("replicas know what they are worth", lambda: len(self.worth()) >= 2 and self.worth())
        explained = server.cli("explain", "pod", next(iter(worth))).stdout
        self.assertIn("beyond its service's minimum, worth", explained)
        figures = self.figures(burst)
        grown = self.desired()
        print(f"\nburst of 10/s: {figures['ok']} answered, TTFT p95 {figures['ttft_s']['p95']:.2f} s, "
              f"{grown} replicas", file=sys.stderr)
        wait_for("it goes to zero", lambda: self.desired() == 0 and self.status().get("replicas") == 0)
        self.assertIn("no request for", self.told())
        steps = watched.stop()
        print("replicas wanted, one after the other:", steps, file=sys.stderr)
        top = steps.index(max(steps))
        self.assertEqual(steps, sorted(steps[:top]) + sorted(steps[top:], reverse=True), "it does not flap")
        reasons = {event["reason"] for event in server.list("events")
                   if event["involvedObject"]["kind"] == "ModelService"}
        self.assertLessEqual({"ScaledUp", "ScaledDown"}, reasons)
        wait_for("the replicas are gone", lambda: not server.list("pods", "berth.dev/model-service=tiny"))
        self.assertEqual(gateway.ask("tiny")[0], 200, "it wakes")

    def test_2_a_restart_of_the_server_neither_cuts_nor_scales(self) -> None:
        wait_for("the service of before is awake", lambda: self.status().get("readyReplicas", 0) >= 1
                 or gateway.ask("tiny") and None)
        load = gateway.load("tiny", 2, 6)
        wait_for("requests run", lambda: "requests/s of late" in self.told())
        before = {pod["metadata"]["name"] for pod in server.list("pods", "berth.dev/model-service=tiny")}
        watched = Watched(self.desired)
        server.options[server.options.index("--port") + 1] = server.port
        server.kill()
        server.start()
        self.figures(load)
        self.assertNotIn(0, watched.stop())
        after = {pod["metadata"]["name"] for pod in server.list("pods", "berth.dev/model-service=tiny")}
        self.assertTrue(before & after, "what ran runs on")
        wait_for("the gateway is heard again", lambda: "requests/s of late" in self.told())
        wait_for("it still goes to zero", lambda: self.desired() == 0)

    def test_3_a_deployment_is_scaled_by_its_annotations(self) -> None:
        template = server.get("deployments", "tiny")["spec"]["template"]
        template["metadata"]["labels"] = {"app": "plain"}
        command = template["spec"]["containers"][0]["command"]
        command[command.index("--alias") + 1] = "plain"
        server.create("deployments", {
            "metadata": {"name": "plain", "annotations": {
                "berth.dev/scale-model": "plain", "berth.dev/scale-min": "0", "berth.dev/scale-max": "2",
                "berth.dev/objective": "ttft=1s,latency=4s", "berth.dev/max-in-flight": "2",
                "berth.dev/scale-idle-after": "3s", "berth.dev/scale-hold-for": "3s"}},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "plain"}}, "template": template}})
        server.create("services", {
            "metadata": {"name": "plain", "labels": {"berth.dev/model-service": "plain"},
                         "annotations": {"berth.dev/max-in-flight": "2", "berth.dev/health-path": "/health",
                                         "berth.dev/objective": "latency=1ms"}},
            "spec": {"selector": {"app": "plain"}, "ports": [{"port": 80, "targetPort": 8080}]}})
        wait_for("the gateway knows the model", lambda: gateway.knows("plain"))
        self.assertEqual(gateway.ask("plain")[0], 200)
        outside = 'berth_gateway_objective_requests_total{model="plain",result="outside"} 1'
        self.assertIn(outside, gateway.metrics(), "no answer is whole within a millisecond")

        def deployment() -> dict:
            return server.get("deployments", "plain")

        self.assertEqual(deployment()["spec"]["replicas"], 1)
        wait_for("it goes to zero", lambda: deployment()["spec"]["replicas"] == 0)
        self.assertIn("no request for", deployment()["metadata"]["annotations"]["berth.dev/scaling-reason"])
        server.delete("deployments", "plain")
        server.delete("services", "plain")


    def test_4_the_variant_follows_the_load_where_another_is_cheaper(self) -> None:
        """A small replica has a tenth of a CPU, a large one a whole one: more than twice the work for one and a half of the price."""
        for name, base in (("small", 0.02), ("large", 0.004)):
            server.request("POST", "/apis/berth.dev/v1alpha1/servingprofiles", {
                "apiVersion": "berth.dev/v1alpha1", "kind": "ServingProfile", "metadata": {"name": name},
                "spec": {"model": "tiny", "accelerator": name, "engine": "llamacpp",
                         "iteration": {"baseSeconds": base, "perSequenceSeconds": base / 4,
                                       "perTokenSeconds": base / 20}}})
        service = {
            "apiVersion": "berth.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": "mix"},
            "spec": {"model": {"uri": str(model_file)},
                     "engine": {"kind": "llamacpp", "command": [python], "contextTokens": 512, "sequences": 4,
                                "args": ["--threads", "1"]},
                     "variants": [{"name": name, "resource": f"example.com/{name}", "count": "1", "profile": name,
                                   "resources": {"requests": {"cpu": least}, "limits": {"cpu": most, "memory": "512Mi"}}}
                                  for name, least, most in (("small", "50m", "100m"), ("large", "400m", "1"))],
                     "replicas": {"min": 0, "max": 4},
                     "objective": {"ttft": {"target": "2s"}, "tpot": {"target": "250ms"}},
                     "scaling": {"idleAfter": "4s", "holdFor": "4s"}}}
        server.create("modelservices", service)
        self.addCleanup(server.delete, "modelservices", "mix")
        wait_for("the gateway knows the model", lambda: gateway.knows("mix"))

        def status() -> dict:
            return server.get("modelservices", "mix").get("status", {})

        def ready() -> dict:
            return {each["name"]: each.get("ready", 0) for each in status().get("variants", [])}

        self.assertEqual(gateway.ask("mix")[0], 200, "held, and answered")
        wait_for("the cheapest for a few", lambda: ready() == {"small": 1, "large": 0})
        began, told = time.monotonic(), ""
        while not told and time.monotonic() < began + berth.LIMIT:
            burst = gateway.load("mix", 8, 15)
            while burst.poll() is None and not told:
                says = server.cli("explain", "modelservice", "mix").stdout
                if "small: 0 of 0 ready" in says and "large: 1 of 1 ready; 1 wanted" in says:
                    took, told = time.monotonic() - began, says
                time.sleep(0.1)
            self.figures(burst)
        self.assertTrue(told, "the large one does not answer alone")
        print(f"\nthe variant changed {took:.0f} s after the load began\n{told}", file=sys.stderr)
        self.assertRegex(told, r"variant +large: 1 of 1 ready; 1 wanted, 1.5/h; .* ms a token")
        self.assertRegex(told, r"variant +small: 0 of 0 ready; 0 wanted; the load would need \d+ of it alone, \d+/h")
        self.assertRegex(told, r"scaling +the load foreseen: 1 large for 1.5/h; ")
        variants = status()["scaling"]["variants"]
        self.assertGreater(variants["large"]["observedRequests"], 0, "its own answers")
        self.assertGreater(variants["small"]["observedRequests"], 0)
        wait_for("it goes to zero", lambda: status().get("replicas") == 0)
        self.assertIn("no load: none", server.cli("explain", "modelservice", "mix").stdout)


if __name__ == "__main__":
    berth.main()
