"""Neighbours that somebody else found, by document id: files read, lists scored by the vectors that are here.

Forms, and a glob may match several. Parquet or JSONL (packed or not) with ``id`` and a list of ids under one of
`LISTS`, or a row for each pair, the other id under one of `OTHERS`; ``NAME.npy`` beside ``NAME.ids.txt``: (n, k)
integers, rows of that file, as FAISS gives them, -1 for none, and an id a line. Similarities beside them are not read:
those that are kept are made of the vectors, in the order of additions that all others are made in.
"""

import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config.addresses import expanded
from icp.data import Rows, load_npy, take
from icp.errors import InputError
from icp.kernels.knn_expand import score_candidates
from icp.knn.methods import Found
from icp.knn.vectors import empty_keys
from icp.texts import cleaned_id, packed_lines

KEY = "graph.import"
LISTS = ("neighbors", "neighbours", "neighbor_ids", "neighbors_ids", "nearest")
OTHERS = ("neighbor", "neighbour", "neighbor_id", "other", "target")
IDS = ".ids.txt"
SUFFIXES = (".parquet", ".npy", ".jsonl", ".ndjson", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst")
HOW = (
    f"give Parquet or JSONL with id and a list of ids in {LISTS[0]}, or a row a pair with id and {OTHERS[0]}; or "
    f"NAME.npy of row numbers beside NAME{IDS} (one id a line)"
)
BATCH_ROWS = 1 << 13
BLOCK_CANDIDATES = 1 << 16
"""Vectors that are in memory at once, about."""
Listed = tuple[list[str], list[str]]


def list_files(pattern: str) -> list[Path]:
    """The files that match, sorted.

    Raises: InputError if there are none, for one of another kind, and for Parquet without the columns.
    """
    paths = sorted(Path(name) for name in glob.glob(expanded(pattern), recursive=True))  # noqa: PTH207
    paths = [path for path in paths if path.is_file() and not path.name.endswith(IDS)]
    if not paths:
        raise InputError(f"{KEY} {pattern}: no such file; {HOW}")
    for path in paths:
        if not path.name.endswith(SUFFIXES):
            raise InputError(f"{path}: neither Parquet, JSONL nor .npy; {HOW}")
        if path.suffix == ".parquet":
            with _opened(path) as file:
                _column(path, file.schema_arrow.names)
        if path.suffix == ".npy" and not _ids_of(path).is_file():
            raise InputError(f"{_ids_of(path)}: is missing beside {path.name}; {HOW}")
    return paths


def beside(path: Path) -> list[Path]:
    """The file, and that of its ids."""
    return [path, _ids_of(path)] if path.suffix == ".npy" else [path]


def read_lists(path: Path) -> Iterator[Listed]:
    """Ids of documents and of their neighbours, a pair each, in batches; a document without any is left out.

    Raises: InputError naming the file, and the row, of what is no list of ids.
    """
    if path.suffix == ".npy":
        yield from _of_npy(path)
        return
    first = 0
    for rows in _of_parquet(path) if path.suffix == ".parquet" else _of_jsonl(path):
        owners, others = list[str](), list[str]()
        for number, (owner, listed) in enumerate(rows, first):
            names = listed if isinstance(listed, list) else [] if listed is None else [listed]
            if isinstance(owner, bool) or not all(type(one) in (str, int) for one in (owner, *names)):
                raise InputError(f"{path}: row {number}: {str(owner)[:80]!r}, {str(listed)[:80]} are no ids; {HOW}")
            owners += [str(owner)] * len(names)
            others += map(str, names)
        first += len(rows)
        yield owners, others


def score_lists(
    rows: Rows, mine: NDArray[np.int64], bounds: NDArray[np.int64], others: NDArray[np.int64], *, keep: int
) -> Found:
    """The most similar of the neighbours that each of some rows was given; itself and rows of zeros left out.

    Args:
        mine: (m,) int64, row numbers, rising.
        bounds: (m + 1,) int64, where the neighbours of each begin in `others`.
        others: (n,) int64, row numbers, each once for a row.
    """
    keys, moved, first = empty_keys(mine.size, keep), 0, 0
    while first < mine.size:
        stop = max(first + 1, int(np.searchsorted(bounds, bounds[first] + BLOCK_CANDIDATES, side="right")) - 1)
        stop = min(stop, first + BATCH_ROWS, mine.size)
        found = others[bounds[first] : bounds[stop]]
        owners = np.repeat(np.arange(stop - first), np.diff(bounds[first : stop + 1]))
        queries = take(rows, mine[first:stop])
        ids, places = np.unique(found, return_inverse=True)
        base = np.ascontiguousarray(rows[ids], dtype=np.float16).view(np.uint16)
        alive = np.asarray((base << 1).any(axis=1))[places] & np.asarray(queries.any(axis=1))[owners]
        alive &= found != mine[first:stop][owners]
        at = np.concatenate(([0], np.cumsum(np.bincount(owners[alive], minlength=stop - first)))).astype(np.int64)
        score_candidates(keys[first:stop], at, places[alive].astype(np.int64), queries, base, ids)
        moved += 2 * rows.shape[1] * (ids.size + stop - first)
        first = stop
    return Found(mine, keys, moved)


def _ids_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}{IDS}")


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None


def _column(path: Path, there: list[str]) -> str:
    """The column of neighbours."""
    found = [name for name in (*LISTS, *OTHERS) if name in there]
    if "id" not in there or len(found) != 1:
        raise InputError(f"{path}: has {', '.join(there)[:200]}; {HOW}")
    return found[0]


def _of_parquet(path: Path) -> Iterator[list[Any]]:
    with _opened(path) as file:
        name = _column(path, file.schema_arrow.names)
        try:
            for batch in file.iter_batches(columns=["id", name], batch_size=BATCH_ROWS, use_threads=False):
                yield list(zip(batch.column("id").to_pylist(), batch.column(name).to_pylist(), strict=True))
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None


def _of_jsonl(path: Path) -> Iterator[list[Any]]:
    name, found, number = "", list[Any](), 0
    try:
        for line in packed_lines(path):
            number += 1
            if not line.strip():
                continue
            row = json.loads(line)
            name = name or _column(path, list(row))
            found.append((row["id"], row.get(name)))
            if len(found) == BATCH_ROWS:
                yield found
                found = []
    except InputError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, pa.ArrowException) as error:
        raise InputError(f"{path}: line {number}: {str(error)[:200]}; {HOW}") from None
    yield found


def _of_npy(path: Path) -> Iterator[Listed]:
    try:
        table = load_npy(path, "r")
        lines = _ids_of(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None
    ids = np.array([cleaned_id(line) for line in lines], dtype=object)
    if table.ndim != 2 or table.dtype.kind not in "iu":
        raise InputError(f"{path}: {table.dtype} of shape {table.shape}, expected integers of shape (n, k); {HOW}")
    if len(ids) != len(table):
        raise InputError(f"{_ids_of(path)}: {len(ids):,} ids for {len(table):,} rows; one line a row")
    for first in range(0, len(table), BATCH_ROWS):
        block = np.asarray(table[first : first + BATCH_ROWS]).astype(np.int64)
        if block.size and (block.max() >= len(ids) or block.min() < -1):
            raise InputError(f"{path}: numbers from {block.min()} to {block.max()} for {len(ids):,} rows; {HOW}")
        at, column = np.nonzero(block >= 0)
        yield ids[first + at].tolist(), ids[block[at, column]].tolist()
