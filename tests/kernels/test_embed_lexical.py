import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_hashes import word_hashes

from icp.kernels import embed_lexical as kernels
from icp.words import alphabet

BUCKETS = 16
DIM = 512
BLOCK = DIM // kernels.SIGNS
TOP = 60  # the bucket of a hash is its four highest bits


def masses_of(words):
    masses = {}
    for position, word in enumerate(words):
        masses[word] = masses.get(word, 0) + 16 + 4096 // (16 + position)
    return masses


def words_of(documents):
    """Distinct words, masses and bounds of lists of hashes."""
    found = [masses_of(words) for words in documents]
    words = np.array([word for masses in found for word in masses], dtype=np.uint64)
    masses = np.array([mass for masses in found for mass in masses.values()], dtype=np.uint32)
    return words, masses, np.concatenate(([0], np.cumsum([len(masses) for masses in found]))).astype(np.int64)


def sized(documents):
    """Arguments of `project_words`: a word counts the root of its mass."""
    words, masses, bounds = words_of(documents)
    return words, np.sqrt(masses.astype(np.float64)), bounds


def bytes_of(texts):
    data = [text.encode() for text in texts]
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in data]))).astype(np.int64)
    return np.frombuffer(b"".join(data), np.uint8), offsets


def reference_mix(x):
    mask = (1 << 64) - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def reference_sums(words, weights, seed):
    sums = [0] * DIM
    for word, mass in masses_of(words).items():
        amount = int(np.sqrt(float(mass)) * int(weights[word >> TOP]) + 0.5)
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


def test_words_are_counted_by_their_highest_bits(impl):
    frequencies = np.full(BUCKETS, 5, np.uint32)
    impl.count_words(np.array([1 << TOP, 3 << TOP, (3 << TOP) + 1], np.uint64), frequencies)
    assert frequencies.tolist() == [5, 6, 5, 7] + [5] * 12


def test_distinct_words_stand_once_and_weigh_more_at_the_beginning():
    data, offsets = bytes_of(["The cat, the dog.", "", "dog"])
    words, masses, bounds = kernels.distinct_words(data, offsets, alphabet())
    [the, cat, again, dog], none, [lonely] = word_hashes(data, offsets)
    assert (again, none) == (the, [])
    assert words.tolist() == [the, cat, dog, lonely]
    assert masses.tolist() == [(16 + 4096 // 16) + (16 + 4096 // 18), 16 + 4096 // 17, 16 + 4096 // 19, 16 + 256]
    assert bounds.tolist() == [0, 3, 3, 4]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=60), max_size=5))
def test_distinct_words_match_the_reference(documents):
    data, offsets = bytes_of([" ".join(f"w{word}" for word in words) for words in documents])
    expected = words_of(word_hashes(data, offsets))
    found = kernels.distinct_words(data, offsets, alphabet())
    assert [array.tolist() for array in found] == [array.tolist() for array in expected]


def test_gathering_in_plain_python(impl):
    documents = [[5, 21, 5, 37], [], [21, 21]]  # 5, 21 and 37 meet in one slot
    slots, head = np.zeros(16, np.int32), impl.place_masses()
    words, masses, at, bounds = np.zeros(8, np.uint64), np.zeros(8, np.uint32), 0, [0]
    for document in documents:
        at = impl.gather_words(np.array(document, np.uint64), slots, head, words, masses, at)
        bounds.append(int(at))
    expected = words_of(documents)
    assert (words[:at].tolist(), masses[:at].tolist(), bounds) == tuple(array.tolist() for array in expected)


def test_a_word_far_down_weighs_as_one_farther_down():
    head = kernels.place_masses()
    assert head[0] == 272
    assert head[-2] == 17
    assert head[-1] == 16


def test_one_word_fills_one_dimension_of_each_block(impl):
    weights = np.ones(BUCKETS, np.int32)
    row = impl.project_words(*sized([[7 << TOP]]), weights, np.uint64(0), DIM)[0].reshape(kernels.SIGNS, BLOCK)
    assert (np.count_nonzero(row, axis=1) == 1).all()
    assert set(np.abs(row[row != 0]).tolist()) == {round(kernels.UNIT / np.sqrt(kernels.SIGNS))}


def test_words_of_no_weight_leave_a_zero_row(impl):
    weights = np.ones(BUCKETS, np.int32)
    weights[2] = 0
    rows = impl.project_words(*sized([[2 << TOP], [], [2 << TOP, 5]]), weights, np.uint64(0), DIM)
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
    rows = kernels.project_words(*sized(documents), weights, np.uint64(seed), DIM)
    expected = [reference_row(reference_sums(words, weights, seed)) for words in documents]
    assert rows.tolist() == [row.tolist() for row in expected]


def test_python_projection_matches_the_reference(impl):
    documents = [[5 << TOP, 9, 5 << TOP, (6 << TOP) + 9], [9]]
    weights = np.full(BUCKETS, 70_000, np.int32)
    rows = impl.project_words(*sized(documents), weights, np.uint64(3), DIM)
    assert rows.tolist() == [reference_row(reference_sums(words, weights, 3)).tolist() for words in documents]


def test_rows_do_not_depend_on_the_documents_around_them():
    generator = np.random.default_rng(0)
    documents = [generator.integers(0, 2**63, size).tolist() for size in (3, 4000, 0, 40, 1)]
    weights = np.full(BUCKETS, 70_000, np.int32)
    together = kernels.project_words(*sized(documents), weights, np.uint64(3), DIM)
    alone = [kernels.project_words(*sized([document]), weights, np.uint64(3), DIM)[0] for document in documents]
    assert np.array_equal(together, np.array(alone))


def test_a_million_words_in_one_document():
    hashes = np.arange(1_000_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    weights = np.full(BUCKETS, 300_000, np.int32)
    row = kernels.project_words(
        hashes, np.full(hashes.size, 4.0), np.array([0, hashes.size]), weights, np.uint64(0), DIM
    )[0]
    assert np.linalg.norm(row.astype(np.float64)) == pytest.approx(kernels.UNIT, rel=1e-3)
