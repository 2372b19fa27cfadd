"""What each `pack.method` does with a request: the functions that `icp.choices.PACK_METHODS` names.

In: a `Request`, checked. Out: `PackPlan`, windows numbered along the path.
"""

from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.data import PackPlan
from icp.errors import ConfigError
from icp.pack import baselines
from icp.pack.continuation import lay_whole
from icp.pack.planner import plan_related
from icp.pack.problem import Corpus
from icp.streams import PLAN


@dataclass(frozen=True, slots=True)
class Request:
    """What a method makes its plan of.

    Attributes:
        corpus: embeddings, graph, conflicts and groups of n documents, with the limits of the windows.
        lengths: (n,) int64, tokens of each document, its specials among them; 0 takes no window.
        order: (n,) integers, a permutation: the path through the documents.
        specials: tokens (bos, eos) at a document's ends, counted in `lengths`.
        seed: of what is random.
        sources: (n,) integers, for methods that go by the source of a document; None otherwise.
        threads: that the method may use; they never change the plan.
        continuation: cut | pad | restart, for methods that cut wherever a window ends.
    """

    corpus: Corpus
    lengths: NDArray[np.int64]
    order: NDArray[np.integer]
    specials: tuple[int, int]
    seed: int
    sources: NDArray[np.integer] | None
    threads: int
    continuation: str = "cut"


def plan_by(method: str, request: Request) -> PackPlan:
    """The plan that a method of `PACK_METHODS` makes."""
    module, _, function = PACK_METHODS[method].code.rpartition(".")
    plan: PackPlan = getattr(import_module(f"icp.pack.{module}"), function)(request)
    return plan


def plan_whole_windows(request: Request) -> PackPlan:
    """``windows``: the documents of a window are chosen together; see `icp.pack.planner`."""
    return plan_related(request.corpus, request.lengths, request.threads)


def cut_path(request: Request) -> PackPlan:
    """``path-cut``: along the path, cut where windows end.

    Source: arXiv 2310.10638, section 2.2.
    """
    return _cut(request, request.order.astype(np.int64))


def fit_along_path(request: Request) -> PackPlan:
    """``path-fit``: along the path, each window with the first documents that fit."""
    return baselines.fit_along(request.corpus, request.lengths)


def fit_by_size(request: Request) -> PackPlan:
    """``best-fit``: by falling size alone.

    Source: arXiv 2404.10830.
    """
    return baselines.fit_by_size(request.corpus, request.lengths)


def place_alone(request: Request) -> PackPlan:
    """``single``: each document in windows of its own, along the path: it is a group by itself."""
    alone = replace(request.corpus, groups=request.corpus.position.astype(np.int32))
    return baselines.cut(alone, request.lengths, request.order.astype(np.int64), request.specials)


def cut_at_random(request: Request) -> PackPlan:
    """``random``: along a permutation by the seed, cut where windows end."""
    rng = PLAN.generator(request.seed)
    return _cut(request, rng.permutation(request.order.size).astype(np.int64))


def cut_by_source(request: Request) -> PackPlan:
    """``source``: along the rows sorted by source, cut where windows end; raises ConfigError without sources."""
    if request.sources is None:
        raise ConfigError("pack.method is 'source', which needs the source of each document; pass sources=")
    return _cut(request, np.argsort(request.sources, kind="stable").astype(np.int64))


def repeat_nearest(request: Request) -> PackPlan:
    """``knn``: a document with its nearest ones, which may come again.

    Source: arXiv 2310.10638, section 3, the kNN baseline.
    """
    corpus = request.corpus
    return baselines.plan_repeats(
        corpus.graph, request.lengths, capacity=corpus.capacity, specials=request.specials, seed=request.seed
    )


def _cut(request: Request, order: NDArray[np.int64]) -> PackPlan:
    if request.continuation == "cut":
        return baselines.cut(request.corpus, request.lengths, order, request.specials)
    restart = request.continuation == "restart"
    return lay_whole(request.corpus, request.lengths, order, request.specials, restart=restart)
