"""Trains a small Llama on a text, data-parallel over the workers of a gang, and writes it as a GGUF file (or as a folder for vLLM).

    python train.py --out model.gguf              one process
    WORLD_SIZE=2 JOB_COMPLETION_INDEX=0 MASTER_ADDR=train-0.train python train.py --out …     worker 0 of 2

The worker's place comes from the environment, as a Kubernetes Job sets it. Worker 0 is where the others meet.
The state is saved to $BERTH_CHECKPOINT_FILE every few steps and on SIGTERM; a later start goes on from there.
A run that was stopped exits with 143, so that the Job knows that the work is not done.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoint
import jax
import model
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from model import Shape
from transformers_folder import write_folder
from weights import write_gguf

STOPPED = 128 + signal.SIGTERM
PROMPT = "The harbour master"


def say(message: str) -> None:
    print(message, flush=True)


def wait_for_name(host: str, limit_s: float = 120) -> None:
    """A worker's name is known once its pod has an address, which may be a moment after ours."""
    end = time.monotonic() + limit_s
    while True:
        try:
            socket.getaddrinfo(host, None)
            return
        except socket.gaierror as error:
            if time.monotonic() > end:
                raise SystemExit(f"train.py: nobody is called {host}: {error}") from error
            time.sleep(0.1)


def join_gang() -> tuple[int, int]:
    """(this worker, number of workers). Waits until every worker of the gang is there."""
    workers = int(os.environ.get("WORLD_SIZE", "1"))
    worker = int(os.environ.get("JOB_COMPLETION_INDEX", "0"))
    if workers > 1:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ.get('MASTER_PORT', '29500')}"
        say(f"worker {worker} of {workers}: meeting at {address}")
        wait_for_name(address.rpartition(":")[0])
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        # Worker 0 listens on all addresses: its own name may resolve to loopback inside its network namespace.
        jax.distributed.initialize(
            coordinator_address=address,
            num_processes=workers,
            process_id=worker,
            coordinator_bind_address=f"0.0.0.0:{address.rpartition(':')[2]}",
        )
        say(f"worker {worker} of {workers}: all are here")
    return worker, workers


def batches(text: np.ndarray, step: int, worker: int, rows: int, length: int) -> np.ndarray:
    """This worker's rows of the step. Depends on nothing else, so a resumed run sees what it would have seen."""
    rng = np.random.default_rng([step, worker])
    starts = rng.integers(0, len(text) - length - 1, size=rows)
    return np.stack([text[start : start + length + 1] for start in starts])


def make_step(
    shape: Shape, optimizer: optax.GradientTransformation, mesh: Mesh
) -> Callable[..., Any]:
    """One training step over all workers: each has its own rows, and the gradients meet in one collective.

    What meets is one vector (gradients, loss, "was I asked to stop"), as a message costs more than its bytes here.
    All workers therefore learn in the same step that one of them has to stop, and stop together.
    """

    def step(state: Any, tokens: jax.Array, stop: jax.Array) -> tuple[Any, jax.Array, jax.Array]:
        parameters, optimizer_state = state
        value, gradient = jax.value_and_grad(model.loss)(parameters, tokens, shape)
        vector, unravel = ravel_pytree((gradient, value, stop))
        gradient, value, stop = unravel(jax.lax.pmean(vector, "worker"))
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, parameters)
        return (optax.apply_updates(parameters, updates), optimizer_state), value, stop[0]

    mine, same = PartitionSpec("worker"), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            step, mesh=mesh, in_specs=(same, mine, mine), out_specs=same, check_vma=False
        ),
        donate_argnums=(0,),
    )


def initial_state(
    args: argparse.Namespace, optimizer: optax.GradientTransformation
) -> tuple[int, Any]:
    """The step to go on from and the state there: of the checkpoint where there is one, else random."""
    parameters = model.random_parameters(args.shape, args.seed)
    state = (parameters, optimizer.init(parameters))
    found = checkpoint.load(args.checkpoint, state) if args.checkpoint else None
    return found if found else (0, state)


