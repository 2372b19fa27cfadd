"""What a run of a given size takes: rates of this machine, and how each step grows.

In: `Rates`, a `Size`, workers. Out: a `StepForecast` for each step, and warnings. Nothing is measured or read here.
Growth and memory do not depend on the machine: they were measured once, at 10,000, 100,000 and a million documents
(docs/scaling.md, `tests/bench/bench_scale.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from icp.config import Config
from icp.forecast.rates import PhaseRate, Rates, StepRate, n_plans
from icp.machine import Machine, open_files
from icp.plurals import counted

MIB = 2**20
GROWTH = {
    ("neighbors", "search"): 1.4,
    ("neighbors", "assign"): 1.4,
    ("order", "visit"): 1.05,
}
"""Processor time of these phases grows as documents to this power, of all others to the power of 1; that of the passes
after the search is counted with it."""
LEVEL = {("neighbors", "search"): 1_000_000}
"""Documents from which such a phase costs the same for each: what cells may compare is bounded, and so are passes."""
EXACT_GROWTH = 2.0
"""Of comparing all pairs."""
BOUNDED = {
    ("embeddings", "settle"), ("embeddings", "weigh"), ("neighbors", "tune"), ("graph", "floor"), ("tokens", "sample"),
    ("tokens", "train"), ("tokens", "facts"), ("shards", "facts"),
}  # fmt: skip
"""Phases that take as long for any corpus: what they look at is a sample, or sums."""
THREADED = {("windows", "plan")}
"""Phases of one task that uses all cores of its machine."""
DIVIDED = {("windows", "plan"): 0.06, ("windows", "facts"): 0.04}
"""Phases that are one task in a small corpus; in one that is planned in partitions, this share of their time is still
one process's, the rest is for tasks of about a partition each."""
PARTITION_DOCS, STRETCH_DOCS = 262_144, 32_768
"""Documents up to which a corpus is one partition, and one stretch, as `icp.pack` has it, which is slow to import."""
SCRATCH_OF_DIVIDED = {"windows": 380.0}
"""Bytes a document that these tasks exchange."""
TASKS_OF_THEIR_OWN = {"neighbors"}
"""Steps whose tasks are not parts, and as many as workers can use."""
BASE_MIB = 520
"""Of a worker: libraries and one block of a part."""
PER_DOC = {"dedup": 85.0, "neighbors": 160.0, "graph": 30.0, "order": 220.0, "windows": 140.0, "shards": 60.0}
"""Bytes a document in the one process of the step that holds arrays over all of them; mapped files come on top, which
the system takes back where it must, and for order the vectors of one of its pieces."""
LARGEST_MEASURED = 1_000_000
EXTRAPOLATED = 30
"""Times the largest measured run from which figures are marked as extrapolated."""
SHORT_HOURS, LONG_HOURS = 1 / 60, 48.0


@dataclass(frozen=True, slots=True)
class Size:
    """A corpus: documents, bytes of text, tokens, and its documents parts."""

    n_docs: int
    n_bytes: int
    n_tokens: int
    n_parts: int


@dataclass(frozen=True, slots=True)
class StepForecast:
    """What a step takes.

    Attributes:
        step: its name.
        core_hours: of one core of this machine.
        hours: with the workers given.
        one_process_hours: of `hours`, those in which one task runs alone, whatever the workers.
        memory: bytes of its largest process.
        left, scratch, read: bytes that stay, that go when the step is done, that it reads (at most).
        files: that stay.
    """

    step: str
    core_hours: float
    hours: float
    one_process_hours: float
    memory: float
    left: float
    scratch: float
    read: float
    files: int


