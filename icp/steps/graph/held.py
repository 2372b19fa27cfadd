"""Documents whose vectors are too near to those of held-out ones: they are no nodes, and make nobody a duplicate.

In: embeddings/, its ``holdout/``, the ids in ``documents/holdout/``. Out: ``near_held/part-*.parquet``: `doc`, `held`,
the id of the nearest held-out document, and their `cosine`, at least `holdout.cosine`; one file a documents part.

Products of float32 matrices choose whom to look at, and the exact dot products of `candidate_similarities` decide, so
that neither blocks nor machines change the result. Of held-out documents equally near, the first is named.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.kernels.knn_graph import candidate_similarities
from icp.run.arrays import mapped, survivors
from icp.run.context import Context, document_parts
from icp.run.extended import new_parts
from icp.run.names import HELD_VECTORS, HOLDOUT, NEAR_HELD, VECTORS, of_part, part_of

BLOCK_ROWS = 4096
SLACK = 1e-3
"""How far a product of float32 matrices may be from the exact one, and more."""


def held_parts(context: Context) -> list[str]:
    """The new documents parts, if vectors are compared with those of held-out documents, and there are any."""
    wanted = context.config.holdout.compares_vectors and bool(_held_names(context))
    return new_parts(context) if wanted else []


def find_near_held(context: Context, part: str, output: PartOutput) -> None:
    """List the documents of a part that are too near to a held-out one."""
    least = context.config.holdout.cosine
    assert least is not None
    vectors = mapped(context.part_path("embeddings", VECTORS, part))
    best, nearest = np.full(len(vectors), -2.0), np.zeros(len(vectors), np.int64)
    for first_held, held in _held_blocks(context):
        for first in range(0, len(vectors), BLOCK_ROWS):
            rows = np.array(vectors[first : first + BLOCK_ROWS], np.float32)
            found, of = _nearest(rows, held, least)
            here = slice(first, first + len(rows))
            is_nearer = found > best[here]
            nearest[here][is_nearer] = of[is_nearer] + first_held
            best[here][is_nearer] = found[is_nearer]
    near = np.flatnonzero(best >= least)
    ids = _held_ids(context) if near.size else np.empty(0, object)
    columns = {
        "doc": _docs(context, part)[near],
        "held": pa.array(ids[nearest[near]], pa.string()),
        "cosine": best[near],
    }
    name = of_part(NEAR_HELD, part)
    pq.write_table(pa.table(columns), output.path(name), compression="zstd")
    output.rows(name, near.size)
    output.count("near_held", int(near.size))


def are_near_held(context: Context) -> NDArray[np.bool_]:
    """(n_rows,) bool: survivors that *held* listed in this run."""
    docs = [np.empty(0, np.int64)]
    for part in held_parts(context):
        docs.append(pq.read_table(context.part_path("graph", NEAR_HELD, part), columns=["doc"])["doc"].to_numpy())
    return np.isin(survivors(context), np.concatenate(docs), assume_unique=True)


def _nearest(
    rows: NDArray[np.float32], held: NDArray[np.float32], least: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The largest cosine of each row to a held-out one, -2 where it is below `least`, and which one that is."""
    products = rows @ held.T
    row, other = np.nonzero(products >= np.maximum(least, products.max(axis=1, initial=-2))[:, None] - SLACK)
    exact = np.empty(row.size, np.float32)
    for begin in range(0, row.size, BLOCK_ROWS):
        these, those = row[begin : begin + BLOCK_ROWS], other[begin : begin + BLOCK_ROWS]
        at = np.arange(these.size, dtype=np.int64)[:, None]
        exact[begin : begin + BLOCK_ROWS] = candidate_similarities(rows[these], held[those], at)[:, 0]
    best, of = np.full(len(rows), -2.0), np.zeros(len(rows), np.int64)
    order = np.lexsort((-other, exact, row))  # of each row the last: the largest, of equal ones the first
    last = order[np.flatnonzero(np.diff(row[order], append=-1))]
    best[row[last]], of[row[last]] = exact[last], other[last]
    best[best < least] = -2
    return best, of


def _held_names(context: Context) -> list[str]:
    return sorted(name for name in context.manifest("embeddings").files if fnmatchcase(name, HELD_VECTORS))


def _held_blocks(context: Context) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The vectors of held-out documents, in blocks, each with the number of its first."""
    number = 0
    for name in _held_names(context):
        vectors = mapped(context.path("embeddings", name))
        for first in range(0, len(vectors), BLOCK_ROWS):
            block = np.array(vectors[first : first + BLOCK_ROWS], np.float32)
            yield number, block
            number += len(block)


def _held_ids(context: Context) -> NDArray[np.object_]:
    """(n_held,) the ids of held-out documents, in the order of their vectors."""
    parts = [part_of(name, HELD_VECTORS) for name in _held_names(context)]
    tables = [pq.read_table(context.part_path("documents", HOLDOUT, part), columns=["id"]) for part in parts]
    return np.array([value for table in tables for value in table["id"].to_pylist()], object)


def _docs(context: Context, part: str) -> NDArray[np.int64]:
    """The docs of the survivors of a documents part."""
    number, docs = document_parts(context).index(part), survivors(context)
    first, last = np.searchsorted(docs, context.doc_bounds()[number : number + 2])
    return np.asarray(docs[first:last])
