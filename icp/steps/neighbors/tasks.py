"""Where the step `neighbors` finds its rows, keeps its arrays, and how its work is cut into tasks.

In: embeddings/, the step's own folder. Out: rows, ranges, names of parts; the same for any number of workers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import RowParts, take
from icp.engine.step import PartOutput, one_part
from icp.errors import ArtifactError
from icp.knn.cells import CHUNK_ROWS, EXTRA, Cells, cell_tasks
from icp.knn.centroids import Centroids
from icp.knn.exact import merge_found, range_pairs
from icp.knn.expansion import PASSES
from icp.knn.methods import Found, choose_method
from icp.knn.recall import enough_found
from icp.knn.vectors import check_rows, empty_keys, sample_rows, tuning_size
from icp.run.context import Context, document_parts
from icp.streams import RECALL, TUNING

FILTERED = 4
"""Times k that are kept where the graph passes over neighbours by source or similarity."""
SAMPLE_ROWS = 1000
RANGE_ROWS = 1 << 14
MOST_RANGES = 1024


def kept(config: Config) -> int:
    """Neighbours kept of each row."""
    graph = config.graph
    filtered = graph.same_source != "any" or graph.max_similarity is not None
    return graph.k * (FILTERED if filtered else 1) + EXTRA


def embedding_paths(context: Context) -> list[Path]:
    """The parts of embeddings/."""
    return [context.folder("embeddings") / f"{part}.npy" for part in document_parts(context)]


def embeddings(context: Context) -> RowParts:
    """The rows, memory-mapped; raises ArtifactError where parts differ in dimensions."""
    dims: dict[int, str] = {}
    for path in embedding_paths(context):
        part = np.load(path, mmap_mode="r", allow_pickle=False)
        if len(part):
            dims.setdefault(part.shape[1], path.name)
    if len(dims) > 1:
        found = ", ".join(f"{name} of {dim}" for dim, name in dims.items())
        raise ArtifactError(
            f"{context.folder('embeddings')}: vectors of different dimensions ({found}); redo the step with --fresh"
        )
    return RowParts(embedding_paths(context))


def shape(context: Context) -> tuple[int, int]:
    """Rows and dimensions, by the manifest, so that who only counts needs no file."""
    manifest = context.manifest("embeddings")
    records = [manifest.files.get(f"{part}.npy") for part in document_parts(context)]
    rows = [record.rows if record is not None else None for record in records]
    if "dim" not in manifest.facts or None in rows:
        n_rows, dim = embeddings(context).shape
        return n_rows, dim
    return sum(n or 0 for n in rows), int(manifest.facts["dim"])


def checked(context: Context, rows: range) -> Iterator[NDArray[np.float32]]:
    """The rows of a range in blocks; raises InputError naming the document of a wrong one."""
    vectors = embeddings(context)
    survivors = np.load(context.folder("dedup") / "survivors.npy", mmap_mode="r", allow_pickle=False)
    for start in range(rows.start, rows.stop, CHUNK_ROWS):
        ids = np.arange(start, min(start + CHUNK_ROWS, rows.stop), dtype=np.int64)
        block = take(vectors, ids)
        check_rows(block, start, str(context.folder("embeddings")), docs=survivors[ids])
        yield block


def planned(context: Context) -> str:
    """The method by the size of the corpus."""
    n_rows, dim = shape(context)
    return choose_method(n_rows, dim, context.config.graph.method)


def method(context: Context) -> str:
    """What is done in the end: cells that overlap too much give way to all pairs."""
    first = planned(context)
    return first if first == "exact" else str(context.records("lists")["all"].info["method"])


def samples(context: Context) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to choose the overlap by, and rows to measure recall by."""
    n_rows, seed = shape(context)[0], context.config.seed
    tune = sample_rows(n_rows, seed=seed, stream=TUNING, size=tuning_size(n_rows))
    return tune, sample_rows(n_rows, seed=seed, stream=RECALL, size=SAMPLE_ROWS)