def forecast(rates: Rates, size: Size, config: Config, *, workers: int, threads: int) -> list[StepForecast]:
    """A forecast for each step; `threads` are the cores of the machine that runs a phase of one task."""
    left = {rate.step: rate.left.at(size.n_docs, size.n_bytes) for rate in rates.steps}
    rows, whole = [], phase_seconds(rates, size, workers=workers, threads=threads)
    for rate in rates.steps:
        phases = [phase for phase in rates.phases if phase.step == rate.step]
        seconds = {phase.phase: _seconds(phase, rates, size) for phase in phases}
        alone = sum(_alone(phase, seconds[phase.phase], size, threads) for phase in phases)
        written = sum(_written(phase, size) for phase in phases) + _exchanged(rate.step, size)
        scratch = max(0.0, written - left[rate.step])
        reads = sum(left[name] for name in rate.inputs) + scratch + rate.read.at(size.n_docs, size.n_bytes)
        reads += size.n_bytes if rate.step == "documents" else 0
        rows.append(
            StepForecast(
                rate.step,
                sum(seconds.values()) / 3600,
                sum(whole[rate.step, phase.phase] for phase in phases) / 3600,
                alone / 3600,
                _memory(rate.step, size, left["embeddings"] / config.order.partitions),
                left[rate.step],
                scratch,
                reads,
                _files(rate, size, config),
            )
        )
    return rows


def phase_seconds(rates: Rates, size: Size, *, workers: int, threads: int) -> dict[tuple[str, str], float]:
    """Seconds that each phase takes with the workers given, by step and name, in the order in which they run."""
    found = {}
    for phase in rates.phases:
        seconds = _seconds(phase, rates, size)
        divided = seconds * _divided(phase, size)
        n_tasks = workers if phase.step in TASKS_OF_THEIR_OWN else size.n_parts
        found[phase.step, phase.phase] = (
            _alone(phase, seconds, size, threads)
            + _in_rounds(divided, ceil(size.n_docs / PARTITION_DOCS), workers)
            + (0.0 if phase.serial else _in_rounds(seconds, n_tasks, workers))
        )
    return found


def _divided(phase: PhaseRate, size: Size) -> float:
    """The share of a phase that is for tasks of a partition each."""
    alone = DIVIDED.get((phase.step, phase.phase))
    return 0.0 if alone is None or size.n_docs <= PARTITION_DOCS else 1 - alone


