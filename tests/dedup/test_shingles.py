import numpy as np
import pytest
from words_reference import reference_shingles

import icp
from icp.dedup.shingles import SMALL_SET, gather_sets, no_sets
from icp.errors import ConfigError, InputError
from icp.texts import text_buffers

TEXT = "the quick brown fox jumps over the lazy dog and the quick brown fox jumps again"


def test_shingle_hashes_are_a_sorted_set_of_word_runs():
    words = TEXT.split()
    runs = {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
    hashes = icp.shingle_hashes(TEXT)
    assert hashes.dtype == np.uint64
    assert hashes.size == len(runs)
    assert (hashes[1:] > hashes[:-1]).all()
    assert {icp.shingle_hashes(" ".join(run))[0] for run in runs} == set(hashes.tolist())


def test_short_text_has_one_shingle_of_all_words_and_an_empty_one_none():
    assert icp.shingle_hashes("one two").size == 1
    assert icp.shingle_hashes("one two").tolist() != icp.shingle_hashes("two one").tolist()
    assert icp.shingle_hashes(" ?! ").size == 0


def test_hashes_stay_what_they_are():
    # other values need another WORDS_VERSION
    assert icp.shingle_hashes("to be or not to be").tolist() == [4077301861088399589, 14082864660463910033]


def test_what_is_not_text_is_refused():
    with pytest.raises(InputError, match="row 0 is int"):
        icp.shingle_hashes(3)
    with pytest.raises(ConfigError, match="ngram is 0"):
        icp.shingle_hashes("text", ngram=0)


def test_small_sets_come_with_their_words():
    words = [f"w{i}" for i in range(SMALL_SET + 5)]
    small, large = " ".join(words[:-1]), " ".join(words)
    texts = [large, small, "", "Tick, " * 1000, "दिन e\u0301t"]
    batches = [text_buffers(texts[:2]), text_buffers([]), text_buffers(texts[2:])]
    sets = gather_sets(iter(batches), ngram=5)
    assert np.diff(sets.indptr).tolist() == [SMALL_SET + 1, SMALL_SET, 0, 1, 1]
    spelled = [bytes(sets.letters[a:b]).decode() for a, b in zip(sets.spelled, sets.spelled[1:], strict=False)]
    assert spelled[0] == spelled[2] == ""
    for text, found in zip(texts, spelled, strict=True):
        if found:
            assert sorted(found.split("\0")[:-1]) == sorted(" ".join(run) for run in reference_shingles(text, 5))
    assert no_sets(3).spelled.tolist() == [0, 0, 0, 0]
