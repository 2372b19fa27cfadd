"""The plan of a pack without removed documents: windows planned anew where that is needed.

In: a finished pack of a run. Out: what becomes of its windows; `icp.remove.rewriting` makes that so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.data import PackPlan
from icp.errors import ConfigError
from icp.pack.tail import Related
from icp.pack.training_order import merge_orders, renumber, training_order
from icp.pack.without import Reduced, Setting, without_documents
from icp.run.arrays import load_nodes, load_order, load_plan, path_rank
from icp.run.context import Context
from icp.run.names import TAIL
from icp.run.removed import among
from icp.steps.windows.inputs import Inputs, load_inputs, load_tail, mix_of
from icp.steps.windows.tails import plain_tokens


@dataclass(frozen=True, slots=True)
class NewPlan:
    """What becomes of the windows of a pack.

    Attributes:
        reduced: the windows that stay, in their old order.
        plan, path_rank: as the step `windows` leaves them; windows in training order.
        tail: what `pack.tail`, and a removal that drops windows, repeat or leave out; None if there is nothing.
        n_before: windows before.
        n_random: windows, the last ones on the path, that are packed at random.
        passes: the first window of each pass, and their number; None for a pack without passes.
        n_tokens: tokens of the removed documents that stood in windows, specials not counted.
    """

    reduced: Reduced
    plan: PackPlan
    path_rank: NDArray[np.int64]
    tail: NDArray[np.int64] | None
    n_before: int
    n_random: int
    n_tokens: int
    passes: list[int] | None = None

    @property
    def lost_nodes(self) -> NDArray[np.int64]:
        """Documents of which something stands in no window any more, though they were to stay."""
        return np.unique(self.reduced.lost[:, 0])


def new_plan(context: Context, docs: NDArray[np.int64], how: str) -> NewPlan:
    """The plan of a finished pack without these documents (ascending)."""
    inputs, nodes = load_inputs(context), load_nodes(context)
    gone = among(nodes, docs)
    whole = load_plan(context)
    plan = PackPlan(*(np.array(getattr(whole, name), np.int64) for name in PackPlan.__slots__))
    rank, facts = np.array(path_rank(context)), context.manifest("windows").facts
    n_random = int(facts.get("random_windows", 0))
    tail = _tail_of(context)
    is_random = rank >= rank.size - n_random
    of_pass = _pass_of_windows(context, rank.size)
    if how == "drop" and context.config.pack.epochs > 1:
        raise ConfigError(
            f"pack {context.pack} has several passes, which --windows drop cannot treat; use replan or mask"
        )
    reduced = without_documents(
        plan,
        gone,
        how,
        _setting(context, inputs),
        repeated=_repeats(plan, tail),
        kind=is_random + 2 * of_pass,
        path=rank,
    )
    is_random, of_pass = is_random[reduced.window], of_pass[reduced.window]
    sizes = np.bincount(of_pass, minlength=context.config.pack.epochs)
    made, new_rank = _in_training(context, reduced, rank, (is_random, sizes))
    number = dict(zip(reduced.window.tolist(), _renumbered(reduced, rank, new_rank).tolist(), strict=True))
    left = _old_tail(tail, gone, reduced, how, number)
    if how == "replan" and context.config.pack.tail != "pad" and sizes.size == 1:
        made, filled = _filled(context, inputs, gone, made, reduced, number)
        left = np.concatenate((left, filled))
    stood = gone[plan.doc]
    spans = np.stack((plan.doc, plan.start, plan.stop), axis=1)[stood]
    n_tokens = int(plain_tokens(spans, inputs.lengths, inputs.specials).sum())
    keeps_tail = context.config.pack.lists_tail or left.size
    firsts = [0, *np.cumsum(sizes).tolist()] if sizes.size > 1 else None
    kept = left if keeps_tail else None
    return NewPlan(reduced, made, new_rank, kept, rank.size, int(is_random.sum()), n_tokens, firsts)


def _pass_of_windows(context: Context, n_windows: int) -> NDArray[np.int64]:
    """(n_windows,) int64: the pass that each window belongs to."""
    firsts = context.manifest("windows").facts.get("passes", [0])
    return np.asarray(np.searchsorted(firsts[1:], np.arange(n_windows), side="right"), np.int64)


def _setting(context: Context, inputs: Inputs) -> Setting:
    order, n_nodes = load_order(context), inputs.nodes.size
    place = np.empty(n_nodes, np.int64)
    place[order] = np.arange(n_nodes)
    method = PACK_METHODS[context.config.pack.method]
    group = np.zeros(n_nodes, np.int64) if inputs.groups is None else inputs.groups
    return Setting(
        inputs.lengths, context.config.capacity, inputs.embeddings, place, context.config.pack.inside, group,
        np.asarray(inputs.conflicts), method is PACK_METHODS["single"],
    )  # fmt: skip


def _tail_of(context: Context) -> NDArray[np.int64]:
    found = load_tail(context)
    if found is None and TAIL in context.manifest("windows").files:  # of an earlier removal
        found = np.load(context.path("windows", TAIL))
    return np.empty((0, 4), np.int64) if found is None else np.asarray(found, np.int64)


def _repeats(plan: PackPlan, tail: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(segments,) bool: pieces that `pack.tail` repeats."""
    again = {tuple(row) for row in tail[tail[:, 3] >= 0][:, [0, 1, 3]].tolist()}
    if not again:
        return np.zeros(plan.doc.size, np.bool_)
    rows = zip(plan.doc.tolist(), plan.start.tolist(), plan.window.tolist(), strict=True)
    return np.fromiter((row in again for row in rows), np.bool_, plan.doc.size)


