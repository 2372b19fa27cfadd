"""Tokens that were made before (`tokenizer.import`): kept bit for bit, looked up by id, decoded on a sample.

In: the files; the tokenizer that made them. Out, scratch files of the step: ids of documents as hashes, and where the
tokens of each begin. A document that the files do not have is encoded like any other, and counted.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from icp.config import Config
from icp.embed import by_id
from icp.engine.shared import shared
from icp.engine.step import PartOutput, one_part
from icp.errors import InputError
from icp.failures import too_many
from icp.run.arrays import mapped
from icp.run.context import Context
from icp.run.names import TOKENIZER
from icp.texts import Texts, id_hashes
from icp.tokenizer.engines import Encoded
from icp.tokenizer.imported import beside, read_encoded, token_files, without_ends
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer

KEY = "tokenizer.import"
_BYTES = " bytes, "
COMPARED = 64
"""Documents of a part whose tokens are decoded."""


def imported_files(config: Config) -> list[Path]:
    """The files of `tokenizer.import`; none if it is not set."""
    pattern = getattr(config.tokenizer, "import")
    return token_files(pattern, KEY) if pattern is not None else []


def imported_identity(config: Config) -> list[tuple[str, str]]:
    """Path, and size and time, of the files and of those beside them."""
    found = [file for path in imported_files(config) for file in beside(path) if file.is_file()]
    return [(str(path), f"{path.stat().st_size}{_BYTES}{path.stat().st_mtime_ns}") for path in found]


def without_imported(sources: Mapping[str, str]) -> dict[str, str]:
    """What a run's tokens were made from, but for the files of `imported_identity`."""
    return {name: identity for name, identity in sources.items() if _BYTES not in identity}


def file_parts(context: Context) -> list[str]:
    """One part a file."""
    return [f"file-{number:05d}" for number in range(len(imported_files(context.config)))]


def index_parts(context: Context) -> list[str]:
    """One part, if there are files."""
    return one_part(context) if getattr(context.config.tokenizer, "import") is not None else []


def copy_tokens(context: Context, part: str, output: PartOutput) -> None:
    """Write the tokens of a file without specials, in the type of this step, with hashes of ids.

    Raises: InputError for ids outside the vocabulary.
    """
    path = imported_files(context.config)[int(part.rpartition("-")[2])]
    tokenizer = load_tokenizer(context.config.tokenizer, trained=context.path("tokens", TOKENIZER))
    roles = tokenizer.roles()
    hashes, lengths = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    with output.path(f"imported/{part}.bin").open("wb") as stream:
        for block in read_encoded(path):
            found = without_ends(block, roles.bos_id, roles.eos_id)
            if found.tokens.size and not 0 <= found.tokens.min() <= found.tokens.max() < tokenizer.vocab_size:
                raise InputError(
                    f"{path}: ids from {found.tokens.min()} to {found.tokens.max()}, but {tokenizer.name} has "
                    f"{tokenizer.vocab_size:,}; name the tokenizer that made them in tokenizer.name"
                )
            stream.write(found.tokens.astype(tokenizer.dtype).tobytes())
            hashes.append(id_hashes(found.ids))
            lengths.append(np.diff(found.offsets))
    for name, array in (("hashes", np.concatenate(hashes)), ("lengths", np.concatenate(lengths))):
        with output.path(f"imported/{part}.{name}.npy").open("wb") as stream:
            np.save(stream, array, allow_pickle=False)


def index_tokens(context: Context, part: str, output: PartOutput) -> None:
    """Write where the tokens of each id are; raises InputError for an id that stands twice."""
    names = [str(path) for path in imported_files(context.config)]
    hashes = [np.array(_array(context, name, "hashes")) for name in file_parts(context)]
    with output.path("imported/index.npy").open("wb") as stream:
        np.save(stream, by_id.merge_hashes(names, hashes), allow_pickle=False)


def _array(context: Context, part: str, name: str) -> NDArray[np.uint64]:
    return mapped(context.path("tokens", f"imported/{part}.{name}.npy"))


