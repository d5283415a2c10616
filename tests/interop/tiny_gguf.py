"""Makes a tiny Llama model with random weights: the API is on trial, not the model.

Run as `python tiny_gguf.py PATH` where the package `gguf` is installed; the same file comes out each time.
Pieces of words are likely and single bytes are not, so the model babbles valid UTF-8 and sometimes stops.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import gguf  # type: ignore[import-not-found]
import numpy as np  # type: ignore[import-not-found]

__all__ = ["write_model"]

SEED: Final = 7
HIDDEN: Final = 64
FEED_FORWARD: Final = 128
LAYERS: Final = 2
HEADS: Final = 4
KV_HEADS: Final = 2
CONTEXT: Final = 8_192

SPACE: Final = "▁"  # how SentencePiece writes a space
CONTROLS: Final = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
WORDS: Final = (
    "the and was with code line user text city weather tool system assistant holds entries closed ledger day "
    "answer only which from count separated spaces secret archive exactly nothing else repeat number name "
    "type function object string description parameters required properties celsius fahrenheit"
)


def write_model(path: Path) -> None:
    """Write the model, whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(unfinished, "llama")
    pieces = _pieces()
    _describe(writer)
    _add_vocabulary(writer, pieces)
    for name, tensor in _weights(pieces).items():
        writer.add_tensor(name, tensor.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)


def _pieces() -> list[str]:
    """Characters, and each word with all its beginnings, without which the tokenizer cannot grow up to it."""
    characters = [chr(code) for code in range(0x21, 0x7F)]
    beginnings = [f"{SPACE}{word[:end]}" for word in WORDS.split() for end in range(1, len(word) + 1)]
    return list(dict.fromkeys([SPACE, *characters, *beginnings]))


def _describe(writer: Any) -> None:
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_chat_template(Path(__file__).with_name("tiny.jinja").read_text(encoding="utf-8"))


def _add_vocabulary(writer: Any, pieces: list[str]) -> None:
    kinds = gguf.TokenType
    octets = [f"<0x{octet:02X}>" for octet in range(256)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*CONTROLS, *octets, *pieces])
    writer.add_token_scores([0.0] * (len(CONTROLS) + 256) + [float(len(piece)) for piece in pieces])
    writer.add_token_types(
        [kinds.UNKNOWN, *[kinds.CONTROL] * 4, *[kinds.BYTE] * 256, *[kinds.NORMAL] * len(pieces)]
    )
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(CONTROLS.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def _weights(pieces: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    size = len(CONTROLS) + 256 + len(pieces)
    kv_width = HIDDEN // HEADS * KV_HEADS

    def random(*shape: int) -> Any:
        return rng.normal(size=shape) / np.sqrt(shape[-1])

    def into_stream(*shape: int) -> Any:
        matrix = random(*shape)
        matrix[0] = 0
        return matrix

    weights = {
        "token_embd.weight": rng.normal(size=(size, HIDDEN)),
        "output_norm.weight": np.ones(HIDDEN),
        "output.weight": 2 * random(size, HIDDEN),
    }
    # No layer changes the first number of the stream, a constant: its output weight is the bias of a token.
    weights["token_embd.weight"][:, 0] = 4
    weights["output.weight"][:, 0] = _likelihoods(pieces)
    for layer in range(LAYERS):
        weights |= {
            f"blk.{layer}.attn_norm.weight": np.ones(HIDDEN),
            f"blk.{layer}.attn_q.weight": random(HIDDEN, HIDDEN),
            f"blk.{layer}.attn_k.weight": random(kv_width, HIDDEN),
            f"blk.{layer}.attn_v.weight": random(kv_width, HIDDEN),
            f"blk.{layer}.attn_output.weight": into_stream(HIDDEN, HIDDEN),
            f"blk.{layer}.ffn_norm.weight": np.ones(HIDDEN),
            f"blk.{layer}.ffn_gate.weight": random(FEED_FORWARD, HIDDEN),
            f"blk.{layer}.ffn_up.weight": random(FEED_FORWARD, HIDDEN),
            f"blk.{layer}.ffn_down.weight": into_stream(HIDDEN, FEED_FORWARD),
        }
    return weights


def _likelihoods(pieces: list[str]) -> Any:
    """Bias of each token: only what makes text, rather the end of a string or of the answer than a letter."""
    text = [1.0 if piece == '"' else 0.3 if piece[0] == SPACE else -0.3 for piece in pieces]
    controls = [0.6 if token == "<|im_end|>" else -10.0 for token in CONTROLS]
    return np.array([*controls, *[-10.0] * 256, *text])


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
