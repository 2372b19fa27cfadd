"""Files of signatures: what the step ``dedup`` knows of each document without its text.

Columns: doc int64; n_bytes int64, of the text; n_shingles int64, repeats counted, 0 without words; words_hash
fixed_size_binary(16), equal for exact copies; signature fixed_size_binary(4 * num_perm), little-endian uint32. The
metadata of a file name the `Scheme`. Without near-duplicates there are no columns n_shingles and signature, and no
scheme.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from icp.dedup.minhash import Scheme, sign_and_digest, text_digests
from icp.texts import text_buffers

_RANDOM_BITS = ("words_hash", "signature")  # not worth compressing


def write_signatures(path: Path, tables: Iterable[Any], scheme: Scheme | None) -> int:
    """Sign the texts of `tables` (columns doc, text), a row group each; `scheme` None: only tell exact copies.

    Returns: number of rows.
    """
    schema = _schema(scheme)
    compression: Any = {name: "none" if name in _RANDOM_BITS else "zstd" for name in schema.names}
    n_rows = 0
    options: dict[str, Any] = {
        "compression": compression,
        "use_dictionary": False,
        "write_statistics": ["doc"],
        "write_page_checksum": True,
    }
    with pq.ParquetWriter(path, schema, **options) as writer:
        for table in tables:
            writer.write_table(_sign(table, scheme, schema), row_group_size=max(1, table.num_rows))
            n_rows += table.num_rows
    return n_rows


def _schema(scheme: Scheme | None) -> Any:
    columns: dict[str, Any] = {"doc": pa.int64(), "n_bytes": pa.int64()}
    if scheme is not None:
        columns["n_shingles"] = pa.int64()
    columns["words_hash"] = pa.binary(16)
    if scheme is not None:
        columns["signature"] = pa.binary(4 * scheme.num_perm)
    metadata: Any = scheme.metadata() if scheme is not None else None
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()], metadata=metadata)


def _sign(table: Any, scheme: Scheme | None, schema: Any) -> Any:
    texts = text_buffers(table["text"])
    columns: dict[str, Any] = {"doc": table["doc"], "n_bytes": np.diff(texts.offsets)}
    if scheme is None:
        digests = text_digests(texts)
    else:
        signatures, columns["n_shingles"], digests = sign_and_digest(texts, scheme)
        columns["signature"] = _fixed_column(signatures.astype("<u4"))
    columns["words_hash"] = _fixed_column(digests.astype("<u8"))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _fixed_column(rows: Any) -> Any:
    """Rows of a contiguous array as fixed-size binary values."""
    width = rows.shape[1] * rows.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows.shape[0], [None, pa.py_buffer(rows)])
