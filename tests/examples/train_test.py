"""The training example: it learns, it goes on from its checkpoint, its workers agree, and llama.cpp reads what it writes."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import programs

sys.path.insert(0, str(programs.EXAMPLES / "train"))
import checkpoint  # noqa: E402
import harbour  # noqa: E402
import model  # noqa: E402


def _turn_halves(vector: np.ndarray, shape: model.Shape, position: int) -> np.ndarray:
    """Rotary embedding as transformers does it: element i turns with element i + half."""
    heads = vector.reshape(shape.heads, shape.head_width)
    half = shape.head_width // 2
    angle = position * shape.rope_base ** (-np.arange(half) / half)
    left, right = heads[:, :half], heads[:, half:]
    turned = [
        left * np.cos(angle) - right * np.sin(angle),
        right * np.cos(angle) + left * np.sin(angle),
    ]
    return np.concatenate(turned, axis=-1)


class TrainTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="berth-train-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "model.gguf"
        self.checkpoint = self.folder / "state.npz"

    def train(self, *arguments: str, **extra: str) -> str:
        done = programs.run(
            "train/train.py", f"--out={self.out}", *programs.TINY, *arguments, **extra
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_the_text_is_what_its_grammar_writes(self) -> None:
        text = (programs.EXAMPLES / "train" / "harbour.txt").read_text()
        self.assertEqual(text, harbour.text())

    def test_loss_falls(self) -> None:
        output = self.train("--steps=30", "--log-every=30")
        losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", output)]
        self.assertAlmostEqual(losses[0], np.log(model.VOCABULARY), delta=1.0)
        self.assertLess(losses[-1], losses[0] - 1.0)

    def test_resumed_run_ends_as_an_uninterrupted_one(self) -> None:
        steps = "--steps=2000"
        self.train(steps, BERTH_CHECKPOINT_FILE=str(self.checkpoint))
        whole = self.out.read_bytes()
        self.out.unlink()
        self.checkpoint.unlink()

        process = programs.start(
            "train/train.py",
            f"--out={self.out}",
            *programs.TINY,
            steps,
            BERTH_CHECKPOINT_FILE=str(self.checkpoint),
        )
        programs.read_until(process, "step 20/")
        code, output = programs.stop(process)
        self.assertEqual(code, 143, output)
        step = re.search(r"stopped at step (\d+)", output).group(1)

        resumed = self.train(steps, BERTH_CHECKPOINT_FILE=str(self.checkpoint))
        self.assertIn(f"resumed from step {step}\n", resumed)
        self.assertEqual(self.out.read_bytes(), whole)

    def test_sigterm_saves_and_says_that_the_work_is_not_done(self) -> None:
        process = programs.start(
            "train/train.py",
            f"--out={self.out}",
            *programs.TINY,
            "--steps=100000",
            "--log-every=5",
            BERTH_CHECKPOINT_FILE=str(self.checkpoint),
        )
        programs.read_until(process, "step 5/")
        code, output = programs.stop(process)
        self.assertEqual(code, 143, output)
        step = int(re.search(r"stopped at step (\d+)", output).group(1))
        with np.load(self.checkpoint) as saved:
            self.assertEqual(int(saved["step"]), step)
        self.assertFalse(self.out.exists())

    def test_two_workers_train_one_model_and_stop_together(self) -> None:
        gang = {
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": str(programs.free_port()),
            "BERTH_CHECKPOINT_FILE": str(self.checkpoint),
        }
        arguments = [f"--out={self.out}", *programs.TINY, "--steps=100000", "--log-every=5"]
        workers = [
            programs.start("train/train.py", *arguments, JOB_COMPLETION_INDEX=str(index), **gang)
            for index in range(2)
        ]
        programs.read_until(workers[0], "step 5/")
        code, output = programs.stop(workers[1])  # Only one is told.
        self.assertEqual(code, 143, output)
        rest, _ = workers[0].communicate(timeout=60)
        self.assertEqual(workers[0].returncode, 143, rest)
        stopped = re.search(r"stopped at step (\d+)", output).group(0)
        self.assertIn(stopped, rest)

    def test_checkpoint_of_another_model_is_refused(self) -> None:
        checkpoint.save(self.checkpoint, 3, [np.zeros(2)])
        with self.assertRaisesRegex(SystemExit, "another model"):
            checkpoint.load(self.checkpoint, [np.zeros(3)])
        with self.assertRaisesRegex(SystemExit, "not a checkpoint of this model"):
            checkpoint.load(self.checkpoint, [np.zeros(2), np.zeros(2)])

    def test_folder_for_vllm_holds_the_same_model(self) -> None:
        folder = self.folder / "model"
        done = programs.run("train/train.py", f"--out={folder}", *programs.TINY, "--steps=0")
        self.assertEqual(done.returncode, 0, done.stdout)
        raw = (folder / "model.safetensors").read_bytes()
        size = int.from_bytes(raw[:8], "little")
        header, body = json.loads(raw[8 : 8 + size]), raw[8 + size :]

        def tensor(name: str) -> np.ndarray:
            begin, end = header[name]["data_offsets"]
            return np.frombuffer(body[begin:end], np.float32).reshape(header[name]["shape"])

        shape = model.Shape(width=32, layers=1, hidden=96)
        expected = model.random_parameters(shape, seed=1)
        down = tensor("model.layers.0.mlp.down_proj.weight")
        np.testing.assert_array_equal(down, expected["blk.0.ffn_down.weight"])
        # The attention score of two positions is the same in both ways of turning.
        rng = np.random.default_rng(0)
        x = rng.standard_normal((2, shape.width)).astype(np.float32)
        q, k = (
            _turn_halves(x[i] @ tensor(f"model.layers.0.self_attn.{n}_proj.weight").T, shape, at)
            for i, n, at in ((0, "q", 5), (1, "k", 2))
        )
        rotated = [
            np.asarray(
                model._rotate(
                    (x[i] @ expected[f"blk.0.attn_{n}.weight"].T)
                    .reshape(1, 1, shape.heads, shape.head_width)
                    .repeat(6, axis=1),
                    shape.rope_base,
                )
            )[0, at]
            for i, n, at in ((0, "q", 5), (1, "k", 2))
        ]
        scores = (rotated[0] * rotated[1]).sum(axis=-1)
        np.testing.assert_allclose((q * k).sum(axis=-1), scores, rtol=1e-4)

    def test_bad_arguments_are_explained(self) -> None:
        done = programs.run("train/train.py", "--out=x", "--text=/nowhere")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--text: no file /nowhere", done.stdout)
        done = programs.run("train/train.py", "--out=x", "--width=12")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--width: 12 must be a multiple of 8", done.stdout)


if __name__ == "__main__":
    unittest.main()
