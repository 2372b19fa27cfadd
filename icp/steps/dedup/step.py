"""The dedup step: one document of each group of copies stays.

In: ``documents/part-*.parquet``. Out: ``signatures/part-*.parquet`` (`signatures`), ``duplicates/part-*.parquet``
(doc, duplicate_of, jaccard, kind; -1: another tool did not say of what) and ``survivors.npy``, int64, the docs that
stay, ascending. Phases: *signatures*, part by part; *imported*, what other tools found; *keys* of the bands, part by
part; *twins*, the exact copies; *buckets* of each band; *candidates*, all of them; where they are many, their
*components*, by one union-find or, beyond its limit, by rounds of stars (*edges*, *large-..*, *small-..*), and the
buckets in *shares* of whole components; *evidence*, signatures and shingle sets of the candidates, part by part;
*verdicts*, share by share; *group*, the verdict on all documents. *twins*, which sorts all documents, takes some 85
bytes a document, *candidates* and *group* 10 to 20 (*group* 80 more with duplicates of other tools), *components* 8 a
candidate; all others what a part or a share takes.

Of a run that another one extends, *carry* takes over signatures and duplicates; buckets without a new document are left
out, and its documents are preferred to new ones, so that nothing that was kept is removed.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from icp.config import Config
from icp.dedup.bands import warnings_of
from icp.dedup.dates import is_datable
from icp.dedup.verdicts import follow_twins, largest_groups
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.errors import ConfigError
from icp.run.context import Context, document_parts
from icp.run.extended import carry_parts, extended_source, new_parts, old_parts
from icp.run.names import DOCUMENTS, DUPLICATES, SIGNATURES, SURVIVORS, of_part
from icp.run.tables import read_groups, read_schema
from icp.steps.dedup.candidates import (
    bucket_parts,
    docs_of,
    find_bucket_part,
    find_twins,
    gather_candidates,
    key_part,
    load_array,
    n_candidates,
    near_parts,
    save_array,
    scheme_of,
)
from icp.steps.dedup.components import component_parts, find_labels, share_buckets, share_parts, task_names
from icp.steps.dedup.evidence import gather_evidence, judge_task, load_verdict
from icp.steps.dedup.grown import carry, removed_before, verdict_with_old
from icp.steps.dedup.imported import find_pairs, imported_files, imported_parts, merged
from icp.steps.dedup.rounds import star_phases
from icp.steps.dedup.signatures import write_signatures

LARGE_SHARE, LARGE_SIZE = 0.01, 10  # a group with more of the corpus, and more documents, is warned of
LARGEST = 10  # groups named in the manifest


def config_keys(config: Config) -> tuple[str, ...]:
    """The keys that change the bytes of dedup."""
    # unsaid where nothing is imported: runs made before there was a choice stay as they are
    imported: tuple[str, ...] = ("dedup.import",) if getattr(config.dedup, "import") is not None else ()
    if imported and config.dedup.import_share != type(config.dedup).model_fields["import_share"].default:
        imported += ("dedup.import_share",)
    if not config.dedup.near:
        return ("dedup.keep", "dedup.near", *imported)
    keys = (name for name in config.dedup.keys_but("import", "dedup") if name != "dedup.import_share")
    return (*keys, *imported, "seed")


def sign_part(context: Context, part: str, output: PartOutput) -> None:
    """Write ``signatures/<part>.parquet``.

    Raises: ConfigError if ``dedup.keep`` names a field that cannot rank.
    """
    source, name = context.part_path("documents", DOCUMENTS, part), of_part(SIGNATURES, part)
    _check_keep(context.config, read_schema(source))
    tables = read_groups(source, ["doc", "text"])
    output.rows(name, write_signatures(output.path(name), tables, scheme_of(context.config)))


def choose(context: Context, part: str, output: PartOutput) -> None:
    """Write ``duplicates/part-*.parquet`` and ``survivors.npy``; count; name the largest groups."""
    twins, verdict = load_array(context, "twins/twins.npy", mapped=True), load_verdict(context)
    verdict = verdict_with_old(context, verdict)
    merge = merged(context, twins, verdict) if imported_parts(context) else None
    is_kept, duplicate_of = np.ones(twins.size, np.bool_), [np.zeros(0, np.int64)]
    n_near = n_imported = 0
    for name in old_parts(context):
        removed = removed_before(context, name)
        is_kept[removed.docs] = False
        duplicate_of.append(removed.keepers)
        n_near += int(removed.is_near.sum())
        n_imported += int(removed.is_imported.sum())
    for name in new_parts(context):
        first, stop = docs_of(context, name)
        keepers = follow_twins(twins[first:stop], verdict, first)
        keepers = keepers if merge is None else keepers.moved(merge[first:stop])
        table = keepers.table()
        pq.write_table(table, output.path(of_part(DUPLICATES, name)), compression="zstd")
        output.rows(of_part(DUPLICATES, name), table.num_rows)
        is_kept[first:stop] = keepers.is_kept
        duplicate_of.append(keepers.duplicate_of[~keepers.is_kept])
        n_near += int(keepers.is_near.sum())
        n_imported += int(keepers.is_imported.sum())
    survivors = np.flatnonzero(is_kept)
    save_array(output, SURVIVORS, survivors)
    output.rows(SURVIVORS, survivors.size)
    output.count("survivors", survivors.size)
    output.count("near_duplicates", n_near)
    output.count("exact_duplicates", twins.size - survivors.size - n_near - n_imported)
    if n_imported or merge is not None:
        output.count("imported_duplicates", n_imported)
    output.info["candidates"] = n_candidates(context)
    output.info["checks"] = verdict.n_checks
    groups = output.info["largest_groups"] = largest_groups(np.concatenate(duplicate_of), LARGEST)
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
    """Warnings of what the settings cost, for users who take them over from other tools."""
    dedup = config.dedup
    if not dedup.near:
        return []
    return warnings_of(bands=dedup.bands, rows=dedup.rows, threshold=dedup.threshold, verify=dedup.verify)


def _check_keep(config: Config, schema: Any) -> None:
    kind, _, field = config.dedup.keep.partition(":")
    if kind not in ("max", "newest"):
        return
    if field not in config.corpus.keep:
        raise ConfigError(
            f"dedup.keep is {kind}:{field}, but corpus.keep does not carry {field}; add it to corpus.keep"
        )
    found = schema.field(field).type
    if kind == "newest":
        if not is_datable(found):
            raise ConfigError(f"dedup.keep is newest:{field}, but {field} is {found}; name a field of dates")
        return
    if not (pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_null(found)):
        raise ConfigError(f"dedup.keep is max:{field}, but {field} is {found}; name a field of numbers")


STEP = Step(
    name="dedup",
    format=2,
    inputs=("documents",),
    keys=config_keys,
    phases=(
        Phase("carry", carry_parts, carry),
        Phase("signatures", new_parts, sign_part),
        Phase("imported", imported_parts, find_pairs, scratch=True),
        Phase("keys", near_parts, key_part, scratch=True),
        Phase("twins", one_part, find_twins, scratch=True),
        Phase("buckets", bucket_parts, find_bucket_part, scratch=True),
        Phase("candidates", one_part, gather_candidates, scratch=True),
        *star_phases(),
        Phase("components", component_parts, find_labels, scratch=True),
        Phase("shares", share_parts, share_buckets, scratch=True),
        Phase("evidence", document_parts, gather_evidence, scratch=True),
        Phase("verdicts", task_names, judge_task, scratch=True),
        Phase("group", one_part, choose),
    ),
    cautions=_cautions,
    sources=lambda config: [*imported_files(config), *extended_source(config, "dedup")],
    reads=("dedup", "corpus.keep", "corpus.part_mib", "extends"),
)
