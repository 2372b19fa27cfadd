"""Promise 8, of vectors: no document in the graph is as near to a held-out one as `holdout.cosine`.

In: embeddings/, its ``holdout/``, graph/. Out: breaches. All are compared again, by products of matrices.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.data import load_npy
from icp.run.names import HELD_VECTORS, HOLDOUT, NEAR_HELD, NODES, SURVIVORS, VECTORS, of_part, part_of
from icp.run.reader import Run, integers, parquet_rows, read_columns
from icp.run.removed import among

BLOCK_ROWS = 4096
SLACK = 1e-4
"""What a product of float32 matrices is off by, and more."""


def check_vectors(run: Run, found: Breaches) -> str:
    """Nodes are not near to held-out documents, and what is listed as near to one is."""
    least = run.config.holdout.cosine
    assert least is not None
    _check_rows(run, found)
    ids, held = _held(run)
    survivors = np.asarray(run.array("dedup", SURVIVORS), np.int64)
    is_node = among(survivors, np.asarray(run.array("graph", NODES), np.int64))
    tables = [
        read_columns(run.path("graph", name), ("doc", "held", "cosine")) for name in run.names("graph", NEAR_HELD)
    ]
    listed = {
        int(doc): (held_id, float(cosine))
        for table in tables
        for doc, held_id, cosine in zip(
            integers(table, "doc"), table["held"].to_pylist(), table["cosine"].to_pylist(), strict=True
        )
    }
    wrong = [doc for doc in sorted(listed) if not among(np.array([doc]), survivors)[0]]
    found.add_all("documents listed as near to a held-out one that dedup did not keep", np.array(wrong, np.int64), str)
    for first, vectors in _blocks(run):
        best = _best(vectors, held)
        rows = np.arange(first, first + len(vectors))
        near = rows[(best >= least + SLACK) & is_node[rows]]
        found.add_all(
            "documents with a vector near to a held-out one in training", near, lambda row: _shown(survivors, row)
        )
        for row in rows.tolist():
            held_id, cosine = listed.get(int(survivors[row]), ("", 0.0))
            if held_id and held_id in ids and (abs(best[row - first] - cosine) > SLACK or cosine < least):
                found.add("documents listed as near to a held-out one that are not", _shown(survivors, row))
    return f"none has a cosine of {least} or more to a held-out one, {len(listed):,} are left out for that"


def _shown(survivors: NDArray[np.int64], row: int) -> str:
    return f"doc {survivors[row]}"


def _check_rows(run: Run, found: Breaches) -> None:
    for name in run.names("documents", HOLDOUT):
        own = of_part(HELD_VECTORS, part_of(name, HOLDOUT))
        there = own in run.manifests["embeddings"].files
        rows = len(load_npy(run.path("embeddings", own), "r")) if there else 0
        if rows != parquet_rows(run.path("documents", name)):
            found.add("held-out documents without a vector", f"documents/{name}: embeddings/{own} has {rows:,}")


def _held(run: Run) -> tuple[set[str], NDArray[np.float32]]:
    """Ids and vectors of all held-out documents."""
    names = [
        read_columns(run.path("documents", name), ("id",))["id"].to_pylist() for name in run.names("documents", HOLDOUT)
    ]
    files = [load_npy(run.path("embeddings", name), "r") for name in run.names("embeddings", HELD_VECTORS)]
    vectors = (
        np.concatenate([np.asarray(file, np.float32) for file in files]) if files else np.zeros((0, 1), np.float32)
    )
    return {name for some in names for name in some}, vectors


def _blocks(run: Run) -> Iterator[tuple[int, NDArray[np.float32]]]:
    number = 0
    for name in run.names("embeddings", VECTORS):
        vectors = run.array("embeddings", name, ndim=2, kinds="f")
        for first in range(0, len(vectors), BLOCK_ROWS):
            block = np.asarray(vectors[first : first + BLOCK_ROWS], np.float32)
            yield number, block
            number += len(block)


def _best(vectors: NDArray[np.float32], held: NDArray[np.float32]) -> NDArray[np.float64]:
    best = np.full(len(vectors), -2.0)
    for first in range(0, len(held), BLOCK_ROWS):
        products = vectors @ held[first : first + BLOCK_ROWS].T
        best = np.maximum(best, products.max(axis=1))
    return best
