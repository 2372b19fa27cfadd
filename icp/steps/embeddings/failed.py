"""Documents on which a model fails: without a vector, counted, named, and held against `corpus.max_rejected`."""

from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from icp.engine.step import PartOutput
from icp.errors import InputError
from icp.failures import failing, pass_on, too_many
from icp.run.arrays import survivors
from icp.run.context import Context
from icp.texts import Texts, text_buffers

_SHOWN = 3
_ANY_TEXT = "a word"
Made = TypeVar("Made")


def past_failures(work: Callable[[Texts], Made], batch: pa.RecordBatch, output: PartOutput) -> Made:
    """What a model makes of the texts of a batch, where one on which it fails counts as empty.

    Args:
        work: asks the model.
        batch: columns ``id`` and ``text``.
        output: counts and names those documents.

    Raises: what the model raises if it fails on any text at all: then no document is to blame.
    """
    texts = text_buffers(batch.column("text").fill_null(""))
    try:
        return work(texts)
    except BaseException as error:  # noqa: BLE001 - panics of Rust are no Exceptions
        pass_on(error)
        work(text_buffers([_ANY_TEXT]))
    failed = failing(lambda first, last: work(texts.part(first, last)), texts.n_docs)
    named = [f"{batch.column('id')[row].as_py()!r} ({reason})" for row, reason in failed.items()]
    output.count("failed", len(failed))
    output.info["failed"] = [*output.info.get("failed", []), *named][:_SHOWN]
    output.info["warnings"] = [
        *output.info.get("warnings", []),
        f"embeddings: the model failed on {len(failed):,} documents, which have no vector, e.g. "
        + ", ".join(named[:_SHOWN]),
    ]
    return work(text_buffers(["" if row in failed else text for row, text in enumerate(texts.strings())]))


def check_failed(context: Context) -> None:
    """Raise InputError if a model failed on more documents than `corpus.max_rejected` allows."""
    records = [record for phase in ("read", "embed") for record in context.records(phase).values()]
    n_failed, n_rows = sum(record.counts.get("failed", 0) for record in records), survivors(context).size
    limit = context.config.corpus.max_rejected
    if too_many(n_failed, n_rows, limit, is_none_left=n_failed == n_rows):
        some = [name for record in records for name in record.info.get("failed", ())][:_SHOWN]
        raise InputError(
            f"embed.model {context.config.embed.model} fails on {n_failed:,} of {n_rows:,} documents "
            f"(corpus.max_rejected is {limit}), e.g. {', '.join(some)}; use another model, leave these documents out "
            "(corpus.exclude), or raise corpus.max_rejected"
        )
