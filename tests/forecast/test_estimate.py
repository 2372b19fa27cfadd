"""Forecasts by hand, from planted rates."""

from dataclasses import replace

import pytest
from forecast_rates import CONFIG, MACHINE, SIZE, planted

from icp.forecast import estimate
from icp.forecast.calibration import Sample, rates_of
from icp.forecast.estimate import (
    BASE_MIB,
    BOUNDED,
    DIVIDED,
    GROWTH,
    LEVEL,
    MIB,
    PARTITION_DOCS,
    PER_DOC,
    SCRATCH_OF_DIVIDED,
    THREADED,
    amount,
    disk_at_most,
    forecast,
    warnings,
)
from icp.forecast.passes import of_all_passes
from icp.forecast.rates import FEW_DOCS, PLANS, Line
from icp.pack import partitions, planner
from icp.pipeline import load_step
from icp.run.names import BUILD_STEPS, PACK_STEPS
from icp.run.records import Manifest


def row(step, seconds, *, size=SIZE, workers=1, threads=1, settings=None):
    rows = forecast(planted(seconds, settings=settings), size, CONFIG, workers=workers, threads=threads)
    return next(found for found in rows if found.step == step)


def test_a_rate_times_a_size_is_the_time():
    found = row("tokens", {"tokens: shared": Line(per_doc=0.0018, per_byte=5e-7)})
    assert found.core_hours == pytest.approx((1800 + 1800) / 3600)  # half an hour for documents, half for bytes
    assert found.hours == pytest.approx(1.0)
    assert found.one_process_hours == 0


def test_workers_share_parts_in_rounds_but_not_what_is_one_task():
    seconds = {"dedup: one": Line(per_doc=0.0036), "dedup: shared": Line(per_doc=0.036)}
    found = row("dedup", seconds, workers=4)
    assert found.core_hours == pytest.approx(11)
    assert found.one_process_hours == pytest.approx(1)
    assert found.hours == pytest.approx(1 + 3)  # ten parts of an hour, four at a time


def test_constant_of_a_part_comes_once_for_each():
    assert row("tokens", {"tokens: shared": Line(constant=36)}).core_hours == pytest.approx(0.1)
    assert row("tokens", {"tokens: one": Line(constant=36)}).core_hours == pytest.approx(0.01)


def test_neighbors_grow_faster_than_documents_and_all_pairs_as_their_square():
    seconds = {"neighbors: shared": Line(per_doc=0.0036)}
    power = GROWTH["neighbors", "search"] - 1
    assert row("neighbors", seconds).core_hours == pytest.approx(100**power)
    large = replace(SIZE, n_docs=10 * LEVEL["neighbors", "search"])
    assert row("neighbors", seconds, size=large).core_hours == pytest.approx(10 * 100**power), "passes bound it"
    assert row("neighbors", seconds, settings={"graph.method": "exact"}).core_hours == pytest.approx(100)
    small = replace(SIZE, n_docs=5000)
    assert row("neighbors", seconds, size=small).core_hours == pytest.approx(0.005)


def test_more_of_anything_never_costs_less():
    seconds = {f"{step}: {phase}": Line(1, 1e-4, 1e-8) for step in PER_DOC for phase in ("one", "shared")}
    last = None
    for factor in (1, 2, 10, 1000):
        size = replace(SIZE, n_docs=SIZE.n_docs * factor, n_bytes=SIZE.n_bytes * factor)
        rows = forecast(planted(seconds), size, CONFIG, workers=8, threads=8)
        now = [value for found in rows for value in (found.hours, found.memory, found.left, found.read)]
        assert last is None or all(new >= old for new, old in zip(now, last, strict=True))
        last = now
    more, fewer = (
        sum(found.hours for found in forecast(planted(seconds), SIZE, CONFIG, workers=n, threads=n)) for n in (1, 8)
    )
    assert fewer <= more


def test_a_slow_step_stands_out():
    quick, slow = ({"order: one": Line(per_doc=rate)} for rate in (1e-6, 1e-3))
    assert row("order", slow).hours > 900 * row("order", quick).hours
    rows = forecast(planted({"order: one": Line(per_doc=1.0)}), SIZE, CONFIG, workers=8, threads=8)
    assert any("days, " in line and "for order" in line for line in warnings(rows, SIZE, MACHINE, workers=8))


