"""Duplicates that other tools found, by document id.

Forms, and a glob may match several. JSONL (packed or not) or Parquet with the ids (`IDS`) and one of `GROUPS`: the id
of the document that is kept, or a name or number of a cluster; NeMo Curator writes ``group`` or
``_duplicate_group_id``. Parquet or JSONL of one column: ids of documents to remove, as NeMo Curator leaves them.
Attributes of Dolma's deduper: JSONL of ``id`` and ``attributes``, ``{NAME: [[start, end, score], ...]}``, in characters
of the text. Numbers of files and rows, of datatrove's MinHash: `icp.dedup.imported_places`.
"""

import glob
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config.addresses import expanded
from icp.errors import InputError
from icp.texts import id_hashes, packed_lines

OF_ID = "duplicate_of"
IDS = ("id", "_curator_dedup_id")
GROUPS = (OF_ID, "cluster", "cluster_id", "group", "group_id", "_duplicate_group_id", "_group_id")
ATTRIBUTES = "attributes"
HOW = (
    f"give Parquet or JSONL with a column id and one of {', '.join(GROUPS)}; of one column, ids to remove; attributes "
    "of Dolma; or .dups, .remove, .clusters of datatrove"
)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Ids and what each is grouped by, equal for documents of one group: hashes, (n,) uint64 each."""

    ids: NDArray[np.uint64]
    groups: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Listed:
    """Documents to remove: hashes of their ids, (n,) uint64."""

    ids: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Marked:
    """Spans of documents, as one file of Dolma's attributes marks them.

    Attributes:
        ids: (n,) uint64, hashes of ids, one a span.
        spans: (n, 2) int64, first character and the one after the last.
        unmarked: (m,) uint64, hashes of ids of rows without the attribute: where paragraphs were compared, texts of
            no letter.
        is_single: no document has two spans, or one that does not begin at 0.
    """

    ids: NDArray[np.uint64]
    spans: NDArray[np.int64]
    unmarked: NDArray[np.uint64]
    is_single: bool


Found = Grouped | Listed | Marked


def import_files(pattern: str, key: str) -> list[Path]:
    """The files that match, sorted; raises InputError if there are none."""
    found = sorted(Path(name) for name in glob.glob(expanded(pattern), recursive=True))  # noqa: PTH207
    found = [path for path in found if path.is_file()]
    if not found:
        raise InputError(f"{key} {pattern}: no such file; correct the name, or take it out")
    return found


def read_found(path: Path) -> Iterator[Found]:
    """What a file says, in blocks.

    Of a column ``duplicate_of``, the group is the id itself, so that a row says two ids are copies.
    Raises: InputError for a file that cannot be read, or has other columns.
    """
    for names, rows in _parquet_blocks(path) if path.suffix == ".parquet" else _json_blocks(path):
        if names == ("id", ATTRIBUTES):
            yield _marked(path, rows)
            continue
        ids = id_hashes(one for one, *_ in rows)
        if len(names) == 1:
            yield Listed(ids)
            continue
        groups = id_hashes(group if names[1] == OF_ID else f"{names[1]}:{group}" for _, group in rows)
        yield Grouped(np.concatenate((ids, groups)), np.tile(groups, 2)) if names[1] == OF_ID else Grouped(ids, groups)


def covered(
    owners: NDArray[np.int64], spans: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Documents with spans, ascending, and the characters in some span of each: (m,) int64 both.

    Args: owners (n,) int64, the document of each span; spans (n, 2) int64; lengths int64, characters of each document.
    """
    ends = np.clip(spans, 0, lengths[owners][:, None])
    order = np.lexsort((ends[:, 0], owners))
    owners, starts, stops = owners[order], ends[order, 0], ends[order, 1]
    docs, first = np.unique(owners, return_index=True)
    # documents lie one after another, so that what was covered of one says nothing of the next
    base = np.concatenate(([0], np.cumsum(lengths[docs] + 1)))[:-1]
    at = np.repeat(base, np.diff(np.append(first, owners.size)))
    reached = np.maximum.accumulate(np.concatenate(([0], stops + at)))[:-1]
    fresh = np.maximum(stops + at - np.maximum(starts + at, reached), 0)
    return docs, np.add.reduceat(fresh, first) if docs.size else docs


def _columns(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Which columns are read: the ids, then what groups them, or the attributes, or nothing else."""
    there = list(names)
    if len(there) == 1:
        return (there[0],)
    if "id" in there and isinstance(names, dict) and isinstance(names.get(ATTRIBUTES), dict):
        return ("id", ATTRIBUTES)
    ids = [name for name in IDS if name in there]
    found = [name for name in GROUPS if name in there]
    if not ids or len(found) != 1:
        raise InputError(f"{path}: has {', '.join(there)[:200]}; {HOW}")
    return (ids[0], found[0])


def _parquet_blocks(path: Path) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            names = _columns(path, file.schema_arrow.names)
            for batch in file.iter_batches(columns=list(names)):
                rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
                yield names, [row for row in rows if None not in row]
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None


def _json_blocks(path: Path) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    names, found, number = tuple[str, ...](), list[Any](), 0
    try:
        for line in packed_lines(path):
            number += 1
            if not line.strip():
                continue
            row = json.loads(line)
            names = names or _columns(path, row)
            if len(names) == 1 and len(row) != 1:
                raise InputError(f"{path}: line {number}: has {', '.join(row)[:200]}, others {names[0]} alone; {HOW}")
            if None not in (values := tuple(row[name] if name in IDS else row.get(name) for name in names)):
                found.append(values)
    except InputError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, pa.ArrowException) as error:
        raise InputError(f"{path}: line {number}: {str(error)[:200]}; {HOW}") from None
    if names:
        yield names, found


def _marked(path: Path, rows: list[Any]) -> Marked:
    ids, spans, unmarked, is_single = list[Any](), list[Any](), list[Any](), True
    names = {name for _, marks in rows if isinstance(marks, dict) for name in marks}
    if len(names) > 1:
        raise InputError(
            f"{path}: has attributes {', '.join(sorted(names))[:200]}; give files of one, that of Dolma's deduper"
        )
    for one, marks in rows:
        value = next(iter(marks.values()), None) if isinstance(marks, dict) else marks
        if value is None or value is False:
            unmarked.append(one)
            continue
        mine = [(0, 1)] if value is True else _spans(path, one, value)
        is_single &= len(mine) < 2 and all(start == 0 for start, _ in mine)
        ids += [one] * len(mine)
        spans += mine
    return Marked(id_hashes(ids), np.array(spans, np.int64).reshape(-1, 2), id_hashes(unmarked), is_single)


def _spans(path: Path, one: Any, value: Any) -> list[tuple[int, int]]:
    """Start and end of the spans of a document with a score above 0."""
    try:
        found = [(start, end, score) for start, end, score in value]
        if not all(type(start) is type(end) is int and 0 <= start <= end for start, end, _ in found):
            raise ValueError
        return [(start, end) for start, end, score in found if score > 0]
    except (ValueError, TypeError):
        text = f"{path}: id {one!r}: {str(value)[:80]} are no spans [start, end, score]"
        raise InputError(f"{text}; give attributes of Dolma's deduper") from None
