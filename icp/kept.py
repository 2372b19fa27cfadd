"""The documents that are kept to the end (nodes), read part by part.

In: documents/, graph/nodes.npy. Out: record batches of the rows that are nodes, in node order.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.steps import Context, document_parts

BATCH_ROWS = 1024


def load_nodes(context: Context) -> NDArray[np.int64]:
    """(n_nodes,) int64, doc of each node, ascending; mapped, so that only what is used is read."""
    nodes: NDArray[np.int64] = np.load(context.folder("graph") / "nodes.npy", mmap_mode="r", allow_pickle=False)
    return nodes


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
    with pq.ParquetFile(context.folder("documents") / f"{part}.parquet") as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
            low, high = np.searchsorted(wanted, (first, first + batch.num_rows))
            if low < high:
                yield batch.take(wanted[low:high] - first)
            first += batch.num_rows