def _range_rows(n_rows: int) -> int:
    return max(RANGE_ROWS, -(-n_rows // MOST_RANGES))


def range_of(context: Context, part: str) -> range:
    """The rows of a range by its name."""
    n_rows = shape(context)[0]
    start = int(part.rpartition("-")[2]) * _range_rows(n_rows)
    return range(start, min(start + _range_rows(n_rows), n_rows))


def ranges(context: Context) -> list[str]:
    """Ranges of rows; none where all rows are compared."""
    if planned(context) == "exact":
        return []
    n_rows = shape(context)[0]
    return [f"rows-{number:05}" for number in range(max(1, -(-n_rows // _range_rows(n_rows))))]


def one_unless_exact(context: Context) -> list[str]:
    """One task; none where all rows are compared."""
    return [] if planned(context) == "exact" else one_part(context)


def tasks(context: Context, name: str = "members") -> dict[str, range]:
    """Ranges of cells or lists; `name` as of `cells`."""
    return {f"cells-{number:06}": wanted for number, wanted in enumerate(cell_tasks(cells(context, name)))}


def search_parts(context: Context) -> list[str]:
    """Ranges of cells or lists, or pairs of ranges of rows."""
    if method(context) != "exact":
        return list(tasks(context))
    return [f"rows-{one:03}-{two:03}" for one, two in range_pairs(shape(context)[0])]


def expands(context: Context) -> bool:
    """Whether passes among neighbours' neighbours follow the search."""
    return method(context) == "cells" and bool(context.records("tune")["all"].info["expands"])


def expand_parts(context: Context, number: int) -> list[str]:
    """Ranges of cells; none if no pass is needed, or no further one; the same whenever they are asked for."""
    records = context.records(f"merge-{number - 1}") if expands(context) else {}
    if not records:
        return []
    shares = np.array([share for part in document_parts(context) for share in records[part].info["shares"]])
    reached = enough_found(shares, context.config.graph.target_recall)
    return [] if reached else list(tasks(context, "own"))


def merge_parts(context: Context, number: int) -> list[str]:
    """Parts whose keys change: after a search that passes follow, and after a pass."""
    changed = expand_parts(context, number) if number else expands(context)
    return document_parts(context) if changed else []


def n_passes(context: Context) -> int | None:
    """How many passes are done; None if none are to follow the search."""
    if not expands(context):
        return None
    return max(number for number in range(PASSES + 1) if number == 0 or context.records(f"merge-{number}"))


def merged(context: Context, part: str, number: int) -> tuple[NDArray[np.int64], int]:
    """The keys of a part after the search (0) or a pass, and its first row."""
    sizes = [len(np.load(path, mmap_mode="r", allow_pickle=False)) for path in embedding_paths(context)]
    at = document_parts(context).index(part)
    first, names = sum(sizes[:at]), ("rows", "keys")
    if number:
        keys = np.load(context.folder("neighbors") / f"{part}.merged-{number - 1}.npy", allow_pickle=False)
        names = f"rows-{number}", f"keys-{number}"
    else:
        keys = empty_keys(sizes[at], kept(context.config))
    for files in zip(*(paths(context, name) for name in names), strict=True):
        rows, found = (np.load(path, mmap_mode="r", allow_pickle=False) for path in files)
        merge_found(keys, first, Found(rows, found))
    return keys, first


def cells(context: Context, name: str = "members") -> Cells:
    """The rows of each cell, or the rows that probe each list; ``own``: the rows of each list."""
    return Cells(load(context, name), load(context, f"{name}-bounds"))


def centroids(context: Context) -> Centroids:
    """As trained."""
    return Centroids(load(context, "means"), load(context, "leaders"), load(context, "groups"))


def joined(context: Context) -> NDArray[np.int32]:
    """The cells that each row joined, memory-mapped; its pages are private, so that kernels see one array type."""
    path = context.folder("neighbors") / "joined.npy"
    found: NDArray[np.int32] = np.load(path, mmap_mode="c", allow_pickle=False).view(np.ndarray)
    return found


def paths(context: Context, name: str) -> list[Path]:
    """The files of an array that comes in parts."""
    return sorted(context.folder("neighbors").glob(f"*.{name}.npy"))


def load(context: Context, name: str) -> NDArray[Any]:
    """An array of the step, memory-mapped."""
    path = context.folder("neighbors") / f"{name}.npy"
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    """Write an array."""
    with output.path(name).open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(name, len(array))
