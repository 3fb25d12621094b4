"""Writes parameters as a folder that vLLM and Hugging Face's transformers load: safetensors, configuration, tokenizer."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from model import VOCABULARY, Shape
from weights import SPECIAL_TOKENS, byte_characters

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}


def _name(gguf_name: str) -> str:
    stem = gguf_name.removesuffix(".weight")
    if stem in _TOP_NAMES:
        return f"{_TOP_NAMES[stem]}.weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{_LAYER_NAMES[part]}.weight"


def _pairs_to_halves(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Here a head turns its neighbours (0,1), (2,3), …; there its halves: so the even rows go first."""
    rows, columns = matrix.shape
    by_head = matrix.reshape(heads, rows // heads // 2, 2, columns)
    return by_head.transpose(0, 2, 1, 3).reshape(rows, columns)


def _safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """A length, a JSON header that says where each tensor lies, then the tensors."""
    header, offset = {}, 0
    for name, value in tensors.items():
        end = offset + value.nbytes
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(v.tobytes() for v in tensors.values())


def _configuration(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_base,
        "vocab_size": VOCABULARY,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "float32",
    }


def _tokenizer() -> dict[str, object]:
    vocabulary = {
        token: number for number, token in enumerate([*SPECIAL_TOKENS, *byte_characters()])
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "special": True,
                **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
            }
            for number, token in enumerate(SPECIAL_TOKENS)
        ],
        "pre_tokenizer": {**byte_level, "use_regex": False},
        "decoder": {**byte_level, "use_regex": False},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }


def write_folder(path: Path, shape: Shape, parameters: dict[str, np.ndarray]) -> None:
    """Replaces the folder; readers never see a part of the new one."""
    tensors = {}
    for name, value in parameters.items():
        turned = name.endswith((".attn_q.weight", ".attn_k.weight"))
        value = _pairs_to_halves(value, shape.heads) if turned else value
        tensors[_name(name)] = np.ascontiguousarray(value, np.float32)
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_bytes(_safetensors(tensors))
    for file, content in (
        ("config.json", _configuration(shape)),
        ("tokenizer.json", _tokenizer()),
        (
            "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": SPECIAL_TOKENS[0],
                "eos_token": SPECIAL_TOKENS[1],
                "add_bos_token": False,
            },
        ),
    ):
        (partial / file).write_text(json.dumps(content, indent=2))
    shutil.rmtree(path, ignore_errors=True)
    os.replace(partial, path)
