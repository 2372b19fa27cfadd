"""Pairs that no list of neighbours holds: what keeps them apart is looked up in their vectors and texts.

In: vectors, texts. Out: which pairs are as alike, or share so many words, as `graph` says. Of many pairs a part, at
equal distances, is compared.
"""

import numpy as np
from numpy.typing import NDArray

from icp.audit.duplicates import cosines, vectors_of
from icp.audit.shingles import jaccard, shingles
from icp.run.names import SURVIVORS
from icp.run.reader import Run
from icp.run.texts import TextReader

MOST_PAIRS = 2000
"""Pairs that are compared."""
HALF = 1e-9
ROUNDING = 2**-10
"""Of a cosine near 1 as float16."""


def by_cosine(run: Run, docs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m,) bool: whether two documents `docs` (m, 2) are as alike as duplicates; True for those not compared."""
    found = np.ones(len(docs), np.bool_)
    chosen = _chosen(len(docs))
    rows = np.searchsorted(run.array("dedup", SURVIVORS), docs[chosen])
    found[chosen] = cosines(vectors_of(run), rows[:, 0], rows[:, 1]) >= run.config.graph.duplicate_similarity - ROUNDING
    return found


def by_words(run: Run, docs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m,) bool: whether two documents `docs` (m, 2) share enough words; True for those that are not compared."""
    found = np.ones(len(docs), np.bool_)
    chosen = _chosen(len(docs))
    reader, ngram, config = TextReader(run), run.config.dedup.ngram, run.config.graph
    least_jaccard = 2.0 if config.conflict_jaccard is None else config.conflict_jaccard - HALF
    least_share = 2.0 if config.conflict_containment is None else config.conflict_containment - HALF
    texts = reader.rows(np.unique(docs[chosen]), ("text",))
    for at in chosen.tolist():
        one, other = (shingles(texts[doc]["text"], ngram=ngram) for doc in docs[at].tolist())
        shared = np.intersect1d(one, other, assume_unique=True).size
        share = shared / max(1, min(one.size, other.size))
        found[at] = jaccard(one, other) >= least_jaccard or share >= least_share
    return found


def _chosen(n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(MOST_PAIRS, n)).astype(np.int64))
