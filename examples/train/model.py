"""A small byte-level Llama in JAX: the shape, the random start, the forward pass, the loss and sampling.

The layout is the one that llama.cpp's `llama` architecture computes (RMS norm, rotary embedding over neighbouring pairs,
SwiGLU), so that weights.py can write the parameters to a GGUF file without changing them.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

# The vocabulary: <s>, </s>, then one token for each byte. Byte b is token b + FIRST_BYTE.
FIRST_BYTE = 2
VOCABULARY = FIRST_BYTE + 256

Parameters = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Shape:
    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 384
    context: int = 256
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def encode(text: bytes) -> np.ndarray:
    return np.frombuffer(text, dtype=np.uint8).astype(np.int32) + FIRST_BYTE


def decode(tokens: list[int]) -> str:
    raw = bytes(token - FIRST_BYTE for token in tokens if token >= FIRST_BYTE)
    return raw.decode("utf-8", errors="replace")


def random_parameters(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    """Parameters by their GGUF tensor names. Matrices are stored [out, in], as GGUF does."""
    rng = np.random.default_rng(seed)
    residual_scale = 1.0 / np.sqrt(2.0 * shape.layers)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
        values = rng.standard_normal((rows, columns)) * (scale / np.sqrt(columns))
        return values.astype(np.float32)

    width, hidden = shape.width, shape.hidden
    parameters = {
        "token_embd.weight": rng.standard_normal((VOCABULARY, width)).astype(np.float32) * 0.02,
        "output_norm.weight": np.ones(width, np.float32),
        "output.weight": matrix(VOCABULARY, width),
    }
    for layer in range(shape.layers):
        parameters |= {
            f"blk.{layer}.attn_norm.weight": np.ones(width, np.float32),
            f"blk.{layer}.attn_q.weight": matrix(width, width),
            f"blk.{layer}.attn_k.weight": matrix(width, width),
            f"blk.{layer}.attn_v.weight": matrix(width, width),
            f"blk.{layer}.attn_output.weight": matrix(width, width, residual_scale),
            f"blk.{layer}.ffn_norm.weight": np.ones(width, np.float32),
            f"blk.{layer}.ffn_gate.weight": matrix(hidden, width),
            f"blk.{layer}.ffn_up.weight": matrix(hidden, width),
            f"blk.{layer}.ffn_down.weight": matrix(width, hidden, residual_scale),
        }
    return parameters


def parameter_count(parameters: Parameters) -> int:
    return sum(int(np.prod(value.shape)) for value in parameters.values())


def _norm(x: jax.Array, weight: jax.Array, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def _rotate(x: jax.Array, base: float) -> jax.Array:
    """Rotary embedding of [batch, time, heads, head_width] over the pairs (0,1), (2,3), …"""
    time, width = x.shape[1], x.shape[3]
    frequency = base ** (-jnp.arange(0, width, 2) / width)
    angle = jnp.arange(time)[:, None] * frequency[None, :]
    cosine, sine = jnp.cos(angle)[None, :, None, :], jnp.sin(angle)[None, :, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = jnp.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
    return turned.reshape(x.shape)


def _attention(p: Parameters, prefix: str, x: jax.Array, shape: Shape) -> jax.Array:
    batch, time, _ = x.shape

    def heads(name: str) -> jax.Array:
        projected = x @ p[f"{prefix}.{name}.weight"].T
        return projected.reshape(batch, time, shape.heads, shape.head_width)

    q = _rotate(heads("attn_q"), shape.rope_base)
    k = _rotate(heads("attn_k"), shape.rope_base)
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(shape.head_width)
    causal = jnp.tril(jnp.ones((time, time), bool))
    weights = jax.nn.softmax(jnp.where(causal, scores, -1e30), axis=-1)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, heads("attn_v")).reshape(batch, time, -1)
    return mixed @ p[f"{prefix}.attn_output.weight"].T


def _feed_forward(p: Parameters, prefix: str, x: jax.Array) -> jax.Array:
    gate = jax.nn.silu(x @ p[f"{prefix}.ffn_gate.weight"].T)
    return (gate * (x @ p[f"{prefix}.ffn_up.weight"].T)) @ p[f"{prefix}.ffn_down.weight"].T


def logits(p: Parameters, tokens: jax.Array, shape: Shape) -> jax.Array:
    """[batch, time] tokens to [batch, time, VOCABULARY] scores of the token that follows."""
    x = p["token_embd.weight"][tokens]
    for layer in range(shape.layers):
        prefix = f"blk.{layer}"
        norm = _norm(x, p[f"{prefix}.attn_norm.weight"], shape.norm_epsilon)
        x = x + _attention(p, prefix, norm, shape)
        norm = _norm(x, p[f"{prefix}.ffn_norm.weight"], shape.norm_epsilon)
        x = x + _feed_forward(p, prefix, norm)
    return _norm(x, p["output_norm.weight"], shape.norm_epsilon) @ p["output.weight"].T


def loss(p: Parameters, tokens: jax.Array, shape: Shape) -> jax.Array:
    """Mean cross-entropy, in nats a byte, of each token given those before it."""
    scores = jax.nn.log_softmax(logits(p, tokens[:, :-1], shape), axis=-1)
    return -jnp.mean(jnp.take_along_axis(scores, tokens[:, 1:, None], axis=-1))


def sample(
    parameters: dict[str, np.ndarray],
    shape: Shape,
    prompt: str,
    length: int,
    temperature: float = 0.5,
) -> str:
    """Continues the prompt, on this process alone. Runs the full window a token: fine for a line of text."""
    score = jax.jit(functools.partial(logits, shape=shape))
    rng = np.random.default_rng(0)
    tokens = encode(prompt.encode()).tolist()
    for _ in range(length):
        window = tokens[-shape.context :]
        padded = np.zeros((1, shape.context), np.int32)
        padded[0, : len(window)] = window
        row = np.asarray(score(parameters, padded))[0, len(window) - 1].astype(np.float64)
        chances = np.exp((row - row.max()) / temperature)
        tokens.append(int(rng.choice(VOCABULARY, p=chances / chances.sum())))
    return decode(tokens)
