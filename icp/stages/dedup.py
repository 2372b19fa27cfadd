"""The dedup step: one document of each group of copies stays.

In: ``documents/part-*.parquet``. Out: ``signatures/part-*.parquet`` (`signatures`), ``duplicates/part-*.parquet``
(doc, duplicate_of, jaccard, kind) and ``survivors.npy``, int64, the docs that stay, ascending. Phases: *signatures* and
*keys* of the bands, part by part; *twins*, the exact copies; *buckets* of each band; *candidates*, all of them;
*evidence*, signatures and shingle sets of the candidates, part by part; *group*, the verdict. Arrays over all documents
take some 100 bytes a document; `candidates` bounds what is sorted at a time; evidence lies in files.
"""

import tempfile
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.errors import ConfigError
from icp.kernels.components import Evidence
from icp.minhash import shingle_sets
from icp.near_duplicates.bands import warnings_of
from icp.near_duplicates.candidates import (
    bucket_parts,
    docs_of,
    find_bucket_part,
    find_twins,
    gather_candidates,
    key_part,
    load_array,
    load_buckets,
    near_parts,
    save_array,
    scheme_of,
)
from icp.near_duplicates.duplicates import Rules, choose_keepers
from icp.near_duplicates.signatures import fixed_values, read_groups, read_rows, read_schema, write_signatures
from icp.steps import Context, PartOutput, Phase, Step, document_parts, one_part
from icp.texts import text_buffers

LARGE_SHARE, LARGE_SIZE = 0.01, 10  # a group with more of the corpus, and more documents, is warned of
LARGEST = 10  # groups named in the manifest


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
    output.rows(name, write_signatures(output.path(name), tables, scheme_of(context.config)))


def gather_evidence(context: Context, part: str, output: PartOutput) -> None:
    """Write signatures and shingle sets of the candidates of a part, by doc: ``evidence/<part>.*.npy``."""
    config, scheme = context.config.dedup, scheme_of(context.config)
    docs = np.sort(load_array(context, "candidates/docs.npy"))
    first, stop = docs_of(context, part)
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
    save_array(output, f"evidence/{part}.signatures.npy", np.concatenate(signatures))
    save_array(output, f"evidence/{part}.values.npy", np.concatenate(values))
    save_array(output, f"evidence/{part}.indptr.npy", np.cumsum(np.concatenate(sizes)))


def choose(context: Context, part: str, output: PartOutput) -> None:
    """Write ``duplicates/part-*.parquet`` and ``survivors.npy``; count; name the largest groups."""
    config = context.config.dedup
    twins = load_array(context, "twins/twins.npy")
    buckets = load_buckets(context)
    rules = Rules(config.threshold, config.bands, config.rows, config.verify)
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=context.folder("dedup"))) for _ in range(2)]
        keepers = choose_keepers(twins, buckets, _evidence(context, buckets.docs, *files), rules)
    bounds = context.doc_bounds().tolist()
    for k, name in enumerate(document_parts(context)):
        table = keepers.table(bounds[k], bounds[k + 1])
        pq.write_table(table, output.path(f"duplicates/{name}.parquet"), compression="zstd")
        output.rows(f"duplicates/{name}.parquet", table.num_rows)
    survivors = np.flatnonzero(keepers.duplicate_of == np.arange(twins.size)).astype(np.int64)
    save_array(output, "survivors.npy", survivors)
    output.rows("survivors.npy", survivors.size)
    output.count("survivors", survivors.size)
    output.count("near_duplicates", int(keepers.is_near.sum()))
    output.count("exact_duplicates", twins.size - survivors.size - int(keepers.is_near.sum()))
    output.info["candidates"] = int(buckets.docs.size)
    output.info["checks"] = keepers.n_checks
    groups = output.info["largest_groups"] = keepers.largest_groups(LARGEST)
    output.info["warnings"] = _suspicious(groups, twins.size)


def _suspicious(groups: list[dict[str, int]], n_docs: int) -> list[str]:
    """A line for each group that holds a suspicious share of the corpus."""
    return [
        f"dedup: {group['documents']} documents ({group['documents'] / n_docs:.1%} of the corpus) count as copies of "
        f"doc {group['doc']}; look at some of them (icp inspect RUN --dup ID) before you trust the corpus"
        for group in groups
        if group["documents"] > max(LARGE_SIZE, LARGE_SHARE * n_docs)
    ]


def _cautions(config: Config) -> list[str]:
    """What the settings cost, for who takes them from elsewhere."""
    dedup = config.dedup
    if not dedup.near:
        return []
    return warnings_of(bands=dedup.bands, rows=dedup.rows, threshold=dedup.threshold, verify=dedup.verify)


def _evidence(context: Context, docs: NDArray[np.int64], signature_file: Any, value_file: Any) -> Evidence:
    """The evidence of all parts, in the order of `docs`, in files, so that memory need not hold it."""
    by_doc = np.argsort(docs)
    shape = docs.size, context.config.dedup.num_perm
    signatures = np.memmap(signature_file, np.uint32, "w+", shape=shape) if docs.size else np.zeros(shape, np.uint32)
    starts, stops = np.empty(docs.size, np.int64), np.empty(docs.size, np.int64)
    done = n_values = 0
    for part in document_parts(context):
        indptr = load_array(context, f"evidence/{part}.indptr.npy")
        rows = by_doc[done : done + indptr.size - 1]
        done += rows.size
        signatures[rows] = load_array(context, f"evidence/{part}.signatures.npy", mapped=True)
        starts[rows], stops[rows] = n_values + indptr[:-1], n_values + indptr[1:]
        values = load_array(context, f"evidence/{part}.values.npy", mapped=True)
        values.tofile(value_file)
        n_values += values.size
    value_file.flush()
    sets = np.memmap(value_file, np.uint32, "r+", shape=(n_values,)) if n_values else np.zeros(0, np.uint32)
    return Evidence(np.asarray(signatures), np.arange(docs.size), np.asarray(sets), starts, stops)


def _check_keep(config: Config, schema: Any) -> None:
    kind, _, field = config.dedup.keep.partition(":")
    if kind != "max":
        return
    if field not in config.corpus.keep:
        raise ConfigError(f"dedup.keep is max:{field}, but corpus.keep does not carry {field}; add it to corpus.keep")
    found = schema.field(field).type
    if not (pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_null(found)):
        raise ConfigError(f"dedup.keep is max:{field}, but {field} is {found}; name a field of numbers")


STEP = Step(
    name="dedup",
    format=1,
    inputs=("documents",),
    keys=config_keys,
    phases=(
        Phase("signatures", document_parts, sign_part),
        Phase("keys", near_parts, key_part, scratch=True),
        Phase("twins", one_part, find_twins, scratch=True),
        Phase("buckets", bucket_parts, find_bucket_part, scratch=True),
        Phase("candidates", one_part, gather_candidates, scratch=True),
        Phase("evidence", document_parts, gather_evidence, scratch=True),
        Phase("group", one_part, choose),
    ),
    cautions=_cautions,
)
