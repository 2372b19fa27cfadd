import json
import os

import pytest

from icp.errors import ArtifactError, ConfigError
from icp.run import records
from icp.run.lock import RunLock
from icp.run.records import FileRecord, PartRecord


def staged(folder, name, text):
    path = folder / f".tmp-{text}-{name}"
    path.write_text(text)
    return {name: path}


def record(folder, files, fingerprint="f"):
    rows = {name: FileRecord(path.stat().st_size, records.hash_file(path)) for name, path in files.items()}
    return PartRecord(fingerprint, rows)


def commit(folder, name, text):
    files = staged(folder, name, text)
    path = folder / ".parts" / "p.all.json"
    path.parent.mkdir(exist_ok=True)
    return records.commit(folder, files, path, record(folder, files))


def test_committed_file_has_its_name_and_a_record(tmp_path):
    assert commit(tmp_path, "a.bin", "hello")
    found = records.read_record(tmp_path / ".parts" / "p.all.json")
    assert (tmp_path / "a.bin").read_text() == "hello"
    assert found.files["a.bin"] == FileRecord(5, records.hash_file(tmp_path / "a.bin"))


def test_second_attempt_with_other_content_changes_nothing(tmp_path):
    assert commit(tmp_path, "a.bin", "first")
    assert not commit(tmp_path, "a.bin", "second")
    assert (tmp_path / "a.bin").read_text() == "first"
    found = records.read_record(tmp_path / ".parts" / "p.all.json")
    assert found.files["a.bin"].sha256 == records.hash_file(tmp_path / "a.bin")


def test_name_of_an_attempt_that_died_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "TAKE_OVER_SECONDS", 0.1)
    (tmp_path / "a.bin").write_text("left behind")
    assert commit(tmp_path, "a.bin", "whole")
    assert (tmp_path / "a.bin").read_text() == "whole"


def test_strangers_are_removed_and_known_files_stay(tmp_path):
    for name in ("a.bin", "b.bin", ".tmp-x", "sub/c.bin", "sub/d.bin", "gone/e.bin", ".parts/r.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    records.remove_strangers(tmp_path, ["a.bin", "sub/c.bin"])
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".parts/r.json", "a.bin", "sub/c.bin"]
    assert not (tmp_path / "gone").exists()


def test_broken_json_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"manifest.json: manifest cannot be read"):
        records.read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactError, match="not a manifest"):
        records.read_manifest(tmp_path)


def test_lock_is_held_and_released(tmp_path):
    run = tmp_path / "run"
    with RunLock(run, "run"):
        assert RunLock.holder(run / ".lock")["pid"] == os.getpid()
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
            RunLock(run, "pack").__enter__()
    assert RunLock.holder(run / ".lock") is None


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"started": "1"}])
def test_lock_of_a_dead_holder_is_broken(tmp_path, change):
    lock = RunLock(tmp_path, "run")
    (tmp_path / ".lock").write_text(json.dumps({**lock._me, **change}))
    with lock:
        assert RunLock.holder(tmp_path / ".lock")["pid"] == os.getpid()


def test_lock_of_another_host_is_left_alone(tmp_path):
    (tmp_path / ".lock").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    with pytest.raises(ConfigError, match="on elsewhere"):
        RunLock(tmp_path, "run").__enter__()


def test_run_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(ArtifactError, match="cannot be written"):
        RunLock(tmp_path / "run", "run").__enter__()


@pytest.mark.parametrize("pid", [0, -1, 2**40, 10**30, True, None, "1", 1.5, [1]])
def test_damaged_lock_of_this_host_is_of_nobody_alive(tmp_path, pid):
    lock = RunLock(tmp_path, "run")
    (tmp_path / ".lock").write_text(json.dumps({**lock._me, "pid": pid}))
    with lock:
        assert RunLock.holder(tmp_path / ".lock")["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "[]", "null", '{"a":' * 100_000, "9" * 5000])
def test_lock_that_cannot_be_read_is_held_by_nobody_known(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    assert RunLock.holder(tmp_path / ".lock") == {}
