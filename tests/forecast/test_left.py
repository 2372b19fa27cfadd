"""The time that is left, told while a run is at work."""

import pytest
from tiny import tiny_config

from icp.forecast import estimate, left
from icp.forecast.left import TimeLeft, time_left, usual_rates
from icp.pack import rounds
from icp.run.names import STEPS
from icp.warm import tiny_rows


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(left.time, "monotonic", lambda: now[0])
    return now


def told(clock, factor, shares=(0.0, 0.5)):
    """What is told along phases that take `factor` times what is expected: (told, true) seconds."""
    expected = {("a", "one"): 20.0, ("a", "two"): 60.0, ("b", "three"): 120.0}
    whole, found, gone = factor * sum(expected.values()), [], 0.0
    watch = TimeLeft(dict(expected))
    for (step, phase), seconds in expected.items():
        clock[0] = gone
        watch.begin(step, phase)
        for share in shares:
            clock[0] = gone + share * factor * seconds
            found.append((watch.seconds(share), whole - clock[0]))
        gone += factor * seconds
    return found


def test_a_machine_as_fast_as_expected_is_told_the_time_that_is_left(clock):
    for seconds, true in told(clock, 1.0):
        assert seconds == pytest.approx(true)


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_faster_or_slower_machine_is_found_out_by_half_of_the_run(clock, factor):
    half = [(seconds, true) for seconds, true in told(clock, factor) if true <= factor * 120]
    assert half
    for seconds, true in half:
        assert abs(seconds / true - 1) < 0.5


def test_steps_that_are_done_already_are_not_waited_for(clock):
    watch = TimeLeft({("a", "one"): 20.0, ("b", "two"): 60.0})
    watch.begin("b", "two")
    assert watch.seconds(0.0) == pytest.approx(60.0)


def test_a_phase_without_parts_that_takes_long_never_ends_before_it_ends(clock):
    watch = TimeLeft({("a", "one"): 20.0})
    watch.begin("a", "one")
    clock[0] = 500.0
    assert watch.seconds(0.0) > 0


def test_nothing_is_told_of_what_nothing_is_known(tmp_path):
    (tmp_path / "a.jsonl").write_text("no json\n")
    watch = time_left(tiny_config(tmp_path, corpus={"input": str(tmp_path / "a.jsonl")}), STEPS, 2)
    watch.begin("dedup", "signatures")
    assert watch.seconds(0.5) is None


@pytest.mark.parametrize("method", ["exact", "cells"])
def test_usual_rates_know_every_step(method):
    assert {phase.step for phase in usual_rates(method).phases} == set(STEPS)


def test_only_the_steps_that_run_are_expected(tmp_path):
    watch = time_left(tiny_config(tmp_path), ("tokens", "shards"), 2)
    assert {step for step, _ in watch.phases} == {"tokens", "shards"}
    assert watch.size.n_docs == len(tiny_rows())


def test_a_long_phase_that_is_done_in_several_is_still_one(clock):
    watch = TimeLeft({("a", "facts"): 10.0, ("a", "plan"): 100.0, ("b", "two"): 50.0})
    watch.begin("a", "lay")  # which no small sample has
    assert watch.seconds(0.0) == pytest.approx(160)
    clock[0] = 60.0
    assert watch.seconds(0.9) == pytest.approx(100)
    watch.begin("a", "path")
    assert watch.seconds(0.0) == pytest.approx(100)
    clock[0] = 90.0
    watch.begin("a", "plan")
    assert watch.seconds(0.0) == pytest.approx(70)
    clock[0] = 100.0
    watch.begin("a", "facts")
    assert watch.seconds(0.0) == pytest.approx(60)


def test_documents_of_a_stretch_are_as_many_as_the_planner_says():
    assert estimate.STRETCH_DOCS == rounds.STRETCH_DOCS
