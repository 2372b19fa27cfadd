"""Text to token ids and back: any Hugging Face ``tokenizer.json``, plain bytes, or a tokenizer trained on the corpus.

In: texts. Out: ids without specials, as one array and offsets. Specials are never added here, and special-token
strings inside a text are encoded as ordinary text: `icp.steps.shards.step` places the ids that `Tokenizer.roles` gives.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.config import TokenizerConfig
from icp.errors import InputError
from icp.texts import Texts, text_buffers
from icp.tokenizer.byte_level import bytes_json, trained_ids
from icp.tokenizer.continuing import joined_characters, leaves_letters
from icp.tokenizer.cutting import PIECE_CHARS, Cuts, cut_text, usable_patterns
from icp.tokenizer.definition import read_definition
from icp.tokenizer.engines import Encoded, Engine, Reference, RefusedTextError
from icp.tokenizer.roles import Roles, resolve_roles
from icp.tokenizer.specials import SpecialFinder
from icp.tokenizer.vocabulary import TokenizerFiles, find_files, read_files


class Tokenizer:
    """A loaded tokenizer.

    Attributes:
        name: ``tokenizer.name`` as configured.
        definition: what its files say.
        text: content of the ``tokenizer.json`` it was made from.
        config_text: content of the ``tokenizer_config.json`` beside it, None where there is none.
        sha256: hash of `text`.
        vocab_size: one more than the largest id, added tokens and specials included.
        specials: the tokens that no text can produce, sorted.
        is_bytes: whether it is ``bytes``, which needs no library.
    """

    def __init__(self, config: TokenizerConfig, files: TokenizerFiles, engine: Engine | None = None) -> None:
        self.name = config.name
        self.text, self.config_text = files.text, files.config_text
        self.sha256 = hashlib.sha256(files.text.encode()).hexdigest()
        self.definition = read_definition(files)
        self.specials = self.definition.specials
        self._config, self._files, self._ids = config, files, self.definition.ids
        self.vocab_size = max(self._ids.values(), default=0) + 1
        self._is_special = np.zeros(self.vocab_size, dtype=np.bool_)
        self._is_special[[self._ids[token] for token in self.specials]] = True
        self._is_special[self.definition.unknown_ids] = False  # text may well hold what the model does not know
        self._finder = SpecialFinder(self.specials)
        self.is_bytes = config.name == "bytes"
        self._engine = engine

    def with_engine(self, engine: Engine) -> "Tokenizer":
        """The same tokenizer with another library to encode."""
        other = copy.copy(self)
        other._engine = engine
        other.__dict__.pop("_cuts", None)  # found with the library before
        return other

    @cached_property
    def reference(self) -> Reference:
        """The library that all others must agree with; loaded when it is first asked for."""
        return Reference(self.definition)

    @property
    def engine(self) -> Engine:
        """The library that encodes."""
        return self._engine or self.reference

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

    def check(self) -> None:
        """Refuse a tokenizer that cannot be used.

        Raises: InputError if the reference cannot read it; ConfigError as `roles` does.
        """
        self.roles()
        if not self.is_bytes:
            _ = self.reference

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

    def encode_batch(self, texts: Sequence[str] | Any) -> Encoded:
        """Token ids of some texts: a sequence of str, or an Arrow array of strings. See `encode`."""
        return self.encode(text_buffers(texts))

    def encode(self, texts: Texts) -> Encoded:
        """Token ids of some texts, without specials, truncation or padding.

        Returns:
            ids: (tokens,) `dtype`, the texts one after another; an empty text gives none.
            offsets: (n + 1,) int64, where each text's ids begin.

        Raises: RefusedTextError if the library fails on one of them, without saying which; see `encode_each`.
        Cost: memory for the ids, and what the library needs for `Engine.block_bytes` of text.
        """
        if self.is_bytes:
            return texts.data.astype(self.dtype), texts.offsets
        lengths = np.zeros(texts.n_docs + 1, dtype=np.int64)
        blocks = [np.empty(0, dtype=self.dtype)]
        for owners, pieces, engine in self._pieces(texts):
            for first, last in _blocks(pieces.offsets, engine.block_bytes):
                ids, offsets = self._checked(engine.encode(pieces.part(first, last)))
                np.add.at(lengths, owners[first:last] + 1, np.diff(offsets))
                blocks.append(ids)
        return np.concatenate(blocks), np.cumsum(lengths)

    def encode_each(self, texts: Texts) -> tuple[Encoded, dict[int, str]]:
        """The same, but a text on which the library fails gives no ids, and its number and the reason are given too.

        Cost: such a text is found by halving: some encodings more of the texts around it.
        """
        try:
            return self.encode(texts), {}
        except RefusedTextError as error:
            if texts.n_docs == 1:
                return (np.empty(0, self.dtype), np.zeros(2, np.int64)), {0: str(error)}
        middle = texts.n_docs // 2
        (ids, offsets), refused = self.encode_each(texts.part(0, middle))
        (more, bounds), others = self.encode_each(texts.part(middle, texts.n_docs))
        refused |= {middle + row: reason for row, reason in others.items()}
        return (np.concatenate([ids, more]), np.concatenate([offsets, offsets[-1] + bounds[1:]])), refused

    def decode(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """The text of ids, (n,) integers below `vocab_size`, specials written out."""
        return self.reference.decode([int(number) for number in ids])

    def count_specials(self, texts: Texts) -> int:
        """How many special-token strings stand in some texts; they are encoded as ordinary text."""
        return self._finder.count(texts)

    @cached_property
    def _cuts(self) -> Cuts:
        tree = json.loads(self.text)
        joined, known = joined_characters(tree) or (None, None)
        if self.definition.byte_ids or tree["model"].get("byte_fallback"):
            known = None  # unknown characters are written one by one
        patterns = usable_patterns(lambda pieces: self._encode_pieces(pieces).tolist())
        return Cuts(patterns, joined, known, letters_only=not leaves_letters(tree))

    def _encode_pieces(self, pieces: Sequence[str]) -> NDArray[Any]:
        """The ids of one text from its pieces."""
        blocks = [self.engine.encode(text_buffers(pieces[:1]))[0]]
        if len(pieces) > 1:
            blocks.append(self.engine.continuing.encode(text_buffers(pieces[1:]))[0])
        return np.concatenate(blocks)

    def _pieces(self, texts: Texts) -> Iterator[tuple[NDArray[np.int64], Texts, Engine]]:
        """Texts with the number of each and what encodes them: runs of them as they are, and long ones in pieces."""
        begin = 0
        for long in [*np.flatnonzero(np.diff(texts.offsets) > 2 * PIECE_CHARS).tolist(), texts.n_docs]:
            if begin < long:
                yield np.arange(begin, long), texts.part(begin, long), self.engine
            if long < texts.n_docs:
                pieces = text_buffers(list(cut_text(texts.part(long, long + 1).strings()[0], self._cuts)))
                yield np.array([long]), pieces.part(0, 1), self.engine
                if pieces.n_docs > 1:
                    yield np.full(pieces.n_docs - 1, long), pieces.part(1, pieces.n_docs), self.engine.continuing
            begin = long + 1

    def _checked(self, encoded: Encoded) -> Encoded:
        ids, offsets = encoded
        # an id beyond the vocabulary is an IndexError here, before it could wrap round
        if self._is_special[ids].any():
            raise RefusedTextError("it gives the id of a special token, which no text may")
        return ids.astype(self.dtype), offsets


def _blocks(offsets: NDArray[np.int64], n_bytes: int) -> Iterator[tuple[int, int]]:
    """Bounds of consecutive texts: a block ends with the text that brings it to `n_bytes`."""
    first, n_texts = 0, offsets.size - 1
    while first < n_texts:
        last = min(int(np.searchsorted(offsets, offsets[first] + n_bytes)), n_texts)
        yield first, max(last, first + 1)
        first = max(last, first + 1)


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