@shared
def _loaded(paths: tuple[Path, ...], dtype: np.dtype[Any]) -> tuple[Any, Any, Any, list[Any]]:
    """File, first token and number of tokens of each imported document, (n,) int64 each; the tokens of each file."""
    lengths = [np.array(mapped(path.with_suffix(".lengths.npy"))).astype(np.int64) for path in paths]
    files = np.repeat(np.arange(len(paths)), [one.size for one in lengths])
    starts = np.concatenate([np.cumsum(one) - one for one in lengths]).astype(np.int64)
    tokens = [np.fromfile(path, dtype) if path.stat().st_size < 1 << 20
              else np.memmap(path, dtype, "r") for path in paths]  # fmt: skip
    return files, starts, np.concatenate(lengths), tokens


class Imported:
    """The tokens of all files."""

    def __init__(self, context: Context, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        paths = [context.path("tokens", f"imported/{name}.bin") for name in file_parts(context)]
        self._index = mapped(context.path("tokens", "imported/index.npy"))
        self._files, self._starts, self._lengths, self._tokens = _loaded(tuple(paths), tokenizer.dtype)
        self.n_compared = self.n_other = self.n_missing = 0
        self.others: list[str] = []

    def find(self, batch: pa.RecordBatch) -> tuple[list[NDArray[np.integer]], NDArray[np.bool_]]:
        """The tokens of each document of a batch, and whether the files have them; others are empty."""
        ids = batch.column("id").to_pylist()
        rows = by_id.find_rows(self._index, ids)
        found: list[NDArray[np.integer]] = []
        for row in rows.tolist():
            start = int(self._starts[row])
            tokens = self._tokens[self._files[row]][start : start + int(self._lengths[row])] if row >= 0 else None
            found.append(np.zeros(0, self._tokenizer.dtype) if tokens is None else np.asarray(tokens))
        self.n_missing += int((rows < 0).sum())
        for at in np.flatnonzero(rows >= 0)[: max(0, COMPARED - self.n_compared)].tolist():
            self.n_compared += 1
            text = batch.column("text")[at].as_py()
            if not self._is_of(found[at], text):
                self.n_other += 1
                self.others.append(ids[at])
        return found, rows >= 0

    def _is_of(self, tokens: NDArray[np.integer], text: str) -> bool:
        """Whether tokens decode to a text, or to what its own tokens decode to, where decoding loses letters."""
        decoded = self._tokenizer.decode(tokens)
        return decoded == text or decoded == self._tokenizer.decode(self._tokenizer.encode_batch([text])[0])


def encoded(
    batch: pa.RecordBatch, texts: Texts, tokenizer: Tokenizer, imported: Imported | None
) -> tuple[Encoded, dict[int, str]]:
    """The ids of a batch of documents, imported or made by the tokenizer; see `Tokenizer.encode_each`."""
    if imported is None:
        return tokenizer.encode_each(texts)
    pieces, is_there = imported.find(batch)
    rows = np.flatnonzero(~is_there)
    (ids, offsets), refused = tokenizer.encode_each(texts.take(rows))
    for at, row in enumerate(rows.tolist()):
        pieces[row] = ids[offsets[at] : offsets[at + 1]]
    bounds = np.concatenate(([0], np.cumsum([len(piece) for piece in pieces]))).astype(np.int64)
    joined = np.concatenate([np.zeros(0, tokenizer.dtype), *pieces]).astype(np.int64)
    return (joined, bounds), {int(rows[at]): reason for at, reason in refused.items()}


def check_imported(context: Context, n_compared: int, n_other: int, others: list[str]) -> None:
    """Raise InputError if more of the documents that were decoded have another text than `corpus.max_rejected`."""
    limit = context.config.corpus.max_rejected
    if too_many(n_other, n_compared, limit, is_none_left=bool(n_other) and n_other == n_compared):
        raise InputError(
            f"{KEY}: the tokens of {n_other:,} of {n_compared:,} documents decode to another text, e.g. "
            f"{', '.join(others[:3])}; name the tokenizer that made them, or make them of these documents"
        )
