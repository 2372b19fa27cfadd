"""Plans without a search: documents cut or fitted along an order, or fitted by size.

In: `Corpus`, lengths, an order. Out: `PackPlan`.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.kernels import fit, lay
from icp.packing.items import Corpus, Pieces
from icp.packing.planning import lay_out, tail_tokens

LOOK = 64
"""Documents of the path that wait for a window in ``path-fit``."""


def cut(corpus: Corpus, lengths: NDArray[np.int64], order: NDArray[np.int64], specials: tuple[int, int]) -> PackPlan:
    """One after another along `order`, one group after another, cut where windows end.

    A document in conflict with the window waits for the next.
    """
    grouped = order[np.argsort(corpus.groups[order], kind="stable")]
    limits = lay.Limits(corpus.capacity, *specials)
    return PackPlan(*lay.lay_cut(grouped, lengths, limits, _closed(corpus)))


def fit_along(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int) -> PackPlan:
    """Windows filled one after another with the first of the next `LOOK` documents of the path that fits.

    Where none fits and the window is below `min_fill`, a document is cut, unless that is forbidden.
    """
    tails, docs = _tails(corpus, lengths, n_eos)
    enough = int(np.ceil(corpus.min_fill * corpus.capacity))
    rules = lay.FitRules(corpus.capacity, LOOK, not corpus.whole, enough, corpus.least)
    doc, tokens, window = lay.fit_path(docs, tails, rules, _closed(corpus))
    return lay_out(corpus, lengths, tails, Pieces(doc, tokens, window.astype(np.int32)))


def fit_by_size(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int) -> PackPlan:
    """Best fit by falling size, whatever documents are about.

    Source: arXiv 2404.10830, best-fit packing.
    """
    tails, docs = _tails(corpus, lengths, n_eos)
    docs = docs[np.lexsort((-tails[docs], corpus.groups[docs]))]
    window = fit.best_fit(tails, docs, corpus.capacity, _closed(corpus))
    return lay_out(corpus, lengths, tails, Pieces(docs, tails[docs], window[docs].astype(np.int32)))


def _tails(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    tails = tail_tokens(lengths, corpus.capacity, n_eos)
    docs = np.argsort(corpus.position, kind="stable")
    return tails, docs[tails[docs] > 0]


def _closed(corpus: Corpus) -> fit.Closed:
    return fit.Closed(corpus.groups, corpus.conflict_bounds, corpus.conflicts)
