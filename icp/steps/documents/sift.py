"""The tasks that leave out what is kept apart from training, and say why.

In: what the tasks before left, and what `icp.steps.documents.apart` found. Out: ``sift/<task>-NNNNN.parquet``,
documents that may be trained on; ``sift/<task>.rejected.parquet``, the refused rows with those that joined them;
``sift/<task>.overlaps.parquet``, what each of these shares with what.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from icp.dedup.overlap import Overlaps, folded
from icp.engine.step import PartOutput
from icp.run.context import Context
from icp.run.tables import write_parts
from icp.steps.documents.apart import EVALUATION, HELD, found_in, held_ids, is_held, known
from icp.steps.documents.grown import HELD_ELSEWHERE
from icp.steps.documents.read_tasks import part_bytes_of, read_parts
from icp.steps.documents.reports import read_reports
from icp.steps.documents.rows import EXCERPT, REJECTED
from icp.steps.documents.stages import groups_of, rejected_before, write_tables
from icp.steps.documents.telling import listed_in_corpus
from icp.texts import Texts, key_of

CONTAMINATED, NEAR = "text of an evaluation set", "near to a held-out document"
REPORTED = "reported as contaminated"
OVERLAP = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("id", pa.string()),
        ("reason", pa.string()),
        ("of", pa.string()),
        ("ngrams", pa.int64()),
        ("jaccard", pa.float64()),
        ("containment", pa.float64()),
    ]
)
"""A document that was refused, and what it shares with `of`: an id, or ``FILE:ROW:FIELD`` of an evaluation set. Where
`corpus.keep` names a field `URL`, that follows, so that `icp remove --urls` knows the document."""
URL = "url"


def sift_parts(context: Context) -> list[str]:
    """One part for each read task, if anything is kept apart."""
    return read_parts(context) if context.config.holds_apart else []


def sift(context: Context, part: str, output: PartOutput) -> None:
    """Write the documents of one read task that may be trained on; count and list the others."""
    sifted = _Sifted(context)
    pieces = write_parts(
        sifted.groups(groups_of(context, "sift", part)),
        part_bytes_of(context),
        lambda k: output.path(f"sift/{part}-{k:05d}.parquet"),
    )
    for k, n in enumerate(pieces):
        output.rows(f"sift/{part}-{k:05d}.parquet", n)
    output.count("documents", -sifted.n_held)
    output.count("held_out", sifted.n_held)
    output.info["listed"] = sorted(sifted.listed)
    if context.config.decontaminate.reports:
        output.info["reported"] = sorted(sifted.reported)
    for reason, n in sifted.counts.items():
        output.count("documents", -n)
        output.count("rejected", n)
        output.count(f"rejected.{reason}", n)
    if sifted.refused:
        write_tables(
            output, f"sift/{part}.rejected.parquet", [*rejected_before(context, "sift", part), *sifted.refused]
        )
    if sifted.overlaps:
        write_tables(output, f"sift/{part}.overlaps.parquet", sifted.overlaps)


def told_apart(context: Context) -> tuple[list[str], list[str]]:
    """What to warn of and what to note of what is kept out of training: ids that stand nowhere, texts too short."""
    config = context.config
    warnings, notes = list[str](), list[str]()
    for record in context.records("evaluation").values():
        warnings += _told_of_evaluation(record.info, config.decontaminate.least_words) if record.info else ()
    records = context.records("sift").values()
    if config.decontaminate.reports:
        n_hits = read_reports(config.decontaminate).n_named
        n_met = len({number for record in records for number in record.info["reported"]})
        told = f"decontaminate.reports: {n_met:,} of {n_hits:,} hits are of documents of the corpus, which are refused"
        (notes if n_met == n_hits else warnings).append(
            told if n_met == n_hits else f"{told}; the others name no document that was read"
        )
    if config.holdout.ids is not None:
        met = {value for record in records for value in record.info["listed"]}
        found, is_whole = listed_in_corpus(config.holdout.ids, "holdout.ids", met, "held out")
        (notes if is_whole else warnings).append(found)
    if (
        config.holdout.is_set
        and config.extends is None
        and not sum(record.counts.get("held_out", 0) for record in records)
    ):
        warnings.append("holdout: no document is held out; raise holdout.fraction, or correct holdout.ids")
    return warnings, notes


def _told_of_evaluation(info: Mapping[str, Any], least: int) -> Iterator[str]:
    n_texts, n_short, n_nowhere = info["texts"], info["short"], info["nowhere"]
    if not n_texts:
        yield "decontaminate: the evaluation sets hold no string, so that nothing is looked for"
    if n_short:
        yield (
            f"decontaminate: {n_short:,} of {n_texts:,} strings have fewer than {least} words and are looked for only "
            "together with those around them in their record"
            + (f"; {n_nowhere:,} have too few words even so, and are not looked for" if n_nowhere else "")
        )


class _Sifted:
    """Row groups without what is kept apart, and what that was."""

    def __init__(self, context: Context) -> None:
        self._config = context.config
        self._known = {
            CONTAMINATED: known(context, EVALUATION),
            NEAR: known(context, HELD) if context.config.holdout.is_set else [],
        }
        self.n_held = 0
        self.listed: set[int] = set()
        self.reported: set[int] = set()
        self._reports = read_reports(context.config.decontaminate)
        self.counts: dict[str, int] = {}
        self.refused: list[pa.Table] = []
        self.overlaps: list[pa.Table] = []

    def groups(self, groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The groups without those rows."""
        for group in groups:
            texts = folded(group["text"])
            is_in = np.ones(group.num_rows, np.bool_)
            self._refuse(group, texts, CONTAMINATED, is_in)
            self._refuse_reported(group, is_in)
            if self._config.holdout.is_set:
                held = is_held(self._config, group["id"])
                self._note_listed(group["id"])
                if self._config.extends is not None:
                    self._leave_out(group, np.flatnonzero(held & is_in), HELD_ELSEWHERE)
                else:
                    self.n_held += int((held & is_in).sum())
                is_in &= ~held
                self._refuse(group, texts, NEAR, is_in)
            yield group.filter(pa.array(is_in))

    def _refuse(self, group: pa.Table, texts: Texts, reason: str, is_in: NDArray[np.bool_]) -> None:
        """Take rows that share too much out of `is_in`, and keep what they share."""
        tables = [
            _told(group, names, overlaps, is_in[overlaps.text] & self._is_too_near(reason, overlaps), reason)
            for names, overlaps in found_in(self._known[reason], texts)
        ]
        rows = np.unique(np.concatenate([np.zeros(0, np.int64), *(rows for rows, _ in tables)]))
        if not rows.size:
            return
        self.overlaps += [table for _, table in tables]
        self._leave_out(group, rows, reason)
        is_in[rows] = False

    def _refuse_reported(self, group: pa.Table, is_in: NDArray[np.bool_]) -> None:
        """Take rows that other tools reported out of `is_in`, and keep what they reported."""
        hits = list(self._reports.found_in(group))
        if not hits:
            return
        self.reported.update(hit.number for _, hit in hits)
        rows = np.array([at for at, _ in hits], np.int64)
        of, scores = [hit.of for _, hit in hits], [hit.score for _, hit in hits]
        none = [None] * len(hits)
        self.overlaps.append(_listed(group, rows, (of, none, none, scores), REPORTED))
        self._leave_out(group, np.unique(rows[is_in[rows]]), REPORTED)
        is_in[rows] = False

    def _leave_out(self, group: pa.Table, rows: NDArray[np.int64], reason: str) -> None:
        if rows.size:
            self.counts[reason] = self.counts.get(reason, 0) + rows.size
            self.refused.append(_refused(group, rows, reason))

    def _is_too_near(self, reason: str, overlaps: Overlaps) -> NDArray[np.bool_]:
        if reason == CONTAMINATED:
            return np.ones(overlaps.text.size, np.bool_)
        holdout = self._config.holdout
        return (overlaps.jaccard >= holdout.jaccard) | (overlaps.containment >= holdout.containment)

    def _note_listed(self, ids: pa.ChunkedArray) -> None:
        wanted = held_ids(self._config)
        keys = wanted.intersection(map(key_of, ids.to_pylist())) if wanted else ()
        self.listed.update(xxhash.xxh3_64_intdigest(key.encode()) for key in keys)


