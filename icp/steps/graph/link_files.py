"""Files of links, read: Parquet or JSON lines with the ids of two documents in a row, or of one and a list of others.

In: a file of `graph.edges`. Out: the ids at both ends of each link and its weight, a batch at a time.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config.addresses import expanded
from icp.config.graph_models import EdgesConfig
from icp.errors import InputError
from icp.texts import packed_lines

BATCH_ROWS = 1 << 14
HOW = "give Parquet or JSON lines with an id in source, an id or a list of ids in target, and weight if you like"
Ids = list[Any]


def links_source(entry: EdgesConfig) -> tuple[str, str]:
    """Name and identity of a file of links, as `Step.sources` gives it.

    Raises: InputError if there is none, or it lacks a column: both are found before anything is done.
    """
    path = Path(expanded(str(entry.file)))
    try:
        info = path.stat()
    except OSError as error:
        raise InputError(f"graph.edges: {path}: {error.strerror}; correct the name, or take it out") from None
    if _is_parquet(path):
        with _opened(path) as file:
            _columns_in(path, entry, file.schema_arrow.names)
    return str(entry.file), f"{info.st_size} bytes, {info.st_mtime_ns}"


def read_links(path: Path, entry: EdgesConfig) -> Iterator[tuple[list[str], list[str], NDArray[np.float64]]]:
    """Ids at both ends of each link and its weight, a batch at a time; lists of targets taken apart.

    Raises: InputError naming the file, and the row, of what is no link.
    """
    columns, first = entry.columns, 0
    read = _of_parquet if _is_parquet(path) else _of_json_lines
    for batch in read(path, entry):
        weights = batch.get(columns.weight or "weight", [1.0] * len(batch[columns.source]))
        links = []
        rows = zip(batch[columns.source], batch[columns.target], weights, strict=True)
        for number, (source, target, weight) in enumerate(rows, first):
            targets = target if isinstance(target, list) else [target]
            if not all(isinstance(name, str | int) for name in ([source, *targets] if targets else [])):
                raise InputError(f"{path}: row {number}: an end of a link is no id: {source!r}, {target!r}; {HOW}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
                raise InputError(f"{path}: row {number}: its weight is {weight!r}, must be above 0 and at most 1")
            links += [(str(source), str(name), float(weight)) for name in targets]
        first += len(weights)
        if links:
            sources, ends, shares = zip(*links, strict=True)
            yield list(sources), list(ends), np.array(shares, np.float64)


def _wanted(entry: EdgesConfig) -> list[str]:
    columns = entry.columns
    return [columns.source, columns.target, *([columns.weight] if columns.weight else [])]


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq", ".parq")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({error}); {HOW}") from None


def _columns_in(path: Path, entry: EdgesConfig, there: list[str]) -> list[str]:
    """The columns that are read; raises InputError for one that is missing."""
    if missing := [name for name in _wanted(entry) if name not in there]:
        raise InputError(f"{path}: has no column {missing[0]!r}, but {', '.join(there)}; name it under columns")
    return _wanted(entry) + (["weight"] if entry.columns.weight is None and "weight" in there else [])


def _of_parquet(path: Path, entry: EdgesConfig) -> Iterator[dict[str, Ids]]:
    with _opened(path) as file:
        names = _columns_in(path, entry, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names, use_threads=False):
            yield batch.to_pydict()


def _of_json_lines(path: Path, entry: EdgesConfig) -> Iterator[dict[str, Ids]]:
    names = [*_wanted(entry), *([] if entry.columns.weight else ["weight"])]
    batch: dict[str, Ids] = {name: [] for name in names}
    try:
        for number, line in enumerate(packed_lines(path), 1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict) or any(name not in row for name in _wanted(entry)):
                raise InputError(f"{path}: line {number} has no {' or '.join(_wanted(entry))}; {HOW}")
            for name in names:
                batch[name].append(row.get(name, 1.0))
            if len(batch[names[0]]) == BATCH_ROWS:
                yield batch
                batch = {name: [] for name in names}
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as JSON lines ({error}); {HOW}") from None
    yield batch
