"""A faster engine behind a tokenizer, where it gives the same ids as the reference library.

In: texts as an Arrow array. Out: one array of ids and where each text's begin. The reference is the library that
defines ``tokenizer.json`` (`tokenizers`); `gigatoken` reads the same file and encodes byte-level BPE and SentencePiece
BPE some thirty times faster. It is used for a tokenizer only after it gave the ids of the reference on a sample of the
corpus at hand, and never for a text that holds the string of an added token: what such strings mean, the reference
decides.
"""

import json
import logging
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.tokenizer.tokenizer import Tokenizer

REFERENCE, FAST = "tokenizers", "gigatoken"
LONG_BYTES = 1 << 17
"""Longer texts are cut first, as the reference cuts them."""
BLOCK_BYTES = 1 << 23
"""Texts given to the engine at once: their ids take a few bytes a byte."""
LONGEST_PATTERN = 1 << 17
GROWTH_BYTES = 160 << 20
"""The engine keeps every word it has seen, so it is replaced by a new one when the process has grown by this much."""
log = logging.getLogger("icp")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which engine encodes, and why.

    Attributes:
        engine: `REFERENCE` or `FAST`, with its version behind a space.
        reason: what was compared, or what differed.
    """

    engine: str
    reason: str

    @property
    def is_fast(self) -> bool:
        """Whether the engine is `FAST`."""
        return self.engine.startswith(FAST)


def choose_engine(tokenizer: Tokenizer, texts: pa.StringArray) -> Choice:
    """The fastest engine that encodes a sample of the corpus as the reference does.

    Args:
        tokenizer: to be used.
        texts: (n,) the sample.
    """
    reference = f"{REFERENCE} {version(REFERENCE)}"
    if tokenizer.is_bytes:
        return Choice(reference, "bytes need no library")
    try:
        name = f"{FAST} {version(FAST)}"
        engine = FastEngine(tokenizer)
    except (PackageNotFoundError, ImportError) as error:
        return Choice(reference, f"{FAST} is not installed ({error})")
    except UnsupportedError as error:
        return Choice(reference, f"{FAST} does not know this tokenizer ({error})")
    expected, bounds = tokenizer.encode_batch(texts.to_pylist())
    try:
        ids, offsets = engine.encode(texts)
    except Exception as error:  # noqa: BLE001 - a library in Rust raises what it likes
        return Choice(reference, f"{FAST} failed on the sample ({type(error).__name__}: {error})")
    if np.array_equal(offsets, bounds) and np.array_equal(ids, expected):
        return Choice(name, f"{len(texts):,} documents of the corpus gave the ids of {reference}")
    different = sum(
        not np.array_equal(ids[offsets[k] : offsets[k + 1]], expected[bounds[k] : bounds[k + 1]])
        for k in range(len(texts))
    )
    return Choice(reference, f"{FAST} gave other ids for {different:,} of {len(texts):,} documents of the corpus")


class Encoder(Protocol):
    """What encodes texts."""

    def encode(self, texts: pa.StringArray, /) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Ids of some texts one after another, and where each text's begin; see `FastEngine.encode`."""
        ...


