"""What --fresh removes: no more than differs or is damaged, and nothing before it is agreed to."""

import shutil

import pytest
from tiny import data_files, make_run, quiet, tiny_config

from icp import pipeline
from icp.engine.executor import SerialExecutor
from icp.engine.fresh import Fresh
from icp.errors import ArtifactError, ConfigError
from icp.pipeline import build_graph, pack


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh")
    make_run(tiny_config(folder))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy", copy_function=shutil.copy2)
    shutil.copy2(made / "tiny.jsonl", tmp_path / "tiny.jsonl")
    config = tiny_config(made)
    return tmp_path / "copy", config.model_copy(update={"run": str(tmp_path / "copy/run")})


def build(config, fresh=True, **sections):
    return build_graph(config.model_copy(update=sections), SerialExecutor(), quiet, fresh=fresh)


def stamps(run):
    return {path.parent.relative_to(run).as_posix(): path.stat().st_mtime_ns for path in run.rglob("manifest.json")}


def test_nothing_goes_when_nothing_differs(folder):
    run = folder[0] / "run"
    before = stamps(run)
    build(folder[1])
    pack(folder[1], SerialExecutor(), quiet, fresh=True)
    assert stamps(run) == before


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("documents/part-00000.parquet", "documents"),
        ("embeddings/part-00000.npy", "embeddings"),
        ("graph/weights.npy", "graph"),
    ],
)
def test_a_lost_file_is_made_again_and_later_steps_stay(folder, name, step):
    run = folder[0] / "run"
    before, files = stamps(run), data_files(run)
    (run / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        build(folder[1], fresh=False)
    build(folder[1])
    assert {key for key, value in stamps(run).items() if before[key] != value} == {step}
    assert data_files(run) == files


def test_a_changed_key_takes_what_follows_and_says_so_first(folder, made):
    run, told = folder[0] / "run", []

    def refuse(lines):
        told.extend(lines)
        return False

    other = tiny_config(made, dedup={"threshold": 0.6}).dedup
    before = stamps(run)
    with pytest.raises(ConfigError, match="nothing was removed"):
        build(folder[1], Fresh(confirm=refuse), dedup=other)
    assert stamps(run) == before
    assert any(line.startswith("packs/main") for line in told)
    assert all("dedup.threshold was 0.8, is 0.6" in line for line in told)
    build(folder[1], Fresh(confirm=lambda lines: True), dedup=other)
    assert stamps(run)["documents"] == before["documents"]
    assert not (run / "packs/main").exists()


def test_a_step_asked_for_is_made_again_with_all_after_it(folder):
    run = folder[0] / "run"
    files = data_files(run)
    before = stamps(run)
    pack(folder[1], SerialExecutor(), quiet, fresh=Fresh(redo="windows"))
    assert {key for key, value in stamps(run).items() if before[key] != value} == {
        "packs/main/plan",
        "packs/main/shards",
    }
    assert data_files(run) == files


def test_killed_after_any_removal_the_same_command_goes_on(folder, monkeypatch):
    run = folder[0] / "run"
    files = data_files(run)
    for survived in range(3):
        left = [survived]

        def remove_tree(path, left=left):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            shutil.rmtree(path)

        monkeypatch.setattr(pipeline.records, "remove_tree", remove_tree)
        with pytest.raises(KeyboardInterrupt):
            pack(folder[1], SerialExecutor(), quiet, fresh=Fresh(redo="order"))
        monkeypatch.undo()
        pack(folder[1], SerialExecutor(), quiet)
        assert data_files(run) == files
        assert not list(run.glob(".tmp-*"))
