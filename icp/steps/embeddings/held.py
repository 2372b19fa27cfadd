"""Vectors of documents that are held out, by the model and the statistics of the others, which they do not change.

In: ``documents/holdout/part-*.parquet``. Out: ``holdout/part-*.npy`` float16, a row for each. The step graph compares
documents with them.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.embed import FILES, by_id, is_of_corpus
from icp.embed.transformer import load_transformer
from icp.embed.two_pass import finish_rows, first_not_finite
from icp.engine.step import PartOutput
from icp.errors import InputError
from icp.plurals import counted
from icp.run.context import Context
from icp.run.names import HELD_VECTORS, HOLDOUT, of_part, part_of
from icp.steps.embeddings.by_id import own_rows
from icp.steps.embeddings.failed import past_failures
from icp.steps.embeddings.frozen import settled_arrays, word_weights
from icp.steps.embeddings.survivors import BATCH_ROWS, load_array, transformer_settings, write_rows
from icp.steps.embeddings.two_pass import of_corpus

Embed = Callable[[pa.RecordBatch], Iterator[NDArray[np.floating]]]


def held_parts(context: Context) -> list[str]:
    """The files of held-out documents, if vectors are to be compared with theirs."""
    if not context.config.holdout.compares_vectors:
        return []
    return sorted(part_of(name, HOLDOUT) for name in context.manifest("documents").files if fnmatchcase(name, HOLDOUT))


def held_source(config: Config) -> list[tuple[str, str]]:
    """That there are such vectors, for the basis of the step; how near is too near changes none of them."""
    return [("held-out documents, whose vectors holdout.cosine asks for", "made")] * config.holdout.compares_vectors


def embed_held(context: Context, part: str, output: PartOutput) -> None:
    """The vectors of the held-out documents of a file."""
    dim, embed = _embedder(context, output)
    path, name = context.part_path("documents", HOLDOUT, part), of_part(HELD_VECTORS, part)
    n_rows = pq.read_metadata(path).num_rows

    def blocks() -> Iterator[NDArray[np.float16]]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=["id", "text"], use_threads=False):
                for block in embed(batch):
                    bad = first_not_finite(np.asarray(block, np.float32))
                    if bad >= 0:
                        raise InputError(
                            f"held-out document: its vector by {context.config.embed.model!r} is not finite; use "
                            "another embed.model, or do without holdout.cosine"
                        )
                    rows = block.astype(np.float16)
                    output.count("held_out_zero_rows", int((~rows.any(axis=1)).sum()))
                    yield rows

    output.count("held_out_zero_rows", 0)
    write_rows(output.path(name), n_rows, dim, np.float16, blocks())
    output.rows(name, n_rows)
    n_without = int(output.counts["held_out_zero_rows"])
    if n_without:
        has, it = ("has", "it") if n_without == 1 else ("have", "them")
        output.info["warnings"] = [
            *output.info.get("warnings", []),
            f"holdout.cosine: {n_without:,} of {counted(n_rows, 'held-out document')} {has} no vector, and no document "
            f"is compared with {it} by vectors",
        ]


def _embedder(context: Context, output: PartOutput) -> tuple[int, Embed]:
    """Length of a vector, and what makes those of a batch."""
    model = context.config.embed.model
    if is_of_corpus(model):
        embedder = of_corpus(context)
        weights = word_weights(context) if embedder.counts_words else np.zeros(0, np.int32)
        settled = settled_arrays(context)
        return embedder.dim, lambda batch: finish_rows(
            embedder, embedder.project(past_failures(embedder.read, batch, output), weights), settled
        )
    if model.startswith(FILES):
        vectors, index = own_rows(context), load_array(context, "index.npy")

        def found(batch: pa.RecordBatch) -> Iterator[NDArray[np.float16]]:
            places = by_id.find_rows(index, batch.column("id").to_pylist())
            rows = np.zeros((places.size, vectors.shape[1]), np.float16)
            rows[places >= 0] = vectors[places[places >= 0]]
            yield rows

        return vectors.shape[1], found
    transformer = load_transformer(transformer_settings(context.config, context.threads))

    def transformed(batch: pa.RecordBatch) -> Iterator[NDArray[np.float32]]:
        yield past_failures(lambda texts: transformer.embed(texts.strings()), batch, output)

    return transformer.dim, transformed
