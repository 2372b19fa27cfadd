"""Numbers for the values of documents' fields, for orders and windows that keep them apart.

In: ``documents/part-*.parquet``. Out: an integer for each document.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.errors import InputError


def field_groups(documents: Path, docs: NDArray[np.int64], fields: Sequence[str]) -> NDArray[np.int64]:
    """A number for the values of these fields in each of `docs`, in the order they first appear; none is a value too.

    Args:
        documents: folder of ``part-*.parquet``, one row a document, in order.
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


def _column(documents: Path, docs: NDArray[np.int64], name: str) -> list[pa.Array]:
    chunks, first = [], 0
    for path in sorted(documents.glob("part-*.parquet")):
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
