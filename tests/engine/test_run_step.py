from dataclasses import replace

import pytest

from icp.config import parse_config
from icp.engine import Task, basis_of, do_task, run_slice, run_step
from icp.engine.executor import SerialExecutor
from icp.engine.step import Phase, Step, one_part
from icp.errors import ArtifactError, ConfigError, InputError, PartsFailedError
from icp.run.context import Context
from icp.run.records import read_json

CALLS = []


def three_parts(context):
    return ["part-0", "part-1", "part-2"]


def write_part(context, part, output):
    CALLS.append(part)
    if part in context.config.corpus.keep:
        raise ValueError(f"cannot do {part}")
    output.path(f"{part}.txt").write_text(f"{part} {context.config.seed}")
    output.rows(f"{part}.txt", 1)
    output.count("made")
    output.info["name"] = part


def join_parts(context, part, output):
    records = context.records("make")
    text = "+".join((context.folder("graph") / f"{name}.txt").read_text() for name in records)
    output.path("all.txt").write_text(text)
    output.info["joined"] = len(records)


STEP = Step(
    "graph",
    1,
    (),
    lambda config: ("seed",),
    (Phase("make", three_parts, write_part, scratch=True), Phase("facts", one_part, join_parts)),
    reads=("corpus.keep",),
)


def context(tmp_path, seed=0, fail=()):
    config = parse_config({"run": str(tmp_path), "seed": seed, "corpus": {"input": "x", "keep": list(fail)}})
    return Context(config, "", {"graph": "graph"})


def run(tmp_path, **options):
    CALLS.clear()
    return run_step(STEP, context(tmp_path, **options), SerialExecutor(), lambda *_: None)


def test_only_the_part_of_a_damaged_file_is_done_again(tmp_path, caplog):
    with pytest.raises(PartsFailedError):
        run(tmp_path, fail=("part-2",))
    (tmp_path / "graph/part-0.txt").write_text("part")
    (tmp_path / "graph/part-1.txt").unlink()
    manifest = run(tmp_path)
    assert CALLS == ["part-0", "part-1", "part-2"]
    assert (tmp_path / "graph/all.txt").read_text() == "part-0 0+part-1 0+part-2 0"
    assert manifest.counts == {"made": 3}
    assert "part-0.txt: 4 bytes, its manifest says 8; its part is done again" in caplog.text
    assert "part-1.txt: No such file or directory; its part is done again" in caplog.text


def test_warnings_of_parts_are_told_by_the_process_that_runs_them(tmp_path, caplog):
    phase = Phase("facts", one_part, lambda context, part, output: output.info.update(warnings=["look at this"]))
    run_step(replace(STEP, phases=(phase,)), context(tmp_path), SerialExecutor(), lambda *_: None)
    assert "look at this" in caplog.text


def test_whole_parts_are_kept_beside_a_damaged_one(tmp_path):
    with pytest.raises(PartsFailedError):
        run(tmp_path, fail=("part-2",))
    (tmp_path / "graph/part-0.txt").write_text("part")
    run(tmp_path)
    assert CALLS == ["part-0", "part-2"]


def test_step_leaves_its_files_and_a_manifest(tmp_path):
    manifest = run(tmp_path)
    assert (tmp_path / "graph/all.txt").read_text() == "part-0 0+part-1 0+part-2 0"
    assert sorted(path.name for path in (tmp_path / "graph").iterdir()) == ["all.txt", "manifest.json"]
    assert (manifest.counts, manifest.facts) == ({"made": 3}, {"joined": 3})
    assert list(manifest.files) == ["all.txt"]
    assert manifest.info["make"]["part-1"] == {"name": "part-1"}
    assert read_json(tmp_path / "graph/manifest.json")["joined"] == 3


def test_finished_step_is_not_done_again(tmp_path):
    run(tmp_path)
    run(tmp_path)
    assert CALLS == []


def test_failed_part_keeps_the_others_and_the_next_run_does_only_it(tmp_path):
    with pytest.raises(PartsFailedError, match=r"1 of 3 parts of phase make failed; part-1: ValueError: cannot do"):
        run(tmp_path, fail=["part-1"])
    assert CALLS == ["part-0", "part-1", "part-1", "part-1", "part-2"]
    assert (tmp_path / "graph/.parts/make.part-1.failed").exists()
    run(tmp_path)
    assert CALLS == ["part-1"]


