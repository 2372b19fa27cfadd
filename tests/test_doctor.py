"""`icp doctor`: both faiss wheels are an unsound installation; what is optional is only told."""

import shutil
from importlib.metadata import PackageNotFoundError

import pytest

from icp import doctor
from icp.doctor import Check, check_disk, check_faiss, examine


def checks():
    return {check.name: check for check in examine()}


def hide(monkeypatch, *names):
    """As if some packages were not installed."""
    real = doctor.version

    def version(name):
        if name in names:
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", version)


def test_this_installation_is_looked_at_whole():
    found = checks()
    assert {"python", "icp", "numpy", "numba", "pyarrow", "tokenizers", "datasketch", "faiss", "gpu"} <= set(found)
    assert {"sentence-transformers", "torch", "java", "pyspark", "threads", "blas", "kernel cache", "disk"} <= set(
        found
    )
    assert found["numpy"].line().startswith("ok      numpy ")
    assert found["python"].sound


def test_the_oldest_version_is_read_however_bounds_are_written(monkeypatch):
    lines = ["tokenizers<1,>=0.20", "click>=8.1", "torch>=2; extra == 'torch'", "xxhash"]
    monkeypatch.setattr(doctor, "requires", lambda package: lines)
    assert doctor.requirements() == [("tokenizers", "0.20"), ("click", "8.1"), ("xxhash", "0")]


def test_both_faiss_wheels_are_unsound():
    check = check_faiss({"faiss-cpu": "1.9", "faiss-gpu": "1.14"})
    assert not check.sound
    assert "uninstall both, and for a GPU reinstall one" in check.text
    assert check.line().startswith("BROKEN  faiss")


def test_no_faiss_is_sound_and_names_the_command_for_a_gpu(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    check = check_faiss({})
    assert check.sound
    assert check.text == 'not installed (only to find neighbours on a GPU: pip install ".[gpu]")'


def test_a_wheel_whose_files_are_gone_is_unsound(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    check = check_faiss({"faiss-cpu": "1.9"})
    assert not check.sound
    assert "pip install --force-reinstall faiss-cpu" in check.text


def test_one_wheel_is_sound_and_so_is_faiss_from_elsewhere(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    assert check_faiss({"faiss-gpu": "1.14"}) == Check("faiss", True, "faiss-gpu 1.14")
    assert check_faiss({}).sound


def test_a_missing_library_is_unsound_and_a_missing_extra_is_not(monkeypatch):
    hide(monkeypatch, "numba", "torch", "pyspark", "sentence-transformers")
    found = checks()
    assert not found["numba"].sound
    assert "pip install 'numba>=" in found["numba"].text
    for name in ("torch", "pyspark", "sentence-transformers"):
        assert found[name].sound
        assert "not installed" in found[name].text


def test_an_old_library_is_unsound(monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda name: "0.1")
    assert not checks()["pyarrow"].sound
    assert "too old" in checks()["pyarrow"].text


def test_a_library_without_metadata_of_ours_is_not_asked_for(monkeypatch):
    def requires(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", requires)
    assert "numpy" not in checks()


def test_variables_that_change_the_work_are_told(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = checks()
    assert "OPENBLAS_CORETYPE=Haswell" in found["blas"].text
    assert "OMP_NUM_THREADS=3" in found["threads"].text


def test_without_java_and_gpu_it_says_what_they_are_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    found = checks()
    assert "only for --engine spark" in found["java"].text
    assert "none seen" in found["gpu"].text


@pytest.mark.parametrize(("line", "old"), [('openjdk version "17.0.1"', False), ('java version "1.8.0"', True)])
def test_an_old_java_is_told(monkeypatch, line, old):
    monkeypatch.setattr(doctor, "_ask", lambda command: [line])
    assert ("too old" in checks()["java"].text) == old


def test_little_disk_is_told(monkeypatch, tmp_path):
    assert "GiB free" in check_disk(tmp_path).text
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1 << 20})())
    assert "that is little" in check_disk(tmp_path).text


def test_a_kernel_cache_that_cannot_be_written_is_unsound(monkeypatch, tmp_path):
    from icp.kernels import _jit

    monkeypatch.setattr(_jit, "CACHE_FOLDER", tmp_path / "gone")
    check = checks()["kernel cache"]
    assert not check.sound
    assert "XDG_CACHE_HOME" in check.text


def test_every_package_that_a_run_needs_is_listed_once_with_a_licence():
    lines = list(doctor.licences())
    names = [line.split()[0] for line in lines if not line.endswith(" packages")]
    assert len(names) == len(set(names))
    assert {name for name, _ in doctor.requirements()} <= set(names)
    assert any(line.split()[0] == "pydantic-core" for line in lines), "packages of packages"
    assert any(line.split()[0] == "numpy" and line.split()[2].startswith("BSD-3-Clause") for line in lines)
    assert not [line for line in lines if len(line) > 120]
