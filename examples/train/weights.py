"""Writes parameters as a GGUF file that llama.cpp serves."""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import numpy as np
from model import VOCABULARY, Shape

SPECIAL_TOKENS = ("<s>", "</s>")


def byte_characters() -> list[str]:
    """GPT-2's printable stand-in for each byte, in byte order: the spelling llama.cpp expects for byte-level tokens."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = iter(range(0x100, 0x200))
    return [chr(byte) if byte in plain else chr(next(shifted)) for byte in range(256)]


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    characters = byte_characters()
    tokens = [*SPECIAL_TOKENS, *characters]
    types = [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * 256
    assert len(tokens) == VOCABULARY
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    # The format wants at least one merge. This one joins two bytes that never follow each other in UTF-8.
    writer.add_token_merges([f"{characters[0xFE]} {characters[0xFF]}"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)


def write_gguf(path: Path, name: str, shape: Shape, parameters: dict[str, np.ndarray]) -> None:
    """Readers see the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    writer.add_name(name)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_vocabulary(writer)
    for tensor, value in parameters.items():
        writer.add_tensor(tensor, np.ascontiguousarray(value, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(partial, path)
