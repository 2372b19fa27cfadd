"""Windows planned by tasks that exchange only files: the same whoever does them, in whatever order, however often."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_parts import SmallExecutor, make_small, topics_config
from tiny import make_run, quiet

from icp import plan_windows
from icp.audit import verify_run
from icp.data import PackPlan
from icp.engine import run_step
from icp.engine.executor import SerialExecutor
from icp.pipeline import context_of, pack, run_part, with_tokens
from icp.run.arrays import load_order
from icp.steps.windows import figure_tasks
from icp.steps.windows.inputs import load_inputs
from icp.steps.windows.step import STEP

NAMES = PackPlan.__slots__
PHASES = [phase.name for phase in STEP.phases]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A run whose pack ``main`` is planned in one piece."""
    folder = tmp_path_factory.mktemp("parts")
    make_run(topics_config(folder))
    return folder


@pytest.fixture
def small(monkeypatch):
    make_small(monkeypatch)


def packed(folder, name, executor=None, **options):
    config = topics_config(folder, **options)
    pack(config, executor or SerialExecutor(), quiet, name=name)
    return with_tokens(context_of(config, name))


def files(context):
    folder = context.folder("windows")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


def manifest(context):
    return json.loads((context.folder("windows") / "manifest.json").read_text())


def test_a_small_corpus_is_planned_and_judged_in_two_tasks(graph):
    context = with_tokens(context_of(topics_config(graph)))
    assert {name: cost["parts"] for name, cost in manifest(context)["costs"].items()} == {"plan": 1, "facts": 1}


def test_a_large_one_is_shared_and_leaves_no_scratch(graph, small):
    context = packed(graph, "serial")
    costs = manifest(context)["costs"]
    assert set(costs) == set(PHASES)
    assert [name for name in PHASES if costs[name]["serial"]] == ["prepare", "divide", "lay", "runs", "plan", "facts"]
    assert all(costs[name]["parts"] > 1 for name in PHASES if not costs[name]["serial"])
    assert costs["seam"]["parts"] == costs["partition"]["parts"] + 1
    assert sorted(files(context)) == sorted(f"{name}.npy" for name in (*NAMES, "path_rank"))
    assert [finding.line() for finding in verify_run(graph / "run", pack="serial") if not finding.kept] == []


def test_workers_that_see_only_files_make_the_same(graph, small):
    serial = packed(graph, "serial")
    with SmallExecutor(2) as executor:
        other = packed(graph, "workers", executor)
    assert files(other) == files(serial)
    assert manifest(other)["facts"] == manifest(serial)["facts"]


def test_slices_make_the_same(graph, small):
    serial = packed(graph, "serial")
    config = topics_config(graph)
    run_part(config, "order", 0, 1, SerialExecutor(), name="slices")
    waits = []
    while len(waits) < 100:
        waiting = [run_part(config, "windows", index, 2, SerialExecutor(), name="slices") for index in (1, 0)]
        if None in waiting:
            break
        waits.append(waiting[1][0])
    assert waits == [name for name in PHASES if name in waits], "a slice waits for the other, phase by phase"
    assert len(waits) > 3
    assert files(with_tokens(context_of(config, "slices"))) == files(serial)


class StoppedError(Exception):
    """The machine is lost."""


def test_interruption_between_any_phases_changes_nothing(graph, small):
    serial = packed(graph, "serial")
    context = replace(with_tokens(context_of(topics_config(graph), "stopped")), step="windows")
    run_part(topics_config(graph), "order", 0, 1, SerialExecutor(), name="stopped")
    begun = []

    def stop(label, done, total):
        if label not in begun:
            begun.append(label)
            raise StoppedError

    for _ in PHASES:
        with pytest.raises(StoppedError):
            run_step(STEP, context, SerialExecutor(), stop)
    run_step(STEP, context, SerialExecutor(), stop)
    assert begun == [f"windows: {name}" for name in PHASES]
    assert files(context) == files(serial)


def test_the_api_makes_the_same_plan(graph, small):
    context = packed(graph, "straight", shuffle="none")
    inputs = load_inputs(context)
    made = plan_windows(
        inputs.graph,
        inputs.embeddings,
        load_order(context),
        inputs.lengths,
        seq_len=context.config.capacity,
        conflicts=inputs.conflicts,
        specials=inputs.specials,
        threads=2,
    )
    for name in NAMES:
        assert np.array_equal(np.load(context.folder("windows") / f"{name}.npy"), getattr(made, name))


def test_ranges_are_judged_as_the_whole_is(graph, small, monkeypatch):
    facts = manifest(packed(graph, "serial"))["facts"]
    monkeypatch.setattr(figure_tasks, "SMALL_PIECES", 1 << 30)
    whole = manifest(packed(graph, "whole"))
    assert set(whole["costs"]) == set(PHASES) - {"baselines", "similarities", "figures"}
    assert whole["facts"] == facts


def test_windows_are_led_along_paths_run_by_run(graph, small):
    context = packed(graph, "serial")
    ranks = np.load(context.folder("windows") / "path_rank.npy")
    assert sorted(ranks.tolist()) == list(range(ranks.size))
    assert manifest(context)["info"]["runs"]["all"]["runs"] >= ranks.size / 12


@pytest.mark.parametrize(
    "options",
    [
        {"mix_random": 0.3, "shuffle": "spread"},
        {"split": "never", "min_fill": 0.9},
        {"group_by": ["source"], "min_fill": 0.9},
        {"method": "path-fit"},
        {"tail": "repeat", "group_by": ["source"]},
        {"least_fill": 0.98},
    ],
    ids=["mixed", "never", "groups", "another method", "tail", "floor"],
)
def test_options_hold_in_partitions(graph, small, options):
    name = "-".join(options)
    context = packed(graph, name, **options)
    assert ("partition" in manifest(context)["costs"]) == ("method" not in options)
    assert [finding.line() for finding in verify_run(graph / "run", pack=name) if not finding.kept] == []


def test_documents_that_turn_out_to_be_few_are_planned_in_one_piece(graph, small):
    context = packed(graph, "few", mix_random=0.9)
    costs = manifest(context)["costs"]
    assert costs["prepare"]["parts"] == 1
    assert "partition" not in costs