def test_file_without_a_record_is_removed_when_the_step_starts(tmp_path):
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph/part-1.txt").write_text("left by an attempt that died")
    (tmp_path / "graph/.tmp-abc").write_text("half")
    run(tmp_path)
    assert (tmp_path / "graph/all.txt").read_text() == "part-0 0+part-1 0+part-2 0"


def test_other_configuration_is_refused_with_the_difference_named(tmp_path):
    run(tmp_path, seed=1)
    with pytest.raises(ConfigError, match=r"graph: step graph was made otherwise: seed was 1, is 2.*--fresh"):
        run(tmp_path, seed=2)


def test_other_configuration_of_an_unfinished_step_is_refused(tmp_path):
    with pytest.raises(PartsFailedError):
        run(tmp_path, seed=1, fail=["part-1"])
    with pytest.raises(ConfigError, match="seed was 1, is 2"):
        run(tmp_path, seed=2)


def test_damaged_file_of_a_finished_step_is_named(tmp_path):
    run(tmp_path)
    (tmp_path / "graph/all.txt").write_text("short")
    with pytest.raises(ArtifactError, match=r"all.txt: 5 bytes, its manifest says 26"):
        run(tmp_path)


def test_leftovers_of_a_kill_after_the_manifest_are_tidied(tmp_path):
    run(tmp_path)
    (tmp_path / "graph/.parts").mkdir()
    (tmp_path / "graph/.parts/make.part-0.json").write_text("{}")
    (tmp_path / "graph/part-0.txt").write_text("scratch")
    run(tmp_path)
    assert sorted(path.name for path in (tmp_path / "graph").iterdir()) == ["all.txt", "manifest.json"]


def test_error_of_ours_ends_the_step_with_its_message(tmp_path):
    def refuse(context, part, output):
        raise InputError("x.jsonl: broken")

    step = replace(STEP, phases=(Phase("make", three_parts, refuse),))
    with pytest.raises(InputError, match=r"x.jsonl: broken"):
        run_step(step, context(tmp_path), SerialExecutor(), lambda *_: None)


def test_slices_make_what_one_run_makes(tmp_path):
    whole, sliced = tmp_path / "whole", tmp_path / "sliced"
    run(whole)
    assert run_slice(STEP, context(sliced), 1, 2, SerialExecutor()) == ("make", 2)
    assert run_slice(STEP, context(sliced), 0, 2, SerialExecutor()) is None
    assert run_slice(STEP, context(sliced), 1, 2, SerialExecutor()) is None
    assert (sliced / "graph/all.txt").read_bytes() == (whole / "graph/all.txt").read_bytes()
    assert sorted(path.name for path in (sliced / "graph").iterdir()) == ["all.txt", "manifest.json"]


def test_basis_names_format_and_configuration(tmp_path):
    assert basis_of(STEP, context(tmp_path)) == {"format": 1, "config": {"seed": 0}, "inputs": {}, "sources": {}}


class OnAnotherDisk(SerialExecutor):
    """Does the parts of a run elsewhere: what it leaves is not seen here, and it does not see what is here."""

    def __init__(self, folder, lost=False):
        self.folder, self.lost = folder, lost

    def map(self, task, items):
        if self.lost:
            yield from ((position, {}) for position in range(len(items)))
            return
        config = items[0].context.config.model_copy(update={"run": str(self.folder)})
        yield from super().map(task, [replace(item, context=replace(item.context, config=config)) for item in items])


def test_a_worker_that_does_not_see_the_run_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"elsewhere/graph: not seen from .*storage that all machines share"):
        run_step(STEP, context(tmp_path), OnAnotherDisk(tmp_path / "elsewhere"), lambda *_: None)
    assert not (tmp_path / "elsewhere").exists()


def test_records_that_never_appear_end_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr("icp.engine.phase.SEEN_SECONDS", 0.2)
    with pytest.raises(ArtifactError, match=r"make.part-0.json: not seen on .* 0 s after its part was done"):
        run_step(STEP, context(tmp_path), OnAnotherDisk(tmp_path, lost=True), lambda *_: None)


def test_a_part_that_is_done_twice_after_its_step_ended_changes_nothing(tmp_path):
    run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    task = Task(STEP.phases[0], replace(context(tmp_path), step="graph"), "part-0", "")
    assert do_task(task) == {}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_task_that_reads_an_undeclared_key_fails(tmp_path):
    with pytest.raises(PartsFailedError, match=r"step graph reads seed, which it does not declare"):
        run_step(replace(STEP, keys=lambda config: ()), context(tmp_path), SerialExecutor(), lambda *_: None)
