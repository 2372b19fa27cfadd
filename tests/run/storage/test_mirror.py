import hashlib

import numpy as np
import pytest

from icp.errors import ArtifactError
from icp.run import records
from icp.run.records import FileRecord
from icp.run.storage import address_of, mirror_of, new_mirror, run_folder, shown


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "mirrors"))
    return mirror_of(f"memory://{tmp_path.name}/run")


def put(mirror, name, data):
    """A file on the server, and its record known."""
    mirror.server.write(name, data)
    folder, _, last = name.rpartition("/")
    mirror.learn(folder, {last: FileRecord(len(data), hashlib.sha256(data).hexdigest())})


def test_run_of_this_machine_has_no_mirror(tmp_path):
    assert mirror_of(str(tmp_path)) is None
    assert run_folder(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert address_of(tmp_path) == str(tmp_path)


def test_file_comes_when_it_is_opened_and_once(mirror):
    put(mirror, "dedup/a.npy", b"12345")
    path = mirror.path / "dedup" / "a.npy"
    assert not (mirror.folder / "dedup/a.npy").exists()
    assert [path.read_bytes() for _ in range(2)] == [b"12345"] * 2
    assert mirror.fetched == 5
    mirror.server.remove(["dedup/a.npy"])
    assert path.stat().st_size == 5


def test_file_of_another_hash_takes_the_place_of_the_old_one(mirror):
    put(mirror, "dedup/a.npy", b"old")
    assert (mirror.path / "dedup/a.npy").read_bytes() == b"old"
    put(mirror, "dedup/a.npy", b"new")
    assert (mirror.path / "dedup/a.npy").read_bytes() == b"new"


def test_file_that_is_not_the_one_of_its_record_is_refused(mirror):
    put(mirror, "dedup/a.npy", b"right")
    mirror.server.write("dedup/a.npy", b"wrong")
    with pytest.raises(ArtifactError, match=r"run/dedup/a.npy: 5 bytes that are not those of its record"):
        (mirror.path / "dedup/a.npy").read_bytes()
    assert not list(mirror.folder.rglob("*.npy"))


def test_only_known_files_match_a_pattern(mirror):
    put(mirror, "dedup/part-1.npy", b"1")
    put(mirror, "dedup/part-0.npy", b"0")
    put(mirror, "dedup/deep/part-2.npy", b"2")
    (mirror.folder / "dedup").mkdir(parents=True)
    (mirror.folder / "dedup/part-9.npy").write_bytes(b"left by an earlier run")
    found = list((mirror.path / "dedup").glob("part-*.npy"))
    assert [path.name for path in found] == ["part-0.npy", "part-1.npy"]
    assert [path.read_bytes() for path in found] == [b"0", b"1"]


def test_numpy_maps_a_file_that_was_not_here(mirror, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(5))
    put(mirror, "graph/x.npy", (tmp_path / "x.npy").read_bytes())
    assert np.load(mirror.path / "graph" / "x.npy", mmap_mode="r").tolist() == [0, 1, 2, 3, 4]


def test_mirror_that_was_emptied_is_filled_again(mirror):
    put(mirror, "dedup/a.npy", b"12345")
    put(mirror, "dedup/b.npy", b"not needed again")
    for name in ("a.npy", "b.npy"):
        assert (mirror.path / "dedup" / name).exists()
    records.remove_tree(mirror.folder)
    fetched = mirror.fetched
    assert (mirror.path / "dedup/a.npy").read_bytes() == b"12345"
    assert mirror.fetched - fetched == 5


def test_files_without_a_name_are_pruned(mirror):
    put(mirror, "dedup/a.npy", b"gone")
    put(mirror, "dedup/b.npy", b"stays")
    for name in ("a.npy", "b.npy"):
        (mirror.path / "dedup" / name).read_bytes()
    (mirror.folder / "dedup/a.npy").unlink()
    mirror.prune()
    kept = [path.read_bytes() for path in (mirror.folder / ".objects").rglob("*") if path.is_file()]
    assert kept == [b"stays"]


def test_small_files_are_as_the_server_has_them(mirror):
    mirror.server.write("config.yaml", b"one")
    mirror.pull(["config.yaml", "stats.json"])
    assert (mirror.folder / "config.yaml").read_bytes() == b"one"
    mirror.server.remove(["config.yaml"])
    mirror.pull(["config.yaml"])
    assert not (mirror.folder / "config.yaml").exists()


def test_paths_are_shown_as_urls(mirror, tmp_path):
    text = f"{mirror.folder}/dedup: step dedup was made otherwise"
    assert shown(text) == f"memory://{tmp_path.name}/run/dedup: step dedup was made otherwise"
    assert address_of(mirror.path) == mirror.url


def test_another_mirror_starts_empty(mirror, tmp_path):
    put(mirror, "dedup/a.npy", b"12345")
    anew = new_mirror(mirror.url, tmp_path / "anew")
    assert (anew.path / "dedup").exists() is False
    anew.learn("dedup", {"a.npy": mirror.known["dedup/a.npy"]})
    assert (anew.path / "dedup/a.npy").read_bytes() == b"12345"


@pytest.mark.parametrize("name", ["../../victim", "/victim", "a/../../../victim", "a\\victim", "a\nvictim", ""])
def test_names_that_leave_the_mirror_are_refused(mirror, name):
    victim = mirror.folder.parent.parent / "victim"
    record = FileRecord(4, hashlib.sha256(b"evil").hexdigest())
    whole = f"documents/{name}"
    for attempt in (
        lambda: mirror.learn("documents", {name: record}),
        lambda: mirror.pull([whole]),
        lambda: mirror.keep(whole, b"evil"),
        lambda: mirror.forget(whole),
        lambda: mirror.remove_tree(whole),
    ):
        with pytest.raises(ArtifactError, match="no plain name"):
            attempt()
    assert mirror.known == {}
    assert not victim.exists()
