import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import LeanMinHash, MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

import icp
from icp.dedup.minhash import Scheme, from_lean_minhash, make_scheme, sign_and_digest, text_digests, to_lean_minhash
from icp.errors import ArtifactError, ConfigError
from icp.texts import text_buffers

TEXT = "the quick brown fox jumps over the lazy dog and the quick brown fox jumps again"


def peer(hashes, num_perm, seed):
    """datasketch's own signature of the low halves of the same hashes."""
    minhash = MinHash(num_perm=num_perm, seed=seed, hashfunc=lambda value: value)
    if hashes.size:
        minhash.update_batch(hashes.astype(np.uint32).tolist())
    return minhash.hashvalues


def are_copies(one, other):
    digests = text_digests(text_buffers([one, other]))
    return bool((digests[0] == digests[1]).all())


@pytest.mark.parametrize(("num_perm", "seed", "ngram"), [(120, 1, 5), (128, 7, 5), (1, 2**32 - 1, 1), (7, 0, 16)])
def test_signatures_equal_datasketch(num_perm, seed, ngram):
    texts = [TEXT, "short", "", "日本語のテキスト です", "x " * 100, TEXT.upper() + " more"]
    signatures = icp.minhash_signatures(texts, num_perm=num_perm, seed=seed, ngram=ngram)
    assert (signatures.dtype, signatures.shape) == (np.uint32, (6, num_perm))
    for text, signature in zip(texts, signatures, strict=True):
        assert signature.tolist() == peer(icp.shingle_hashes(text, ngram=ngram), num_perm, seed).tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=4))
def test_signatures_of_any_text_equal_datasketch(texts):
    signatures = icp.minhash_signatures(texts, num_perm=5, ngram=2)
    expected = [peer(icp.shingle_hashes(text, ngram=2), 5, 1).tolist() for text in texts]
    assert signatures.tolist() == expected


def own_minhash(text, seed=1):
    minhash = MinHash(num_perm=120, seed=seed, hashfunc=lambda value: value)
    minhash.update_batch(icp.shingle_hashes(text).astype(np.uint32).tolist())
    return minhash


def test_signatures_go_to_datasketch_and_come_back():
    signature = icp.minhash_signatures([TEXT], seed=3)[0]
    lean = to_lean_minhash(signature, 3)
    assert lean.jaccard(LeanMinHash(own_minhash(TEXT, 3))) == 1.0
    for found in (lean, own_minhash(TEXT, 3), LeanMinHash(own_minhash(TEXT, 3))):
        back = from_lean_minhash(found, seed=3)
        assert (back.dtype, back.tolist()) == (np.uint32, signature.tolist())


def test_index_of_datasketch_finds_signatures():
    texts = [TEXT, TEXT + " once more", "nothing alike in here at all"]
    index = MinHashLSH(num_perm=120, params=(20, 6))
    for row, signature in enumerate(icp.minhash_signatures(texts)):
        index.insert(row, to_lean_minhash(signature))
    assert sorted(index.query(to_lean_minhash(icp.minhash_signatures([TEXT])[0]))) == [0, 1]


def test_lean_minhash_keeps_its_values_when_the_array_changes():
    signatures = icp.minhash_signatures([TEXT])
    lean = to_lean_minhash(signatures[0])
    first = int(signatures[0, 0])
    signatures[:] = 0
    assert lean.hashvalues[0] == first
    from_lean_minhash(lean)[:] = 0
    assert lean.hashvalues[0] == first


def test_minhash_of_another_scheme_or_seed_is_refused_with_both_named():
    with pytest.raises(ConfigError, match="made with seed 2, expected seed 1"):
        from_lean_minhash(own_minhash(TEXT, 2))
    with pytest.raises(ConfigError, match="made with scheme legacy, expected scheme affine32"):
        from_lean_minhash(LeanMinHash(seed=1, hashvalues=np.ones(120, np.uint64), scheme="legacy"))