def _dense(rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ranks of the windows that stay among themselves."""
    dense = np.empty(rank.size, np.int64)
    dense[np.argsort(rank, kind="stable")] = np.arange(rank.size)
    return dense


def _in_training(
    context: Context, reduced: Reduced, rank: NDArray[np.int64], kinds: tuple[NDArray[np.bool_], NDArray[np.int64]]
) -> tuple[PackPlan, NDArray[np.int64]]:
    """The plan in training order, and the rank along the path of each window: as before, less what is gone.

    Lanes are laid anew, pass by pass, if a window is gone: each must go on where it was.

    Args: kinds, whether each window is packed at random, and windows of each pass.
    """
    dense, shuffle, seed = _dense(rank[reduced.window]), context.config.pack.shuffle, context.config.seed
    if not shuffle.startswith("lanes:") or reduced.window.size == rank.size:
        return reduced.plan, dense
    is_random, sizes = kinds
    n_random, orders, first = int(is_random.sum()), [], 0
    for size in sizes.tolist():
        n_path = size - (n_random if sizes.size == 1 else 0)
        loose = training_order(size - n_path, shuffle="random", seed=seed) + n_path
        related = training_order(n_path, shuffle=shuffle, seed=seed)
        orders.append(merge_orders(related, loose, mix_of(context.config))[0] + first)
        first += size
    merged, along = np.concatenate(orders), reduced.plan
    window = dense[along.window]
    rows = np.argsort(window, kind="stable")
    return renumber(PackPlan(along.doc[rows], along.start[rows], along.stop[rows], window[rows]), merged), merged


def _renumbered(reduced: Reduced, rank: NDArray[np.int64], new_rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n_windows,) int64: the number in training order of each window of `reduced`."""
    trained_at = np.empty(new_rank.size, np.int64)
    trained_at[new_rank] = np.arange(new_rank.size)
    return np.asarray(trained_at[_dense(rank[reduced.window])])


def _old_tail(
    tail: NDArray[np.int64], gone: NDArray[np.bool_], reduced: Reduced, how: str, number: Mapping[int, int]
) -> NDArray[np.int64]:
    """What the tail still says, windows under their new numbers, and the pieces that were dropped."""
    changed = set(reduced.window[reduced.changed].tolist())
    rows = []
    for doc, start, stop, window in tail.tolist():
        if gone[doc] or (window >= 0 and (window not in number or (how == "replan" and window in changed))):
            continue
        rows.append((doc, start, stop, number[window] if window >= 0 else -1))
    rows += [(*piece, -1) for piece in reduced.lost.tolist()]
    return np.array(rows, np.int64).reshape(-1, 4)


def _filled(
    context: Context,
    inputs: Inputs,
    gone: NDArray[np.bool_],
    plan: PackPlan,
    reduced: Reduced,
    number: Mapping[int, int],
) -> tuple[PackPlan, NDArray[np.int64]]:
    """The plan with the room of changed windows filled, where `pack.tail` leaves none, and what fills it."""
    windows = np.sort(np.array([number[int(old)] for old in reduced.window[reduced.changed]], np.int64))
    here = among(plan.window, windows)
    order, conflicts = load_order(context), np.asarray(inputs.conflicts)
    lengths = np.where(gone, 0, inputs.lengths)
    related = Related(inputs.graph, order, lengths, inputs.specials, inputs.groups, conflicts)
    own = PackPlan(plan.doc[here], plan.start[here], plan.stop[here], np.searchsorted(windows, plan.window[here]))
    found, added = related.fill(own, context.config.capacity)
    columns = [np.concatenate((getattr(plan, name)[~here], getattr(found, name))) for name in ("doc", "start", "stop")]
    window = np.concatenate((plan.window[~here], windows[found.window]))
    rows = np.argsort(window, kind="stable")
    added = added.copy()
    added[:, 3] = windows[added[:, 3]]
    return PackPlan(*(column[rows] for column in (*columns, window))), added
