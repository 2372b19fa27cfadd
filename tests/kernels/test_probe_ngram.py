"""The n-gram coder against a plain one that counts in dictionaries."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels import probe_ngram as coder

LOGARITHMS = np.round(np.log2(1 + (np.arange(4096) + 0.5) / 4096) * coder.BIT).astype(np.int32)


@pytest.fixture(autouse=True)
def quiet_overflow():
    with np.errstate(over="ignore"):  # hashes wrap around, of which numpy warns where Python runs them
        yield


def array(text):
    return np.frombuffer(text, dtype=np.uint8)


def tables(bits=14):
    return np.zeros(1 << bits, dtype=np.uint64), np.zeros(1 << bits, dtype=np.uint64)


class PlainCounts:
    """Counts of bytes after contexts of 0 to 6 bytes."""

    def __init__(self):
        self.counts = defaultdict(lambda: defaultdict(int))

    def contexts(self, text, i):
        return [text[i - k : i] for k in range(min(6, i) + 1)]

    def learn(self, text, i):
        for context in self.contexts(text, i):
            self.counts[context][text[i]] += 1

    def estimate(self, text, i, symbol, p):
        matched = -1
        for context in self.contexts(text, i):
            if context not in self.counts:
                break
            seen = self.counts[context]
            p = (seen.get(symbol, 0) + len(seen) * p) / (sum(seen.values()) + len(seen))
            matched = len(context)
        return p, matched


def plain_costs(text, before):
    others, own = PlainCounts(), PlainCounts()
    for i in range(len(before)):
        others.learn(before, i)
    weights, costs = [0.1] * 8, []
    for i in range(len(text)):
        of_others, _ = others.estimate(text, i, text[i], 1 / 256)
        of_text, matched = own.estimate(text, i, text[i], of_others)
        weight = weights[matched + 1]
        p = weight * of_text + (1 - weight) * of_others
        weights[matched + 1] = min(0.995, max(0.005, weight + 0.01 * (weight * of_text / p - weight)))
        costs.append(-math.log2(p))
        own.learn(text, i)
    return costs


@given(st.binary(max_size=60), st.text(alphabet="ab c", max_size=80).map(str.encode))
@settings(max_examples=40, deadline=None)
def test_costs_are_those_of_plain_counts(before, text):
    warm, own = tables(), tables()
    coder.learn(array(before), *warm)
    found = coder.byte_costs(array(text), *warm, *own, LOGARITHMS)
    np.testing.assert_allclose(found / coder.BIT, plain_costs(text, before), atol=3e-4)


@pytest.mark.parametrize("text", [b"", b"a", b"abracadabra abracadabra"])
def test_compiled_and_python_give_the_same_whole_numbers(text):
    found = []
    for learn, byte_costs in (
        (coder.learn, coder.byte_costs),
        (coder.learn.py_func, coder.byte_costs.py_func),
    ):
        warm, own = tables(), tables()
        learn(array(b"a cadillac in candelabra"), *warm)
        found.append((byte_costs(array(text), *warm, *own, LOGARITHMS).tolist(), own[0].tolist()))
    assert found[0] == found[1]


@given(st.binary(min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_what_may_come_next_adds_up_to_one(text):
    own = tables()
    coder.learn(array(text), *own)
    hashes = np.empty(coder.ORDER + 1, dtype=np.uint64)
    coder._hash_contexts(array(text + b"?"), len(text), hashes)
    reach = min(coder.ORDER, len(text))
    total = sum(coder._estimate(symbol, hashes, reach, *own, 1 / 256)[0] for symbol in range(256))
    assert total == pytest.approx(1, abs=1e-12)


def test_entries_of_a_nearly_full_table_are_told_apart():
    text = bytes(np.random.default_rng(0).integers(0, 256, 140, dtype=np.uint8))
    crowded, roomy = tables(10), tables(16)
    for pair in (crowded, roomy):
        coder.learn(array(text), *pair)
    assert np.count_nonzero(crowded[0]) == np.count_nonzero(roomy[0]) > 900
    empty = tables()
    costs = [coder.byte_costs(array(text), *pair, *tables(), LOGARITHMS) for pair in (crowded, roomy, empty)]
    np.testing.assert_array_equal(costs[0], costs[1])
    assert costs[0].sum() < 0.2 * costs[2].sum()