@pytest.mark.parametrize("signature", [np.ones((2, 5), np.uint32), np.ones(5, np.int64), [1, 2], np.ones(0, np.uint32)])
def test_what_is_no_signature_is_not_handed_to_datasketch(signature):
    with pytest.raises(ConfigError, match="must be one row of minhash_signatures"):
        to_lean_minhash(signature)
    with pytest.raises(ConfigError, match="seed is -1"):
        to_lean_minhash(icp.minhash_signatures(["a"])[0], -1)


def test_signatures_of_arrow_and_strings_are_equal():
    texts = [TEXT, "", "zwei Wörter"]
    expected = icp.minhash_signatures(texts)
    assert (icp.minhash_signatures(pa.array(texts)) == expected).all()
    assert (icp.minhash_signatures(pa.chunked_array([texts[:1], texts[1:]])) == expected).all()
    assert icp.minhash_signatures([]).shape == (0, 120)


@pytest.mark.shared
def test_signatures_of_real_text_equal_datasketch(shared_data):
    texts = pq.read_table(shared_data / "versioned-docs.parquet", columns=["text"])["text"].slice(0, 100)
    for text, signature in zip(texts.to_pylist(), icp.minhash_signatures(texts), strict=True):
        assert (signature == peer(icp.shingle_hashes(text), 120, 1)).all()


def test_digests_tell_texts_apart_by_more_than_words():
    assert are_copies("One two!", "  one\nTWO! ")
    assert are_copies("", " \n")
    assert are_copies("ΟΔΟΣ", "οδος")
    assert are_copies("e\u0301t", "Ét")
    assert are_copies("\u1112\u1161\u11ab", "한")
    assert are_copies("co\u00adop\u200berate", "cooperate")
    assert are_copies("...", "...")
    assert are_copies("One two three four five.", "one two three four five")
    for one, other in (
        ("one two", "two one"),
        ("one two", "onetwo"),
        ("one", ""),
        ("C", "C++"),
        ("-5", "5"),
        ("What?", "What!"),
        ("One two three four.", "one two three four"),
        ("one two three four five!", "one two three four five"),
        ("...", "...."),
        ("\0", ""),
        ("दिन", "दान"),
    ):
        assert not are_copies(one, other), (one, other)


def test_signing_gives_the_same_digests():
    texts = text_buffers([TEXT, TEXT + ".", "", "!", "日 本", "e\u0301"])
    _, n_shingles, digests = sign_and_digest(texts, make_scheme(num_perm=4, ngram=5, seed=1))
    assert (digests == text_digests(texts)).all()
    assert n_shingles.tolist() == [12, 12, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_perm": 0}, "num_perm is 0, must be a whole number from 1"),
        ({"num_perm": 1.5}, "num_perm is 1.5"),
        ({"ngram": 17}, "ngram is 17, must be a whole number from 1 to 16"),
        ({"ngram": True}, "ngram is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
    ],
)
def test_impossible_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ConfigError, match=message):
        icp.minhash_signatures([TEXT], **arguments)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Scheme(120, 5, 2), "seed 2, this run has seed 1"),
        (Scheme(128, 5, 1), "num_perm 128, this run has num_perm 120"),
        (Scheme(120, 5, 1, permutation="legacy"), "permutation legacy, this run has permutation affine32"),
        (Scheme(120, 5, 1, words="words-0"), "words words-0, this run has words words-"),
    ],
)
def test_signatures_of_another_scheme_are_refused_with_both_named(other, message):
    metadata = {key.encode(): value.encode() for key, value in other.metadata().items()}
    with pytest.raises(ArtifactError, match=message):
        Scheme(120, 5, 1).check(metadata, "file")
    other.check(metadata, "file")
    with pytest.raises(ArtifactError, match="file: signatures were made with num_perm unknown"):
        other.check(None, "file")
