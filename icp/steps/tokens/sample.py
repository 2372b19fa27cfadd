"""The text that a tokenizer is trained on: documents of smallest key, whatever the parts.

In: documents/, graph/nodes.npy. Out: ``sample/part-*.arrow``, what each part may give to the sample; then the sample.
Arrow files are mapped: of what the parts leave, a multiple of the sample, only the sample is read.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.run.arrays import load_nodes
from icp.run.context import Context, document_parts
from icp.run.nodes import node_batches

SAMPLE_CHARS = 16 << 20
"""Text that a tokenizer is trained on."""
SAMPLE_DOCS = 1 << 17
"""About so many documents are looked at for the sample, so that it does not grow with the corpus."""
DOCUMENT_CHARS = 1 << 15
"""No document gives more to the sample."""
_SCHEMA = pa.schema([("high", pa.uint64()), ("low", pa.uint64()), ("doc", pa.int64()), ("text", pa.large_string())])


def sample(context: Context, part: str, output: PartOutput) -> None:
    """The documents of a part that may belong to the sample: those of smallest key."""
    table = _SCHEMA.empty_table()
    highest, n_chars = _highest_key(SAMPLE_DOCS / load_nodes(context).size), 0
    for batch in node_batches(context, part, ("key", "doc", "text")):
        more = _candidates(batch, highest)
        table = pa.concat_tables([table, more])
        n_chars += pc.sum(pc.utf8_length(more.column("text"))).as_py() or 0
        if n_chars > SAMPLE_CHARS + SAMPLE_CHARS // 4:  # seldom, as rows are sorted
            table, n_chars = _smallest(table), SAMPLE_CHARS
            highest = min(highest, table.column("high")[-1].as_py())
    table = _smallest(table)
    with pa.ipc.new_file(str(output.path(f"sample/{part}.arrow")), _SCHEMA) as writer:
        writer.write_table(table)


def sample_texts(context: Context) -> pa.ChunkedArray:
    """The sample of the whole corpus; no text becomes a Python string."""
    paths = [context.path("tokens", f"sample/{part}.arrow") for part in document_parts(context)]
    return _smallest(
        pa.concat_tables([pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in paths])
    ).column("text")


def _highest_key(share: float) -> int:
    """The first half of the key below which that share of all keys lies."""
    return min(int(share * 2.0**64), 2**64 - 1)


def _candidates(batch: pa.RecordBatch, highest: int) -> pa.Table:
    keys = batch.column("key")
    halves = np.frombuffer(keys.buffers()[1], dtype=">u8").reshape(-1, 2)[keys.offset : keys.offset + len(keys)]
    rows = np.flatnonzero(halves[:, 0] <= np.uint64(highest))
    high, low = halves[rows].T.astype(np.uint64)
    chosen = batch.take(rows)
    text = chosen.column("text")
    if (pc.max(pc.utf8_length(text)).as_py() or 0) > DOCUMENT_CHARS:
        text = pc.utf8_slice_codeunits(text, 0, DOCUMENT_CHARS)
    return pa.table([high, low, chosen.column("doc"), text], schema=_SCHEMA)


def _smallest(table: pa.Table) -> pa.Table:
    """The rows of smallest (key, doc) that reach `SAMPLE_CHARS` together; the same for any grouping of the rows."""
    high, low, doc = (table.column(name).to_numpy() for name in ("high", "low", "doc"))
    order = np.lexsort((doc, low, high))
    reached = np.cumsum(pc.utf8_length(table.column("text")).to_numpy()[order])
    return _taken(table, order[: np.searchsorted(reached, SAMPLE_CHARS) + 1])


def _taken(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Rows of a table in the order given: its chunks are asked for theirs, so that they are not joined first."""
    ascending = np.sort(rows)
    bounds = np.cumsum([0, *(batch.num_rows for batch in table.to_batches())])
    cuts = np.searchsorted(ascending, bounds)
    chosen = [
        batch.take(pa.array(ascending[cuts[number] : cuts[number + 1]] - bounds[number]))
        for number, batch in enumerate(table.to_batches())
    ]
    together = pa.Table.from_batches(chosen, schema=table.schema).combine_chunks()
    return together.take(pa.array(np.argsort(np.argsort(rows, kind="stable"), kind="stable")))
