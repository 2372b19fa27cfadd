"""What the phases of the step `graph` share: the raw neighbours, and arrays that one phase leaves for the next.

In: neighbors/, the step's own folder. Out: arrays.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.run.arrays import mapped, neighbors_of
from icp.run.context import Context, document_parts


def raw_neighbors(context: Context) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float16]]]:
    """First row, neighbours and similarities of each part."""
    first = 0
    for part in document_parts(context):
        neighbors, similarities = neighbors_of(context, part)
        yield first, neighbors, similarities
        first += len(neighbors)


def paths(context: Context, name: str) -> list[Path]:
    """The files of an array that comes in parts."""
    return sorted(context.folder("graph").glob(f"*.{name}.npy"))


def load(context: Context, name: str) -> NDArray[Any]:
    """An array of the step, in memory."""
    return np.array(mapped(context.path("graph", f"{name}.npy")))


def save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    """Write an array."""
    with output.path(name).open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(name, len(array))
