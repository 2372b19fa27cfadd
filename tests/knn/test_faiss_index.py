"""``graph.method: faiss``: indexes of several kinds, what is chosen on the sample, and refusals."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import icp
from icp.errors import ConfigError
from icp.knn import faiss_index, gpu, phases, vectors
from icp.knn.groupings import Search
from icp.knn.recall import shares_found
from icp.knn.search import search_neighbors
from icp.knn.vectors import unpack

faiss = pytest.importorskip("faiss", reason="faiss-cpu is in the extra dev")
LEAST_RECALL = 0.9


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((60, 32))
    found = centres[rng.integers(0, 60, 3000)] + 0.8 * rng.standard_normal((3000, 32))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found[7] = 0
    return found.astype(np.float16)


@pytest.fixture(scope="module")
def exact(rows):
    return search_neighbors(rows, k=8, method="exact")


def search_of(factory, **changes):
    search = Search(3000, 32, 8, 14, "faiss", 0.95, 0, factory)
    return replace(search, **changes)


@pytest.mark.parametrize("factory", ["Flat", "IVF32,Flat", "IVF32,PQ16x4fs,RFlat", "OPQ16,IVF16,SQ8", "HNSW16"])
def test_kept_similarities_are_those_of_the_vectors_and_the_recall_is_reached(rows, exact, factory):
    found = search_neighbors(rows, k=8, method="faiss", faiss=factory)
    shares = shares_found(
        found.neighbors, found.similarities.astype(np.float16), exact.neighbors, exact.similarities.astype(np.float16)
    )
    assert shares.mean() >= LEAST_RECALL, f"recall {shares.mean()} of {factory}, at least {LEAST_RECALL} expected"
    assert (found.neighbors[7] == -1).all()
    assert not (found.neighbors == 7).any()
    for row in range(0, 3000, 97):
        known = dict(zip(exact.neighbors[row].tolist(), exact.similarities[row].tolist(), strict=True))
        assert row not in found.neighbors[row]
        for other, similarity in zip(found.neighbors[row].tolist(), found.similarities[row].tolist(), strict=True):
            assert known.get(other, similarity) == similarity


def test_a_flat_index_finds_what_exact_search_finds(rows, exact):
    found = search_neighbors(rows, k=8, method="faiss", faiss="Flat")
    np.testing.assert_array_equal(found.similarities, exact.similarities)


def test_the_same_twice_and_with_more_threads_at_hand(rows):
    factory = "IVF32,PQ16x4fs"
    first = search_neighbors(rows, k=8, method="faiss", faiss=factory)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        second = search_neighbors(rows, k=8, method="faiss", faiss=factory)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)
    np.testing.assert_array_equal(first.neighbors, second.neighbors)


def test_nprobe_is_the_least_that_reaches_the_target(rows):
    search = search_of("IVF64,Flat")
    index = faiss_index.train_index(rows, search)
    faiss_index.add_rows(index, [rows.astype(np.float32)], search)
    sample = search.tuning_rows()
    truth = unpack(phases.true_neighbors(rows, sample, k=8))
    chosen = faiss_index.tune_index(rows, index, sample, truth, search)
    assert (chosen.parameter, chosen.factor) == ("nprobe", 1)
    assert chosen.value > 1

    def reached(value):
        keys = faiss_index._propose(rows, index, replace(chosen, value=value), sample, search.keep)
        return phases.enough_found(shares_found(*unpack(keys[:, :8]), *truth), 0.95)

    assert [reached(value) for value in (chosen.value - 1, chosen.value)] == [False, True]


def test_a_coarse_index_is_asked_for_more(rows):
    search = search_of("IVF8,PQ4x4")
    index = faiss_index.train_index(rows, search)
    faiss_index.add_rows(index, [rows.astype(np.float32)], search)
    sample = search.tuning_rows()
    truth = unpack(phases.true_neighbors(rows, sample, k=8))
    assert faiss_index.tune_index(rows, index, sample, truth, search).factor > 1


@pytest.mark.parametrize(
    ("factory", "reason"), [("nonsense", "could not parse"), ("IVF32,PQ7", "multiple"), ("IVF4000,Flat", "points")]
)
def test_an_index_that_cannot_be_is_refused_by_name(rows, factory, reason):
    with pytest.raises(ConfigError, match=rf"graph.faiss is '{factory}'.*32 dimensions \(.*{reason}"):
        search_neighbors(rows, method="faiss", faiss=factory)


def test_without_faiss_the_message_says_what_to_do(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigError, match=r"pip install faiss-cpu, or faiss-gpu .* never both"):
        icp.search_neighbors(rows, method="faiss")
    faiss_index.check_method("cells")
    with pytest.raises(ConfigError, match="FAISS is not installed"):
        faiss_index.check_method("faiss")


@pytest.mark.parametrize("fits", [True, False])
def test_an_index_goes_to_a_gpu_that_takes_it(rows, exact, monkeypatch, fits):
    seen = []

    def to_gpu(resources, device, index):
        seen.append(device)
        if not fits:
            raise RuntimeError("this type of index is not implemented for GPUs")
        return faiss.clone_index(index)

    stand_in = SimpleNamespace(StandardGpuResources=object, get_num_gpus=lambda: 1, index_cpu_to_gpu=to_gpu)
    gpu.resources.cache_clear()
    monkeypatch.setattr(gpu, "faiss_on_gpu", lambda: stand_in)
    monkeypatch.setattr(faiss_index, "library", lambda: faiss)
    monkeypatch.setattr(faiss, "GpuParameterSpace", faiss.ParameterSpace, raising=False)
    monkeypatch.setattr(vectors, "GPU_PRODUCTS", 1 << 60)
    found = search_neighbors(rows, k=8, method="faiss", faiss="IVF16,Flat")
    assert seen == [0]
    assert (found.similarities == exact.similarities).mean() > LEAST_RECALL
    gpu.resources.cache_clear()


def test_large_corpora_get_lists():
    assert faiss_index.factory_of(search_of("auto", n_rows=1_000_000)) == "IVF4000,SQ8"
    assert faiss_index.factory_of(search_of("auto")) == "Flat"
