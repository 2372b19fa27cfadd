"""Step `neighbors`: the nearest rows of every embedded row.

In: embeddings/. Out, by part of embeddings/: part-*.neighbors.npy int32 (rows, k + 6), rows of survivors, -1 for none;
part-*.similarities.npy float16, 0 there. Raw: a row itself is left out, nothing else.

Tasks are ranges of `QUERY_ROWS` rows, not parts, so that several workers share one part and the parts change nothing.
Phases: *search*, *parts* (what was found, by part), *facts* (recall). Where not all rows are compared, before them:
*train* (centroids), *assign* (a list for every row), *lists* (their order; how many to search), *gather* (vectors by
list).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import RowParts
from icp.inverted import (
    QUERY_ROWS,
    AllRows,
    InvertedLists,
    choose_method,
    choose_nprobe,
    list_rows,
    nearest_lists,
    search_all,
    search_lists,
    take,
    train_centroids,
)
from icp.steps import Context, PartOutput, Phase, Step, document_parts, one_part
from icp.vectors import check_rows, nearest, recall_interval, sample_rows

EXTRA = 6
"""Neighbours kept beyond k: room for the copies that the graph takes out."""
SAMPLE_ROWS = 1000
TUNE_SALT, RECALL_SALT = 2, 3


def train(context: Context, part: str, output: PartOutput) -> None:
    """Centroids of the lists."""
    centroids = train_centroids(_embeddings(context), seed=context.config.seed)
    _save(output, "centroids.npy", centroids)


def assign(context: Context, part: str, output: PartOutput) -> None:
    """The list of each row of a range."""
    rows, start = _embeddings(context), QUERY_ROWS * _number(part)
    queries = take(rows, np.arange(start, min(start + QUERY_ROWS, rows.shape[0]), dtype=np.int64))
    check_rows(queries, start, str(context.folder("embeddings")))
    found = nearest_lists(queries, _load(context, "centroids"), nprobe=1, threads=context.threads)
    _save(output, f"{part}.assigned.npy", found[:, 0])


def make_lists(context: Context, part: str, output: PartOutput) -> None:
    """The rows by list, and how many lists reach the wanted recall; true neighbours of a sample for the facts."""
    config, rows, centroids = context.config, _embeddings(context), _load(context, "centroids")
    paths = sorted(context.folder("neighbors").glob("*.assigned.npy"))
    assigned = np.concatenate([np.load(path, allow_pickle=False) for path in paths])
    order, bounds = list_rows(assigned, len(centroids))
    tune = sample_rows(rows.shape[0], seed=config.seed, salt=TUNE_SALT, size=SAMPLE_ROWS)
    test = sample_rows(rows.shape[0], seed=config.seed, salt=RECALL_SALT, size=SAMPLE_ROWS)
    both = np.concatenate((tune, test))
    queries = take(rows, both)
    exact, best = nearest(queries, both, AllRows(rows), keep=config.graph.k, threads=context.threads)
    neighbor_lists = np.where(exact < 0, -1, assigned[exact])[: tune.size]
    target = config.graph.target_recall
    output.info["nlist"] = len(centroids)
    output.info["nprobe"] = choose_nprobe(queries[: tune.size], neighbor_lists, centroids, target_recall=target)
    positions = np.full(rows.shape[0], -1, dtype=np.int64)
    positions[order] = np.arange(order.size)
    arrays: dict[str, NDArray[Any]] = {"order": order, "bounds": bounds, "positions": positions}
    arrays |= {"test": test, "exact": exact[tune.size :], "best": best[tune.size :]}
    for name, array in arrays.items():
        _save(output, f"{name}.npy", array)


def gather(context: Context, part: str, output: PartOutput) -> None:
    """The vectors of a group of lists, next to one another."""
    bounds, wanted = _load(context, "bounds"), _lists_of(context, part)
    order = _load(context, "order")[bounds[wanted.start] : bounds[wanted.stop]]
    _save(output, f"{part}.vectors.npy", _embeddings(context)[order])


def search(context: Context, part: str, output: PartOutput) -> None:
    """Neighbours of a range of rows, or of the rows of a group of lists."""
    keep, threads = context.config.graph.k + EXTRA, context.threads
    if _method(context) == "exact":
        start, where = QUERY_ROWS * _number(part), str(context.folder("embeddings"))
        groups = search_all(_embeddings(context), range(start, start + 1), keep=keep, threads=threads, where=where)
    else:
        nprobe = context.records("lists")["all"].info["nprobe"]
        groups = search_lists(_lists(context), _lists_of(context, part), nprobe=nprobe, keep=keep)
    found = [(np.empty((0, keep), np.int32), np.empty((0, keep), np.float16)), *(group[1:] for group in groups)]
    _save(output, f"{part}.found-neighbors.npy", np.concatenate([neighbors for neighbors, _ in found]))
    _save(output, f"{part}.found-similarities.npy", np.concatenate([values for _, values in found]))


def write_part(context: Context, part: str, output: PartOutput) -> None:
    """What was found for the rows of a part."""
    folder = context.folder("neighbors")
    before = [RowParts([path]).shape[0] for path in _embedding_paths(context) if path.name <= f"{part}.npy"]
    rows = np.arange(sum(before[:-1]), sum(before), dtype=np.int64)
    positions = rows if _method(context) == "exact" else _load(context, "positions")[rows]
    for name, empty in (("neighbors", -1), ("similarities", 0)):
        found = RowParts(sorted(folder.glob(f"*.found-{name}.npy")))
        block = np.full((rows.size, found.shape[1]), empty, dtype=found[rows[:0]].dtype)
        block[positions >= 0] = found[positions[positions >= 0]]
        _save(output, f"{part}.{name}.npy", block)


def measure(context: Context, part: str, output: PartOutput) -> None:
    """How many of the true neighbours were found."""
    method = _method(context)
    recall = (1.0, 1.0, 1.0)
    if method == "ivf":
        output.info |= context.records("lists")["all"].info
        test, k = _load(context, "test"), context.config.graph.k
        paths = (
            sorted(context.folder("neighbors").glob(f"part-*.{name}.npy")) for name in ("neighbors", "similarities")
        )
        neighbors, similarities = (RowParts(found)[test][:, :k] for found in paths)
        recall = recall_interval(neighbors, similarities, _load(context, "exact"), _load(context, "best"))
    output.info["method"] = method
    output.info |= dict(zip(("recall", "recall_low", "recall_high"), recall, strict=True))


def _keys(config: Config) -> tuple[str, ...]:
    return ("graph.k", "graph.method", "graph.target_recall", "seed")


def _embedding_paths(context: Context) -> list[Path]:
    return [context.folder("embeddings") / f"{part}.npy" for part in document_parts(context)]


def _embeddings(context: Context) -> RowParts:
    return RowParts(_embedding_paths(context))


def _method(context: Context) -> str:
    n_rows, dim = _embeddings(context).shape
    return choose_method(n_rows, dim, context.config.graph.method)


def _number(part: str) -> int:
    return int(part.rpartition("-")[2])


def _ranges(context: Context) -> list[str]:
    return [f"rows-{number:07}" for number in range(max(1, -(-_embeddings(context).shape[0] // QUERY_ROWS)))]


def _groups(context: Context) -> list[str]:
    """Groups of neighbouring lists that begin in one range of `QUERY_ROWS` positions."""
    numbers = np.unique(_load(context, "bounds")[:-1] // QUERY_ROWS)
    return [f"lists-{number:07}" for number in numbers]


def _lists_of(context: Context, part: str) -> range:
    begins = _load(context, "bounds")[:-1] // QUERY_ROWS
    mine = np.flatnonzero(begins == _number(part))
    return range(int(mine[0]), int(mine[-1]) + 1)


def _lists(context: Context) -> InvertedLists:
    vectors = RowParts(sorted(context.folder("neighbors").glob("*.vectors.npy")))
    return InvertedLists(_load(context, "centroids"), _load(context, "order"), _load(context, "bounds"), vectors)


def _one_if_ivf(context: Context) -> list[str]:
    return one_part(context) if _method(context) == "ivf" else []


def _ranges_if_ivf(context: Context) -> list[str]:
    return _ranges(context) if _method(context) == "ivf" else []


def _groups_if_ivf(context: Context) -> list[str]:
    return _groups(context) if _method(context) == "ivf" else []


def _search_parts(context: Context) -> list[str]:
    return _groups(context) if _method(context) == "ivf" else _ranges(context)


def _load(context: Context, name: str) -> NDArray[Any]:
    path = context.folder("neighbors") / f"{name}.npy"
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    with output.path(name).open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(name, len(array))


STEP = Step(
    name="neighbors",
    format=1,
    inputs=("dedup", "embeddings"),
    keys=_keys,
    phases=(
        Phase("train", _one_if_ivf, train, scratch=True),
        Phase("assign", _ranges_if_ivf, assign, scratch=True),
        Phase("lists", _one_if_ivf, make_lists, scratch=True),
        Phase("gather", _groups_if_ivf, gather, scratch=True),
        Phase("search", _search_parts, search, scratch=True),
        Phase("parts", document_parts, write_part),
        Phase("facts", one_part, measure),
    ),
)
