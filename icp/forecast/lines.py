"""The forecast of a run as lines: size, steps, totals, warnings; a machine that has no rates yet is measured first."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from icp.config import Config
from icp.engine.executor import ProcessExecutor
from icp.errors import ConfigError
from icp.forecast.calibration import calibrate, stored_rates
from icp.forecast.estimate import MIB, Size, StepForecast, amount, disk_at_most, forecast, warnings
from icp.forecast.passes import of_all_passes
from icp.forecast.rates import Rates
from icp.forecast.sizes import corpus_size
from icp.machine import Machine, this_machine
from icp.pipeline import context_of
from icp.plurals import counted
from icp.run.names import BUILD_STEPS
from icp.run.records import MANIFEST
from icp.run.storage import run_folder
from icp.steps.documents.read_tasks import PARTS, SMALLEST_PART
from icp.warm import fill_kernel_cache

HEADS = ("one core", "in all", "process", "left", "scratch", "read", "files")
log = logging.getLogger("icp")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to plan for: documents and tokens (None: those of the corpus at hand), workers (None: one a core), and
    whether to measure this machine anew."""

    n_docs: int | None = None
    n_tokens: int | None = None
    workers: int | None = None
    calibrate: bool = False


def show_forecast(config: Config, wanted: Wanted) -> Iterator[str]:
    """Lines on what a run would take.

    Raises: ConfigError where the size is not known and not given.
    """
    known = None
    if wanted.n_docs is None or wanted.n_tokens is None:
        known = corpus_size(context_of(config))
        if known is None:
            raise ConfigError(
                "plan: how large the corpus is cannot be told before it is read; give --docs and --tokens"
            )
    n_docs = wanted.n_docs or (known[0] if known else 0)
    rates = None if wanted.calibrate else stored_rates(config, n_docs)
    if rates is None:
        log.info("measuring how fast this machine is with these settings (about a minute); later plans reuse that")
        fill_kernel_cache()
        with ProcessExecutor(1) as executor:
            rates = calibrate(config, n_docs, executor)
    size = _size(config, rates, wanted, n_docs, known)
    machine = this_machine(config.run)
    exact = wanted.n_docs is not None or (run_folder(config.run) / BUILD_STEPS[0] / MANIFEST).exists()
    yield from forecast_lines(config, rates, size, machine, workers=wanted.workers or machine.cores, exact=exact)


def _size(config: Config, rates: Rates, wanted: Wanted, n_docs: int, known: tuple[int, int] | None) -> Size:
    if wanted.n_tokens is not None:
        n_bytes = wanted.n_tokens * rates.bytes_per_token
    else:
        assert known is not None
        n_bytes = n_docs * known[1] / max(1, known[0])
    n_tokens = wanted.n_tokens or round(n_bytes / rates.bytes_per_token)
    part = min(config.corpus.part_mib * MIB, max(SMALLEST_PART, n_bytes // PARTS))
    return Size(n_docs, round(n_bytes), n_tokens, max(1, ceil(n_bytes / part)))


def forecast_lines(
    config: Config, rates: Rates, size: Size, machine: Machine, *, workers: int, exact: bool = True
) -> Iterator[str]:
    """The table of the steps, totals, and what will not fit; `exact`: the documents were counted, not estimated."""
    one_pass = forecast(rates, size, config, workers=workers, threads=min(workers, machine.cores))
    rows = list(of_all_passes(one_pass, config.pack.epochs))
    yield (
        f"forecast    {_documents(size.n_docs, exact)}, about {size.n_tokens:,} tokens, "
        f"{amount(size.n_bytes)} of text, {counted(size.n_parts, 'part')}; {counted(workers, 'worker')}"
    )
    yield f"rates       {rates.cpu}, {rates.date}, icp {rates.version}, {rates.seconds:.0f} s (--calibrate renews them)"
    yield f"{'':<11} " + " ".join(f"{head:>10}" for head in HEADS)
    for row in rows:
        yield _row(row)
    total = [sum(getattr(row, name) for row in rows) for name in ("core_hours", "hours", "left", "read", "files")]
    largest = amount(max(row.memory for row in rows))
    yield (
        f"{'all':<11} {duration(total[0]):>10} {duration(total[1]):>10} {largest:>10} "
        f"{amount(total[2]):>10} {'':>10} {amount(total[3]):>10} {total[4]:>10,}"
    )
    network = total[3] + sum(row.left + row.scratch for row in rows)
    yield f"disk        {amount(disk_at_most(rows))} at most; over the network, if storage is remote: {amount(network)}"
    for line in warnings(rows, size, machine, workers=workers):
        yield f"warning     {line}"


def _documents(n: int, exact: bool) -> str:
    """A number of documents, with three digits if it is an estimate."""
    return counted(n, "document") if exact else f"about {counted(round(n, 3 - len(str(n))), 'document')}"


def _row(row: StepForecast) -> str:
    return (
        f"{row.step:<11} {duration(row.core_hours):>10} {duration(row.hours):>10} {amount(row.memory):>10} "
        f"{amount(row.left):>10} {amount(row.scratch):>10} {amount(row.read):>10} {row.files:>10,}"
    )


def duration(hours: float) -> str:
    """Hours as a person reads them."""
    for unit, worth, least in (("years", 8766, 2), ("days", 24, 3), ("h", 1, 1), ("min", 1 / 60, 1)):
        if hours >= least * worth:
            return f"{hours / worth:,.1f} {unit}"
    return f"{3600 * hours:.1f} s"
