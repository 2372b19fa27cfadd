"""The random streams of a run: each use of chance has a stream of its own, and every generator is made here.

In: the seed of the configuration. Out: numpy generators. The numbers of a stream are part of the bytes of a run: a new
stream takes a new number, and the number of an old one never changes.

`SeedSequence` mixes a list of whole numbers. Most streams put the seed first, those that sample vectors put their own
number first. A stream of one kind and one of the other draw the same numbers where seed and both numbers are equal:
under seed 1 `CENTROIDS` and `ORDER`, under seed 2 `TUNING` and `PLAN`, under seed 3 `RECALL` and `SHUFFLE`, and under
the same seeds times 2^32 + 1, which numpy splits into two words. (`PAIRS` and `EPOCH` do not meet under seed 4: `EPOCH`
adds the epoch, at least 1.) No two of these shuffle the same things, so the collisions are harmless; a mended rule
would change the bytes of every run.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Stream:
    """A source of random numbers beside those of other streams.

    Attributes:
        number: of the stream.
        leads: whether it stands before the seed.
    """

    number: int
    leads: bool = False

    def generator(self, seed: int, *parts: int) -> np.random.Generator:
        """A generator at its beginning; `parts` tell several of one stream apart."""
        words = (self.number, seed) if self.leads else (seed, self.number)
        return np.random.default_rng([*words, *parts])


ORDER = Stream(1)
"""The path of ``order.method: random``."""
PLAN = Stream(2)
"""The documents of ``pack.method: random``, one after another."""
SHUFFLE = Stream(3)
"""The windows of ``pack.shuffle: random`` in training order."""
EPOCH = Stream(4)
"""The windows of a later epoch; the epoch is its part."""
MIX = Stream(6)
"""The documents of ``pack.mix_random``."""
INSIDE = Stream(7)
"""The pieces of a window under ``pack.inside: random``."""
REPEATS = Stream(8)
"""The documents around which ``pack.method: knn`` makes windows."""
AUDIT = Stream(101)
"""The documents that `icp verify` encodes again."""
PROBE = Stream(102)
"""The controls and samples of `icp probe`; what is drawn is its part."""

REPORT = Stream(103)
"""The samples of `icp report`; what is drawn is its part."""

CENTROIDS = Stream(1, leads=True)
"""The vectors from which centroids are trained, and the first centroids among them."""
TUNING = Stream(2, leads=True)
"""The rows by which a search for neighbours is tuned."""
RECALL = Stream(3, leads=True)
"""The rows by which the recall of a search is measured."""
PAIRS = Stream(4, leads=True)
"""The pairs of documents by which ``graph.min_similarity: auto`` is chosen."""
LINKS = Stream(5, leads=True)
"""The signs that vectors of links are sums of; a block of dimensions is its part."""


def fixed_generator() -> np.random.Generator:
    """A generator that no seed moves: for a start whose numbers do not matter, as long as they repeat."""
    return np.random.default_rng(0)
