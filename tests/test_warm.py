import compiled
import pytest
from compiled import kernels_called_by

from icp import warm
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