def test_bytes_left_scratch_and_read_by_hand():
    found = row("dedup", {})
    assert found.left == 0.25 * SIZE.n_bytes
    assert found.scratch == (2 * 0.5 - 0.25) * SIZE.n_bytes
    assert found.read == (0.25 + 0.75) * SIZE.n_bytes  # what documents left, and its own scratch once more
    rows = forecast(planted(), SIZE, CONFIG, workers=1, threads=1)
    assert disk_at_most(rows) == (8 * 0.25 + 1.0) * SIZE.n_bytes
    assert found.files == 20
    assert rows[-1].files == 3 * 7  # 900 million tokens of two bytes in shards of 256 MiB


def test_memory_is_a_base_and_so_much_a_document():
    assert row("windows", {}).memory == BASE_MIB * MIB + PER_DOC["windows"] * SIZE.n_docs
    vectors = 0.25 * SIZE.n_bytes  # what embeddings left
    assert row("order", {}).memory == BASE_MIB * MIB + PER_DOC["order"] * SIZE.n_docs + vectors
    assert row("tokens", {}).memory == BASE_MIB * MIB


def told(machine=MACHINE, size=SIZE, workers=8, seconds=None):
    rows = forecast(planted(seconds), size, CONFIG, workers=workers, threads=workers)
    return warnings(rows, size, machine, workers=workers)


def test_nothing_is_warned_of_where_all_fits():
    assert told() == []


def test_what_does_not_fit_is_named():
    assert told(replace(MACHINE, memory=1 << 30))[0].startswith("memory: order needs 1.6 GiB in one process, 5.1 GiB")
    assert told(replace(MACHINE, disk=1 << 30))[0].startswith("disk: 10.1 GiB are needed at once, 1.0 GiB are free")
    assert told(replace(MACHINE, cores=2))[0].startswith("cores: 8 workers, this machine has 2")
    slow, few = {"tokens: shared": Line(per_doc=0.002)}, replace(SIZE, n_parts=3)
    assert told(size=few, seconds=slow)[0].startswith("cores: 3 parts keep no more than 3 of 8 workers busy")
    assert told(size=replace(few, n_docs=80_000), seconds=slow) == []  # 54 seconds: whoever plans it need do nothing
    large = replace(SIZE, n_docs=235_000_000, n_parts=1000)
    assert any(line.startswith("extrapolated: ") and "235 times fewer" in line for line in told(size=large))
    assert told(replace(MACHINE, memory=None, disk=None)) == []


def test_more_parts_than_files_may_be_open_are_warned_of(monkeypatch):
    monkeypatch.setattr(estimate, "open_files", lambda: (64, 100))
    assert told(size=replace(SIZE, n_parts=50)) == []
    assert told(size=replace(SIZE, n_parts=51))[0].startswith("open files: 100 at once are allowed")


