#!/usr/bin/env python3
"""The release binary's gateway with real clients and real servers: the OpenAI client, llama.cpp, and servers that fail."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from gateway import BINARY, ROOT, Gateway, Upstream, free_port, get, wait_for
from gateway_soak import Controller, own_address

if not BINARY.exists():
    print(f"skipped: {BINARY} is not built")
    sys.exit(77)


def python_env(*requirements: str) -> Path | None:
    done = subprocess.run([ROOT / "tools" / "python_env", *requirements], text=True, stdout=subprocess.PIPE)
    return Path(done.stdout.strip().splitlines()[-1]) / "bin" / "python" if done.returncode == 0 else None


MAKE_MODEL = """
import sys
sys.path.insert(0, {train!r})
import model, weights, pathlib
shape = model.Shape(width=64, layers=2, hidden=192)
weights.write_gguf(pathlib.Path({path!r}), "tiny", shape, model.random_parameters(shape, seed=3))
"""

# What users of the client write, unchanged but for its base URL.
CLIENT = """
import json, sys
from openai import OpenAI, AuthenticationError, NotFoundError
base, key = sys.argv[1:]
client = OpenAI(base_url=base, api_key=key)
out = {"models": [m.id for m in client.models.list()]}
whole = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "berth"}], max_tokens=8)
out["chat"] = whole.usage.completion_tokens
text = client.completions.create(model="tiny", prompt="a ship", max_tokens=5)
out["completion"] = text.usage.completion_tokens
chunks = list(client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "tide"}],
                                             max_tokens=6, stream=True))
out["stream_usage"] = [c.usage is not None for c in chunks].count(True)
out["stream_chunks"] = len(chunks)
asked = list(client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "tide"}], max_tokens=6,
                                            stream=True, stream_options={"include_usage": True}))
out["asked_usage"] = asked[-1].usage.completion_tokens
try:
    client.completions.create(model="none", prompt="x")
except NotFoundError as error:
    out["no_model"] = error.code
try:
    OpenAI(base_url=base, api_key="sk-berth-wrong").models.list()
except AuthenticationError as error:
    out["no_key"] = error.code
