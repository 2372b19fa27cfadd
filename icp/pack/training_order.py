"""The order in which windows are trained, and a share of windows that are packed at random.

In: numbers of windows, a plan, the documents' lengths. Out: the window of each step of training; the documents that
are packed at random, and where their windows come, constant or on a schedule; another order of pieces inside windows.
A start on random windows keeps a model from leaning on context for what it should know by heart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.errors import ConfigError
from icp.pack.lanes import lane_order, lanes_of
from icp.pack.spread import best_stride, strided
from icp.streams import INSIDE, MIX, SHUFFLE

_GRID = 1 << 16


@dataclass(frozen=True, slots=True)
class Mix:
    """The share of random windows along training order: from `begin`, straight to `end` at `over`, then constant.

    Attributes:
        begin, end: shares, 0 to 1.
        over: part of training order, above 0 and at most 1.
    """

    begin: float
    end: float
    over: float = 1.0

    @property
    def mean(self) -> float:
        """The share over all of training."""
        return self.over * (self.begin + self.end) / 2 + (1 - self.over) * self.end

    def until(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) float64: the share times the training done, at places from 0 to 1 of training order, (n,) float64."""
        ramp = np.minimum(place, self.over)
        sloped = self.begin * ramp + (self.end - self.begin) * ramp * ramp / (2 * self.over)
        return np.asarray(sloped + self.end * (place - ramp))


def random_documents(lengths: NDArray[np.int64], share: float, *, seed: int = 0) -> NDArray[np.bool_]:
    """(n_docs,) bool: documents, drawn by the seed, that hold about `share` of all tokens; empty ones never."""
    chosen = np.zeros(lengths.size, dtype=np.bool_)
    if share <= 0:
        return chosen
    order = MIX.generator(seed).permutation(lengths.size)
    before = np.cumsum(lengths[order]) - lengths[order]
    # a document belongs if its middle token does, so that the share is right on average
    chosen[order] = (before + lengths[order] / 2 < share * int(lengths.sum())) & (lengths[order] > 0)
    return chosen


def merge_orders(
    related: NDArray[np.int64], loose: NDArray[np.int64], mix: Mix
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """One training order of two kinds of windows, each kind in its own order.

    Args:
        related: (n_related,) int64, windows in the order they are trained among themselves.
        loose: (n_loose,) int64, windows packed at random, likewise; other numbers.
        mix: where these come.

    Returns:
        windows: (n_related + n_loose,) int64, all of them in training order.
        is_loose: the same shape, bool.
    """
    grid = np.linspace(0.0, 1.0, _GRID + 1)
    done = mix.until(grid)
    places = [
        np.interp((np.arange(count) + 0.5) / max(1, count) * total[-1], total, grid)
        for count, total in ((related.size, grid - done), (loose.size, done))
    ]
    order = np.argsort(np.concatenate(places), kind="stable")
    is_loose = (np.arange(order.size) >= related.size)[order]
    return np.concatenate((related, loose))[order], is_loose


def training_order(n_windows: int, *, shuffle: str = "random", seed: int = 0) -> NDArray[np.int64]:
    """(n_windows,) int64: the window of the plan (its rank along the path) that comes at each step of training.

    ``spread`` takes windows that are numbered along a path through them, see `icp.pack.spread`.

    Raises: ConfigError for a `shuffle` other than ``spread``, ``random``, ``none`` and ``lanes:<batch>``.
    """
    if shuffle == "none":
        return np.arange(n_windows, dtype=np.int64)
    if shuffle == "random":
        return SHUFFLE.generator(seed).permutation(n_windows).astype(np.int64)
    if shuffle == "spread":
        return strided(n_windows, best_stride(n_windows)[0])
    batch = lanes_of(shuffle)
    if batch is not None:
        return lane_order(n_windows, batch)
    raise ConfigError(f"pack.shuffle is {shuffle!r}; use one of spread, random, none, lanes:<batch>")


def renumber(plan: PackPlan, path_rank: NDArray[np.int64]) -> PackPlan:
    """The plan with window ``path_rank[t]``, (n_windows,) int64, renamed to t; positions inside windows stay."""
    trained_at = np.empty_like(path_rank)
    trained_at[path_rank] = np.arange(path_rank.size, dtype=np.int64)
    window = trained_at[plan.window]
    rows = np.argsort(window, kind="stable")
    return PackPlan(plan.doc[rows], plan.start[rows], plan.stop[rows], window[rows])


def arrange_inside(plan: PackPlan, how: str, lengths: NDArray[np.int64], *, seed: int = 0) -> PackPlan:
    """The same windows with their documents in another order; a piece that begins in mid-document stays first, one that
    does not end its document last.

    Args:
        plan: sorted by window, then position.
        lengths: (n,) int64, tokens of each document.
        how: path | reverse | random.
        seed: of ``random``.
    """
    if how == "path":
        return plan
    place = np.arange(plan.window.size)
    key = -place if how == "reverse" else INSIDE.generator(seed).permutation(place.size)
    part = np.where(plan.stop < lengths[plan.doc], 2, np.where(plan.start > 0, 0, 1))
    rows = np.lexsort((key, part, plan.window))
    return PackPlan(plan.doc[rows], plan.start[rows], plan.stop[rows], plan.window[rows])
