"""Phases of the models that look at the whole corpus: `lexical`, `static`, `hybrid`, ``hybrid:<model>``."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.embedders import corpus_embedder
from icp.embedders.corpus import CorpusEmbedder, NotFiniteError, Totals, row_totals, sample_step
from icp.embedding.survivors import (
    load_array,
    made,
    not_finite,
    survivor_batches,
    survivors,
    transformer_settings,
    wanted,
    write_rows,
)
from icp.steps import Context, PartOutput, document_parts
from icp.texts import text_buffers

BLOCK_ROWS = 1 << 12


def count(context: Context, part: str, output: PartOutput) -> None:
    """How many documents of a part hold each word."""
    embedder, counts = of_corpus(context), None
    for batch in survivor_batches(context, part, "text"):
        found = embedder.count(text_buffers(batch.column("text")))
        counts = found if counts is None else counts + found
    if counts is not None:
        np.save(output.path(f"counts/{part}.npy"), counts, allow_pickle=False)


def weigh(context: Context, part: str, output: PartOutput) -> None:
    """What each word counts, from the counts of all parts."""
    embedder, total = of_corpus(context), np.zeros(1, np.uint32)
    for name in made(context, "count", "counts"):
        total = total + load_array(context, name)
    if total.size > 1:
        weights = embedder.weigh(total, survivors(context).size)
        np.save(output.path("weights.npy"), weights, allow_pickle=False)


def project(context: Context, part: str, output: PartOutput) -> None:
    """The rows of the documents of a part, their sum, and those of them that are in the sample."""
    embedder = of_corpus(context)
    has_weights = embedder.counts_words and made(context, "weigh", "weights")
    weights = np.array(load_array(context, "weights.npy")) if has_weights else np.zeros(0, np.int32)
    sums, sample = np.zeros(embedder.width + 1, np.int64), []
    number = wanted(context, part)[0]
    step = sample_step(survivors(context).size, embedder.sample_rows)

    def blocks() -> Iterator[NDArray[Any]]:
        nonlocal number
        for batch in survivor_batches(context, part, "id", "text"):
            try:
                rows = embedder.project(text_buffers(batch.column("text")), weights)
            except NotFiniteError as error:
                raise not_finite(context, batch, error.row) from None
            found, n_filled = row_totals(rows)
            sums[:-1] += found
            sums[-1] += n_filled
            if embedder.sample_rows:
                sample.append(rows[-number % step :: step].copy())
            number += len(rows)
            yield rows

    n_rows = wanted(context, part)[2].size
    write_rows(output.path(f"rows/{part}.npy"), n_rows, embedder.width, embedder.dtype, blocks())
    np.save(output.path(f"sums/{part}.npy"), sums, allow_pickle=False)
    together = np.concatenate([np.zeros((0, embedder.width), embedder.dtype), *sample])
    np.save(output.path(f"sample/{part}.npy"), together, allow_pickle=False)


def settle(context: Context, part: str, output: PartOutput) -> None:
    """What all rows have in common."""
    embedder, parts = of_corpus(context), document_parts(context)
    sums = np.zeros(embedder.width + 1, np.int64)
    for name in parts:
        sums += load_array(context, f"sums/{name}.npy")
    sample = np.concatenate([load_array(context, f"sample/{name}.npy") for name in parts])
    totals = Totals(sums[:-1], int(sums[-1]), survivors(context).size, sample)
    for name, array in embedder.settle(totals).items():
        np.save(output.path(f"settled/{name}.npy"), array, allow_pickle=False)


def finished(context: Context, part: str) -> Iterator[NDArray[np.float32]]:
    """The vectors of a part, in blocks: (n, dim) float32."""
    embedder, rows = of_corpus(context), load_array(context, f"rows/{part}.npy")
    names = [name.removesuffix(".npy") for name in made(context, "settle", "settled")]
    settled = {name.rpartition("/")[2]: np.array(load_array(context, f"{name}.npy")) for name in names}
    for first in range(0, len(rows), BLOCK_ROWS):
        yield embedder.finish(np.array(rows[first : first + BLOCK_ROWS]), settled)


def of_corpus(context: Context) -> CorpusEmbedder:
    """The model of the configuration; a transformer in it is loaded now."""
    config = context.config
    embedder = corpus_embedder(config.embed.model, transformer_settings(config, context.threads), seed=config.seed)
    assert embedder is not None, config.embed.model
    return embedder
