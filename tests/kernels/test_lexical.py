import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels import lexical as kernels

BUCKETS = 16
DIM = 512
BLOCK = DIM // kernels.SIGNS
TOP = 60  # the bucket of a hash is its four highest bits


def rows_of(documents):
    """CSR of lists of hashes."""
    hashes = np.array([word for words in documents for word in words], dtype=np.uint64)
    return hashes, np.concatenate(([0], np.cumsum([len(words) for words in documents]))).astype(np.int64)


def reference_mix(x):
    mask = (1 << 64) - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def reference_sums(words, weights, seed):
    masses = {}
    for position, word in enumerate(words):
        masses[word] = masses.get(word, 0) + 16 + 4096 // (16 + position)
    sums = [0] * DIM
    for word, mass in masses.items():
        amount = int(np.sqrt(mass * np.sqrt(float(mass))) * int(weights[word >> TOP]) + 0.5)
        bits = reference_mix(word ^ reference_mix(seed))
        for block in range(kernels.SIGNS):
            if block == kernels.SIGNS // 2:
                bits = reference_mix(bits ^ word)
            sums[block * BLOCK + bits % BLOCK] += amount if bits & BLOCK else -amount
            bits //= 2 * BLOCK
    return sums


def reference_row(sums):
    total = 0.0
    for value in sums:
        total += float(value) * float(value)
    scale = kernels.UNIT / np.sqrt(total) if total else 0.0
    return np.rint(np.array(sums, dtype=np.float64) * scale).astype(np.int16)


@pytest.fixture(params=["compiled", "python"])
def impl(request, monkeypatch):
    """The kernels compiled, or as plain Python all the way down."""
    if request.param == "compiled":
        yield kernels
        return
    for name, value in list(vars(kernels).items()):
        if hasattr(value, "py_func"):
            monkeypatch.setattr(kernels, name, value.py_func)
    with np.errstate(over="ignore"):
        yield kernels


def test_a_word_counts_once_a_document(impl):
    frequencies = np.zeros(BUCKETS, np.uint32)
    impl.count_frequencies(*rows_of([[1 << TOP, 1 << TOP, 3 << TOP], [], [3 << TOP]]), frequencies)
    assert frequencies.tolist() == [0, 1, 0, 2] + [0] * 12


def test_counts_are_added_to_what_is_there(impl):
    frequencies = np.full(BUCKETS, 5, np.uint32)
    impl.count_frequencies(*rows_of([[1 << TOP]]), frequencies)
    assert frequencies.tolist() == [5, 6] + [5] * 14


def test_one_word_fills_one_dimension_of_each_block(impl):
    weights = np.ones(BUCKETS, np.int32)
    row = impl.project_words(*rows_of([[7 << TOP]]), weights, np.uint64(0), DIM)[0].reshape(kernels.SIGNS, BLOCK)
    assert (np.count_nonzero(row, axis=1) == 1).all()
    assert set(np.abs(row[row != 0]).tolist()) == {round(kernels.UNIT / np.sqrt(kernels.SIGNS))}


def test_words_of_no_weight_leave_a_zero_row(impl):
    weights = np.ones(BUCKETS, np.int32)
    weights[2] = 0
    rows = impl.project_words(*rows_of([[2 << TOP], [], [2 << TOP, 5]]), weights, np.uint64(0), DIM)
    assert rows.any(axis=1).tolist() == [False, False, True]


def test_center_rows_takes_the_mean_away_and_keeps_zero_rows(impl):
    rows = np.zeros((3, DIM), np.int16)
    rows[0, 0], rows[1, :2] = 30000, (30000, 300)
    mean = np.zeros(DIM)
    mean[0] = 30000
    unit = impl.center_rows(rows, mean)
    assert unit[0].any() == False  # noqa: E712 - the row is the mean
    assert unit[1, 1] == 1.0
    assert not unit[2].any()
    assert unit.dtype == np.float32


def test_add_rows_counts_the_rows_that_are_not_zero(impl):
    rows = np.zeros((3, DIM), np.int16)
    rows[0, 3], rows[2, 3], rows[2, 4] = -32767, 32767, -5
    totals = np.zeros(DIM, np.int64)
    assert impl.add_rows(rows, totals) == 2
    assert totals[3:5].tolist() == [0, -5]


def test_the_bucket_is_the_highest_bits():
    assert kernels.bucket_shift(1 << 20) == 44
    assert kernels.bucket_shift(16) == 60


words = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 17, 2**63, 2**64 - 1]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(words, max_size=30), max_size=4), st.integers(0, 2**63 - 1))
def test_projection_matches_the_reference(documents, seed):
    weights = np.arange(BUCKETS, dtype=np.int32) * 40_000  # bucket 0 counts nothing
    rows = kernels.project_words(*rows_of(documents), weights, np.uint64(seed), DIM)
    expected = [reference_row(reference_sums(words, weights, seed)) for words in documents]
    assert rows.tolist() == [row.tolist() for row in expected]


def test_python_projection_matches_the_reference(impl):
    documents = [[5 << TOP, 9, 5 << TOP, (6 << TOP) + 9], [9]]
    weights = np.full(BUCKETS, 70_000, np.int32)
    rows = impl.project_words(*rows_of(documents), weights, np.uint64(3), DIM)
    assert rows.tolist() == [reference_row(reference_sums(words, weights, 3)).tolist() for words in documents]


def test_rows_do_not_depend_on_the_documents_around_them():
    generator = np.random.default_rng(0)
    documents = [generator.integers(0, 2**63, size).tolist() for size in (3, 4000, 0, 40, 1)]
    weights = np.full(BUCKETS, 70_000, np.int32)
    together = kernels.project_words(*rows_of(documents), weights, np.uint64(3), DIM)
    alone = [kernels.project_words(*rows_of([document]), weights, np.uint64(3), DIM)[0] for document in documents]
    assert np.array_equal(together, np.array(alone))


def test_a_million_words_in_one_document():
    hashes = np.arange(1_000_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    weights = np.full(BUCKETS, 300_000, np.int32)
    row = kernels.project_words(hashes, np.array([0, hashes.size]), weights, np.uint64(0), DIM)[0]
    assert np.linalg.norm(row.astype(np.float64)) == pytest.approx(kernels.UNIT, rel=1e-3)