def _alone(phase: PhaseRate, seconds: float, size: Size, threads: int) -> float:
    """The seconds of a phase in which one task runs, on all cores of its machine if it can use them."""
    if not phase.serial:
        return 0.0
    share = _divided(phase, size)
    threads = max(1, min(threads, -(-size.n_docs // STRETCH_DOCS)))  # one stretch is planned by one thread
    return seconds * (1 - share) / (threads if (phase.step, phase.phase) in THREADED and not share else 1)


def _exchanged(step: str, size: Size) -> float:
    return SCRATCH_OF_DIVIDED.get(step, 0.0) * size.n_docs if size.n_docs > PARTITION_DOCS else 0.0


def _seconds(phase: PhaseRate, rates: Rates, size: Size) -> float:
    """Processor seconds of a phase; from the size of the largest sample on, its growth counts."""
    if (name := (phase.step, phase.phase)) in BOUNDED:
        return phase.seconds.at(rates.n_docs, rates.n_docs * rates.bytes_per_doc)
    power, level = GROWTH.get(name, 1.0), LEVEL.get(name, size.n_docs)
    if name == ("neighbors", "search") and rates.settings.get("graph.method") == "exact":
        power, level = EXACT_GROWTH, size.n_docs
    growth: float = max(1.0, min(size.n_docs, level) / rates.n_docs) ** (power - 1)
    once = phase.seconds.constant * (1 if phase.serial else size.n_parts)
    one = once + growth * phase.seconds.varying(size.n_docs, size.n_bytes)
    return one * n_plans(*name, size.n_docs, rates.settings)


def _written(phase: PhaseRate, size: Size) -> float:
    """Bytes; a sample is one part, so a constant of parts comes once for each."""
    once = phase.written.constant * (1 if phase.serial else size.n_parts)
    return once + phase.written.varying(size.n_docs, size.n_bytes)


def _in_rounds(seconds: float, n_tasks: int, workers: int) -> float:
    """Seconds of tasks, all alike, that are done in rounds."""
    return seconds / n_tasks * ceil(n_tasks / workers)


def _memory(step: str, size: Size, vectors: float) -> float:
    """Bytes of the largest process; `vectors` are those of a piece of the path, of which order holds whole numbers."""
    return BASE_MIB * MIB + PER_DOC.get(step, 0.0) * size.n_docs + (vectors if step == "order" else 0)


def _files(rate: StepRate, size: Size, config: Config) -> int:
    if rate.step == "shards":
        return 3 * max(1, ceil(2 * size.n_tokens / (config.pack.shard_mib * MIB)))
    return ceil(rate.files_per_part * size.n_parts)


def disk_at_most(rows: Sequence[StepForecast]) -> float:
    """Bytes on disk when they are most: what earlier steps left, and all that one step writes."""
    kept, most = 0.0, 0.0
    for row in rows:
        most = max(most, kept + row.left + row.scratch)
        kept += row.left
    return most


def warnings(rows: Sequence[StepForecast], size: Size, machine: Machine, *, workers: int) -> list[str]:
    """Warnings about memory, disk, cores and time that will not suffice, and what the figures rest on, a line each."""
    found = []
    largest = max(rows, key=lambda row: row.memory)
    together = largest.memory + BASE_MIB * MIB * (min(workers, machine.cores) - 1)
    if machine.memory is not None and together > machine.memory:
        found.append(
            f"memory: {largest.step} needs {amount(largest.memory)} in one process, {amount(together)} with the other "
            f"workers of a machine; this one has {amount(machine.memory)}"
            + ("; a larger order.partitions takes less" if largest.step == "order" else "")
        )
    needed = disk_at_most(rows)
    if machine.disk is not None and needed > machine.disk:
        found.append(f"disk: {amount(needed)} are needed at once, {amount(machine.disk)} are free; set run elsewhere")
    if workers > machine.cores:
        found.append(
            f"cores: {workers:,} workers, this machine has {machine.cores}; "
            f"the hours hold for {workers:,} cores as fast as these"
        )
    if size.n_parts > (most := open_files()[1]) // 2:
        found.append(
            f"open files: {most:,} at once are allowed to a process here, and {size.n_parts:,} parts may take as many; "
            "raise the limit (ulimit -Hn), or corpus.part_mib"
        )
    if size.n_parts < workers and sum(row.hours for row in rows) > SHORT_HOURS:
        found.append(
            f"cores: {counted(size.n_parts, 'part')} keep{'s' if size.n_parts == 1 else ''} no more than "
            f"{size.n_parts:,} of {workers:,} workers busy; lower corpus.part_mib"
        )
    found += _slow(rows)
    if size.n_docs > EXTRAPOLATED * LARGEST_MEASURED:
        found.append(
            f"extrapolated: the largest run measured had {LARGEST_MEASURED:,} documents, "
            f"{size.n_docs / LARGEST_MEASURED:,.0f} times fewer"
        )
    return found


def _slow(rows: Sequence[StepForecast]) -> list[str]:
    total, alone = sum(row.hours for row in rows), sum(row.one_process_hours for row in rows)
    if total <= LONG_HOURS:
        return []
    slowest = max(rows, key=lambda row: row.hours)
    return [
        f"time: {total / 24:,.1f} days, {slowest.hours / 24:,.1f} of them for {slowest.step}; {alone:,.1f} hours are "
        "in one process whatever the workers"
    ]


def amount(n_bytes: float) -> str:
    """Bytes as a person reads them."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
    unit = min(len(units) - 1, max(0, (int(n_bytes).bit_length() - 1) // 10))
    return f"{int(n_bytes):,} bytes" if unit == 0 else f"{n_bytes / 2 ** (10 * unit):,.1f} {units[unit]}"
