"""Where compiled kernels are kept: never where somebody else can write, since numba runs what it finds."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from icp.kernels import _jit


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A home and a folder for temporary files of the test's own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(_jit.INHERITED, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(_jit.atexit, "register", lambda *_, **__: None)
    yield SimpleNamespace(home=tmp_path / "home" / "icp" / "kernels", tmp=temporary)
    os.environ.pop(_jit.INHERITED, None)


def test_kernels_are_kept_in_the_users_cache_readable_by_the_user_alone(places):
    folder = _jit._cache_folder()
    assert folder.parent == places.home
    assert folder.stat().st_mode & 0o077 == 0


def test_without_a_home_they_are_kept_among_temporary_files(places, monkeypatch):
    places.home.parents[1].write_text("a file")
    with pytest.warns(UserWarning, match="compiled kernels go to"):
        folder = _jit._cache_folder()
    assert folder.parent == places.tmp / f"icp-kernels-{os.getuid()}"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert _jit._cache_folder() == folder


@pytest.mark.parametrize("taken", ["base", "folder"])
def test_a_folder_that_others_write_is_left_alone(places, taken):
    folder = _jit._cache_folder()
    (folder.parent if taken == "base" else folder).chmod(0o777)
    shared = places.tmp / f"icp-kernels-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.warns(UserWarning, match="can be written by others") as warned:
        found = _jit._cache_folder()
    assert len(warned) == 1
    assert found.parent.parent == places.tmp
    assert found.parent != shared
    assert found.stat().st_mode & 0o077 == 0


def test_a_folder_of_somebody_else_is_left_alone(places, monkeypatch):
    folder = _jit._cache_folder()
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(UserWarning, match="belongs to another user"):
        assert _jit._cache_folder().parent.parent == places.tmp


def test_a_link_in_place_of_the_folder_is_left_alone(places, tmp_path):
    folder = _jit._cache_folder()
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="is no folder"):
        assert _jit._cache_folder() != folder


def test_processes_that_are_started_use_the_same_new_folder(places):
    for base in (places.home, places.tmp / f"icp-kernels-{os.getuid()}"):
        base.mkdir(parents=True)
        base.chmod(0o777)
    with pytest.warns(UserWarning, match="can be written by others"):
        folder = _jit._cache_folder()
    assert _jit._cache_folder() == folder


def test_a_full_disk_is_not_used(places, monkeypatch):
    real = shutil.disk_usage
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full if "home" in str(path) else real(path))
    with pytest.warns(UserWarning, match="MiB of room"):
        assert _jit._cache_folder().parent.parent == places.tmp


def test_room_nowhere_is_one_clear_error(places, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(OSError, match="compiled kernels can be kept nowhere"):
        _jit._cache_folder()


def test_a_kernel_that_cannot_be_kept_works_all_the_same():
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.warns(UserWarning, match="cannot be kept"):
        _jit._saving(refuse)("signature", "data")


def test_package_is_imported_by_a_user_without_name_and_home(tmp_path):
    code = (
        "import pathlib; pathlib.Path.home = classmethod(lambda cls: (_ for _ in ()).throw(RuntimeError()))\n"
        "from icp.kernels import _jit; print(_jit.CACHE_FOLDER)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("XDG_CACHE_HOME", None)
    environment.pop(_jit.INHERITED, None)  # commands called in this process tell those that they start of their folder
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert str(tmp_path) in done.stdout
