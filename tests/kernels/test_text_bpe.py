import heapq
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.text_bpe import learn_merges

LETTERS = np.arange(256, dtype=np.uint8)


def reference(words, counts, n_wanted, n_specials):
    """Merges as huggingface/tokenizers learns them (models/bpe/trainer.rs), in plain Python."""
    spelling = [b"special %d" % k for k in range(n_specials)] + [bytes([byte]) for byte in range(256)]
    ids = {name: number for number, name in enumerate(spelling)}
    words = [[n_specials + byte for byte in word] for word in words]
    total, where = {}, {}
    for number, word in enumerate(words):
        for pair in pairwise(word):
            total[pair] = total.get(pair, 0) + counts[number]
            where.setdefault(pair, set()).add(number)
    queue = [(-total[pair], pair, order, places) for order, (pair, places) in enumerate(where.items())]
    heapq.heapify(queue)
    order, merges = len(queue), []
    while len(ids) < n_wanted and queue:
        count, pair, _, places = heapq.heappop(queue)
        if -count != total[pair]:
            order += 1
            heapq.heappush(queue, (-total[pair], pair, order, places))
            continue
        if count > -1:
            break
        joined = spelling[pair[0]] + spelling[pair[1]]
        if joined not in ids:
            ids[joined] = len(spelling)
            spelling.append(joined)
        merges.append((*pair, ids[joined]))
        fresh = {}
        for number in places:
            for changed, by in merge(words[number], pair, ids[joined]):
                total[changed] = total.get(changed, 0) + by * counts[number]
                if by > 0:
                    fresh.setdefault(changed, set()).add(number)
        for changed, numbers in fresh.items():
            if total[changed] > 0:
                order += 1
                heapq.heappush(queue, (-total[changed], changed, order, numbers))
    return merges


def merge(word, pair, new):
    """Merge a pair in a word, in place; the pairs that go and come."""
    at, changes = 0, []
    while at < len(word):
        if at + 1 < len(word) and (word[at], word[at + 1]) == pair:
            if at > 0:
                changes += [((word[at - 1], pair[0]), -1), ((word[at - 1], new), 1)]
            word[at : at + 2] = [new]
            if at + 1 < len(word):
                changes += [((pair[1], word[at + 1]), -1), ((new, word[at + 1]), 1)]
        at += 1
    return changes


def learnt(impl, words, counts, n_wanted, n_specials=2):
    symbols = np.array([n_specials + byte for word in words for byte in word], dtype=np.int32)
    bounds = np.cumsum([0, *map(len, words)]).astype(np.int64)
    merges = impl(symbols, bounds, np.array(counts, dtype=np.int64), LETTERS, n_specials, n_wanted)
    return [tuple(row) for row in merges.tolist()]


@pytest.mark.parametrize("impl", [learn_merges, learn_merges.py_func], ids=["compiled", "python"])
def test_the_most_frequent_pair_comes_first_and_of_equals_the_lower(impl):
    a, b, c = (2 + ord(letter) for letter in "abc")
    assert learnt(impl, [b"ab", b"bc", b"abc"], [2, 3, 1], 400) == [(b, c, 258), (a, b, 259), (a, 258, 260)]
    assert learnt(impl, [b"bc", b"ab"], [1, 1], 259) == [(a, b, 258)]
    assert learnt(impl, [b"aaaa"], [1], 400) == [(a, a, 258), (258, 258, 259)]
    assert learnt(impl, [], [], 400) == learnt(impl, [b"a"], [7], 400) == []
    assert learnt(impl, [b"ab"], [1], 258) == []


@pytest.mark.parametrize("impl", [learn_merges, learn_merges.py_func], ids=["compiled", "python"])
def test_what_is_spelled_alike_is_one_symbol(impl):
    # ab + c and a + bc both become abc
    words, counts = [b"abc", b"ab", b"xbc", b"bc"], [5, 9, 9, 20]
    assert learnt(impl, words, counts, 270) == reference(words, counts, 270, 2)


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.text("ab", min_size=1, max_size=9) | st.text("abcd", min_size=1, max_size=5), st.integers(1, 4), max_size=12
    ),
    st.integers(258, 290),
)
def test_merges_are_those_of_the_reference(table, n_wanted):
    words, counts = [word.encode() for word in table], list(table.values())
    assert learnt(learn_merges, words, counts, n_wanted) == reference(words, counts, n_wanted, 2)


@pytest.mark.parametrize("seed", range(3))
def test_many_words_with_many_ties(seed):
    chooser = random.Random(seed)
    words = sorted(
        {bytes(chooser.choices(range(256) if seed else b"etaoin", k=chooser.randrange(1, 14))) for _ in range(3000)}
    )
    counts = [chooser.randrange(1, 4) for _ in words]
    found = learnt(learn_merges, words, counts, 1500)
    assert found == reference(words, counts, 1500, 2)
    assert len(found) > 1000
