"""Makes a folder with a tiny Llama model of random weights and its tokenizer: the API is on trial, not the model.

Run as `python tiny_llama.py FOLDER` where `transformers` and `torch` are installed; the same files come out each time.
Pieces of words are likely and loose bytes are not, so the model babbles valid UTF-8 and sometimes stops.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, Final

import torch  # type: ignore[import-not-found]
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # type: ignore[import-not-found]
from transformers import (  # type: ignore[import-not-found]
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

__all__ = ["write_model"]

SEED: Final = 7
CONTROLS: Final = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
END: Final = "<|im_end|>"
SPACE: Final = "Ġ"  # how a byte-level tokenizer writes a space
WORDS: Final = (
    "the and was with code line user text city weather tool system assistant holds entries closed ledger day "
    "answer only which from count separated spaces secret archive exactly nothing else repeat number name "
    "type function object string description parameters required properties celsius fahrenheit"
)


def write_model(folder: Path) -> None:
    """Write the model, whole or not at all."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(unfinished)
    _model(tokenizer).save_pretrained(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _tokenizer() -> Any:
    """A byte-level one that knows each of the words whole, with and without a space before it."""
    raw = Tokenizer(models.BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1_000, special_tokens=[*CONTROLS], initial_alphabet=sorted(alphabet), show_progress=False
    )
    raw.train_from_iterator([WORDS, *WORDS.split()], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token=END,
        pad_token="</s>",
        chat_template=Path(__file__).with_name("tiny.jinja").read_text(encoding="utf-8"),
        clean_up_tokenization_spaces=False,
    )


def _model(tokenizer: Any) -> Any:
    end = tokenizer.convert_tokens_to_ids(END)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,  # vLLM's attention on CPUs takes no less
        max_position_embeddings=8_192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
        _favour(model, _likelihoods(tokenizer))
    return model.float()


def _favour(model: Any, likelihoods: list[float]) -> None:
    """No layer changes the first number of the stream, a constant: its output weight is the bias of a token."""
    model.model.embed_tokens.weight.normal_()
    model.model.embed_tokens.weight[:, 0] = 4
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[0] = 0
        layer.mlp.down_proj.weight[0] = 0
    model.lm_head.weight.mul_(2)
    model.lm_head.weight[:, 0] = torch.tensor(likelihoods)


def _likelihoods(tokenizer: Any) -> list[float]:
    """Bias of each token: only what makes text, rather the end of a string or of the answer than a letter."""
    return [_likelihood(token) for token in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))]


def _likelihood(token: str) -> float:
    if token in CONTROLS:
        return 0.6 if token == END else -10.0
    text = token.removeprefix(SPACE)
    if not text or not text.isascii():
        return -10.0
    if token == '"':
        return 1.0
    return 0.3 if token != text else -0.3


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
