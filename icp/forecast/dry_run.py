"""What `icp run` would do: which input, which steps are done, and what the chosen bands would find.

In: a configuration, and the run folder if there is one. Out: lines for a terminal. Nothing is written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from icp.config import Config, DedupConfig
from icp.dedup.bands import probability_found, turning_point
from icp.engine import basis_of, differences
from icp.errors import IcpError, InputError
from icp.forecast.estimate import amount
from icp.pipeline import context_of, load_step, with_tokens
from icp.plurals import counted
from icp.run import records
from icp.run.context import Context, document_parts
from icp.run.names import BUILD_STEPS, CONFIG, PACK_STEPS
from icp.run.opening import open_folder
from icp.run.records import MANIFEST, RECORDS
from icp.run.storage import address_of
from icp.steps.documents.input_files import InputFile, corpus_files
from icp.steps.documents.read_tasks import part_bytes
from icp.steps.documents.telling import paragraph_lines, paragraphs_of_input

BAR = 40  # columns of a probability of 1


def show_plan(config: Config, *, pack: str = "main", needs_input: bool = True) -> Iterator[str]:
    """Lines for a configuration: its input, its steps, its near-duplicates, and warnings.

    Raises: InputError, ConfigError for input that is not there, as `icp.steps.documents.input_files.corpus_files` does;
        of the first none unless it `needs_input`.
    """
    context = context_of(config, pack)
    run = open_folder(config.run)
    yield f"run         {address_of(run)}{'' if (run / CONFIG).exists() else ' (new)'}"
    problem: InputError | None = None
    try:
        yield from _input_lines(context)
    except InputError as error:  # what the bands would find can be told all the same
        problem = error
        yield "input       not found"
    yield from _step_lines(context)
    yield from _dedup_lines(config.dedup)
    for name in BUILD_STEPS:
        cautions = load_step(name).cautions
        for caution in cautions(config) if cautions else ():
            yield f"warning     {caution}"
    if problem is not None and needs_input:
        raise problem


def _input_lines(context: Context) -> Iterator[str]:
    told: list[str] = []
    files = corpus_files(context.config.corpus, told)
    known = [file.size for file in files if file.size >= 0]
    unknown = f", {len(files) - len(known):,} of unknown size" if len(known) < len(files) else ""
    yield f"input       {counted(len(files), 'file')}, {amount(sum(known))}{unknown}"
    yield from (f"{'':<11} {line}" for line in told)
    n_bytes = part_bytes(files, context.config.corpus.part_mib)
    if (context.folder("documents") / MANIFEST).exists():
        n_docs = int(context.doc_bounds()[-1])
        yield f"parts       {len(document_parts(context)):,}, {counted(n_docs, 'document')}"
        return
    yield f"parts       about {_parts(files, n_bytes):,} of up to {amount(n_bytes)}; more if the input is compressed"
    yield from paragraph_lines(paragraphs_of_input(context.config.corpus))


def _parts(files: Sequence[InputFile], n_bytes: int) -> int:
    """Tables are cut each by itself; texts come together."""
    sizes = [max(1, file.size) for file in files if file.kind != "text"]
    sizes += [sum(max(1, file.size) for file in files if file.kind == "text")]
    return sum(-(-size // n_bytes) for size in sizes)


def _step_lines(context: Context) -> Iterator[str]:
    for name in (*BUILD_STEPS, *PACK_STEPS):
        if name == PACK_STEPS[0] and _finished(context, BUILD_STEPS):
            context = with_tokens(context)
        yield f"{name:<11} {_state(name, context)}"


def _state(name: str, context: Context) -> str:
    step = load_step(name)
    if name not in context.folders or not _finished(context, step.inputs):
        return "would run"
    context = replace(context, step=name)
    try:
        changed = differences(step, context, basis_of(step, context))
    except IcpError as error:
        return "not known yet" if isinstance(error, InputError) else str(error)
    folder = context.folder(name)
    if changed:
        return f"made otherwise: {'; '.join(changed[:3])}; it and all after it would be redone with --fresh"
    if (folder / MANIFEST).exists():
        return "done"
    n_done = len(list((folder / RECORDS).glob("*.*.json")))
    return f"would go on, {n_done:,} parts are done" if n_done else "would run"


def _finished(context: Context, steps: Sequence[str]) -> bool:
    return all(records.read_manifest(context.folder(name), check_sizes=False) for name in steps)


def _dedup_lines(dedup: DedupConfig) -> Iterator[str]:
    """The S-curve of the bands, where near-duplicates are sought."""
    if not dedup.near:
        yield "duplicates  exact copies only (dedup.near is false)"
        return
    bands, rows = dedup.bands, dedup.rows
    yield (
        f"duplicates  {bands} bands of {rows} rows over word {dedup.ngram}-grams, {4 * dedup.num_perm:,} bytes a "
        f"document; Jaccard {dedup.threshold:g} or more, verify: {dedup.verify}"
    )
    turn = turning_point(bands=bands, rows=rows)
    yield f"            probability that a pair is proposed, by its Jaccard similarity; steepest at about {turn:.2f}"
    similarities = np.arange(1, 11) / 10
    for jaccard, found in zip(similarities, probability_found(similarities, bands=bands, rows=rows), strict=True):
        yield f"            {jaccard:.1f}  {found:.4f}  {'#' * round(BAR * float(found))}".rstrip()
