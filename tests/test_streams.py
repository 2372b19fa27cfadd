import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from icp import streams
from icp.streams import EPOCH, Stream

NAMED = {name: value for name, value in vars(streams).items() if isinstance(value, Stream)}
MEETING = {1: {"CENTROIDS", "ORDER"}, 2: {"TUNING", "PLAN"}, 3: {"RECALL", "SHUFFLE"}}
"""Streams that draw the same numbers, by seed; runs that exist were made so."""


def draws(stream, seed):
    parts = (1,) if stream == EPOCH else ()
    return tuple(stream.generator(seed, *parts).integers(0, 2**62, 4).tolist())


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_numbers_are_those_of_the_seed_and_the_stream(seed):
    for stream, words in (
        (streams.ORDER, [seed, 1]),
        (streams.PLAN, [seed, 2]),
        (streams.SHUFFLE, [seed, 3]),
        (streams.MIX, [seed, 6]),
        (streams.INSIDE, [seed, 7]),
        (streams.REPEATS, [seed, 8]),
        (streams.AUDIT, [seed, 101]),
        (streams.PROBE, [seed, 102]),
        (streams.REPORT, [seed, 103]),
        (streams.CENTROIDS, [1, seed]),
        (streams.TUNING, [2, seed]),
        (streams.RECALL, [3, seed]),
        (streams.PAIRS, [4, seed]),
        (streams.LINKS, [5, seed]),
    ):
        assert np.array_equal(stream.generator(seed).permutation(50), np.random.default_rng(words).permutation(50))
    expected = np.random.default_rng([seed, 4, 2]).permutation(50)
    assert np.array_equal(EPOCH.generator(seed, 2).permutation(50), expected)
    assert len(NAMED) == 15


@pytest.mark.parametrize("seed", [*range(12), 101, *(k * (2**32 + 1) for k in range(1, 5)), 2**63 - 1])
def test_no_streams_meet_but_those_that_are_named(seed):
    found = {name: draws(stream, seed) for name, stream in NAMED.items()}
    meeting = {
        name for pair in itertools.combinations(found, 2) if len({found[name] for name in pair}) == 1 for name in pair
    }
    assert meeting == MEETING.get(seed if seed < 2**32 else seed // (2**32 + 1), set())


def test_no_other_module_makes_a_generator():
    root = Path(__file__).resolve().parents[1]
    paths = [path for folder in ("icp", "kernels", "jobs") for path in (root / folder).rglob("*.py")]
    makers = [path for path in paths if re.search(r"default_rng|SeedSequence|PCG64", path.read_text(encoding="utf-8"))]
    assert [path.relative_to(root).as_posix() for path in makers] == ["icp/streams.py"]