print(json.dumps(out))
"""


class OpenAiTest(unittest.TestCase):
    def test_the_openai_client_works_unchanged_with_llama_cpp(self) -> None:
        examples = python_env()
        client = python_env(str(Path(__file__).with_name("openai-requirements.txt")))
        if examples is None or client is None:
            self.skipTest("the Python packages cannot be had")
        with tempfile.TemporaryDirectory(prefix="berth-openai-") as folder:
            path, keys = folder + "/tiny.gguf", folder + "/keys.json"
            script = MAKE_MODEL.format(train=str(ROOT / "examples" / "train"), path=path)
            subprocess.run([examples, "-c", script], check=True)
            token = subprocess.run([BINARY, "key", "create", "ann", "--file", keys], text=True, check=True,
                                   capture_output=True).stdout.strip()
            self.assertNotIn(token.split("-")[-1], Path(keys).read_text(), "only a hash is kept")
            port = free_port()
            gateway = Gateway(f"--upstream=tiny=http://127.0.0.1:{port}", f"--keys={keys}")
            self.addCleanup(gateway.finish)
            answers: list[dict] = []
            # The first request comes before its server: it is held.
            run = threading.Thread(target=lambda: answers.append(self.run_client(client, gateway.base_url, token)))
            run.start()
            server = subprocess.Popen([examples, ROOT / "examples" / "serve" / "serve.py", f"--model={path}",
                                       "--name=tiny", "--host=127.0.0.1", f"--port={port}", "--drain=0"],
                                      stdout=subprocess.DEVNULL)
            self.addCleanup(server.wait)
            self.addCleanup(server.kill)
            run.join()
            self.assertEqual(answers[0]["models"], ["tiny"])
            self.assertLessEqual(answers[0]["chat"], 8)
            self.assertEqual(answers[0]["stream_usage"], 0, "it was not asked for")
            self.assertGreater(answers[0]["asked_usage"], 0)
            self.assertEqual(answers[0]["no_model"], "model_not_found")
            self.assertEqual(answers[0]["no_key"], "invalid_api_key")
            self.assertEqual(gateway.stop(), 0)
            self.assertNotIn(token.split("-")[-1], gateway.access_log.read_text())
            for line in gateway.log():
                self.assertEqual((line["tenant"], line["outcome"], line["counted"]), ("ann", "answered", False), line)

            # `berth load` measures the same server.
            gateway = Gateway(f"--upstream=tiny=http://127.0.0.1:{port}", f"--keys={keys}")
            self.addCleanup(gateway.finish)
            done = subprocess.run([BINARY, "load", gateway.base_url, "--model=tiny", "--key", token, "--requests=20",
                                   "--concurrency=4", "--input-tokens=8", "--output-tokens=8", "-o", "json",
                                   '--extra={"ignore_eos":true}'], text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            figures = json.loads(done.stdout)
            self.assertEqual((figures["ok"], figures["output_tokens"]), (20, 160))
            self.assertGreater(figures["tpot_s"]["p50"], 0)

    def run_client(self, python: Path, base: str, token: str) -> dict:
        done = subprocess.run([python, "-c", CLIENT, base, token], text=True, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


class FaultsTest(unittest.TestCase):
    def test_a_short_soak(self) -> None:
        done = subprocess.run([sys.executable, Path(__file__).with_name("gateway_soak.py"), "--seconds=20",
                               "--clients=16"], text=True, capture_output=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_held_request_is_answered_soon_after_its_server_is_ready(self) -> None:
        upstream = Upstream()
        self.addCleanup(upstream.kill)
        upstream.kill()
        gateway = Gateway(f"--upstream=m={upstream.url}")
        self.addCleanup(gateway.finish)
        answered: list[float] = []

        def ask() -> None:
            self.load(gateway, "--requests=1", "--concurrency=1")
            answered.append(time.monotonic())

        run = threading.Thread(target=ask)
        run.start()
        wait_for("it waits", lambda: gateway.metrics().get('berth_gateway_waiting_requests{model="m"}') == 1)
        upstream.start()
        wait_for("the server is there", lambda: get(upstream.port, "/health")[0] == 200)
        ready = time.monotonic()
        run.join()
        self.assertLess(answered[0] - ready, 2, "the goal is 0.1 s on a quiet machine")

    def load(self, gateway: Gateway, *options: str) -> dict:
        done = subprocess.run([BINARY, "load", gateway.base_url, "--model=m", "-o", "json", *options], text=True,
                              capture_output=True, timeout=120)
        return json.loads(done.stdout)

    def test_no_stream_is_cut_by_stopping(self) -> None:
        upstream = Upstream("--slow=0.02")
        self.addCleanup(upstream.kill)
        gateway = Gateway(f"--upstream=m={upstream.url}")
        self.addCleanup(gateway.finish)
        gateway.ready("m", 1)
        results: list[dict] = []
        run = threading.Thread(target=lambda: results.append(
            self.load(gateway, "--requests=8", "--concurrency=8", "--output-tokens=100")))
        run.start()
        wait_for("all run", lambda: gateway.metrics().get('berth_gateway_in_flight_requests{model="m"}') == 8)
        self.assertEqual(gateway.stop(), 0)
        run.join()
        self.assertEqual((results[0]["ok"], results[0]["output_tokens"]), (8, 800), results)

    @unittest.skipIf(os.geteuid() != 0, "`berth serve` needs root")
    def test_no_stream_is_cut_by_scaling_down_nor_by_the_end_of_the_controller(self) -> None:
        address = own_address()
        upstreams = [Upstream(f"--address={address}", "--slow=0.03") for _ in range(2)]
        for upstream in upstreams:
            self.addCleanup(upstream.kill)
        controller = Controller(upstreams, address)
        self.addCleanup(controller.server.finish)
        gateway = Gateway(*controller.options)
        self.addCleanup(gateway.finish)
        gateway.ready("m", 2)
        results: list[dict] = []
        run = threading.Thread(target=lambda: results.append(
            self.load(gateway, "--requests=16", "--concurrency=16", "--output-tokens=150")))
        run.start()
        wait_for("all run", lambda: gateway.metrics().get('berth_gateway_in_flight_requests{model="m"}') == 16)
        controller.remove(upstreams[0])
        gateway.ready("m", 1)
        controller.restart()
        controller.remove(upstreams[1])
        gateway.ready("m", 0)
        self.assertEqual(gateway.metrics().get('berth_gateway_in_flight_requests{model="m"}'), 16, "they go on")
        run.join()
        self.assertEqual((results[0]["ok"], results[0]["output_tokens"]), (16, 2400), results)

    def test_a_server_without_usage_is_counted(self) -> None:
        upstream = Upstream("--no-usage")
        self.addCleanup(upstream.kill)
        gateway = Gateway(f"--upstream=m={upstream.url}")
        self.addCleanup(gateway.finish)
        gateway.ready("m", 1)
        self.load(gateway, "--requests=1", "--concurrency=1", "--input-tokens=50", "--output-tokens=30")
        self.assertEqual(gateway.stop(), 0)
        line = gateway.log()[0]
        self.assertEqual((line["input_tokens"], line["output_tokens"], line["counted"]), (50, 30, True))

    def test_wrong_options_say_what_to_do(self) -> None:
        for options, words in ((["--upstream=m"], "MODEL=http"), ([], "--upstream MODEL=URL"),
                               (["--upstream=m=http://a", "--address=0.0.0.0"], "--keys FILE"),
                               (["--upstream=m=ftp://a"], "http://HOST:PORT")):
            done = subprocess.run([BINARY, "gateway", *options], text=True, capture_output=True, timeout=30)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    unittest.main(verbosity=2)
