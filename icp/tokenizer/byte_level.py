"""A byte-level BPE tokenizer learnt from texts, as the content of a ``tokenizer.json``.

The same texts give the same bytes, in any order: those that the trainer of Hugging Face tokenizers gives, which takes
some ten times as long, as that library writes them.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.errors import ConfigError
from icp.kernels.text_bpe import learn_merges
from icp.kernels.text_gpt2 import bytes_of_words, count_words
from icp.texts import Texts, text_buffers
from icp.tokenizer.characters import character_kinds

TRAINED_SPECIALS = ("<|endoftext|>", "<|begin_of_text|>")
LEAST_TRAINED_IDS = 256 + len(TRAINED_SPECIALS)

_SHOWN = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that byte-level tokenizers write as themselves
_HIDDEN = [byte for byte in range(256) if byte not in _SHOWN]
_CHARACTER = {byte: chr(byte) for byte in _SHOWN} | {byte: chr(256 + rank) for rank, byte in enumerate(_HIDDEN)}
_LETTERS = np.array(sorted(range(256), key=lambda byte: _CHARACTER[byte]), dtype=np.uint8)
"""(256,) uint8: the bytes in the order of their ids."""


def trained_ids(name: str) -> int | None:
    """N of ``train:N``, None for any other name.

    Raises: ConfigError if N is no number, too small, or too large.
    """
    if not name.startswith("train:"):
        return None
    wanted = name.removeprefix("train:")
    if not (wanted.isdecimal() and len(wanted) <= 8) or not LEAST_TRAINED_IDS <= int(wanted) <= 1 << 24:
        raise ConfigError(
            f"tokenizer.name is {name!r}, expected train:N with N from {LEAST_TRAINED_IDS} (the 256 bytes and "
            f"{' '.join(TRAINED_SPECIALS)}) to {1 << 24}, e.g. train:16384"
        )
    return int(wanted)


def train_tokenizer(texts: Iterable[str] | Texts, n_ids: int) -> str:
    """A byte-level BPE tokenizer learnt from some texts, as the content of a ``tokenizer.json``.

    Pre-tokenizer: GPT-2's pattern.

    Args:
        texts: the sample.
        n_ids: ids in all: the two specials, the 256 bytes, then merges; fewer where the sample has no more.

    Raises: ConfigError if `n_ids` leaves no room for bytes and specials.
    Cost: for a sample of 16 MiB half a second; memory for the distinct words, some 30 bytes a byte of theirs.
    """
    trained_ids(f"train:{n_ids}")
    sample = texts if isinstance(texts, Texts) else text_buffers(list(texts))
    symbols, bounds, counts = _words(sample)
    merges = learn_merges(symbols, bounds, counts, _LETTERS, len(TRAINED_SPECIALS), n_ids)
    names = [*TRAINED_SPECIALS, *(_CHARACTER[byte] for byte in _LETTERS.tolist())]
    ranked: dict[tuple[str, str], None] = {}
    for left, right, symbol in merges.tolist():
        pair = names[left], names[right]
        if symbol == len(names):
            names.append("".join(pair))
        ranked.pop(pair, None)  # of a pair that comes twice, the library keeps the last place
        ranked[pair] = None
    vocabulary = {name: number for number, name in enumerate(names)}
    return tokenizer_json(vocabulary, [list(pair) for pair in ranked], specials=TRAINED_SPECIALS, pattern=True)


def bytes_json() -> str:
    """A ``tokenizer.json`` whose ids 0..255 are the bytes and 256 is ``<|endoftext|>``."""
    vocabulary = {_CHARACTER[byte]: byte for byte in range(256)}
    return tokenizer_json(vocabulary, [], specials=TRAINED_SPECIALS[:1], pattern=False)


def tokenizer_json(
    vocabulary: dict[str, int], merges: list[list[str]], *, specials: Iterable[str], pattern: bool
) -> str:
    """A byte-level BPE tokenizer as Hugging Face tokenizers writes it, letter by letter."""
    added = [
        {"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        | {"special": True}
        for number, token in sorted((vocabulary.get(token, len(vocabulary)), token) for token in specials)
    ]
    model: dict[str, Any] = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None}
    model |= {"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    tree = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": _byte_level(add_prefix_space=False, use_regex=pattern),
        "post_processor": None,
        "decoder": _byte_level(add_prefix_space=True, use_regex=True),
        "model": model | {"vocab": vocabulary, "merges": merges},
    }
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


def _byte_level(*, add_prefix_space: bool, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def _words(sample: Texts) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct words as symbols one after another, the bounds of each, and how often it occurs."""
    starts, lengths, counts = count_words(sample.data, sample.offsets, character_kinds())
    bounds = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    symbol_of = np.empty(256, np.int32)
    symbol_of[_LETTERS] = np.arange(256, dtype=np.int32) + len(TRAINED_SPECIALS)
    return bytes_of_words(sample.data, starts, bounds, symbol_of), bounds, counts
