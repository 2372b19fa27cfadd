"""What the phases of the step `graph` share: raw neighbours, rows and nodes, its arrays.

In: dedup/, neighbors/, the step's own folder. Out: arrays.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.run.context import Context, document_parts


def raw_part(context: Context, part: str) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Neighbours and similarities of the rows of a part, copied."""
    folder = context.folder("neighbors")
    found = (np.load(folder / f"{part}.{name}.npy", allow_pickle=False) for name in ("neighbors", "similarities"))
    neighbors, similarities = found
    return neighbors, similarities


def raw_neighbors(context: Context) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float16]]]:
    """First row, neighbours and similarities of each part."""
    first = 0
    for part in document_parts(context):
        neighbors, similarities = raw_part(context, part)
        yield first, neighbors, similarities
        first += len(neighbors)


def survivors_of(context: Context) -> NDArray[np.int64]:
    """The document of each row, memory-mapped."""
    return np.asarray(np.load(context.folder("dedup") / "survivors.npy", mmap_mode="r", allow_pickle=False))


def rows_of_nodes(context: Context) -> NDArray[np.int64]:
    """The row of each node: (n_nodes,) int64, rising."""
    return np.searchsorted(survivors_of(context), load(context, "nodes")).astype(np.int64)


def nodes_by_part(context: Context) -> NDArray[np.int64]:
    """The first node of each documents part, and their number at the end: (n_parts + 1,) int64."""
    return np.searchsorted(load(context, "nodes"), context.doc_bounds()).astype(np.int64)


def paths(context: Context, name: str) -> list[Path]:
    """The files of an array that comes in parts."""
    return sorted(context.folder("graph").glob(f"*.{name}.npy"))


def load(context: Context, name: str) -> NDArray[Any]:
    """An array of the step."""
    return np.asarray(np.load(context.folder("graph") / f"{name}.npy", allow_pickle=False))


def save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    """Write an array."""
    with output.path(name).open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(name, len(array))
