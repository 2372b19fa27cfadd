"""What else is counted of windows: those under `pack.least_fill`, and those that hold near-copies."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.pack.floor import floor_tokens
from icp.pack.starts import window_count
from icp.pack.tail import tokens_of
from icp.plurals import counted
from icp.run.arrays import mapped
from icp.run.context import Context
from icp.run.names import NEAR_COPIES
from icp.steps.windows.inputs import load_plan


def near_copy_figures(context: Context) -> dict[str, Any]:
    """Facts: windows that hold two documents that share most of their words; nothing where words are not compared."""
    if not context.config.graph.compares_texts:
        return {}
    pairs = np.asarray(mapped(context.path("graph", NEAR_COPIES)))
    return {"near_copies": len(pairs), "near_copy_windows": windows_with(load_plan(context), pairs)}


def windows_with(plan: PackPlan, pairs: NDArray[np.int64]) -> int:
    """How many windows hold both documents of one of `pairs` (m, 2) int64."""
    order = np.argsort(plan.doc, kind="stable")
    docs, windows = plan.doc[order], plan.window[order]
    sides = []
    for side in (pairs[:, 0], pairs[:, 1]):
        begin, end = np.searchsorted(docs, side), np.searchsorted(docs, side, side="right")
        number = np.repeat(np.arange(len(pairs)), end - begin)
        place = np.arange(number.size) - np.repeat(np.cumsum(end - begin) - (end - begin), end - begin)
        found = number * max(1, plan.n_windows) + windows[np.repeat(begin, end - begin) + place]
        sides.append(np.unique(found))
    both = np.intersect1d(sides[0], sides[1], assume_unique=True)
    return int(np.unique(both % max(1, plan.n_windows)).size)


def floor_figures(context: Context) -> dict[str, Any]:
    """Facts of a plan with a floor: the windows under it, the emptiest one, and a warning; nothing without a floor."""
    config = context.config
    if not config.pack.least_fill:
        return {}
    tokens = tokens_of(load_plan(context))
    below = int((tokens < floor_tokens(config.pack.least_fill, config.capacity)).sum())
    facts: dict[str, Any] = {"below_least_fill": below, "lowest_fill": int(tokens.min()) / config.capacity}
    if below:
        facts["warnings"] = [
            f"windows: {counted(below, 'window')} of {tokens.size:,} hold less than pack.least_fill "
            f"{config.pack.least_fill:g} (the emptiest {facts['lowest_fill']:.3f}): no window nearby could give them "
            "tokens and stay above it; lower pack.least_fill, raise pack.min_fill or allow cuts (pack.split, "
            "pack.min_piece)"
        ]
    return facts


def missed_fill(context: Context, fill: float) -> list[str]:
    """A warning where planned windows are emptier than `pack.min_fill`, though whole windows would allow that fill."""
    config, n_windows = context.config, load_plan(context).n_windows
    if config.pack.method not in ("windows", "path-fit") or config.pack.tail == "drop":
        return []
    tokens = round(fill * n_windows * config.capacity)
    wanted = window_count(tokens, config.capacity, config.pack.min_fill)
    if n_windows <= wanted:
        return []
    return [
        f"windows: {fill:.4f} of their tokens are text, pack.min_fill is {config.pack.min_fill:g}: "
        f"{counted(n_windows - wanted, 'window')} more than {wanted:,} had to be opened for documents that found no "
        "room; a lower pack.min_piece or pack.split: free lets more be cut, and conflicts and pack.group_by cost room"
    ]
