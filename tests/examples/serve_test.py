"""The serving example on a model of its own making: the engine computes what the trainer computes, and nobody is cut off."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

import numpy as np
import programs

sys.path.insert(0, str(programs.EXAMPLES / "train"))
import model  # noqa: E402
from weights import write_gguf  # noqa: E402

SHAPE = model.Shape(width=64, layers=2, hidden=192)


class ServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="berth-serve-")
        cls.path = Path(cls.folder.name) / "model.gguf"
        cls.parameters = model.random_parameters(SHAPE, seed=3)
        write_gguf(cls.path, "test", SHAPE, cls.parameters)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def setUp(self) -> None:
        self.port = programs.free_port()
        self.server = programs.start(
            "serve/serve.py", f"--model={self.path}", f"--port={self.port}", "--drain=0.2"
        )
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        programs.read_until(self.server, "ready after")

    def ask(self, **body: object) -> dict:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def test_engine_agrees_with_the_trainer(self) -> None:
        prompt = "berth"
        scores = model.logits(self.parameters, model.encode(prompt.encode())[None, :], SHAPE)
        row = np.asarray(scores)[0, -1].astype(np.float64)
        expected = row - row.max() - np.log(np.exp(row - row.max()).sum())
        answer = self.ask(prompt=prompt, max_tokens=1, temperature=0, logprobs=3, n_probs=3)
        top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        best = np.argsort(-expected)[: len(top)]
        self.assertEqual([entry["id"] for entry in top], best.tolist())
        found = [entry["logprob"] for entry in top]
        np.testing.assert_allclose(found, expected[best], atol=1e-3)

    def test_answers_in_flight_are_finished_before_it_ends(self) -> None:
        answers: list[dict] = []
        request = threading.Thread(
            target=lambda: answers.append(
                self.ask(prompt="x", max_tokens=200, ignore_eos=True, temperature=1)
            )
        )
        request.start()
        code, output = programs.stop(self.server)
        request.join()
        self.assertEqual(code, 0, output)
        self.assertIn("drained", output)
        self.assertEqual(answers[0]["usage"]["completion_tokens"], 200)

    def test_load_client_counts_answers_and_failures(self) -> None:
        url = f"--url=http://127.0.0.1:{self.port}"
        good = json.loads(programs.run("load/load.py", url, "--seconds=1").stdout)
        self.assertGreater(good["requests"], 10)
        self.assertEqual(good["failed"], 0)
        self.assertGreater(good["p95_ms"], 0)
        nobody = f"--url=http://127.0.0.1:{programs.free_port()}"
        bad = json.loads(programs.run("load/load.py", nobody, "--seconds=0.3").stdout)
        self.assertEqual(bad["failed"], bad["requests"])
        self.assertIn("ConnectionRefusedError", bad["failures"][0]["error"])


class BadModelTest(unittest.TestCase):
    def test_missing_model_is_explained(self) -> None:
        done = programs.run("serve/serve.py", "--model=/nowhere.gguf")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--model: no file /nowhere.gguf", done.stdout)

    def test_engine_that_is_not_installed_is_named(self) -> None:
        done = programs.run("serve/serve.py", f"--model={__file__}", "--engine=vllm", PATH="")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no vllm is installed", done.stdout)


if __name__ == "__main__":
    unittest.main()
