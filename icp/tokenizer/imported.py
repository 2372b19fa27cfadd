"""Tokens that were made before, by document id.

Forms, and a glob may match several. Parquet: a column ``id`` and one of lists of integers. Dolma and OLMo:
``NAME.npy``, ids without a header (or a real ``.npy``), beside ``NAME.csv.gz`` with a line a document: start, end, id.
Megatron: ``NAME.bin`` and ``NAME.idx`` beside ``NAME.ids.txt``, a line a document.
"""

import csv
import glob
import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config.addresses import expanded
from icp.data import load_npy
from icp.errors import InputError
from icp.texts import cleaned_id

MAGIC = b"MMIDIDX\x00\x00"
WIDTHS = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}
"""Megatron's codes of types."""
HOW = "give Parquet (id, input_ids), NAME.npy with NAME.csv.gz (Dolma), or NAME.bin with NAME.idx and NAME.ids.txt"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some documents: their ids, and the tokens of document k, ``tokens[offsets[k]:offsets[k + 1]]``."""

    ids: list[str]
    tokens: NDArray[np.integer]
    offsets: NDArray[np.int64]


def token_files(pattern: str, key: str) -> list[Path]:
    """The files that hold tokens, sorted; raises InputError if there are none."""
    found = sorted(Path(name) for name in glob.glob(expanded(pattern), recursive=True))  # noqa: PTH207
    found = [path for path in found if path.is_file() and path.suffix in (".parquet", ".npy", ".bin")]
    if not found:
        raise InputError(f"{key} {pattern}: no such file; {HOW}")
    return found


def beside(path: Path) -> list[Path]:
    """The file, and those that belong to it."""
    others = {".npy": [".csv.gz"], ".bin": [".idx", ".ids.txt"]}.get(path.suffix, [])
    return [path, *(path.with_name(f"{path.stem}{suffix}") for suffix in others)]


def read_encoded(path: Path) -> Iterator[Encoded]:
    """The documents of a file, in blocks.

    Raises: InputError for a file, or one beside it, that cannot be read or does not fit.
    """
    for file in beside(path):
        if not file.is_file():
            raise InputError(f"{file}: is missing beside {path.name}; {HOW}")
    try:
        match path.suffix:
            case ".parquet":
                yield from _of_parquet(path)
            case ".npy":
                yield _of_dolma(path)
            case _:
                yield _of_megatron(path)
    except (OSError, ValueError, EOFError, struct.error, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None


def without_ends(encoded: Encoded, bos_id: int | None, eos_id: int | None) -> Encoded:
    """The same without one bos at the begin and one eos at the end of each document; None: there is none."""
    starts, stops = encoded.offsets[:-1].copy(), encoded.offsets[1:].copy()
    tokens = encoded.tokens
    if bos_id is not None and tokens.size:
        at = np.minimum(starts, tokens.size - 1)
        starts += (starts < stops) & (tokens[at] == bos_id)
    if eos_id is not None and tokens.size:
        stops -= (starts < stops) & (tokens[np.maximum(stops - 1, 0)] == eos_id)
    kept = np.zeros(tokens.size + 1, np.int64)
    np.add.at(kept, starts, 1)
    np.add.at(kept, stops, -1)
    offsets = np.concatenate(([0], np.cumsum(stops - starts))).astype(np.int64)
    return Encoded(encoded.ids, tokens[np.cumsum(kept)[:-1] > 0], offsets)


def _of_parquet(path: Path) -> Iterator[Encoded]:
    with pq.ParquetFile(path) as file:
        lists = [field.name for field in file.schema_arrow if _is_tokens(field.type)]
        if "id" not in file.schema_arrow.names or len(lists) != 1:
            raise InputError(f"{path}: columns {file.schema_arrow.names}, lists of integers {lists}; {HOW}")
        for batch in file.iter_batches(columns=["id", lists[0]], batch_size=4096):
            column = batch.column(lists[0])
            lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
            offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
            tokens = column.flatten().to_numpy(zero_copy_only=False)
            yield Encoded([str(one) for one in batch.column("id").to_pylist()], tokens, offsets)


def _is_tokens(kind: Any) -> bool:
    is_list: bool = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return is_list and bool(pa.types.is_integer(kind.value_type))


def _of_dolma(path: Path) -> Encoded:
    with gzip.open(beside(path)[1], "rt", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.reader(stream) if row]
    if rows and not rows[0][0].isdigit():
        rows = rows[1:]
    spans = np.array([(int(row[0]), int(row[1])) for row in rows], np.int64).reshape(-1, 2)
    n_tokens = int(spans[:, 1].max(initial=0))
    with path.open("rb") as file:
        has_header = file.read(6) == b"\x93NUMPY"
    if has_header:
        tokens = load_npy(path, "r")
    else:
        width = path.stat().st_size // max(1, n_tokens)
        if width not in (2, 4) or width * n_tokens != path.stat().st_size:
            raise InputError(f"{path}: {path.stat().st_size:,} bytes are not {n_tokens:,} ids, as its table says")
        tokens = np.fromfile(path, f"<u{width}")
    return _picked([row[2] for row in rows], tokens, spans)


def _of_megatron(path: Path) -> Encoded:
    _, index, names = beside(path)
    data = index.read_bytes()
    if not data.startswith(MAGIC):
        raise InputError(f"{index}: no index of Megatron's; {HOW}")
    _, code, n_sequences, n_docs = struct.unpack_from("<QBQQ", data, len(MAGIC))
    at = len(MAGIC) + struct.calcsize("<QBQQ")
    sizes = np.frombuffer(data, "<i4", n_sequences, at).astype(np.int64)
    docs = np.frombuffer(data, "<i8", n_docs, at + 12 * n_sequences)
    ids = [cleaned_id(line) for line in names.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    if code not in WIDTHS or docs.size != len(ids) + 1:
        raise InputError(
            f"{names}: {len(ids):,} ids for {docs.size - 1:,} documents of type {code}; one line a document"
        )
    ends = np.concatenate(([0], np.cumsum(sizes)))[docs]
    tokens = np.fromfile(path, np.dtype(WIDTHS[code]).newbyteorder("<"))
    return _picked(ids, tokens, np.stack((ends[:-1], ends[1:]), axis=1))


def _picked(ids: list[str], tokens: NDArray[Any], spans: NDArray[np.int64]) -> Encoded:
    if spans.size and (spans.min() < 0 or spans.max() > tokens.size or (spans[:, 0] > spans[:, 1]).any()):
        raise ValueError(f"documents reach to token {spans.max()} of {tokens.size}")
    pieces = [np.zeros(0, tokens.dtype), *(tokens[start:stop] for start, stop in spans.tolist())]
    offsets = np.concatenate(([0], np.cumsum(spans[:, 1] - spans[:, 0]))).astype(np.int64)
    return Encoded(ids, np.concatenate(pieces), offsets)
