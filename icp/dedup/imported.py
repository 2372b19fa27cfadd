"""Duplicates that other tools found, by document id.

Forms, and a glob may match several. JSONL (packed or not) or Parquet with a column ``id`` and one of `GROUPS`: the id
of the document that is kept, or a name or number of a cluster; NeMo Curator writes ``group`` or
``_duplicate_group_id``. ``*.dups`` of datatrove's MinHash buckets: four little-endian uint32 a pair, file and document
twice; file k is the k-th of the corpus, document n its n-th row.
"""

import glob
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from icp.config.addresses import expanded
from icp.errors import InputError

OF_ID = "duplicate_of"
GROUPS = (OF_ID, "cluster", "cluster_id", "group", "group_id", "_duplicate_group_id", "_group_id")
PAIRS = ".dups"
HOW = f"give Parquet or JSONL with a column id and one of {', '.join(GROUPS)}, or {PAIRS} of datatrove"


def import_files(pattern: str, key: str) -> list[Path]:
    """The files that match, sorted; raises InputError if there are none."""
    found = sorted(Path(name) for name in glob.glob(expanded(pattern), recursive=True))  # noqa: PTH207
    found = [path for path in found if path.is_file()]
    if not found:
        raise InputError(f"{key} {pattern}: no such file")
    return found


def read_groups(path: Path) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Hashes of ids, and of what each is grouped by: equal for documents of one group; (n,) uint64 each, in blocks.

    Of a column ``duplicate_of``, the group is the id itself, so that a row says two ids are copies.
    Raises: InputError for a file that cannot be read, or has other columns.
    """
    blocks = _parquet_blocks(path) if path.suffix == ".parquet" else _json_blocks(path)
    for name, ids, groups in blocks:
        hashes = id_hashes(ids)
        if name == OF_ID:
            yield np.concatenate((hashes, id_hashes(groups))), np.concatenate((id_hashes(groups), id_hashes(groups)))
        else:
            yield hashes, id_hashes(f"{name}:{group}" for group in groups)


def read_pairs(path: Path) -> NDArray[np.uint32]:
    """(n, 4) uint32 of a ``.dups`` file: file, document, file, document; raises InputError if it is cut short."""
    try:
        found = np.fromfile(path, "<u4")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if found.size % 4:
        raise InputError(f"{path}: {found.size} numbers are no pairs of file and document; fetch it again")
    return found.reshape(-1, 4).astype(np.uint32)


def id_hashes(ids: Iterable[Any]) -> NDArray[np.uint64]:
    """A hash of every id, as `icp.embed.by_id` hashes them: (n,) uint64."""
    return np.fromiter((xxhash.xxh3_64_intdigest(str(one).encode()) for one in ids), np.uint64)


def connected_labels(n: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64: the least member of what each of n rows is connected to by pairs (m, 2) int64."""
    label = np.arange(n, dtype=np.int64)
    while True:
        least = np.minimum(label[pairs[:, 0]], label[pairs[:, 1]])
        before = label.copy()
        np.minimum.at(label, label[pairs[:, 0]], least)
        np.minimum.at(label, label[pairs[:, 1]], least)
        np.minimum.at(label, pairs[:, 0], least)
        np.minimum.at(label, pairs[:, 1], least)
        label = label[label]
        if np.array_equal(label, before):
            return label


def _grouping(path: Path, names: Iterable[str]) -> str:
    there = list(names)
    found = [name for name in GROUPS if name in there]
    if "id" not in there or len(found) != 1:
        raise InputError(f"{path}: has {', '.join(there)[:200]}; {HOW}")
    return found[0]


def _parquet_blocks(path: Path) -> Iterator[tuple[str, list[Any], list[Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            name = _grouping(path, file.schema_arrow.names)
            for batch in file.iter_batches(columns=["id", name]):
                rows = zip(batch.column("id").to_pylist(), batch.column(name).to_pylist(), strict=True)
                kept = [(one, group) for one, group in rows if one is not None and group is not None]
                yield name, [one for one, _ in kept], [group for _, group in kept]
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None


def _json_blocks(path: Path) -> Iterator[tuple[str, list[Any], list[Any]]]:
    name, ids, groups, number = "", list[Any](), list[Any](), 0
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            for line in stream.read().splitlines():
                number += 1
                if not line.strip():
                    continue
                row = json.loads(line)
                name = name or _grouping(path, row)
                if row.get(name) is not None:
                    ids.append(row["id"])
                    groups.append(row[name])
    except (OSError, ValueError, TypeError, LookupError, pa.ArrowException) as error:
        raise InputError(f"{path}: line {number}: {str(error)[:200]}; {HOW}") from None
    yield name, ids, groups
