#!/usr/bin/env python3
"""ModelServices: engines, models that fit or do not, changes, and replicas that end what they are answering."""

import os
import struct
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import berth
from berth import Server, pod, wait_for

# Answers like an engine does, and says on /metrics how many requests it has.
ENGINE = """
import http.server, os, signal, sys, time
busy = 3
class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global busy
        if self.path == "/metrics":
            print("asked", busy, flush=True)
            body = f"requests_running {busy}\\n".encode()
            busy = max(0, busy - 1)
        else:
            body = os.environ.get("MODEL_NAME", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
def stop(*_):
    print("stopped", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
http.server.HTTPServer(("", int(os.environ.get("PORT", "8080"))), Engine).serve_forever()
"""


def setUpModule() -> None:
    global server, models
    models = Path(tempfile.mkdtemp(prefix="berth-models-"))
    server = Server("--emulate-device", "nvidia.com/gpu=1:1Gi", "--host-dir", str(models))
    server.start()


def tearDownModule() -> None:
    server.finish()
    subprocess.run(["rm", "-rf", models], check=True)


def write_gguf(name: str, size: int) -> str:
    """A llama of 4 layers with 4 heads of 64, and as many bytes of weights as asked for (a hole)."""
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()
    numbers = {"block_count": 4, "embedding_length": 256, "attention.head_count": 4,
               "attention.head_count_kv": 4, "context_length": 2048}
    body = b"GGUF" + struct.pack("<IQQ", 3, 0, 1 + len(numbers))
    body += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    for key, value in numbers.items():
        body += text(f"llama.{key}") + struct.pack("<II", 4, value)
    path = models / name
    path.write_bytes(body)
    with path.open("r+b") as file:
        file.truncate(size)
    return str(path)


def model_service(name: str, model: str, **more) -> dict:
    spec = {"model": {"uri": model},
            "engine": {"kind": "custom", "port": 8080, "contextTokens": 1024, "command": ["python3", "-c", ENGINE]},
            "variants": [{"count": "0.5", "resources": {"limits": {"memory": "128Mi", "cpu": "500m"}}}]}
    return {"apiVersion": "berth.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": name},
            "spec": spec | more}


def answer(address: str) -> bytes | None:
    """None before the Service's rules follow its first ready replica, which takes up to half a second."""
    try:
        return urllib.request.urlopen(f"http://{address}/", timeout=10).read()
    except urllib.error.URLError:
        return None


class ModelServiceTest(unittest.TestCase):
    def make(self, manifest: dict) -> None:
        server.create("modelservices", manifest)
        self.addCleanup(self.remove, "modelservices", manifest["metadata"]["name"])

    def remove(self, plural: str, name: str) -> None:
        if server.exists(plural, name):
            server.delete(plural, name)
            server.wait_gone(plural, name)

    def ready(self, name: str, replicas: int) -> dict:
        def reached() -> dict | None:
            status = server.get("modelservices", name).get("status", {})
            return status if status.get("readyReplicas") == replicas == status.get("replicas") else None
        return wait_for(f"{name} has {replicas} ready replicas", reached)

    def condition(self, name: str, kind: str) -> dict:
        def there() -> dict | None:
            conditions = server.get("modelservices", name).get("status", {}).get("conditions", [])
            return next((c for c in conditions if c["type"] == kind), None)
        return wait_for(f"{name} has the condition {kind}", there)

    def test_is_served_behind_one_address_and_gone_with_all_it_had(self) -> None:
        self.make(model_service("harbour", write_gguf("harbour.gguf", 1 << 20), replicas={"min": 2, "max": 2}))
        self.ready("harbour", 2)
        address = server.get("services", "harbour")["spec"]["clusterIP"]
        wait_for("the address answers", lambda: answer(address) == b"harbour")
        told = server.cli("explain", "modelservice", "harbour").stdout
        self.assertIn("modelservice harbour: 2 of 2 replicas ready", told)
        self.assertIn("a replica needs about 81 MiB", told)
        self.remove("modelservices", "harbour")
        for plural, name in (("deployments", "harbour"), ("services", "harbour")):
            server.wait_gone(plural, name)

    def test_a_model_too_large_is_refused_with_the_arithmetic(self) -> None:
        self.make(model_service("huge", write_gguf("huge.gguf", 3 << 30)))
        fits = self.condition("huge", "Fits")
        self.assertEqual(fits["status"], "False")
        self.assertRegex(fits["message"], r"3\.0 GiB of weights \+ 4 x 1024 tokens x 4 KiB = 16 MiB of KV cache .* "
                                          r"= 3\.2 GiB, but 0\.5 nvidia\.com/gpu of 1\.0 GiB are 512 MiB")
        self.assertEqual(server.get("deployments", "huge")["spec"]["replicas"], 0)
        self.assertIn("because     a replica needs", server.cli("explain", "modelservice", "huge").stdout)

    def test_a_model_that_is_not_there_is_named(self) -> None:
        self.make(model_service("lost", str(models / "lost.gguf")))
        self.assertIn("lost.gguf: no such model", self.condition("lost", "Fits")["message"])

    def test_scaling_and_a_new_engine_reach_the_replicas(self) -> None:
        self.make(model_service("wave", write_gguf("wave.gguf", 1 << 20), replicas={"min": 1, "max": 2}))
        self.ready("wave", 1)
        server.patch("modelservices", "wave", {"status": {"desired": {"default": 2}}}, "/status")
        self.ready("wave", 2)
        server.patch("modelservices", "wave", {"spec": {"model": {"name": "surf"}}})
        address = server.get("services", "wave")["spec"]["clusterIP"]
        wait_for("the new name is served", lambda: answer(address) == b"surf")

    def test_what_has_requests_ends_them_before_it_is_stopped(self) -> None:
        engine = pod("drained", "", command=["python3", "-c", ENGINE],
                     annotations={"berth.dev/busy-metrics": "8080/metrics requests_running"},
                     readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                     spec={"terminationGracePeriodSeconds": 60})
        server.create("pods", engine)
        server.wait_phase("drained", "Running")
        wait_for("it listens", lambda: any(c["type"] == "Ready" and c["status"] == "True"
                                           for c in server.get("pods", "drained")["status"]["conditions"]))
        with tempfile.TemporaryFile("w+") as said:
            with subprocess.Popen([berth.BINARY, "logs", "-f", "drained"], stdout=said,
                                  env=os.environ | {"KUBECONFIG": str(server.data / "kubeconfig")}) as follow:
                server.delete("pods", "drained")
                server.wait_gone("pods", "drained")
                follow.wait(timeout=berth.LIMIT)
            said.seek(0)
            self.assertEqual(said.read().splitlines(), ["asked 3", "asked 2", "asked 1", "asked 0", "stopped"])


if __name__ == "__main__":
    berth.main()
