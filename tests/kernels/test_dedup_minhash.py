from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.dedup.minhash import make_hashing, make_scheme
from icp.kernels import dedup_minhash as kernels
from icp.texts import text_buffers
from icp.words import alphabet

FULL = 2**32


def reference_shingles(words, multipliers):
    """The hash of each run of n words, of all words if there are fewer; of none, none."""
    n = min(len(multipliers), len(words))
    if n == 0:
        return []
    runs = [words[i : i + n] for i in range(len(words) - n + 1)]
    return [sum(w * m for w, m in zip(run, multipliers, strict=False)) % FULL for run in runs]


def reference_fmix32(x):
    x ^= x >> 16
    x = x * 0x85EBCA6B % FULL
    x ^= x >> 13
    x = x * 0xC2B2AE35 % FULL
    return x ^ (x >> 16)


def reference_signature(shingles, hashing):
    pairs = list(zip(hashing.a.tolist(), hashing.b.tolist(), strict=True))
    mixed = [reference_fmix32(x) for x in shingles]
    return [min((a * h + b) % FULL for h in mixed) if mixed else FULL - 1 for a, b in pairs]


def sign(texts, num_perm=8, ngram=5, *, canonical=False):
    buffers = text_buffers(texts)
    hashing = make_hashing(make_scheme(num_perm=num_perm, ngram=ngram, seed=1))
    room = np.empty((3 * buffers.data.size + 1) * canonical, np.uint8)
    return *kernels.sign_texts(buffers.data, buffers.offsets, alphabet(), hashing, room), room


WORDS = st.lists(st.integers(0, FULL - 1), max_size=40)


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=30, deadline=None)
@given(words=WORDS, ngram=st.integers(1, 16))
def test_shingles_match_reference(compiled, words, ngram):
    multipliers = make_hashing(make_scheme(num_perm=1, ngram=ngram, seed=1)).multipliers
    out = np.zeros(len(words) + 1, np.uint32)
    combine = kernels.combine_words if compiled else kernels.combine_words.py_func
    with np.errstate(over="ignore"):  # numpy warns where compiled arithmetic wraps
        n = combine(np.array(words, np.uint32), len(words), multipliers, out)
    assert out[:n].tolist() == reference_shingles(words, multipliers.tolist())


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=30, deadline=None)
@given(shingles=st.lists(st.integers(0, FULL - 1), min_size=1, max_size=70), num_perm=st.integers(1, 9))
def test_minima_match_reference(compiled, shingles, num_perm):
    hashing = make_hashing(make_scheme(num_perm=num_perm, ngram=1, seed=3))
    room = np.zeros(len(shingles) + kernels.LANES, np.uint32)
    room[: len(shingles)] = shingles
    signature = np.zeros(num_perm, np.uint32)
    mix, permute = (k if compiled else k.py_func for k in (kernels.mix, kernels.permute))
    with np.errstate(over="ignore"):
        padded = mix(room, len(shingles))
        permute(room, padded, hashing.a, hashing.b, signature)
    assert padded % kernels.LANES == 0
    assert signature.tolist() == reference_signature(shingles, hashing)


def test_text_without_words_has_all_bits_set_and_no_shingle():
    signatures, n_shingles, _, _ = sign(["", "... !", "\0", "word"])
    assert (signatures[:3] == FULL - 1).all()
    assert n_shingles.tolist() == [0, 0, 0, 1]
    assert (signatures[3] != FULL - 1).any()


@pytest.mark.parametrize(("n_words", "ngram", "expected"), [(1, 5, 1), (4, 5, 1), (5, 5, 1), (6, 5, 2), (3, 1, 3)])
def test_number_of_shingles(n_words, ngram, expected):
    assert sign([" ".join("abcdefgh"[:n_words])], ngram=ngram)[1].tolist() == [expected]


def test_canonical_text_comes_along():
    texts = ["One, TWO", "", "日本", "ЖУК!"]
    _, _, offsets, room = sign(texts, canonical=True)
    found = [bytes(room[start:stop]).decode() for start, stop in pairwise(offsets)]
    assert found == ["one, two", "", "日本", "жук!"]
    assert not sign(texts)[2].any()


def test_a_million_equal_words():
    signatures, n_shingles, _, _ = sign(["tick " * 1_000_000, "tick " * 5])
    assert n_shingles.tolist() == [999_996, 1]
    assert (signatures[0] == signatures[1]).all()