class ReferenceEngine:
    """The reference library behind the same method."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: pa.StringArray) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """See `FastEngine.encode`."""
        return self._tokenizer.encode_batch(texts.to_pylist())


def encoder_of(tokenizer: Tokenizer, engine: str) -> Encoder:
    """The engine that was chosen; the reference where this machine lacks it, which gives the same ids."""
    if not engine.startswith(FAST):
        return ReferenceEngine(tokenizer)
    try:
        return FastEngine(tokenizer)
    except (ImportError, UnsupportedError) as error:
        log.warning("%s cannot be used here (%s); the reference library encodes instead", engine, error)
        return ReferenceEngine(tokenizer)


class UnsupportedError(Exception):
    """The engine cannot read a tokenizer."""


class FastEngine:
    """`gigatoken` over one tokenizer; texts that hold an added token go to the reference.

    Raises: UnsupportedError if it cannot read the tokenizer; ImportError where it is not installed.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._text = _without_added(tokenizer.text)
        longest_first = sorted(tokenizer.added, key=lambda token: (-len(token), token))
        self._added = "|".join(re.escape(token) for token in longest_first if token)
        if len(self._added) > LONGEST_PATTERN:
            raise UnsupportedError(f"{len(longest_first):,} added tokens are too many to look for in every text")
        self._load()

    def encode(self, texts: pa.StringArray) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Token ids of some texts, without specials.

        Returns:
            ids: (tokens,) of the tokenizer's dtype, the texts one after another.
            offsets: (len(texts) + 1,) int64, where each text's ids begin.
        """
        sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
        special = sizes > LONG_BYTES
        if self._added:
            special |= pc.match_substring_regex(texts, self._added).to_numpy(zero_copy_only=False)
        if not special.any():
            return self._encode_whole(texts)
        blocks, lengths = [np.empty(0, self._tokenizer.dtype)], np.zeros(len(texts) + 1, np.int64)
        begin = 0
        for at in np.flatnonzero(special).tolist():
            self._append(blocks, lengths, begin, texts[begin:at])
            text = texts[at].as_py()
            has_added = bool(self._added) and re.search(self._added, text) is not None
            ids = self._tokenizer.encode_batch([text])[0] if has_added else self._encode_long(text)
            blocks.append(ids)
            lengths[at + 1] = ids.size
            begin = at + 1
        self._append(blocks, lengths, begin, texts[begin:])
        return np.concatenate(blocks), np.cumsum(lengths)

    def _append(
        self, blocks: list[NDArray[Any]], lengths: NDArray[np.int64], begin: int, texts: pa.StringArray
    ) -> None:
        if len(texts):
            ids, offsets = self._encode_whole(texts)
            blocks.append(ids)
            lengths[begin + 1 : begin + 1 + len(texts)] = np.diff(offsets)

    def _encode_long(self, text: str) -> NDArray[Any]:
        return self._encode_whole(pa.array(list(self._tokenizer.pieces(text)), pa.string()))[0]

    def _encode_whole(self, texts: pa.StringArray) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Texts as they are, a few MiB at a time."""
        bounds, data = _buffers(texts)
        blocks, lengths, first = [np.empty(0, self._tokenizer.dtype)], [np.zeros(1, np.int64)], 0
        while first < len(texts):
            last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + BLOCK_BYTES, side="right")) - 1)
            ids, counts = self._call(data, bounds[first : last + 1])
            blocks.append(ids.astype(self._tokenizer.dtype))
            lengths.append(counts)
            first = last
            self._begin_anew_if_large()
        return np.concatenate(blocks), np.cumsum(np.concatenate(lengths))

    def _call(self, data: NDArray[np.uint8], bounds: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        from awkward import Array, contents, index

        raw = contents.NumpyArray(data[bounds[0] : bounds[-1]], parameters={"__array__": "byte"})
        listed = contents.ListOffsetArray(
            index.Index64(bounds - bounds[0]), raw, parameters={"__array__": "bytestring"}
        )
        layout = self._inner.encode_batch(Array(listed), parallel=False).layout.to_ListOffsetArray64(True)
        offsets = np.asarray(layout.offsets.data)
        return np.asarray(layout.content.data)[: offsets[-1]], np.diff(offsets)

    def _load(self) -> None:
        from gigatoken.gigatoken_rs import load_hf_json

        try:
            self._inner = load_hf_json(self._text)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reference is used
            raise UnsupportedError(str(error).splitlines()[0][:200] if str(error) else type(error).__name__) from None
        self._began_at = _resident()

    def _begin_anew_if_large(self) -> None:
        if _resident() - self._began_at > GROWTH_BYTES:
            del self._inner
            self._load()


def _buffers(texts: pa.StringArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where each text begins, and the bytes of all: views of the array's buffers but for the bounds."""
    wide = pa.types.is_large_string(texts.type)
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64 if wide else np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return bounds.astype(np.int64), np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)


def _without_added(text: str) -> str:
    """A ``tokenizer.json`` less its added tokens: their strings go to the reference."""
    tree = json.loads(text)
    ordinary = [token for token in tree.get("added_tokens") or [] if not token.get("special")]
    normalizer = tree.get("normalizer")
    changes = normalizer is not None and normalizer != {"type": "Sequence", "normalizers": []}
    if changes and any(token.get("normalized") for token in ordinary):
        raise UnsupportedError("it looks for added tokens in normalized text")
    if tree.get("truncation") or tree.get("padding"):
        tree["truncation"] = tree["padding"] = None
    if (tree.get("model") or {}).get("dropout"):
        tree["model"]["dropout"] = None
    return json.dumps({**tree, "added_tokens": []}, ensure_ascii=False)


def _resident() -> int:
    """Bytes of memory that this process holds now; 0 where there is no /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0
