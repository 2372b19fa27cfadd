"""What the phases of the step `embeddings` share: the documents to embed, and scratch arrays of the step."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.embed import rest_of
from icp.embed.transformer import TransformerSettings
from icp.errors import InputError
from icp.run.arrays import mapped, survivors
from icp.run.context import Context, document_parts
from icp.run.names import DOCUMENTS

BATCH_ROWS = 1024


def survivor_batches(context: Context, part: str, *columns: str) -> Iterator[pa.RecordBatch]:
    """The rows of a documents part that dedup leaves: record batches of `columns`, in order, none empty."""
    _, row, docs = wanted(context, part)
    first = 0
    with pq.ParquetFile(context.part_path("documents", DOCUMENTS, part)) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns), use_threads=False):
            low, high = np.searchsorted(docs, (row + first, row + first + batch.num_rows))
            if low < high:
                yield batch.take(docs[low:high] - (row + first))
            first += batch.num_rows


def wanted(context: Context, part: str) -> tuple[int, int, NDArray[np.int64]]:
    """First survivor of a documents part, its first doc, and the docs of it that are embedded."""
    index, docs = document_parts(context).index(part), survivors(context)
    bounds = context.doc_bounds()[index : index + 2]
    low, high = np.searchsorted(docs, bounds)
    return int(low), int(bounds[0]), docs[low:high]


def load_array(context: Context, name: str) -> NDArray[Any]:
    """An array that an earlier phase left, memory-mapped."""
    return mapped(context.path("embeddings", name))


def made(context: Context, phase: str, folder: str) -> list[str]:
    """Files that an earlier phase left under a name."""
    records = context.records(phase).values()
    return sorted(name for record in records for name in record.files if name.startswith(folder))


def write_rows(path: Path, n_rows: int, dim: int, dtype: type, blocks: Iterable[NDArray[Any]]) -> None:
    """A `.npy` file of (n_rows, dim), block by block: the bytes that `np.save` would write of the whole."""
    with path.open("wb") as stream:
        header = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": (n_rows, dim)}
        np.lib.format.write_array_header_1_0(stream, header)
        n_written = 0
        for block in blocks:
            stream.write(np.ascontiguousarray(block).data)
            n_written += len(block)
    assert n_written == n_rows, (path, n_written, n_rows)


def transformer_settings(config: Config, threads: int) -> TransformerSettings:
    """What the configuration says of the transformer."""
    embed = config.embed
    model = rest_of(embed.model)
    return TransformerSettings(model, embed.max_tokens, embed.chunks, embed.batch_size, embed.device, threads)


def not_finite(context: Context, batch: pa.RecordBatch, row: int) -> InputError:
    """The error that names the document of a broken vector."""
    return InputError(
        f"document {batch.column('id')[row].as_py()!r}: its vector by {context.config.embed.model!r} is not "
        "finite; name the document in corpus.exclude or use another embed.model"
    )
