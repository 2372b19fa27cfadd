"""What a whole plan is worth: by it one of several plans of the same documents is taken.

In: pieces in windows. Out: a number, which follows what deflate saves by context and loses by cuts (docs/windows.md).
"""

from dataclasses import replace

import numpy as np

from icp.kernels.pack_state import new_state
from icp.pack.problem import Corpus, Pieces, make_items, merged
from icp.pack.quantising import largest_scale
from icp.pack.similarity import ordered_sum

MEAN, NEAREST, CUT = 0.4, 0.6, 0.7
"""What counts the mean cosine of a document to the others of its window, that to the nearest of its neighbours there,
and, against both, a cut times the root of the thousands of tokens of its smaller piece."""


def plan_worth(corpus: Corpus, pieces: Pieces) -> float:
    """Worth of a plan, in cosines, summed over documents; a piece counts by its share of the document.

    Cuts cost nothing where `split` is free.

    Cost: O(pieces * (dim + neighbours)).
    """
    pieces = merged(corpus, pieces)
    scaled = replace(corpus, scale=largest_scale(corpus.embeddings, np.unique(pieces.doc)))
    items = make_items(scaled, pieces.doc, pieces.tokens)
    items.bond[0] = 1.0  # so that the nearest are looked for, however few a window holds
    state = new_state(items, pieces.window.copy(), np.zeros(int(pieces.window.max(initial=-1)) + 1, np.int32))
    mean = ordered_sum(state.pairs / np.maximum(state.count - 1, 1))
    cut = np.flatnonzero(items.doc[1:] == items.doc[:-1])
    smaller = np.minimum(items.tokens[cut], items.tokens[cut + 1])
    price = CUT * ordered_sum(np.sqrt(smaller / 1000)) if corpus.cut_cost else 0.0
    return MEAN * mean + NEAREST * ordered_sum(items.weight * state.best) - price
