import compiled
import pytest
from compiled import kernels_called_by

from icp import warm
from icp.kernels import _jit
from icp.warm import fill_kernel_cache, run_tiny_corpus


@pytest.fixture(scope="module")
def warmed():
    """What is compiled before workers start, kernel by kernel and type by type."""
    return kernels_called_by(run_tiny_corpus)


@pytest.mark.parametrize(
    "work",
    [compiled.ordinary_runs, compiled.windows_of_a_large_corpus, compiled.neighbours_of_very_many_documents],
    ids=lambda work: work.__name__,
)
def test_runs_call_no_kernel_that_was_not_compiled_before_workers_start(warmed, work):
    called = kernels_called_by(work)
    assert len(called) > 5
    assert sorted(called - warmed) == []


def test_a_kernel_called_for_other_types_is_seen(warmed):
    (called,) = kernels_called_by(compiled.a_kernel_of_other_types)
    assert "find_root(Array(int16" in called
    assert called not in warmed


def test_filled_cache_is_not_filled_again(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "_marker", lambda: tmp_path / "complete")
    (tmp_path / "complete").touch()
    monkeypatch.setattr(warm, "ProcessExecutor", None)
    fill_kernel_cache()


def test_kernels_compiled_apart_are_taken_whole_or_not_at_all(tmp_path, monkeypatch):
    """An index names its files of code by numbers, so that those of two processes must not be mixed."""
    ours, apart = tmp_path / "ours", tmp_path / "apart"
    for folder, text in ((ours, "ours"), (apart, "theirs")):
        (folder / "source_1").mkdir(parents=True)
        for name in ("a.f-3.py311.nbi", "a.f-3.py311.1.nbc", "a.f-3.py311.2.nbc"):
            (folder / "source_1" / name).write_text(text)
    (ours / "source_1" / "a.f-3.py311.2.nbc").unlink()
    for name in ("a.g-9.py311.nbi", "a.g-9.py311.1.nbc"):
        (apart / "source_1" / name).write_text("theirs")
    monkeypatch.setattr(_jit, "CACHE_FOLDER", ours)
    _jit.take_compiled(apart)
    assert {path.name: path.read_text() for path in (ours / "source_1").iterdir()} == {
        "a.f-3.py311.nbi": "ours",
        "a.f-3.py311.1.nbc": "ours",
        "a.g-9.py311.nbi": "theirs",
        "a.g-9.py311.1.nbc": "theirs",
    }


@pytest.mark.parametrize("number", range(len(warm._HALVES)))
def test_halves_compile_what_runs_call(warmed, number):
    """What is compiled for other types than those of runs would be compiled in vain."""
    called = kernels_called_by(warm._HALVES[number])
    assert len(called) > 20
    assert sorted(called - warmed) == []
