"""Phases of the models that look at the whole corpus: `lexical`, `static`, `hybrid`, ``hybrid:<model>``."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.embed import corpus_embedder
from icp.embed.two_pass import (
    BUCKETS,
    CorpusEmbedder,
    NotFiniteError,
    PartTotals,
    Reading,
    count_words,
    finish_rows,
    settle_parts,
    weigh_words,
)
from icp.engine.step import PartOutput
from icp.run.arrays import survivors
from icp.run.context import Context, document_parts
from icp.steps.embeddings.failed import past_failures
from icp.steps.embeddings.frozen import settled_arrays, word_weights
from icp.steps.embeddings.survivors import (
    load_array,
    made,
    not_finite,
    survivor_batches,
    transformer_settings,
    wanted,
    write_rows,
)

READ_ROWS = 1 << 10
"""Rows of a part that are projected at once: their words are read from a file."""


def read(context: Context, part: str, output: PartOutput) -> None:
    """What the model takes from the documents of a part, and how many of them hold each word."""
    embedder = of_corpus(context)
    bounds, counts = [np.zeros(1, np.int64)], np.zeros(BUCKETS, np.uint32)
    words_path, masses_path = output.path(f"words/{part}.bin"), output.path(f"masses/{part}.bin")

    def dense_blocks() -> Iterator[NDArray[np.int8]]:
        nonlocal counts
        with words_path.open("wb") as words, masses_path.open("wb") as masses:
            for batch in survivor_batches(context, part, "id", "text"):
                try:
                    reading = past_failures(embedder.read, batch, output)
                except NotFiniteError as error:
                    raise not_finite(context, batch, error.row) from None
                words.write(reading.words.data)
                masses.write(reading.masses.data)
                bounds.append(reading.bounds[1:] + bounds[-1][-1])
                if embedder.counts_words:
                    counts += count_words(reading)
                yield reading.dense

    n_rows = wanted(context, part)[2].size
    write_rows(output.path(f"dense/{part}.npy"), n_rows, embedder.dense_width, np.int8, dense_blocks())
    np.save(output.path(f"bounds/{part}.npy"), np.concatenate(bounds), allow_pickle=False)
    if embedder.counts_words:
        np.save(output.path(f"counts/{part}.npy"), counts, allow_pickle=False)


def weigh(context: Context, part: str, output: PartOutput) -> None:
    """What each word counts, from the counts of all parts."""
    counts = (load_array(context, name) for name in made(context, "read", "counts"))
    weights = weigh_words(of_corpus(context), counts, survivors(context).size)
    np.save(output.path("weights.npy"), weights, allow_pickle=False)


def project(context: Context, part: str, output: PartOutput) -> None:
    """The rows of the documents of a part, their sum, and those of them that are in the sample."""
    embedder = of_corpus(context)
    weights = word_weights(context) if embedder.counts_words else np.zeros(0, np.int32)
    first, _, docs = wanted(context, part)
    totals = PartTotals(embedder, first=first, n_docs=survivors(context).size)

    def blocks() -> Iterator[NDArray[Any]]:
        for reading in _readings(context, part):
            rows = embedder.project(reading, weights)
            totals.add(rows)
            yield rows

    write_rows(output.path(f"rows/{part}.npy"), docs.size, embedder.width, embedder.dtype, blocks())
    np.save(output.path(f"sums/{part}.npy"), totals.sums, allow_pickle=False)
    np.save(output.path(f"sample/{part}.npy"), totals.sample, allow_pickle=False)


def _readings(context: Context, part: str) -> Iterator[Reading]:
    """What `read` left of a part, in blocks."""
    folder = context.folder("embeddings")
    bounds, dense = load_array(context, f"bounds/{part}.npy"), load_array(context, f"dense/{part}.npy")
    with (folder / f"words/{part}.bin").open("rb") as words, (folder / f"masses/{part}.bin").open("rb") as masses:
        for first in range(0, len(dense), READ_ROWS):
            inside = np.array(bounds[first : first + READ_ROWS + 1])
            n_words = int(inside[-1] - inside[0])
            yield Reading(
                np.fromfile(words, np.uint64, n_words),
                np.fromfile(masses, np.uint32, n_words),
                inside - inside[0],
                np.array(dense[first : first + READ_ROWS]),
            )


def settle(context: Context, part: str, output: PartOutput) -> None:
    """What all rows have in common."""
    parts = (
        (load_array(context, f"sums/{name}.npy"), load_array(context, f"sample/{name}.npy"))
        for name in document_parts(context)
    )
    settled = settle_parts(of_corpus(context), parts, survivors(context).size, threads=context.threads)
    for name, array in settled.items():
        np.save(output.path(f"settled/{name}.npy"), array, allow_pickle=False)


def finished(context: Context, part: str) -> Iterator[NDArray[np.float32]]:
    """The vectors of a part, in blocks: (n, dim) float32."""
    return finish_rows(of_corpus(context), load_array(context, f"rows/{part}.npy"), settled_arrays(context))


def of_corpus(context: Context) -> CorpusEmbedder:
    """The model of the configuration; a transformer in it is loaded now."""
    config = context.config
    embedder = corpus_embedder(config.embed.model, transformer_settings(config, context.threads), seed=config.seed)
    assert embedder is not None, config.embed.model
    return embedder
