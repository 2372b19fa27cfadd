"""The whole pipeline on the tiny corpus: same bytes however it is run, several packs, kills, slices."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import assert_same, copied_run, cut_config, data_files, make_run, quiet, tiny_config, write_jsonl

from icp.engine.executor import ProcessExecutor, SerialExecutor
from icp.errors import ConfigError, InputError
from icp.pipeline import build_graph, pack, run_part
from icp.run import records
from icp.run.names import BUILD_STEPS, PACK_STEPS
from icp.warm import tiny_rows

KILL_POINTS = (
    "documents/.parts/basis.json",
    "dedup/.parts/signatures.part-00001.json",
    "embeddings/.parts/basis.json",
    "neighbors/.parts/basis.json",
    "graph/manifest.json",
    "packs/main/shards/.parts/basis.json",
)


def command(config, *arguments):
    path = Path(config.run).parent / "config.yaml"
    path.write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    return [sys.executable, "-P", "-m", "icp.cli", *arguments, "-c", str(path)]


def test_the_corpus_really_has_several_parts(cut_files):
    assert sum(name.startswith("embeddings/part-") for name in cut_files) >= 3
    assert sum(name.endswith(".bin") and "shards" in name for name in cut_files) >= 2


def test_one_and_two_workers_give_the_same_bytes(tmp_path, tiny_corpus, cut_files):
    for workers in (1, 2):
        with ProcessExecutor(workers) as executor:
            run = make_run(cut_config(tmp_path / str(workers), tiny_corpus), executor)
        assert_same(data_files(run), cut_files)


def test_other_part_sizes_give_the_same_global_files(tmp_path, tiny_corpus, cut_files):
    run = make_run(cut_config(tmp_path, tiny_corpus, part_mib=0.003))
    found = data_files(run)
    names = ["dedup/survivors.npy", "graph/nodes.npy", "graph/indices.npy", "graph/weights.npy", "graph/conflicts.npy"]
    names += ["embeddings/frozen.npz"]
    names += [name for name in cut_files if name.startswith("packs/main/") and name.endswith((".npy", ".bin"))]
    for name in names:
        assert found[name] == cut_files[name], name
    for pattern in ("embeddings/part-", "neighbors/"):
        assert _joined(found, pattern) == _joined(cut_files, pattern)


def _joined(files, prefix):
    import io

    kinds = sorted({name.split(".", 1)[1] for name in files if name.startswith(prefix)})
    joined = {}
    for kind in kinds:
        arrays = [
            np.load(io.BytesIO(data)) for name, data in files.items() if name.startswith(prefix) and name.endswith(kind)
        ]
        joined[kind] = np.concatenate([array for array in arrays if array.size]).tobytes()
    return joined


@pytest.mark.parametrize(
    "points", [KILL_POINTS[::2], KILL_POINTS[1::2]], ids=["documents, embeddings, graph", "dedup, neighbors, shards"]
)
def test_run_killed_in_step_after_step_goes_on_to_the_same_bytes(tmp_path, tiny_corpus, cut_files, points):
    config = cut_config(tmp_path, tiny_corpus)
    for point in points:
        kill_when_there(command(config, "run", "--workers", "2"), Path(config.run) / point)
    done = subprocess.run(command(config, "run", "--workers", "2"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_same(data_files(Path(config.run)), cut_files)


def kill_when_there(command, watched):
    """Run a command and kill it when a file is there."""
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not watched.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert watched.exists(), f"{watched} never appeared"


def test_sigterm_ends_with_130_and_the_run_goes_on(tmp_path, tiny_corpus, cut_files):
    config = cut_config(tmp_path, tiny_corpus)
    watched = Path(config.run) / "dedup/.parts/basis.json"
    with subprocess.Popen(command(config, "run"), stderr=subprocess.PIPE, text=True) as process:
        while not watched.exists() and process.poll() is None:
            time.sleep(0.002)
        process.terminate()
        message = process.stderr.read()
        assert process.wait(30) == 130, message
    assert "what is done is kept" in message
    assert_same(data_files(make_run(config)), cut_files)


def test_two_packs_of_one_graph_redo_no_earlier_step(tmp_path, tiny_run):
    other = copied_run(tiny_run, tmp_path, pack={"seq_len": 32, "method": "random"})
    run = Path(other.run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and "packs" not in path.parts}
    before = {
        path: stamp for path, stamp in before.items() if path.name not in ("config.yaml", "stats.json", "log.jsonl")
    }
    pack(other, SerialExecutor(), quiet, name="control")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    stats = records.read_json(run / "stats.json")
    assert sorted(stats["packs"]) == ["control", "main"]
    assert stats["packs"]["control"]["windows"]["seq_len"] == 32
    assert stats["packs"]["main"]["windows"]["seq_len"] == 64
    assert len(list((run / "tokens").iterdir())) == 1


def test_other_configuration_is_refused_and_fresh_redoes_what_follows(tmp_path, tiny_run):
    other = copied_run(tiny_run, tmp_path, dedup={"threshold": 0.6})
    run = Path(other.run)
    documents = (run / "documents/manifest.json").stat().st_mtime_ns
    with pytest.raises(ConfigError, match=r"dedup.threshold was 0.8, is 0.6"):
        build_graph(other, SerialExecutor(), quiet)
    with pytest.raises(ConfigError, match=r"dedup.threshold was 0.8, is 0.6.*build-graph --fresh"):
        pack(other, SerialExecutor(), quiet)
    build_graph(other, SerialExecutor(), quiet, fresh=True)
    pack(other, SerialExecutor(), quiet)
    assert (run / "documents/manifest.json").stat().st_mtime_ns == documents
    new = make_run(other.model_copy(update={"run": str(tmp_path / "again")}))
    assert_same(data_files(run), data_files(new))


def test_changed_input_file_is_noticed(tmp_path):
    config = tiny_config(tmp_path)
    build_graph(config, SerialExecutor(), quiet, until="documents")
    write_jsonl(tmp_path / "tiny.jsonl", [{"id": "1", "text": "something else altogether"}])
    with pytest.raises(ConfigError, match=r"file .*tiny.jsonl has changed"):
        build_graph(config, SerialExecutor(), quiet)


def test_input_that_is_moved_or_touched_is_not_needed_once_documents_is_finished(tmp_path, tiny_run, caplog):
    config = tiny_config(tmp_path)
    build_graph(config, SerialExecutor(), quiet)
    corpus = tmp_path / "tiny.jsonl"
    os.utime(corpus, ns=(1, 1))
    pack(config, SerialExecutor(), quiet)
    corpus.rename(tmp_path / "elsewhere.jsonl")
    moved = tmp_path / "moved"
    Path(config.run).rename(moved)
    config = config.model_copy(update={"run": str(moved)})
    pack(config, SerialExecutor(), quiet, name="later")

    def warned():  # that windows of 64 tokens cannot be filled with these documents is another matter
        told = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        return [message for message in told if "pack.min_fill is" not in message]

    assert warned() == []
    build_graph(config, SerialExecutor(), quiet)
    (told,) = warned()
    assert "no file matches" in told
    assert "step documents is finished" in told
    assert_same(data_files(moved / "packs/later"), data_files(tiny_run / "packs/main"))


def test_missing_input_of_an_unfinished_step_is_an_error(tmp_path):
    config = tiny_config(tmp_path)
    (tmp_path / "tiny.jsonl").unlink()
    with pytest.raises(InputError, match="no file matches"):
        build_graph(config, SerialExecutor(), quiet)


def test_repaired_input_of_an_unfinished_step_is_read_anew(tmp_path):
    config = tiny_config(tmp_path)
    (tmp_path / "tiny.jsonl").write_text("{\n")
    with pytest.raises(InputError):
        build_graph(config, SerialExecutor(), quiet)
    write_jsonl(tmp_path / "tiny.jsonl", tiny_rows())
    assert build_graph(config, SerialExecutor(), quiet)["documents"].counts["rejected"] == 0


def test_slices_without_a_coordinator_give_the_same_bytes(tmp_path, tiny_corpus, cut_files):
    config = cut_config(tmp_path, tiny_corpus)
    for step in (*BUILD_STEPS, *PACK_STEPS):
        for _ in range(12):
            missing = [run_part(config, step, index, 3, SerialExecutor()) for index in (2, 1, 0)]
            if not any(missing):
                break
        assert not any(missing), (step, missing)
    assert_same(data_files(Path(config.run)), cut_files)


def test_folder_that_is_no_run_is_left_alone(tmp_path):
    config = tiny_config(tmp_path)
    mine = Path(config.run) / "documents" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="holds documents but is no run of icp"):
        build_graph(config, SerialExecutor(), quiet)
    assert mine.read_text() == "mine"