def train(args: argparse.Namespace, worker: int, workers: int) -> tuple[Any, bool]:
    """(state, whether all steps were done)."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0,
        args.learning_rate,
        max(1, args.steps // 10),
        max(2, args.steps),
        args.learning_rate / 20,
    )
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.95))
    mesh = Mesh(np.array(jax.devices()), ("worker",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    by_worker = NamedSharding(mesh, PartitionSpec("worker"))

    first, state = initial_state(args, optimizer)
    if workers > 1:  # Worker 0's state counts: all have to start from the same.
        first, state = multihost_utils.broadcast_one_to_all((np.int64(first), state))
        first = int(first)
    state = jax.device_put(state, everywhere)
    if first:
        say(f"resumed from step {first}")

    asked_to_stop = np.zeros(1, np.float32)
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.fill(1))
    signal.signal(signal.SIGINT, lambda *_: asked_to_stop.fill(1))

    text = model.encode(args.text.read_bytes())
    run_step = make_step(args.shape, optimizer, mesh)
    since, since_step = time.monotonic(), first
    for step in range(first, args.steps):
        tokens = batches(text, step, worker, args.batch, args.length)
        state, value, stop = run_step(
            state,
            jax.make_array_from_process_local_data(by_worker, tokens),
            jax.make_array_from_process_local_data(by_worker, asked_to_stop.copy()),
        )
        done = step + 1
        stopping = bool(stop > 0) and done < args.steps
        last = done == args.steps or stopping
        if worker == 0 and (step == first or done % args.log_every == 0 or last):
            speed = (done - since_step) * workers * args.batch * args.length
            seconds = time.monotonic() - since
            say(f"step {done}/{args.steps} loss {float(value):.3f} bytes/s {speed / seconds:.0f}")
            since, since_step = time.monotonic(), done
        if worker == 0 and args.checkpoint and (done % args.checkpoint_every == 0 or last):
            checkpoint.save(args.checkpoint, done, state)
            say(f"checkpoint at step {done}")
        if stopping:
            say(f"stopped at step {done} of {args.steps}, as asked")
            return state, False
    return state, True


def finish(args: argparse.Namespace, state: Any) -> None:
    trained = {name: np.asarray(value) for name, value in state[0].items()}
    if args.out.suffix == ".gguf":
        write_gguf(args.out, args.name, args.shape, trained)
    else:
        write_folder(args.out, args.shape, trained)
    say(f"wrote {args.out}")
    if args.sample:
        before = model.random_parameters(args.shape, args.seed)
        say(f"sample before: {model.sample(before, args.shape, PROMPT, args.sample)!r}")
        say(f"sample after: {model.sample(trained, args.shape, PROMPT, args.sample)!r}")


def parse(argv: list[str] | None) -> argparse.Namespace:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="NAME.gguf, or a folder for vLLM")
    parser.add_argument("--text", type=Path, default=here / "harbour.txt", help="text to train on")
    parser.add_argument("--name", default="harbour", help="name of the model")
    parser.add_argument("--steps", type=int, default=200, help="0 writes the random start")
    parser.add_argument("--batch", type=int, default=4, help="rows a worker and step")
    parser.add_argument("--length", type=int, default=128, help="bytes a row")
    parser.add_argument("--width", type=int, default=Shape.width)
    parser.add_argument("--layers", type=int, default=Shape.layers)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--checkpoint-every", type=int, default=40)
    parser.add_argument("--sample", type=int, default=0, help="bytes to sample before and after")
    args = parser.parse_args(argv)
    if args.width % Shape.heads or (args.width // Shape.heads) % 2:
        parser.error(f"--width: {args.width} must be a multiple of {2 * Shape.heads}")
    if not args.text.is_file():
        parser.error(f"--text: no file {args.text}")
    args.shape = Shape(width=args.width, layers=args.layers, hidden=3 * args.width)
    path = os.environ.get("BERTH_CHECKPOINT_FILE")
    args.checkpoint = Path(path) if path else None
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    worker, workers = join_gang()
    if worker == 0:
        count = model.parameter_count(model.random_parameters(args.shape, args.seed))
        say(f"training {count / 1e6:.2f}M parameters on {args.text.name} with {workers} worker(s)")
    state, finished = train(args, worker, workers)
    if not finished:
        return STOPPED
    if worker == 0:
        finish(args, state)
    if workers > 1:
        jax.distributed.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
