"""Plans without a search: documents cut or fitted along an order, or fitted by size.

In: `Corpus`, lengths, an order. Out: `PackPlan`.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan
from icp.kernels import pack_fit, pack_lay
from icp.pack.layout import closed_of, lay_out
from icp.pack.planner import docs_along, tail_tokens
from icp.pack.problem import Corpus, Pieces
from icp.streams import REPEATS

LOOK = 64
"""Documents of the path that wait for a window in ``path-fit``."""


def cut(corpus: Corpus, lengths: NDArray[np.int64], order: NDArray[np.int64], specials: tuple[int, int]) -> PackPlan:
    """One after another along `order`, one group after another, cut where windows end.

    A document in conflict with the window waits for the next.

    Args:
        corpus: of n documents, with the limits of its windows.
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.
        order: (n,) int64, a permutation of the documents.
        specials: tokens (bos, eos) at a document's ends.

    Source: arXiv 2310.10638, section 2.3, but for groups and conflicts.
    """
    grouped = order[np.argsort(corpus.groups[order], kind="stable")]
    limits = pack_lay.Limits(corpus.capacity, *specials)
    return PackPlan(*pack_lay.lay_cut(grouped, lengths, limits, closed_of(corpus)))


def fit_along(corpus: Corpus, lengths: NDArray[np.int64]) -> PackPlan:
    """Windows filled one after another with the first of the next `LOOK` documents of the path that fits.

    Where none fits and the window is below `min_fill`, a document is cut, unless that is forbidden; its rest begins the
    next window. Documents longer than a window are laid one after another in windows of their own.

    Args:
        corpus: of n documents, with the limits of its windows.
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.

    Cost: O(n * `LOOK`).
    """
    tails = np.where(lengths > corpus.capacity, 0, lengths)
    enough = int(np.ceil(corpus.min_fill * corpus.capacity))
    rules = pack_fit.FitRules(corpus.capacity, LOOK, not corpus.whole, enough, corpus.least)
    doc, tokens, window = pack_fit.fit_path(docs_along(corpus, tails), tails, rules, closed_of(corpus))
    return lay_out(corpus, lengths, tails, Pieces(doc, tokens, window.astype(np.int32)))


def fit_by_size(corpus: Corpus, lengths: NDArray[np.int64]) -> PackPlan:
    """Best fit by falling size, whatever documents are about; of documents longer than a window, what is left.

    Args:
        corpus: of n documents, with the limits of its windows.
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.

    Source: arXiv 2404.10830, best-fit packing; but that a window holds two tails of long documents at most.
    """
    tails = tail_tokens(corpus, lengths)
    docs = docs_along(corpus, tails)
    docs = docs[np.lexsort((-tails[docs], corpus.groups[docs]))]
    closed = closed_of(replace(corpus, long=lengths > corpus.capacity))
    window = pack_fit.best_fit(tails, docs, corpus.capacity, closed)
    return lay_out(corpus, lengths, tails, Pieces(docs, tails[docs], window[docs].astype(np.int32)))


def plan_repeats(
    graph: DocGraph, lengths: NDArray[np.int64], *, capacity: int, specials: tuple[int, int] = (0, 0), seed: int = 0
) -> PackPlan:
    """Each document that stands nowhere yet, in an order by the seed, then its nearest ones until the window is full.

    Nearest: its neighbours, most similar first, then theirs. One that does not fit is cut at the window's end; the rest
    of it is left to the window in which it stands whole. Where no neighbour is left, the next document follows.

    Args:
        graph: of n documents.
        lengths: (n,) int64, tokens with specials; 0 takes no window.
        capacity: tokens of a window.
        specials: tokens (bos, eos) at a document's ends.

    Cost: O(documents + neighbours looked at).
    """
    order = REPEATS.generator(seed).permutation(lengths.size)
    limits = pack_lay.Limits(capacity, *specials)
    return PackPlan(*pack_lay.lay_repeats(order, lengths, limits, graph.indptr, graph.indices))
