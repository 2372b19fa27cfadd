"""Byte-level tokenizers that the project makes itself: plain bytes, and BPE trained on a sample of the corpus."""

from collections.abc import Iterable
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from icp.errors import ConfigError

TRAINED_SPECIALS = ("<|endoftext|>", "<|begin_of_text|>")
LEAST_TRAINED_IDS = 256 + len(TRAINED_SPECIALS)


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


def train_tokenizer(texts: Iterable[str], n_ids: int) -> str:
    """A byte-level BPE tokenizer learnt from some texts, as the content of a ``tokenizer.json``.

    The same texts give the same bytes, in any order and with any number of threads. Pre-tokenizer: GPT-2's pattern.

    Args:
        texts: the sample.
        n_ids: ids in all: the two specials, the 256 bytes, then merges; fewer where the sample has no more.

    Raises: ConfigError if `n_ids` leaves no room for bytes and specials.
    """
    trained_ids(f"train:{n_ids}")
    inner = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=n_ids,
        special_tokens=list(TRAINED_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer=trainer)
    return str(inner.to_str(pretty=False))


def _byte_level(model: Any, *, pattern: bool = True) -> Any:
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern)
    inner.decoder = decoders.ByteLevel()
    return inner


def bytes_json() -> str:
    """A ``tokenizer.json`` whose ids 0..255 are the bytes and 256 is ``<|endoftext|>``."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + rank) for rank, byte in enumerate(hidden)}
    inner = _byte_level(models.BPE(vocab={letters[byte]: byte for byte in range(256)}, merges=[]), pattern=False)
    inner.add_special_tokens([TRAINED_SPECIALS[0]])
    return str(inner.to_str(pretty=False))
