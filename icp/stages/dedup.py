"""The dedup step: one document of each group of copies stays.

In: ``documents/part-*.parquet``. Out: ``signatures/part-*.parquet`` (`icp.signatures`), ``duplicates/part-*.parquet``
(doc, duplicate_of, jaccard, kind) and ``survivors.npy``, int64, the docs that stay, ascending. Phases: *signatures* of
every part; *candidates*, who shares a band with whom; *evidence*, signatures and shingle sets of the candidates, part
by part; *group*, the verdict. Global memory is some 100 bytes a document and `icp.duplicates.KEY_BYTES`; the shingle
sets lie in a file.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.duplicates import (
    Buckets,
    Found,
    Keepers,
    Rules,
    bands_at_a_time,
    choose_keepers,
    find_band_buckets,
    first_copies,
    gather_buckets,
    order_by_priority,
    pick_near,
)
from icp.errors import ArtifactError, ConfigError
from icp.kernels.components import Evidence, band_keys
from icp.minhash import Scheme, make_scheme, shingle_sets
from icp.signatures import fixed_values, read_column, read_groups, read_rows, read_schema, write_signatures
from icp.steps import Context, PartOutput, Phase, Step, document_parts, one_part
from icp.texts import text_buffers

LARGE_SHARE, LARGE_SIZE = 0.01, 10  # a group with more of the corpus, and more documents, is warned of
LARGEST = 10  # groups named in the manifest
log = logging.getLogger(__name__)


def config_keys(config: Config) -> tuple[str, ...]:
    """The keys that change the bytes of dedup."""
    return ("dedup", "seed") if config.dedup.near else ("dedup.keep", "dedup.near")


def sign_part(context: Context, part: str, output: PartOutput) -> None:
    """Write ``signatures/<part>.parquet``.

    Raises: ConfigError if ``dedup.keep`` names a field that cannot rank.
    """
    source, name = context.folder("documents") / f"{part}.parquet", f"signatures/{part}.parquet"
    _check_keep(context.config, read_schema(source))
    tables = read_groups(source, ["doc", "text"])
    output.rows(name, write_signatures(output.path(name), tables, _scheme(context.config)))


def find_candidates(context: Context, part: str, output: PartOutput) -> None:
    """Write ``twins.npy`` (the preferred exact copy of each document) and the `Buckets` of the others as arrays."""
    config = context.config.dedup
    scheme, files = _scheme(context.config), _signature_files(context)
    order = order_by_priority(_priorities(context))
    twins = first_copies(
        np.concatenate([fixed_values(read_column(path, "words_hash", scheme), "<u8") for path in files]), order
    )
    buckets = gather_buckets(np.zeros(0, np.int64), [])
    if config.near:
        near = pick_near(order, twins, _numbers(files, "n_shingles"))
        buckets = gather_buckets(near, list(_found(context, near, twins.size)))
    _save(output, "candidates/twins.npy", twins)
    for name in Buckets.__slots__:
        _save(output, f"candidates/{name}.npy", getattr(buckets, name))


def gather_evidence(context: Context, part: str, output: PartOutput) -> None:
    """Write signatures and shingle sets of the candidates of a part, by doc: ``evidence/<part>.*.npy``."""
    config, scheme = context.config.dedup, _scheme(context.config)
    docs = np.sort(_load(context, "candidates/docs.npy"))
    k = document_parts(context).index(part)
    first, stop = context.doc_bounds()[k : k + 2].tolist()
    rows = docs[np.searchsorted(docs, first) : np.searchsorted(docs, stop)] - first
    signatures = [np.zeros((0, config.num_perm), np.uint32)]
    values, sizes = [np.zeros(0, np.uint32)], [np.zeros(1, np.int64)]
    if rows.size:
        path = context.folder("dedup") / "signatures" / f"{part}.parquet"
        signatures += [fixed_values(chosen, "<u4") for chosen in read_rows(path, "signature", rows, scheme)]
    if config.verify == "exact" and rows.size:
        for chosen in read_rows(context.folder("documents") / f"{part}.parquet", "text", rows):
            found, indptr = shingle_sets(text_buffers(chosen), ngram=config.ngram)
            values.append(found)
            sizes.append(np.diff(indptr))
    else:
        sizes.append(np.zeros(rows.size, np.int64))
    _save(output, f"evidence/{part}.signatures.npy", np.concatenate(signatures))
    _save(output, f"evidence/{part}.values.npy", np.concatenate(values))
    _save(output, f"evidence/{part}.indptr.npy", np.cumsum(np.concatenate(sizes)))


def choose(context: Context, part: str, output: PartOutput) -> None:
    """Write ``duplicates/part-*.parquet`` and ``survivors.npy``; count; name the largest groups."""
    config = context.config.dedup
    twins = _load(context, "candidates/twins.npy")
    buckets = Buckets(*(_load(context, f"candidates/{name}.npy") for name in Buckets.__slots__))
    rules = Rules(config.threshold, config.bands, config.rows, config.verify)
    with tempfile.TemporaryFile(dir=context.folder("dedup")) as file:
        keepers = choose_keepers(twins, buckets, _evidence(context, buckets.docs, file), rules)
    bounds = context.doc_bounds().tolist()
    for k, name in enumerate(document_parts(context)):
        table = keepers.table(bounds[k], bounds[k + 1])
        pq.write_table(table, output.path(f"duplicates/{name}.parquet"), compression="zstd")
        output.rows(f"duplicates/{name}.parquet", table.num_rows)
    survivors = np.flatnonzero(keepers.duplicate_of == np.arange(twins.size)).astype(np.int64)
    _save(output, "survivors.npy", survivors)
    output.rows("survivors.npy", survivors.size)
    output.count("survivors", survivors.size)
    output.count("near_duplicates", int(keepers.is_near.sum()))
    output.count("exact_duplicates", twins.size - survivors.size - int(keepers.is_near.sum()))
    output.info["candidates"] = int(buckets.docs.size)
    output.info["checks"] = keepers.n_checks
    output.info["largest_groups"] = _largest_groups(keepers)


def _largest_groups(keepers: Keepers) -> list[dict[str, int]]:
    """The documents that stand for most others, ties by doc: ``doc`` of the kept one, ``documents`` itself included."""
    kept, sizes = np.unique(keepers.duplicate_of, return_counts=True)
    order = np.lexsort((kept, -sizes))[:LARGEST]
    groups = [{"doc": int(kept[i]), "documents": int(sizes[i])} for i in order if sizes[i] > 1]
    for group in groups:
        share = group["documents"] / keepers.duplicate_of.size
        if group["documents"] > LARGE_SIZE and share > LARGE_SHARE:
            log.warning(
                "dedup: %d documents (%.1f%% of the corpus) count as copies of doc %d; look at some of them "
                "(icp inspect RUN --dup ID) before you trust the corpus",
                group["documents"],
                100 * share,
                group["doc"],
            )
    return groups


def _scheme(config: Config) -> Scheme | None:
    """What the signatures are made with. The default seeds of configuration and API (0, 1) give the same signatures."""
    if not config.dedup.near:
        return None
    return make_scheme(num_perm=config.dedup.num_perm, ngram=config.dedup.ngram, seed=(config.seed + 1) % 2**32)


def _found(context: Context, near: NDArray[np.int64], n_docs: int) -> Iterator[Found]:
    """The buckets of every band, over positions in `near`; signature files are read once for each group of bands."""
    config = context.config.dedup
    place = np.full(n_docs, -1, np.int64)
    place[near] = np.arange(near.size)
    for bands in bands_at_a_time(near.size, config.bands):
        keys = np.empty((len(bands), near.size), np.uint64)
        start = 0
        for path in _signature_files(context):
            for table in read_groups(path, ["signature"], _scheme(context.config)):
                places = place[start : start + table.num_rows]
                start += table.num_rows
                block = fixed_values(table["signature"], "<u4")[places >= 0]
                keys[:, places[places >= 0]] = band_keys(block, bands.start, len(bands), config.rows)
        yield from find_band_buckets(keys)


def _evidence(context: Context, docs: NDArray[np.int64], file: Any) -> Evidence:
    """The evidence of all parts, in the order of `docs`; `file` takes the shingle sets, so that memory need not."""
    by_doc = np.argsort(docs)
    signatures = np.empty((docs.size, context.config.dedup.num_perm), np.uint32)
    starts, stops = np.empty(docs.size, np.int64), np.empty(docs.size, np.int64)
    done = n_values = 0
    for part in document_parts(context):
        indptr = _load(context, f"evidence/{part}.indptr.npy")
        rows = by_doc[done : done + indptr.size - 1]
        done += rows.size
        signatures[rows] = _load(context, f"evidence/{part}.signatures.npy")
        starts[rows], stops[rows] = n_values + indptr[:-1], n_values + indptr[1:]
        values = np.load(context.folder("dedup") / f"evidence/{part}.values.npy", mmap_mode="r", allow_pickle=False)
        values.tofile(file)
        n_values += values.size
    file.flush()
    sets = np.memmap(file, np.uint32, mode="r+", shape=(n_values,)) if n_values else np.zeros(0, np.uint32)
    return Evidence(signatures, np.asarray(sets), starts, stops)


def _check_keep(config: Config, schema: Any) -> None:
    kind, _, field = config.dedup.keep.partition(":")
    if kind != "max":
        return
    if field not in config.corpus.keep:
        raise ConfigError(f"dedup.keep is max:{field}, but corpus.keep does not carry {field}; add it to corpus.keep")
    found = schema.field(field).type
    if not (pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_null(found)):
        raise ConfigError(f"dedup.keep is max:{field}, but {field} is {found}; name a field of numbers")


def _priorities(context: Context) -> NDArray[Any]:
    """(n_docs,) what documents are ranked by: the higher stays."""
    kind, _, field = context.config.dedup.keep.partition(":")
    if kind == "max":
        paths = [context.folder("documents") / f"{part}.parquet" for part in document_parts(context)]
        return np.concatenate([read_column(path, field).cast(pa.float64()).to_numpy() for path in paths])
    n_bytes = _numbers(_signature_files(context), "n_bytes")
    return n_bytes if kind == "longest" else np.zeros_like(n_bytes)


def _numbers(paths: list[Path], column: str) -> NDArray[np.int64]:
    return np.concatenate([read_column(path, column).to_numpy() for path in paths])


def _signature_files(context: Context) -> list[Path]:
    return [context.folder("dedup") / "signatures" / f"{part}.parquet" for part in document_parts(context)]


def _save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    with output.path(name).open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _load(context: Context, name: str) -> NDArray[Any]:
    path = context.folder("dedup") / name
    try:
        loaded: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); redo the step dedup (--fresh)") from None
    return loaded


STEP = Step(
    name="dedup",
    format=1,
    inputs=("documents",),
    keys=config_keys,
    phases=(
        Phase("signatures", document_parts, sign_part),
        Phase("candidates", one_part, find_candidates, scratch=True),
        Phase("evidence", document_parts, gather_evidence, scratch=True),
        Phase("group", one_part, choose),
    ),
)
