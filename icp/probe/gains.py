"""What each piece of a window saves by what precedes it there, cuts paid for.

In: sampled pieces, their texts, a coder. Out: bits. The yardstick is the whole document coded by itself: what a piece
costs there, after the document's own beginning, less what it costs after what precedes it in its window. A document
longer than a window is cut in the yardstick too, after each full window.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icp.pack.similarity import DEFLATE_WINDOW
from icp.probe.coder import Coder, deflate_cost
from icp.probe.sample import Pieces, Sample

N_GRAM, DEFLATE, MASKED = CODERS = ("n-gram", "deflate", "n-gram, documents masked")


@dataclass(frozen=True, slots=True)
class Gains:
    """What the scored pieces of one plan save.

    Attributes:
        doc: (m,) int64, row of the plan.
        n_bytes: (m,) int64.
        tokens_before: (m,) int64, of other pieces in front of it in its window.
        window: (m,) int64, its window.
        saved: by coder, (m,) int64 in units of ``1 / icp.probe.coder.UNIT`` bit. Under document masks a piece is coded
            by itself: what it loses there is the price of cuts.
    """

    doc: NDArray[np.int64]
    n_bytes: NDArray[np.int64]
    tokens_before: NDArray[np.int64]
    window: NDArray[np.int64]
    saved: Mapping[str, NDArray[np.int64]]


def gains_of(sample: Sample, coder: Coder, bytes_per_window: Callable[[int], int], *, threads: int) -> dict[str, Gains]:
    """What the pieces of each plan save; `bytes_per_window` tells of a document how much of it fills a window."""
    edges = _edges(sample)
    docs = sorted(edges)

    def alone(doc: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return _alone(sample.texts[doc], edges[doc], coder, bytes_per_window(doc))

    with ThreadPoolExecutor(threads) as pool:
        yardstick = dict(zip(docs, pool.map(alone, docs), strict=True))
        found = {}
        for name, pieces in sample.pieces.items():
            windows = np.append(np.unique(pieces.window, return_index=True)[1], pieces.doc.size)
            spans = list(pairwise(windows.tolist()))
            costs = pool.map(lambda span, pieces=pieces: _inside(sample.texts, pieces, span, coder), spans)
            inside = np.concatenate([np.empty((3, 0), dtype=np.int64), *costs], axis=1)
            found[name] = _scored(pieces, inside, yardstick, edges, sample.warm)
    return found


def _edges(sample: Sample) -> dict[int, NDArray[np.int64]]:
    """Where pieces of each document begin and end, in any plan."""
    doc = np.concatenate([np.repeat(pieces.doc, 2) for pieces in sample.pieces.values()])
    place = np.concatenate([np.column_stack((pieces.begin, pieces.end)).ravel() for pieces in sample.pieces.values()])
    pairs = np.unique(np.column_stack((doc, place)), axis=0)
    docs, firsts = np.unique(pairs[:, 0], return_index=True)
    return dict(zip(docs.tolist(), np.split(pairs[:, 1], firsts[1:]), strict=True))


def _alone(
    text: bytes, edges: NDArray[np.int64], coder: Coder, window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the document costs up to each edge, by both coders; deflate's costs spread evenly within a window."""
    by_ngram, by_deflate = np.zeros(edges.size, dtype=np.int64), np.zeros(edges.size, dtype=np.int64)
    for begin in range(0, len(text), window):
        end = min(begin + window, len(text))
        inside = np.clip(edges, begin, end) - begin
        if inside[-1] == 0 or inside[0] == end - begin:  # no piece touches it
            continue
        sums = np.concatenate(([0], np.cumsum(coder.costs(text[begin:end]), dtype=np.int64)))
        by_ngram += sums[inside]
        by_deflate += deflate_cost(text[begin:end]) * inside // (end - begin)
    return by_ngram, by_deflate


def _inside(texts: Mapping[int, bytes], pieces: Pieces, span: tuple[int, int], coder: Coder) -> NDArray[np.int64]:
    """What the pieces of a window cost there, (3, pieces): see `CODERS`."""
    begin, end = span
    rows = zip(*(getattr(pieces, name)[begin:end].tolist() for name in ("doc", "begin", "end")), strict=True)
    parts = [texts[doc][first:last] for doc, first, last in rows]
    bounds = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    whole = b"".join(parts)
    sums = np.concatenate(([0], np.cumsum(coder.costs(whole), dtype=np.int64)))
    starts = bounds[:-1].tolist()
    deflated = [
        deflate_cost(part, whole[max(0, at - DEFLATE_WINDOW) : at]) for part, at in zip(parts, starts, strict=True)
    ]
    # a piece that begins its document costs under masks what it costs in the yardstick
    masked = [
        int(coder.costs(part).sum()) if first and part else -1
        for part, first in zip(parts, pieces.begin[begin:end].tolist(), strict=True)
    ]
    return np.array([np.diff(sums[bounds]), deflated, masked], dtype=np.int64).reshape(3, -1)


def _scored(
    pieces: Pieces,
    inside: NDArray[np.int64],
    yardstick: Mapping[int, tuple[NDArray[np.int64], NDArray[np.int64]]],
    edges: Mapping[int, NDArray[np.int64]],
    warm: NDArray[np.int64],
) -> Gains:
    rows = np.flatnonzero(~np.isin(pieces.doc, warm) & (pieces.end > pieces.begin))
    alone = np.array([_between(pieces, row, yardstick, edges) for row in rows.tolist()], dtype=np.int64).reshape(-1, 2)
    by_ngram, by_deflate, masked = inside[:, rows]
    saved = {
        N_GRAM: alone[:, 0] - by_ngram,
        DEFLATE: alone[:, 1] - by_deflate,
        MASKED: np.where(masked < 0, 0, alone[:, 0] - masked),
    }
    return Gains(
        pieces.doc[rows], (pieces.end - pieces.begin)[rows], pieces.tokens_before[rows], pieces.window[rows], saved
    )


def _between(
    pieces: Pieces,
    row: int,
    yardstick: Mapping[int, tuple[NDArray[np.int64], NDArray[np.int64]]],
    edges: Mapping[int, NDArray[np.int64]],
) -> list[int]:
    doc = int(pieces.doc[row])
    first, last = np.searchsorted(edges[doc], (pieces.begin[row], pieces.end[row]))
    return [int(sums[last] - sums[first]) for sums in yardstick[doc]]