def test_windows_of_a_large_corpus_are_shared_but_for_a_part():
    seconds = {"windows: one": Line(per_doc=0.0036)}
    rates = planted(seconds)
    phases = tuple(
        replace(phase, phase="plan") if (phase.step, phase.phase) == ("windows", "one") else phase
        for phase in rates.phases
    )
    rates, alone = replace(rates, phases=phases), DIVIDED["windows", "plan"]
    one, many = (
        next(row for row in forecast(rates, SIZE, CONFIG, workers=n, threads=n) if row.step == "windows")
        for n in (1, 1000)
    )
    assert one.hours == pytest.approx(1.0)
    tasks = -(-SIZE.n_docs // PARTITION_DOCS)
    assert many.one_process_hours == pytest.approx(alone)
    assert many.hours == pytest.approx(alone + (1 - alone) / tasks)
    assert many.scratch == pytest.approx(0.75 * SIZE.n_bytes + SCRATCH_OF_DIVIDED["windows"] * SIZE.n_docs)
    few = replace(SIZE, n_docs=PARTITION_DOCS)
    small = next(row for row in forecast(rates, few, CONFIG, workers=8, threads=4) if row.step == "windows")
    assert small.hours == pytest.approx(0.0036 * PARTITION_DOCS / 4 / 3600), "one task, on all cores of a machine"


def test_partitions_are_those_of_the_planner():
    assert PARTITION_DOCS == partitions.PARTITION_DOCS


def test_tables_name_phases_that_are_there():
    for step, phase in {*BOUNDED, *THREADED, *GROWTH, *LEVEL, *DIVIDED}:
        assert phase in {found.name for found in load_step(step).phases}, f"{step}: {phase}"


def test_amounts_are_readable():
    assert [amount(n) for n in (0, 1023, 1024, 1536 * 2**20)] == ["0 bytes", "1,023 bytes", "1.0 KiB", "1.5 GiB"]


def test_later_passes_are_planned_by_one_task_and_written_as_often():
    seconds = {"windows: shared": Line(per_doc=0.0036), "shards: shared": Line(per_doc=0.0036)}
    once = forecast(planted(seconds), SIZE, CONFIG, workers=5, threads=5)
    found = {row.step: row for row in of_all_passes(once, 3)}
    assert found["windows"].core_hours == found["shards"].core_hours == pytest.approx(3.0)
    assert found["windows"].hours == pytest.approx(0.2 + 2.0)
    assert found["windows"].one_process_hours == pytest.approx(2.0)
    assert found["shards"].hours == pytest.approx(0.6)
    assert found["shards"].files == 3 * once[-1].files
    assert [found[row.step] for row in once if row.step not in ("windows", "shards")] == once[:-2]
    assert list(of_all_passes(once, 1)) == once


def test_of_few_documents_several_plans_of_windows_are_made():
    assert (planner.FEW_DOCS, 1 + len(planner.DEARER)) == (FEW_DOCS, PLANS)
    named, settings = {"windows: one": Line(per_doc=0.0036)}, {"pack.method": "windows", "pack.split": "minimal"}

    def hours(n_docs, **other):
        rates = planted(named, settings=settings | other)
        phases = tuple(
            replace(phase, phase="plan") if (phase.step, phase.phase) == ("windows", "one") else phase
            for phase in rates.phases
        )
        rows = forecast(replace(rates, phases=phases), replace(SIZE, n_docs=n_docs), CONFIG, workers=1, threads=1)
        return next(row.core_hours for row in rows if row.step == "windows")

    assert hours(FEW_DOCS) == pytest.approx(0.0036 * FEW_DOCS * PLANS / 3600)
    assert hours(FEW_DOCS + 1) == pytest.approx(0.0036 * (FEW_DOCS + 1) / 3600)
    for other in ({"pack.method": "path-cut"}, {"pack.split": "never"}):
        assert hours(FEW_DOCS, **other) == pytest.approx(0.0036 * FEW_DOCS / 3600)


def test_rates_are_of_one_plan():
    """Two samples on each side of the bound, whose plans took 2 milliseconds a document and plan."""
    samples = []
    for n_docs in (1000, FEW_DOCS, FEW_DOCS + 1000, 20_000):
        took = 0.002 * n_docs * (PLANS if n_docs <= FEW_DOCS else 1)
        samples.append(
            Sample(n_docs, 1000 * n_docs, {step: sampled(step, took) for step in (*BUILD_STEPS, *PACK_STEPS)})
        )
    rates = rates_of(samples, {"pack.method": "windows", "pack.split": "minimal"}, 1.0)
    plan = next(rate.seconds for rate in rates.phases if (rate.step, rate.phase) == ("windows", "plan"))
    for n_docs in (1000, 20_000):
        assert plan.at(n_docs, 1000 * n_docs) == pytest.approx(0.002 * n_docs)


def sampled(step, took):
    """The manifest of a step whose one phase took so long."""
    cost = {"cpu_seconds": took, "seconds": took, "bytes": 0.0, "serial": 1.0, "parts": 1, "peak_rss_mib": 1.0}
    basis = {"config": {"embed.model": "hybrid"}, "inputs": {}}
    counts = {"documents_in": 1000}
    return Manifest(step, 1, "", basis, {}, counts, {}, {}, 0.0, 0.0, {}, costs={"plan": cost})
