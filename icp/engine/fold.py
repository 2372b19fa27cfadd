"""A step's folder before and after its phases: unknown and scratch files go, records become the manifest."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from icp.engine.step import ALL, Step
from icp.errors import ArtifactError
from icp.machine import library_versions
from icp.run.context import Context
from icp.run.records import (
    MANIFEST,
    RECORDS,
    FileRecord,
    Manifest,
    PartRecord,
    check_size,
    hash_json,
    record_name,
    remove_strangers,
    remove_tree,
    write_json,
)
from icp.run.seals import sealed

log = logging.getLogger("icp")


def clean(step: Step, context: Context, folder: Path) -> None:
    """Before the phases: remove the files that no record names, and the notes on failed parts."""
    records = folder / RECORDS
    records.mkdir(parents=True, exist_ok=True)
    if context.exchange.remote:  # damage is looked for where the files are, when a phase begins
        context.exchange.forget_failures()
        return
    for path in records.glob("*.failed"):
        path.unlink()
    _forget_damaged(step, context, folder)
    known = [name for phase in step.phases for record in context.records(phase.name).values() for name in record.files]
    remove_strangers(folder, known)


def _forget_damaged(step: Step, context: Context, folder: Path) -> None:
    """Drop the records of parts whose files have changed, so that those parts alone are done again."""
    for phase in step.phases:
        for part, record in context.records(phase.name).items():
            try:
                for name, file in record.files.items():
                    check_size(folder / name, file)
            except ArtifactError as error:
                log.warning("%s: %s; its part is done again", step.name, str(error).partition(";")[0])
                (folder / record_name(phase.name, part)).unlink()


def tidy(context: Context, manifest: Manifest) -> None:
    """After the phases: keep only the files that the manifest names."""
    if context.exchange.remote:
        context.exchange.tidy(manifest)
        return
    folder = context.folder(context.step)
    with contextlib.suppress(OSError):  # other slices may be tidying too
        remove_strangers(folder, manifest.files)
        remove_tree(folder / RECORDS)
        remove_strangers(folder, manifest.files)


def fold(step: Step, context: Context, basis: dict[str, Any], seconds: float) -> Manifest:
    """Records of all phases -> manifest.json; then scratch files and records go."""
    folder = context.folder(step.name)
    files: dict[str, FileRecord] = {}
    counts: dict[str, int] = {}
    info: dict[str, dict[str, dict[str, Any]]] = {}
    facts: dict[str, Any] = {}
    costs: dict[str, dict[str, float]] = {}
    for phase in step.phases:
        records = context.records(phase.name)
        if records:
            costs[phase.name] = phase_cost(records)
        for part, record in records.items():
            _tell(record)
            if record.info:
                info.setdefault(phase.name, {})[part] = record.info
            if phase.name == "facts":
                facts |= {name: value for name, value in record.info.items() if name != "notes"}
            for name, value in record.counts.items():
                counts[name] = counts.get(name, 0) + value
            if not phase.scratch:
                files |= record.files
    manifest = Manifest(
        step.name,
        step.format,
        hash_json(basis),
        basis,
        dict(sorted(files.items())),
        dict(sorted(counts.items())),
        info,
        facts,
        round(seconds or sum(cost["seconds"] for cost in costs.values()), 3),
        max((cost["peak_rss_mib"] for cost in costs.values()), default=0.0),
        library_versions(),
        costs,
    )
    write_json(folder / MANIFEST, sealed({**facts, **asdict(manifest)}))
    context.exchange.push(MANIFEST, replace=False)
    tidy(context, manifest)
    return manifest


def _tell(record: PartRecord) -> None:
    """Log what a task has to say, since the log of a worker goes nowhere."""
    for line in record.info.get("warnings", ()):
        log.warning("%s", line)
    for line in record.info.get("notes", ()):
        log.info("%s", line)


def phase_cost(records: Mapping[str, PartRecord]) -> dict[str, float]:
    """Sums and greatest values over the parts of a phase.

    Returns: ``parts``; ``serial``, 1 if the phase is one task whatever the corpus, else 0; ``cpu_seconds`` and
        ``seconds`` of all parts together; ``longest``, the seconds of the slowest part; ``peak_rss_mib`` of the largest
        process, mapped files among it; ``bytes`` written, scratch files included.
    """
    rows = list(records.values())
    return {
        "parts": len(rows),
        "serial": int(list(records) == [ALL]),
        "cpu_seconds": round(sum(row.cpu_seconds for row in rows), 3),
        "seconds": round(sum(row.seconds for row in rows), 3),
        "longest": max((row.seconds for row in rows), default=0.0),
        "peak_rss_mib": max((row.peak_rss_mib for row in rows), default=0.0),
        "bytes": sum(file.bytes for row in rows for file in row.files.values()),
    }
