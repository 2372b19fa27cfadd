"""Held-out documents: targets, and what stands before them. They are cut out before any order is made.

In: the documents of a run. Out: targets with four contexts of one length, all of held-out documents, so that none of
them was read in training; and the check of what is like them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.dedup.overlap import references_of
from icp.probe.trial.pool import SPLIT_BY, Pool
from icp.streams import PROBE
from icp.texts import text_buffers

NOTHING, RELATED, OWN_SOURCE, ANY = CONTEXT_NAMES = ("nothing", "related", "same source", "random")
CONTEXT_TOKENS, TARGET_TOKENS, LEAST_TOKENS = 512, 256, 120
"""Tokens of a context, of a target at most, and at least."""
MOST_DOCUMENTS = 8
"""Documents of a context."""
HELD_SHARE = 5
"""One document of so many is held out, at most."""
NEAR = 0.9
"""Cosine from which a document counts as a copy of a target: no context, not trained on."""
NGRAM, JACCARD, CONTAINMENT = 5, 0.5, 0.8
"""Words of an n-gram, and the shares of them from which a document counts as a copy: those of `holdout`."""
BLOCK = 64
"""Targets that are looked at together."""


@dataclass(frozen=True, slots=True)
class Target:
    """A document that is scored.

    Attributes:
        row: its node. source: its number.
        ids: (LEAST_TOKENS to TARGET_TOKENS,) int16, its beginning.
        contexts: by name, (CONTEXT_TOKENS,) int16, or nothing; the most similar document stands last.
    """

    row: int
    source: int
    ids: NDArray[np.int16]
    contexts: Mapping[str, NDArray[np.int16]]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What is held out.

    Attributes:
        targets: what is scored.
        rows: (h,) int64, ascending nodes: targets and documents of contexts.
    """

    targets: list[Target]
    rows: NDArray[np.int64]


def hold_out(pool: Pool, n_targets: int, *, seed: int) -> HeldOut:
    """Up to `n_targets` targets, fewer where a fifth of the documents does not give as many."""
    n, generator = pool.nodes.size, PROBE.generator(seed, SPLIT_BY)
    order, mates = generator.permutation(n), _Mates(pool, generator.permutation(n))
    taken = np.zeros(n, dtype=np.bool_)
    chosen: list[tuple[int, dict[str, NDArray[np.int16]], NDArray[np.int16]]] = []
    for first in range(0, n, BLOCK):
        block = [row for row in order[first : first + BLOCK].tolist() if not taken[row]]
        near = {row: (_neighbours(pool, row), mates.of(row)) for row in block}
        ids = _ids(pool, block + [row for pair in near.values() for rows in pair for row in rows])
        for row in block:
            contexts, used = _filled(ids, dict(zip((RELATED, OWN_SOURCE), near[row], strict=True)))
            if ids[row].size < LEAST_TOKENS or len(contexts) < 2 or taken[row]:
                continue
            if len(chosen) == n_targets or taken.sum() + 1 + len(used) > n // HELD_SHARE:
                return _with_random(pool, chosen, np.flatnonzero(taken), generator)
            taken[[row, *used]] = True
            chosen.append((row, contexts, ids[row][:TARGET_TOKENS]))
    return _with_random(pool, chosen, np.flatnonzero(taken), generator)


