"""Which windows of each plan are coded, and which documents a coder reads first.

In: plans, a reader of texts. Out: pieces of sampled windows as byte ranges of texts that are held in memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.probe.arms import Arms
from icp.run.texts import TextReader
from icp.streams import PROBE

WARM_BYTES = 3_000_000
"""Text that the n-gram coder reads first."""
WARM_SHARE = 8
"""Of a small corpus, one part of so many."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of the sampled windows of one plan, window by window.

    Attributes:
        doc: (m,) int64, row of the plan.
        begin, end: (m,) int64, bytes of the document's text, in proportion to its tokens.
        window: (m,) int64, never decreasing.
        tokens_before: (m,) int64, of other pieces in front of it in its window.
    """

    doc: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    window: NDArray[np.int64]
    tokens_before: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """What is coded.

    Attributes:
        texts: bytes of each document that stands in a sampled window, or is read first, by row.
        pieces: of each plan, by its name.
        warm: (w,) int64, the documents that are read first; they are not scored.
    """

    texts: Mapping[int, bytes]
    pieces: Mapping[str, Pieces]
    warm: NDArray[np.int64]


def draw_sample(arms: Arms, reader: TextReader, n_bytes: int, *, seed: int) -> Sample:
    """Windows of each plan that hold about `n_bytes` of text together, or all."""
    sizes = reader.sizes(arms.nodes)
    share = min(1.0, n_bytes / max(1, int(sizes.sum())))
    chosen = {name: _draw_windows(plan, share, seed=seed) for name, plan in arms.plans.items()}
    rows = {name: np.flatnonzero(np.isin(plan.window, chosen[name])) for name, plan in arms.plans.items()}
    used = np.unique(np.concatenate([plan.doc[rows[name]] for name, plan in arms.plans.items()]))
    warm = _draw_warm(sizes, used, seed=seed)
    wanted = np.union1d(used, warm)
    texts = reader.fetch(arms.nodes[wanted])
    held = {row: texts[int(arms.nodes[row])].encode() for row in wanted.tolist()}
    pieces = {name: _pieces_of(plan, rows[name], held, arms.lengths) for name, plan in arms.plans.items()}
    return Sample(held, pieces, warm)


def _draw_windows(plan: PackPlan, share: float, *, seed: int) -> NDArray[np.int64]:
    n_windows = max(1, round(share * plan.n_windows)) if plan.n_windows else 0
    return np.sort(PROBE.generator(seed, 2).permutation(plan.n_windows)[:n_windows])


def _draw_warm(sizes: NDArray[np.int64], used: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Documents outside the sample where there are enough of them; some of its own, which are not scored, elsewhere."""
    order = PROBE.generator(seed, 3).permutation(sizes.size)
    order = order[np.argsort(np.isin(order, used), kind="stable")]
    most = min(WARM_BYTES, int(sizes.sum()) // WARM_SHARE)
    n_docs = int(np.searchsorted(np.cumsum(sizes[order]), most)) + 1
    return np.sort(order[:n_docs])


def _pieces_of(
    plan: PackPlan, rows: NDArray[np.int64], texts: Mapping[int, bytes], lengths: NDArray[np.int64]
) -> Pieces:
    doc, start, stop, window = (np.asarray(getattr(plan, name)[rows]) for name in PackPlan.__slots__)
    n_bytes = np.array([len(texts[row]) for row in doc.tolist()], dtype=np.int64)
    tokens = np.cumsum(stop - start) - (stop - start)
    _, firsts, window_of = np.unique(window, return_index=True, return_inverse=True)
    before = tokens - tokens[firsts][window_of] if doc.size else tokens
    return Pieces(doc, start * n_bytes // lengths[doc], stop * n_bytes // lengths[doc], window, before)
