"""What is trained: windows of random documents for a trunk, and the same new documents in windows of each kind.

In: the documents of a run less those held out. Out: rows of ids. The branches' documents are stretches of the run's
path, so that documents have relatives among them; neighbours, order and windows are then made of these documents alone,
as the run makes them, and each kind of windows holds each of them once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.data import KnnGraph, PackPlan
from icp.errors import ConfigError
from icp.knn.search import search_neighbors, symmetrize
from icp.order.visit_order import visit_order
from icp.pack.plan_windows import plan_windows
from icp.probe.arms import BEST_FIT, OURS, PATH_CUT, RANDOM, Makers, cut_along, plans_by_name
from icp.probe.trial.held_out import HeldOut, copies_of
from icp.probe.trial.pool import BRANCH_BY, ORDER_BY, SEPARATOR, SHUFFLE_BY, TRUNK_BY, Pool
from icp.probe.trial.training import Rows
from icp.streams import PROBE

WINDOW = 1024
STRETCH = 32
"""Documents that follow one another on the path of the run and are chosen together."""
MOST_PASSES = 4
"""How often a trunk may read its documents, each time in another order."""
BRANCH_SHARE = 4
"""One training document of so many goes to the branches, at most."""
LEAST_DOCUMENTS = 8
AGAIN, OURS_MASKED, BEST_FIT_MASKED = "this pack, again", "this pack, masked", "best-fit, masked"
PIECES_MASKED = "its pieces, masked"
"""The pieces of this pack, as it cut them, in windows by size alone: under masks the same texts as this pack's."""
SAME_ROWS = {AGAIN: OURS, OURS_MASKED: OURS, BEST_FIT_MASKED: BEST_FIT}
"""Branches that read the windows of another: in another order of steps, or under document masks."""
MASKED = (OURS_MASKED, PIECES_MASKED, BEST_FIT_MASKED)


@dataclass(frozen=True, slots=True)
class Material:
    """What one trunk and its branches read.

    Attributes:
        trunk: rows. branches: rows by kind of windows.
        documents: (trunk, branches), how many.
        tokens: (trunk, branches), of their windows; documents of a trunk may come several times.
        copies: documents that were left out as copies of held-out ones.
    """

    trunk: Rows
    branches: Mapping[str, Rows]
    documents: tuple[int, int]
    tokens: tuple[int, int]
    copies: int