def copies_of(pool: Pool, held: HeldOut, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) bool: which of some nodes are copies: nearly of a held-out document in words, or of a target by vectors."""
    overlaps = references_of([text_buffers(pool.heads(held.rows))], ngram=NGRAM).overlaps(
        text_buffers(pool.heads(rows))
    )
    alike = (overlaps.jaccard >= JACCARD) | (overlaps.containment >= CONTAINMENT)
    found = np.zeros(rows.size, dtype=np.bool_)
    found[overlaps.text[alike]] = True
    targets = np.array([target.row for target in held.targets], dtype=np.int64)
    cosines = pool.vectors[rows].astype(np.float32) @ pool.vectors[targets].astype(np.float32).T
    near: NDArray[np.bool_] = cosines.max(axis=1, initial=-1.0) >= NEAR
    return found | near


class _Mates:
    """Documents of the same source, in an order by the seed; each is given out in its turn."""

    def __init__(self, pool: Pool, order: NDArray[np.int64]) -> None:
        self._pool = pool
        order = order[np.argsort(pool.sources[order], kind="stable")]
        bounds = np.searchsorted(pool.sources[order], np.arange(int(pool.sources.max()) + 2))
        self._members = [order[a:b] for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
        self._next = [0] * len(self._members)

    def of(self, row: int) -> list[int]:
        """Up to `MOST_DOCUMENTS`, none a neighbour of `row`."""
        source = int(self._pool.sources[row])
        members, begin = self._members[source], self._next[source]
        graph = self._pool.graph
        not_these = {row, *graph.indices[graph.indptr[row] : graph.indptr[row + 1]].tolist()}
        turn = [int(members[(begin + k) % members.size]) for k in range(min(members.size, 4 * MOST_DOCUMENTS))]
        found = [mate for mate in turn if mate not in not_these][:MOST_DOCUMENTS]
        self._next[source] = (begin + 2) % members.size
        return found


def _neighbours(pool: Pool, row: int) -> list[int]:
    here = slice(int(pool.graph.indptr[row]), int(pool.graph.indptr[row + 1]))
    fair = pool.graph.indices[here][pool.graph.weights[here] < NEAR]
    return [int(other) for other in fair[:MOST_DOCUMENTS]]


def _ids(pool: Pool, rows: list[int]) -> dict[int, NDArray[np.int16]]:
    wanted = np.unique(np.array(rows, dtype=np.int64))
    return dict(zip(wanted.tolist(), pool.ids(wanted), strict=True))


def _filled(
    ids: Mapping[int, NDArray[np.int16]], candidates: Mapping[str, list[int]]
) -> tuple[dict[str, NDArray[np.int16]], list[int]]:
    """Contexts that are long enough, and the documents that they took; the first candidate stands last."""
    contexts: dict[str, NDArray[np.int16]] = {}
    used: list[int] = []
    for name, rows in candidates.items():
        parts: list[NDArray[np.int16]] = []
        size = 0
        for row in rows:
            if size >= CONTEXT_TOKENS:
                break
            parts.insert(0, ids[row])
            size += ids[row].size
        if size >= CONTEXT_TOKENS:
            contexts[name] = np.concatenate(parts)[-CONTEXT_TOKENS:]
            used += rows[: len(parts)]
    return contexts, used


def _with_random(
    pool: Pool,
    chosen: list[tuple[int, dict[str, NDArray[np.int16]], NDArray[np.int16]]],
    held: NDArray[np.int64],
    generator: np.random.Generator,
) -> HeldOut:
    ids = _ids(pool, held.tolist())
    targets = []
    for row, contexts, own in chosen:
        near = {row, *pool.graph.indices[pool.graph.indptr[row] : pool.graph.indptr[row + 1]].tolist()}
        strangers = [other for other in generator.permutation(held).tolist() if other not in near]
        filled, _ = _filled(ids, {ANY: strangers})
        if filled:
            every = {NOTHING: own[:0], **contexts, **filled}
            targets.append(Target(row, int(pool.sources[row]), own, every))
    return HeldOut(targets, held)


def clusters_of(held: HeldOut, least: int) -> tuple[NDArray[np.int64], bool]:
    """(targets,) int64: which are drawn together: those of a source, if there are `least` sources; and whether so."""
    sources = np.array([target.source for target in held.targets], dtype=np.int64)
    found, numbers = np.unique(sources, return_inverse=True)
    return (numbers, True) if found.size >= least else (np.arange(sources.size), False)
