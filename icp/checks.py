"""Arrays of the public API, checked before a kernel goes where they lead: kernels check nothing.

In: arguments as a caller passed them. Out: nothing, or an `InputError` that names the argument and what was expected.
Each check is a pass over the array.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, KnnGraph
from icp.errors import InputError

MOST_TOKENS = 1 << 40
"""Tokens of a document, and of all documents, that a plan can count."""


def check_array(name: str, value: Any, *, kinds: str, n_axes: int) -> None:
    """An array of native byte order, of a dtype of `kinds` (numpy's letters), with `n_axes` axes."""
    if not isinstance(value, np.ndarray):
        raise InputError(f"{name} is a {type(value).__name__}, expected an array; pass np.asarray({name}, dtype)")
    if value.dtype.kind not in kinds or value.ndim != n_axes or not value.dtype.isnative:
        wanted = "floats" if kinds == "f" else "whole numbers"
        raise InputError(
            f"{name} is {value.dtype} of shape {value.shape}, expected {wanted} with {n_axes} axes, in the byte order "
            "of this machine"
        )


def check_range(name: str, numbers: NDArray[Any], low: int, high: int) -> None:
    """Numbers from `low` to below `high`."""
    if numbers.size:
        least, most = int(numbers.min()), int(numbers.max())
        if least < low or most >= high:
            raise InputError(f"{name} holds {least if least < low else most}, expected {low} to {high - 1}")


def check_graph(graph: DocGraph, *, name: str = "graph") -> None:
    """A CSR graph whose edges lead to its own rows."""
    for part, kinds in (("indptr", "iu"), ("indices", "iu"), ("weights", "f")):
        check_array(f"{name}.{part}", getattr(graph, part), kinds=kinds, n_axes=1)
    indptr, indices = graph.indptr, graph.indices
    if not indptr.size or indptr[0] != 0 or np.any(indptr[1:] < indptr[:-1]) or indptr[-1] != indices.size:
        raise InputError(
            f"{name}.indptr must rise from 0 to the number of edges, {indices.size:,}; icp.symmetrize makes one"
        )
    if graph.weights.shape != indices.shape:
        raise InputError(
            f"{name} has {indices.size:,} indices and {graph.weights.size:,} weights, expected as many of each"
        )
    check_range(f"{name}.indices", indices, 0, indptr.size - 1)


def check_knn(knn: KnnGraph, n_rows: int | None = None) -> None:
    """Lists of neighbours of `n_rows` rows (None: as many as there are) with a finite similarity of each."""
    check_array("knn.neighbors", knn.neighbors, kinds="iu", n_axes=2)
    check_array("knn.similarities", knn.similarities, kinds="f", n_axes=2)
    if knn.similarities.shape != knn.neighbors.shape:
        raise InputError(
            f"knn has neighbors of shape {knn.neighbors.shape} and similarities of {knn.similarities.shape}, expected "
            "the same; check for a cut array"
        )
    if n_rows is not None and len(knn.neighbors) != n_rows:
        raise InputError(f"knn has {len(knn.neighbors)} rows, expected {n_rows}: one a document of the graph")
    check_range("knn.neighbors", knn.neighbors, -1, len(knn.neighbors))
    if not np.isfinite(knn.similarities).all():
        raise InputError("knn.similarities hold NaN or infinity; give cosines")


def check_tokens(lengths: NDArray[Any], seq_len: int, specials: tuple[int, int]) -> None:
    """Counts of tokens that sums over all documents can hold, and specials that are none or some."""
    check_array("lengths", lengths, kinds="iu", n_axes=1)
    most = int(lengths.max(initial=0))
    if most > MOST_TOKENS or most * max(1, lengths.size) > MOST_TOKENS << 16 or seq_len > MOST_TOKENS:
        raise InputError(
            f"lengths go up to {most} and seq_len is {seq_len}; more than {MOST_TOKENS:,} tokens of a document or "
            "window are no text"
        )
    if len(specials) != 2 or min(specials) < 0:
        raise InputError(f"specials are {specials}, expected two counts from 0 on: of bos and of eos")
