"""Training state on disk: written whole or not at all, so that a job may be stopped at any instant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np


def save(path: Path, step: int, state: Any) -> None:
    """`state` is any tree of arrays. Only its leaves are stored: load() is given a tree of the same form."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        np.savez(file, step=np.int64(step), **{f"leaf{i}": leaf for i, leaf in enumerate(leaves)})
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path: Path, like: Any) -> tuple[int, Any] | None:
    """The step and state saved there, or None where there is no checkpoint yet."""
    if not path.exists():
        return None
    expected, form = jax.tree.flatten(like)
    with np.load(path) as file:
        if len(file.files) != len(expected) + 1:
            raise SystemExit(f"{path}: not a checkpoint of this model; remove it to start again")
        leaves = [file[f"leaf{i}"] for i in range(len(expected))]
        step = int(file["step"])
    for found, wanted in zip(leaves, expected, strict=True):
        if found.shape != np.shape(wanted):
            raise SystemExit(f"{path}: made for another model shape; remove it to start again")
    return step, jax.tree.unflatten(form, leaves)
