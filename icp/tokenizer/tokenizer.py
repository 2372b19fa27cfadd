"""Text to token ids and back: any Hugging Face ``tokenizer.json``, plain bytes, or a tokenizer trained on the corpus.

In: texts. Out: ids without specials, as one array and offsets. Specials are never added here, and special-token
strings inside a text are encoded as ordinary text: `icp.steps.shards.step` places the ids that `Tokenizer.roles` gives.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers, trainers

from icp.config import TokenizerConfig
from icp.errors import ConfigError, InputError
from icp.tokenizer.cutting import CutRule, cut_text, usable_rules
from icp.tokenizer.vocabulary import Roles, TokenizerFiles, find_files, read_files, resolve_roles

TRAINED_SPECIALS = ("<|endoftext|>", "<|begin_of_text|>")
LEAST_TRAINED_IDS = 256 + len(TRAINED_SPECIALS)
GROUP_CHARS = 1 << 20  # given to the tokenizer at once: it needs some hundred bytes a character


class Tokenizer:
    """A loaded tokenizer.

    Attributes:
        name: ``tokenizer.name`` as configured.
        text: content of the ``tokenizer.json`` it was made from.
        config_text: content of the ``tokenizer_config.json`` beside it, None where there is none.
        sha256: hash of `text`.
        vocab_size: one more than the largest id, added tokens and specials included.
        specials: the tokens that no text can produce, sorted.
    """

    def __init__(self, config: TokenizerConfig, files: TokenizerFiles) -> None:
        self.name = config.name
        self.text, self.config_text = files.text, files.config_text
        self.sha256 = hashlib.sha256(files.text.encode()).hexdigest()
        self._config, self._files = config, files
        self._inner = _parse(files)
        self._ids = files.declared_ids() | self._inner.get_vocab(with_added_tokens=True)
        self.vocab_size = max(self._ids.values(), default=0) + 1
        self.specials = _make_special(self._inner, files, self._ids)
        self._is_special = np.zeros(self.vocab_size, dtype=np.bool_)
        self._is_special[[self._ids[token] for token in self.specials]] = True
        self._is_special[files.unknown_ids(self._ids)] = False  # text may well hold what the model does not know
        longest_first = sorted(self.specials, key=lambda token: (-len(token), token))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._rules: list[CutRule] | None = None
        self._plain_bytes = config.name == "bytes"

    @property
    def dtype(self) -> np.dtype[Any]:
        """``uint16`` if every id fits, else ``uint32``; little-endian on disk."""
        return np.dtype("<u2" if self.vocab_size <= 1 << 16 else "<u4")

    def roles(self) -> Roles:
        """The ids of bos, eos and pad under the configured policy.

        Raises: ConfigError if one is missing, unknown, ambiguous, or an ordinary token.
        """
        wanted = self._config
        names = {"bos": wanted.bos, "eos": wanted.eos, "pad": wanted.pad}
        return resolve_roles(self._files, self._ids, specials=self.specials, **names)

    @property
    def bos_id(self) -> int | None:
        """Id of the token before a document or row; None if ``tokenizer.bos`` is none."""
        return self.roles().bos_id

    @property
    def eos_id(self) -> int | None:
        """Id of the token after a document; None if ``tokenizer.eos`` is none."""
        return self.roles().eos_id

    @property
    def pad_id(self) -> int:
        """Id that fills the end of a window."""
        return self.roles().pad_id

    def encode_batch(self, texts: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Token ids of some texts, without specials, truncation or padding.

        Returns:
            ids: (tokens,) `dtype`, the texts one after another; an empty text gives none.
            offsets: (len(texts) + 1,) int64, where each text's ids begin.

        Cost: memory for the ids, and for `GROUP_CHARS` characters inside the tokenizer.
        """
        lengths = np.zeros(len(texts) + 1, dtype=np.int64)
        if self._plain_bytes:
            encoded = [text.encode() for text in texts]
            lengths[1:] = [len(item) for item in encoded]
            return np.frombuffer(b"".join(encoded), dtype=np.uint8).astype(self.dtype), np.cumsum(lengths)
        blocks = [np.empty(0, dtype=self.dtype)]
        for owners, pieces in self._groups(texts):
            for owner, ids in zip(owners, self._encode(pieces), strict=True):
                lengths[owner + 1] += ids.size
                blocks.append(ids)
        return np.concatenate(blocks), np.cumsum(lengths)

    def decode(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """The text of some ids, specials written out."""
        return str(self._inner.decode([int(number) for number in ids], skip_special_tokens=False))

    def count_specials(self, texts: Iterable[str]) -> int:
        """How many special-token strings stand in some texts; they are encoded as ordinary text."""
        return sum(len(self._pattern.findall(text)) for text in texts)

    def _groups(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
        owners: list[int] = []
        pieces: list[str] = []
        held = 0
        for owner, text in enumerate(texts):
            for piece in self._pieces(text):
                owners.append(owner)
                pieces.append(piece)
                held += len(piece)
                if held >= GROUP_CHARS:
                    yield owners, pieces
                    owners, pieces, held = [], [], 0
        if pieces:
            yield owners, pieces

    def _pieces(self, text: str) -> Iterator[str]:
        if self._rules is None:
            self._rules = usable_rules(lambda sample: self._encode([sample])[0].tolist())
        return cut_text(text, self._rules)

    def _encode(self, pieces: Sequence[str]) -> list[NDArray[Any]]:
        encodings = self._inner.encode_batch_fast(list(pieces), add_special_tokens=False)
        # numpy refuses an id that does not fit the type, so none can wrap around
        blocks = [np.asarray(encoding.ids, dtype=self.dtype) for encoding in encodings]
        for place, ids in enumerate(blocks):
            if ids.size and self._is_special[ids].any():
                blocks[place] = self._encode_halves(pieces[place], ids)
        return blocks

    def _encode_halves(self, piece: str, ids: NDArray[Any]) -> NDArray[Any]:
        # some models hold their specials as ordinary entries too: cut such a string in two, and it is out of reach
        if len(piece) < 2:
            return ids
        found = [match.start() for match in self._pattern.finditer(piece) if len(match.group()) > 1]
        middle = found[len(found) // 2] + 1 if found else len(piece) // 2
        return np.concatenate(self._encode([piece[:middle], piece[middle:]]))


def load_tokenizer(config: TokenizerConfig, *, trained: Path | None = None) -> Tokenizer:
    """The tokenizer that ``tokenizer.name`` means.

    Args:
        config: the name, and the roles for later.
        trained: a ``tokenizer.json`` that takes the place of the name: what `train_tokenizer` gave, or the copy that
            a run keeps in its tokens folder.

    Raises: ConfigError for a name such as ``train:x`` or ``train:12``; InputError if the files are missing or broken.
    """
    n_ids = trained_ids(config.name)
    if trained is not None:
        return Tokenizer(config, read_files(trained, where=config.name))
    if n_ids is not None:
        raise InputError(f"tokenizer.name: {config.name} has to be trained on the corpus first; run `icp pack`")
    if config.name == "bytes":
        return Tokenizer(config, TokenizerFiles(_bytes_json(), None, "bytes"))
    return Tokenizer(config, find_files(config.name))


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


def _bytes_json() -> str:
    """A ``tokenizer.json`` whose ids 0..255 are the bytes and 256 is ``<|endoftext|>``."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + rank) for rank, byte in enumerate(hidden)}
    inner = _byte_level(models.BPE(vocab={letters[byte]: byte for byte in range(256)}, merges=[]), pattern=False)
    inner.add_special_tokens([TRAINED_SPECIALS[0]])
    return str(inner.to_str(pretty=False))


def _parse(files: TokenizerFiles) -> Any:
    try:
        inner = tokenizers.Tokenizer.from_str(files.text)
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise InputError(
            f"tokenizer.name: {files.where} is no tokenizer of Hugging Face tokenizers ({error})"
        ) from None
    inner.no_truncation()
    inner.no_padding()
    if getattr(inner.model, "dropout", None):
        inner.model.dropout = None  # it would draw other ids at every call
    return inner


def _make_special(inner: Any, files: TokenizerFiles, ids: dict[str, int]) -> list[str]:
    """Mark every token that has a role by name as special, so that no text can produce it; all specials, sorted."""
    known = inner.get_vocab(with_added_tokens=True)
    marked = {token.content for token in inner.get_added_tokens_decoder().values() if token.special}
    named = files.named_tokens() & ids.keys()
    inner.add_special_tokens(sorted((named & known.keys()) - marked))
    inner.encode_special_tokens = True
    return sorted(marked | named)
