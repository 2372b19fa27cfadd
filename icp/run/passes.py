"""The passes of a pack over its documents, `pack.epochs` and `pack.sources`: which documents stand in each.

In: documents/, the configuration. Out: the number of passes of each node. Pass p holds the documents of more than p
passes: a document of a source of 1.5 epochs stands in the first pass, and, by a hash of its id, perhaps in the second.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config.pack_models import PackConfig
from icp.errors import InputError

SHOWN = 12


def passes_of(documents: Sequence[Path], docs: NDArray[np.int64], pack: PackConfig) -> NDArray[np.int64]:
    """(n,) int64: in how many passes each of `docs` stands; the same in every run, whatever the seed.

    Args:
        documents: the documents parts, one row a document, in order.
        docs: (n,) int64, ascending row numbers over all parts.

    Raises: InputError for a source in `pack.sources` that none of them has.
    """
    found = np.full(docs.size, pack.epochs, np.int64)
    if not pack.sources:
        return found
    seen: set[str] = set()
    first = 0
    for path in documents:
        table = pq.read_table(path, columns=["source", "key"])
        begin, end = np.searchsorted(docs, (first, first + table.num_rows))
        here = table.take(pa.array(docs[begin:end] - first))
        names = np.array(here.column("source").to_pylist(), object)
        shares = _hashed(here.column("key"))
        seen.update(str(name) for name in set(names.tolist()) if name is not None)
        for name, wanted in pack.sources.items():
            chosen = np.flatnonzero(names == name)
            whole, part = divmod(wanted.epochs, 1)
            found[begin + chosen] = int(whole) + (shares[chosen] < part)
        first += table.num_rows
    missing = sorted(set(pack.sources) - seen)
    if missing:
        known = ", ".join(sorted(seen)[:SHOWN]) + (", ..." if len(seen) > SHOWN else "")
        raise InputError(
            f"pack.sources names {missing[0]!r}, which is the source of no document that is kept; sources are "
            f"{known or 'not known: corpus.source names a field that is empty'}"
        )
    return found


def _hashed(keys: pa.ChunkedArray) -> NDArray[np.float64]:
    """(n,) float64 from 0 up to 1: the first 8 bytes of each key, a hash of source and id."""
    whole = b"".join(keys.to_pylist())
    return np.frombuffer(whole, "<u8").reshape(-1, 2)[:, 0] / 2.0**64
