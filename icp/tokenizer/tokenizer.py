"""Text to token ids and back: any Hugging Face ``tokenizer.json``, plain bytes, or a tokenizer trained on the corpus.

In: texts. Out: ids without specials, as one array and offsets. Specials are never added here, and special-token
strings inside a text are encoded as ordinary text: `icp.steps.shards.step` places the ids that `Tokenizer.roles` gives.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tokenizers
from numpy.typing import NDArray

from icp.config import TokenizerConfig
from icp.errors import InputError
from icp.tokenizer.byte_level import bytes_json, trained_ids
from icp.tokenizer.cutting import CutRule, cut_text, usable_rules
from icp.tokenizer.vocabulary import Roles, TokenizerFiles, find_files, read_files, resolve_roles

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
        added: the strings of all added tokens, specials among them.
        is_bytes: whether it is ``bytes``, which needs no library.
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
        self.is_bytes = config.name == "bytes"
        self.added = frozenset(self.specials) | {
            token.content for token in self._inner.get_added_tokens_decoder().values()
        }

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
        if self.is_bytes:
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

    def count_specials(self, texts: pa.StringArray) -> int:
        """How many special-token strings stand in some texts; they are encoded as ordinary text."""
        if not self.specials:
            return 0
        holding = texts.filter(pc.match_substring_regex(texts, self._pattern.pattern))
        return sum(len(self._pattern.findall(text)) for text in holding.to_pylist())

    def _groups(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
        owners: list[int] = []
        pieces: list[str] = []
        held = 0
        for owner, text in enumerate(texts):
            for piece in self.pieces(text):
                owners.append(owner)
                pieces.append(piece)
                held += len(piece)
                if held >= GROUP_CHARS:
                    yield owners, pieces
                    owners, pieces, held = [], [], 0
        if pieces:
            yield owners, pieces

    def pieces(self, text: str) -> Iterator[str]:
        """The pieces in which a long text is encoded, with the same ids as the whole."""
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
        return Tokenizer(config, TokenizerFiles(bytes_json(), None, "bytes"))
    return Tokenizer(config, find_files(config.name))


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
