"""The documents that are kept to the end (nodes): their rows, their vectors, the values of their fields.

In: documents/, embeddings/, what dedup and graph kept. Out: record batches, vectors and group numbers, in node order.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.data import RowParts, Rows
from icp.errors import InputError
from icp.run.arrays import load_nodes, survivor_vectors, survivors
from icp.run.context import Context, document_parts
from icp.run.names import DOCUMENTS, LINK_VECTORS

BATCH_ROWS = 1024


def node_bounds(context: Context) -> NDArray[np.int64]:
    """First node of each documents part, and the number of nodes at the end: (n_parts + 1,) int64."""
    return np.searchsorted(load_nodes(context), context.doc_bounds()).astype(np.int64)


def node_batches(context: Context, part: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a documents part that are nodes: record batches of `columns`, in node order."""
    index = document_parts(context).index(part)
    begin, end = node_bounds(context)[index : index + 2]
    row = int(context.doc_bounds()[index])
    wanted = load_nodes(context)[begin:end] - row
    first = 0
    # what is read ahead stays in memory until the file is closed: that would be the part
    with pq.ParquetFile(context.part_path("documents", DOCUMENTS, part), pre_buffer=False, buffer_size=1 << 20) as file:
        for batch in _batches(file, columns):
            low, high = np.searchsorted(wanted, (first, first + batch.num_rows))
            if high - low == batch.num_rows:
                yield batch
            elif low < high:
                yield batch.take(wanted[low:high] - first)
            first += batch.num_rows


def _batches(file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Batches of a row group at a time: where documents are long, a thousand of them are several groups."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=list(columns))


def node_rows(context: Context) -> NDArray[np.int64]:
    """(n_nodes,) int64: the row of each node in embeddings/ and neighbors/."""
    return np.asarray(np.searchsorted(survivors(context), load_nodes(context)), dtype=np.int64)


class NodeRows:
    """Vectors of nodes, found among those of survivors when they are asked for."""

    def __init__(self, vectors: Rows, nodes: NDArray[np.int64], survivors: NDArray[np.int64]) -> None:
        self._vectors, self._nodes, self._survivors = vectors, nodes, survivors
        self.shape = (nodes.size, vectors.shape[1])

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        return self._vectors[np.searchsorted(self._survivors, self._nodes[rows])]


def load_vectors(context: Context) -> NodeRows:
    """(n_nodes, dim) float16: a vector of each node."""
    return NodeRows(survivor_vectors(context), load_nodes(context), survivors(context))


def by_links_alone(context: Context) -> bool:
    """Whether the graph has no similarities, so that order and windows come of links alone."""
    return LINK_VECTORS in context.manifest("graph").files


def planning_vectors(context: Context) -> Rows:
    """(n_nodes, dim) float16: what order and windows go by, vectors of texts or of links."""
    return RowParts([context.path("graph", LINK_VECTORS)]) if by_links_alone(context) else load_vectors(context)


def field_groups(documents: Sequence[Path], docs: NDArray[np.int64], fields: Sequence[str]) -> NDArray[np.int64]:
    """A number for the values of these fields in each of `docs`, in the order of first appearance; null is a value too.

    Args:
        documents: the documents parts, one row a document, in order.
        docs: (n,) int64, ascending row numbers over all parts.
        fields: columns of the documents; without any, all are one group.

    Raises: InputError for a field that holds lists or structs.
    """
    groups = np.zeros(docs.size, dtype=np.int64)
    for name in fields:
        codes = _coded(_column(documents, docs, name), name)
        pairs = groups * (int(codes.max(initial=0)) + 1) + codes
        _, first, groups = np.unique(pairs, return_index=True, return_inverse=True)
        rank = np.empty(first.size, dtype=np.int64)
        rank[np.argsort(first)] = np.arange(first.size)
        groups = rank[groups]
    return groups


def _column(documents: Sequence[Path], docs: NDArray[np.int64], name: str) -> list[pa.Array]:
    chunks, first = [], 0
    for path in documents:
        column = pq.read_table(path, columns=[name]).column(name)
        begin, end = np.searchsorted(docs, (first, first + len(column)))
        chunks += column.take(docs[begin:end] - first).chunks
        first += len(column)
    return chunks


def _coded(chunks: list[pa.Array], name: str) -> NDArray[np.int64]:
    try:
        texts = [chunk.cast(pa.large_string()) for chunk in chunks]
    except pa.ArrowNotImplementedError as error:
        raise InputError(
            f"field {name!r} holds {chunks[0].type}, which cannot tell groups apart; name a field of texts or numbers"
        ) from error
    coded = pa.chunked_array(texts, type=pa.large_string()).combine_chunks().dictionary_encode("encode")
    return np.asarray(coded.indices, dtype=np.int64)
