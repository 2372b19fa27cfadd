"""What encodes: one way to ask Hugging Face tokenizers 0.2x and 1.0, the reference for all other libraries.

In: UTF-8 texts in one buffer. Out: ids in one array, and where those of each text begin. Special tokens are never added
or looked for.
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tokenizers
from numpy.typing import NDArray

from icp.errors import InputError
from icp.failures import first_line, pass_on
from icp.texts import Texts
from icp.tokenizer.definition import Definition, no_tokenizer

Encoded = tuple[NDArray[Any], NDArray[np.int64]]


class RefusedTextError(InputError):
    """A library failed on some texts; it does not say on which."""


class Engine(Protocol):
    """What encodes.

    Attributes:
        name: library and version.
        block_bytes: text to give at once.
    """

    name: str
    block_bytes: int

    def encode(self, texts: Texts) -> Encoded:
        """Ids, (n_tokens,) of any integer type, and (n + 1,) int64, where those of each text begin.

        Raises: RefusedTextError if the library fails on one of them.
        """
        ...

    @property
    def continuing(self) -> "Engine":
        """The same for pieces that continue a text."""
        ...


class Reference:
    """Hugging Face tokenizers, 0.2x or 1.0."""

    def __init__(self, definition: Definition) -> None:
        self.name = f"tokenizers {tokenizers.__version__}"
        self.block_bytes = (1 << 20) // definition.growth  # it needs some hundred bytes a character
        self._definition = definition
        # the library keeps what it made of words with the thread, for each tokenizer, until the thread ends: this one
        # ends with its engine, the main thread with the process
        self._thread = ThreadPoolExecutor(1)
        self._is_new = not hasattr(tokenizers.Tokenizer, "from_str")
        unknown, as_bytes = definition.unknown_ids, definition.byte_ids
        self._spelled = _Spelled(unknown[0], as_bytes) if unknown and as_bytes and not self._is_new else None
        # 1.0 does not say which characters an unknown token stands for, so there a text may hold a piece for a byte
        self.inner = self._load(definition.bytes_json if self._is_new and as_bytes else definition.encoding_json)

    def _load(self, text: str) -> Any:
        try:
            inner = _load(text)
        except BaseException as error:  # noqa: BLE001 - it raises nothing narrower, and panics are no Exceptions
            pass_on(error)
            raise no_tokenizer(self._definition.files, error) from None
        if not self._is_new:
            inner.encode_special_tokens = True
        return inner

    @cached_property
    def continuing(self) -> "Reference":
        """See `Engine.continuing`."""
        other = self._definition.continuing
        return self if other is self._definition else type(self)(other)

    def encode(self, texts: Texts) -> Encoded:
        """See `Engine.encode`."""
        try:
            return joined(self._thread.submit(self._encode, texts.strings()).result())
        except BaseException as error:  # noqa: BLE001 - panics of Rust are no Exceptions
            pass_on(error)
            raise RefusedTextError(first_line(error)) from None

    def _encode(self, strings: list[str]) -> list[NDArray[Any]]:
        if self._is_new:
            options = {"add_special_tokens": False, "encode_special_tokens": True}
            return [found.ids_array for found in self.inner.encode_batch(strings, **options)]
        found = self.inner.encode_batch_fast(strings, add_special_tokens=False)
        if self._spelled is None:
            return [np.asarray(encoding.ids, dtype=np.uint32) for encoding in found]
        ids = (np.asarray(encoding.ids, dtype=np.uint32) for encoding in found)
        return [self._spell(self._spelled, row, text) for row, text in zip(ids, strings, strict=True)]

    def _spell(self, spelled: "_Spelled", ids: NDArray[np.uint32], text: str) -> NDArray[np.uint32]:
        if not spelled.unknown_in(ids):
            return ids
        return spelled.ids(self.inner.encode(text, add_special_tokens=False))  # the fast way keeps no characters

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, specials written out."""
        return str(self._decoder.decode([int(number) for number in ids], skip_special_tokens=False))

    @cached_property
    def _decoder(self) -> Any:
        return self._load(self._definition.marked_json) if self._definition.hidden else self.inner


class _Spelled:
    """Unknown characters as bytes, for Unigram models whose pieces for bytes are out of reach (`hiding`)."""

    def __init__(self, unknown: int, as_bytes: Sequence[int]) -> None:
        self._unknown, self._as_bytes = unknown, np.array(as_bytes, dtype=np.uint32)

    def unknown_in(self, ids: NDArray[np.uint32]) -> bool:
        """Whether there are any."""
        return bool((ids == self._unknown).any())

    def ids(self, encoding: Any) -> NDArray[np.uint32]:
        """The ids of an encoding; an unknown token holds its characters."""
        ids = np.asarray(encoding.ids, dtype=np.uint32)
        tokens, blocks, begin = encoding.tokens, [], 0
        for place in np.flatnonzero(ids == self._unknown).tolist():
            letters = np.frombuffer(tokens[place].encode(), np.uint8)
            blocks += [ids[begin:place], self._as_bytes[letters]]
            begin = place + 1
        return np.concatenate([*blocks, ids[begin:]])


def _load(text: str) -> Any:
    if hasattr(tokenizers.Tokenizer, "from_str"):
        return tokenizers.Tokenizer.from_str(text)
    with tempfile.TemporaryDirectory(prefix="icp-tokenizer-") as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(text, encoding="utf-8")
        return tokenizers.Tokenizer.from_file(path)


def joined(blocks: Sequence[NDArray[Any]]) -> Encoded:
    """The ids of n texts, an array of each, in one: (tokens,); and (n + 1,) int64, where those of each begin."""
    offsets = np.zeros(len(blocks) + 1, dtype=np.int64)
    np.cumsum([block.size for block in blocks], out=offsets[1:])
    return np.concatenate([np.empty(0, dtype=np.uint32), *blocks]), offsets
