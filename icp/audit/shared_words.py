"""Pairs that share so many words that `graph.conflict_jaccard` or `graph.conflict_containment` keeps them apart.

In: the texts. Out: which pairs do. Of many pairs a part, at equal distances, is compared.
"""

import numpy as np
from numpy.typing import NDArray

from icp.audit.shingles import jaccard, shingles
from icp.run.reader import Run
from icp.run.texts import TextReader

MOST_PAIRS = 2000
"""Pairs that are compared."""
HALF = 1e-9


def by_words(run: Run, docs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m,) bool: whether two documents `docs` (m, 2) share enough words; True for those that are not compared."""
    found = np.ones(len(docs), np.bool_)
    chosen = np.unique(np.linspace(0, len(docs) - 1, min(MOST_PAIRS, len(docs))).astype(np.int64))
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
