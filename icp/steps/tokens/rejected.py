"""Documents on which the tokenizer failed: kept by name, counted, and held against `corpus.max_rejected`.

Such a document stays in the run without a token, as one of an empty text does.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from icp.engine.step import PartOutput
from icp.errors import InputError
from icp.failures import too_many
from icp.run.context import Context
from icp.run.names import REJECTED_ROWS, of_part

_SHOWN = 3
_SCHEMA = pa.schema([("doc", pa.int64()), ("id", pa.string()), ("reason", pa.string())])


class Rejected:
    """Those of one part."""

    def __init__(self) -> None:
        self._rows: list[dict[str, object]] = []

    def add(self, batch: pa.RecordBatch, refused: Mapping[int, str]) -> None:
        """Note rows of a batch, each with the reason."""
        docs, ids = batch.column("doc"), batch.column("id")
        for row, reason in refused.items():
            self._rows.append({"doc": docs[row].as_py(), "id": ids[row].as_py(), "reason": reason})

    def leave(self, output: PartOutput, part: str) -> None:
        """Write them, count them, and warn of the first."""
        if not self._rows:
            return
        path = output.path(of_part(REJECTED_ROWS, part))
        pq.write_table(pa.Table.from_pylist(self._rows, schema=_SCHEMA), path, compression="zstd")
        output.rows(of_part(REJECTED_ROWS, part), len(self._rows))
        output.count("rejected", len(self._rows))
        named = [_named(row) for row in self._rows[:_SHOWN]]
        output.info["rejected"] = named
        output.info["warnings"] = [
            f"tokens: the tokenizer failed on {len(self._rows):,} documents of {part}, which have no tokens "
            f"({of_part(REJECTED_ROWS, part)} lists them), e.g. {'; '.join(named)}"
        ]


def check_rejected(context: Context) -> None:
    """Raise InputError if the tokenizer failed on more documents than `corpus.max_rejected` allows."""
    records = context.records("encode").values()
    n_rejected = sum(record.counts.get("rejected", 0) for record in records)
    n_docs = sum(record.counts.get("documents", 0) for record in records)
    limit = context.config.corpus.max_rejected
    if too_many(n_rejected, n_docs, limit, is_none_left=n_rejected == n_docs):
        some = [name for record in records for name in record.info.get("rejected", ())][:_SHOWN]
        raise InputError(
            f"tokenizer.name: {context.config.tokenizer.name} fails on {n_rejected:,} of {n_docs:,} documents "
            f"(corpus.max_rejected is {limit}), e.g. {'; '.join(some)}; mend the tokenizer, leave these documents out "
            "(corpus.exclude), or raise corpus.max_rejected"
        )


def _named(row: Mapping[str, object]) -> str:
    return f"doc {row['doc']}" + (f" ({row['id']})" if row["id"] is not None else "") + f": {row['reason']}"