def draw_material(pool: Pool, held: HeldOut, tokens: tuple[int, int], *, trunk: int, seed: int) -> Material:
    """Documents for a trunk and for its branches, as many as give so many tokens, or as there are.

    Raises: ConfigError where too few are left.
    """
    free = np.ones(pool.nodes.size, dtype=np.bool_)
    free[held.rows] = False
    mean = _mean_tokens(pool, held)
    stretches = np.array_split(pool.path, range(STRETCH, pool.path.size, STRETCH))
    turn = PROBE.generator(seed, BRANCH_BY, trunk).permutation(len(stretches))
    along = np.concatenate([stretches[k] for k in turn.tolist()])
    along = along[free[along]]
    n_branch = min(round(tokens[1] / mean), along.size // BRANCH_SHARE)
    branch, rest = np.sort(along[:n_branch]), along[n_branch:]
    rest = PROBE.generator(seed, TRUNK_BY, trunk).permutation(rest)[: round(tokens[0] / mean)]
    copied = [copies_of(pool, held, rows) for rows in (branch, rest)]
    branch, rest = branch[~copied[0]], rest[~copied[1]]
    if min(branch.size, rest.size) < LEAST_DOCUMENTS:
        raise ConfigError(
            f"trunk {trunk} has {rest.size} documents and its branches {branch.size}, at least {LEAST_DOCUMENTS} are "
            "needed; give --trunk-tokens and --branch-tokens more, or a run of more documents"
        )
    trunk_rows = _trunk_rows(pool.ids(rest), tokens[0], seed=seed, trunk=trunk)
    branches = _branch_rows(pool, branch, seed=seed, trunk=trunk)
    sizes = tuple(int((rows.piece >= 0).sum()) for rows in (trunk_rows, branches[OURS]))
    return Material(trunk_rows, branches, (rest.size, branch.size), (sizes[0], sizes[1]), int(sum(map(np.sum, copied))))


def _mean_tokens(pool: Pool, held: HeldOut) -> float:
    return max(1.0, float(np.mean([ids.size for ids in pool.ids(held.rows)])))


def _trunk_rows(ids: list[NDArray[np.int16]], n_tokens: int, *, seed: int, trunk: int) -> Rows:
    generator, lengths = PROBE.generator(seed, ORDER_BY, trunk), np.array([own.size for own in ids], dtype=np.int64)
    most = -(-n_tokens // WINDOW)
    passes: list[Rows] = []
    while len(passes) < MOST_PASSES and sum(len(rows.ids) for rows in passes) < most:
        order = generator.permutation(lengths.size).astype(np.int32)
        passes.append(rows_of(cut_along(order, lengths, WINDOW), ids))
    return Rows(*(np.concatenate([getattr(rows, name) for rows in passes])[:most] for name in ("ids", "piece")))


def _branch_rows(pool: Pool, docs: NDArray[np.int64], *, seed: int, trunk: int) -> dict[str, Rows]:
    """Rows of each kind of windows, their order of training drawn anew."""
    ids = pool.ids(docs)
    plans = plans_by_name(_makers(pool, docs, np.array([own.size for own in ids], dtype=np.int64), seed, trunk))
    del plans[PATH_CUT]
    plans[PIECES_MASKED] = by_size(plans[OURS], PROBE.generator(seed, ORDER_BY, trunk, 2))
    rows = {name: rows_of(plan, ids) for name, plan in plans.items()}
    rows |= {name: rows[other] for name, other in SAME_ROWS.items()}
    return {name: _shuffled(rows[name], seed, trunk, again=name == AGAIN) for name in (RANDOM, *rows)}


def _shuffled(rows: Rows, seed: int, trunk: int, *, again: bool) -> Rows:
    order = PROBE.generator(seed, SHUFFLE_BY, trunk, int(again)).permutation(len(rows.ids))
    return Rows(rows.ids[order], rows.piece[order])


def _makers(pool: Pool, docs: NDArray[np.int64], lengths: NDArray[np.int64], seed: int, trunk: int) -> Makers:
    """Neighbours, order and windows of some documents, as the configuration of the run wants them."""
    config, vectors = pool.config, np.asarray(pool.vectors[docs], dtype=np.float32)
    knn = search_neighbors(vectors, k=min(config.graph.k, max(1, docs.size - 1)), method="exact")
    alike = (knn.neighbors >= 0) & (knn.similarities >= config.graph.duplicate_similarity)
    row, place = np.nonzero(alike)
    conflicts = np.stack((row, knn.neighbors[row, place].astype(np.int64)), axis=1)
    graph = symmetrize(KnnGraph(np.where(alike, -1, knn.neighbors), np.where(alike, 0, knn.similarities)))
    method = config.order.method if config.order.method in ("matching", "algorithm1") else "matching"
    path = visit_order(graph, vectors, method=method, improve=config.order.improve, seed=config.seed).order
    sources = pool.sources[docs]

    def plan(order: NDArray[np.int32], method: str, conflicts: NDArray[np.int64] | None = None) -> PackPlan:
        return plan_windows(
            graph,
            vectors,
            order,
            lengths,
            seq_len=WINDOW,
            method=method,
            min_fill=config.pack.min_fill,
            split=config.pack.split if PACK_METHODS[method].knows_split else "minimal",
            conflicts=conflicts,
            seed=config.seed,
            specials=(1, 0),
            sources=sources,
        )

    return Makers(
        own=lambda: plan(path, config.pack.method, conflicts),
        path=lambda: path,
        cut=lambda order: plan(order, "path-cut"),
        fit=lambda order: plan(order, "best-fit"),
        graph=graph,
        sources=sources,
        random=PROBE.generator(seed, ORDER_BY, trunk, 1).permutation(docs.size).astype(np.int32),
    )


def by_size(plan: PackPlan, generator: np.random.Generator) -> PackPlan:
    """The pieces of a plan, none cut again, in other windows: the first with room, by size, in an order by chance."""
    order = generator.permutation(plan.doc.size).astype(np.int32)
    dealt = cut_along(order, np.asarray(plan.stop - plan.start), WINDOW, method="best-fit")
    piece = np.asarray(dealt.doc)
    return PackPlan(plan.doc[piece], plan.start[piece], plan.stop[piece], dealt.window)


def rows_of(plan: PackPlan, ids: list[NDArray[np.int16]]) -> Rows:
    """Windows of a plan as ids, padded at their ends."""
    rows = Rows(
        np.full((plan.n_windows, WINDOW), SEPARATOR, dtype=np.int16),
        np.full((plan.n_windows, WINDOW), -1, dtype=np.int16),
    )
    place, number, before = 0, 0, -1
    for doc, start, stop, window in zip(*(getattr(plan, n).tolist() for n in PackPlan.__slots__), strict=True):
        place, number = (0, 0) if window != before else (place, number + 1)
        before, end = window, place + stop - start
        rows.ids[window, place:end] = ids[doc][start:stop]
        rows.piece[window, place:end] = number
        place = end
    return rows
