"""A corpus of topics as arrays, plans of it, and what must hold of any plan; for tests of the planner."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import icp

SEQ_LEN, SPECIALS = 256, (0, 1)


class Topics(NamedTuple):
    """600 documents of 30 topics, spread all over."""

    vectors: NDArray[np.float16]
    graph: icp.DocGraph
    order: NDArray[np.int32]
    lengths: NDArray[np.int64]
    topic: NDArray[np.int64]


def topics_corpus() -> Topics:
    random = np.random.default_rng(11)
    topic = random.integers(0, 30, 600)
    vectors = np.linalg.qr(random.normal(size=(32, 32)))[0][topic] + 0.12 * random.normal(size=(600, 32))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    graph = icp.symmetrize(icp.search_neighbors(vectors, k=10))
    order = icp.visit_order(graph, vectors, method="algorithm1", improve=False).order
    return Topics(vectors, graph, order, random.integers(5, 60, 600).astype(np.int64), topic)


def planned(topics, **options):
    vectors, graph, order, lengths, _ = topics
    return icp.plan_windows(graph, vectors, order, lengths, seq_len=SEQ_LEN, specials=SPECIALS, **options)


def rows_of(plan):
    return np.stack([plan.doc, plan.start, plan.stop, plan.window]).tolist()


def check_every_token_once(plan, lengths, seq_len=SEQ_LEN):
    """Segments tile each document in order, and no window holds more than `seq_len` tokens."""
    reached = np.zeros(lengths.size, np.int64)
    for doc, start, stop, _ in sorted(zip(*rows_of(plan), strict=True)):
        assert start == reached[doc]
        reached[doc] = stop
    assert reached.tolist() == lengths.tolist()
    assert np.bincount(plan.window, weights=plan.stop - plan.start).max(initial=0) <= seq_len