def _told(
    group: pa.Table, names: list[str], overlaps: Overlaps, where: NDArray[np.bool_], reason: str
) -> tuple[NDArray[np.int64], pa.Table]:
    """The rows of a group that overlap, and what with."""
    rows, of = overlaps.text[where], [names[k] for k in overlaps.reference[where]]
    figures = (of, overlaps.shared[where], overlaps.jaccard[where], overlaps.containment[where])
    return rows, _listed(group, rows, figures, reason)


def _listed(group: pa.Table, rows: NDArray[np.int64], figures: tuple[Any, ...], reason: str) -> pa.Table:
    """Rows of a group as `OVERLAP` lists them; `figures`: what they share with, and its last three columns."""
    at = pa.array(rows)
    columns = [group["file"].take(at), group["row"].take(at), group["id"].take(at), [reason] * rows.size, *figures]
    found = pa.table(columns, schema=OVERLAP)
    if URL in group.column_names:
        found = found.append_column(group.schema.field(URL), group[URL].take(at))
    return found


def _refused(group: pa.Table, rows: NDArray[np.int64], reason: str) -> pa.Table:
    at = pa.array(rows)
    excerpts = [text[:EXCERPT] for text in group["text"].take(at).to_pylist()]
    return pa.table([group["file"].take(at), group["row"].take(at), [reason] * rows.size, excerpts], schema=REJECTED)
