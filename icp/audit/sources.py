"""The source that ``shards/windows`` names for each window, counted again."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.audit.segments import WindowPart
from icp.run.names import WINDOWS, of_part
from icp.run.reader import Run, read_columns
from icp.run.texts import TextReader


@dataclass(frozen=True, slots=True)
class Sources:
    """The source of each node: a number for each, and what it stands for."""

    code: NDArray[np.int64]
    number: dict[str | None, int]


def read_sources(run: Run, nodes: NDArray[np.int64]) -> Sources:
    """The sources of nodes, given as docs, ascending."""
    chunks, first = [], 0
    for column in TextReader(run).column("source"):
        begin, end = np.searchsorted(nodes, (first, first + len(column)))
        chunks += column.cast(pa.large_string()).take(nodes[begin:end] - first).chunks
        first += len(column)
    coded: Any = pa.chunked_array(chunks, type=pa.large_string()).combine_chunks().dictionary_encode("encode")
    number = {value: code for code, value in enumerate(coded.dictionary.to_pylist())}
    return Sources(np.asarray(coded.indices, dtype=np.int64), number)


def check_sources(run: Run, part: WindowPart, sources: Sources, found: Breaches) -> None:
    """The source that a window names has as many tokens in it as any other."""
    column = read_columns(run.path("shards", of_part(WINDOWS, part.name)), ("source",)).column(0)
    stated = column.to_pylist()
    named = np.array([sources.number.get(value, -1) for value in stated], dtype=np.int64)
    n_codes = max(1, len(sources.number))
    pairs, inverse = np.unique(part.window_of * n_codes + sources.code[part.node], return_inverse=True)
    spans = part.pieces["doc_stop"] - part.pieces["doc_start"]
    n_tokens = np.bincount(inverse, weights=spans, minlength=pairs.size)
    most = np.zeros(part.end.size)
    np.maximum.at(most, pairs // n_codes, n_tokens)
    wanted = np.arange(part.end.size) * n_codes + named
    at = np.minimum(np.searchsorted(pairs, wanted), max(0, pairs.size - 1))
    has = np.where((pairs[at] == wanted) & (named >= 0), n_tokens[at], -1.0) if pairs.size else most
    number = part.windows["window"]
    wrong = np.flatnonzero(has < most)
    found.add_all("windows with a wrong source", wrong, lambda row: f"window {number[row]}: {stated[row]}")
