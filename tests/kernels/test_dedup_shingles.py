import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_hashes import word_hashes
from words_reference import reference_shingles

from icp.dedup.shingles import multipliers
from icp.kernels import dedup_shingles as kernels
from icp.texts import text_buffers
from icp.words import alphabet


def listed(texts, ngram):
    buffers = text_buffers(texts)
    return kernels.list_shingles(buffers.data, buffers.offsets, alphabet(), multipliers(ngram))


def spelled(texts, ngram, *, compiled=True):
    buffers = text_buffers(texts)
    values, indptr = listed(texts, ngram)
    for i in range(len(texts)):
        values[indptr[i] : indptr[i + 1]].sort()
    kernels.drop_repeats(values, indptr)
    spell = kernels.spell_shingles if compiled else kernels.spell_shingles.py_func
    arguments = (buffers.data, buffers.offsets, alphabet(), multipliers(ngram), (values, indptr))
    letters, bounds = spell(*arguments)
    pieces = [bytes(letters[bounds[i] : bounds[i + 1]]).decode() for i in range(len(texts))]
    assert all(piece == "" or piece.endswith("\0") for piece in pieces)
    return [piece.split("\0")[:-1] for piece in pieces]


def test_listed_shingles_keep_order_and_repeats():
    values, indptr = listed(["a b a b", "", "c", "a b"], 2)
    assert indptr.tolist() == [0, 3, 3, 4, 5]
    assert values[0] == values[2] == values[4] != values[1]


@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.sampled_from("abcé"), max_size=12), ngram=st.integers(1, 16))
def test_hashes_are_sums_of_products(words, ngram):
    text = text_buffers([" ".join(words)])
    (hashes,) = word_hashes(text.data, text.offsets)
    n = min(ngram, len(words))
    runs = [hashes[i : i + n] for i in range(len(words) - n + 1)] if words else []
    expected = [sum(w * m for w, m in zip(run, multipliers(ngram).tolist(), strict=False)) % 2**64 for run in runs]
    assert listed([" ".join(words)], ngram)[0].tolist() == expected


@pytest.mark.parametrize("drop", [kernels.drop_repeats, kernels.drop_repeats.py_func], ids=["compiled", "python"])
def test_repeats_are_dropped_row_by_row(drop):
    values, indptr = np.array([1, 1, 2, 2, 3, 3, 3], np.uint64), np.array([0, 3, 3, 5, 7])
    drop(values, indptr)
    assert indptr.tolist() == [0, 2, 2, 4, 5]
    assert values[:5].tolist() == [1, 2, 2, 3, 3]


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "B", "é", "e\u0301", "日本", "."]), max_size=9).map(" ".join), max_size=4
)


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=40, deadline=None)
@given(texts=TEXTS, ngram=st.integers(1, 4))
def test_spelled_shingles_are_the_words(compiled, texts, ngram):
    expected = [sorted(" ".join(run) for run in reference_shingles(text, ngram)) for text in texts]
    assert [sorted(runs) for runs in spelled(texts, ngram, compiled=compiled)] == expected


def test_spelled_shingles_find_room_however_long_they_are():
    words = ["x" * 5000, "y" * 3000, "z"]
    assert spelled(["a b", " ".join(words), "tick " * 100_000], 2) == [
        ["a b"],
        [f"{words[0]} {words[1]}", f"{words[1]} z"],
        ["tick tick"],
    ]
