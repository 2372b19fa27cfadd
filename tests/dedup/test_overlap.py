"""What texts share with reference texts, against sets in plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from icp.audit.shingles import shingles
from icp.dedup import overlap
from icp.dedup.overlap import references_of
from icp.dedup.shingles import word_counts
from icp.texts import text_buffers

TEXTS = st.lists(st.lists(st.sampled_from(["a", "B", "ç", "दिन", "x1", "--"]), max_size=14).map(" ".join), max_size=12)


@given(texts=TEXTS, references=TEXTS, ngram=st.integers(1, 4), at_once=st.sampled_from([1, 3, 1 << 24]))
def test_shared_ngrams_are_those_of_sets(texts, references, ngram, at_once):
    half = len(references) // 2
    known = references_of([text_buffers(references[:half]), text_buffers(references[half:])], ngram=ngram)
    found = known.overlaps(text_buffers(texts), at_once=at_once)
    columns = (found.text, found.reference, found.shared, found.text_size, found.reference_size)
    own, other = ([set(shingles(text, ngram=ngram).tolist()) for text in some] for some in (texts, references))
    wanted = [(i, j, len(a & b), len(a), len(b)) for i, a in enumerate(own) for j, b in enumerate(other) if a & b]
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == wanted
    assert found.jaccard.tolist() == [n / (a + b - n) for _, _, n, a, b in wanted]
    assert found.containment.tolist() == [n / min(a, b) for _, _, n, a, b in wanted]


def test_no_references_share_nothing():
    assert references_of([], ngram=5).overlaps(text_buffers(["some text of six words here"])).text.size == 0


def test_the_screen_lets_every_known_hash_pass():
    hashes = np.random.default_rng(1).integers(0, 2**64, 5000, dtype=np.uint64)
    screen = overlap.screen_of(hashes)
    assert screen[hashes >> np.uint64(64 - int(np.log2(screen.size)))].all()
    assert screen.mean() <= 1 / 8


def test_words_are_counted_with_repeats():
    assert word_counts(text_buffers(["", "a a a", "one, two"])).tolist() == [0, 3, 2]
