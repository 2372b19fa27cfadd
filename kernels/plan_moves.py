"""Steps that could make a plan better: a move, a swap of two, a chain through three windows, one item for two.

In: a `Search`, the item that leaves. Out: the best step so far, in ``search.scratch``. Nothing is checked.
"""

from icp.kernels._jit import kernel
from icp.kernels.plan_state import clashes, dot_items, pull, tie, value
from icp.kernels.plan_step import MAX_MEMBERS, UNKNOWN, Join, Leave, Search, keep_best, penalty

SWAP_COST = 0.35  # steps that cost more in penalty than this hardly ever gain
PAIR_COST = 0.2
CHAIN_GAIN = 0.02  # a chain begins with a move that is at least so good
CHAIN_NEIGHBORS = 8


@kernel
def propose_move(search: Search, leave: Leave, join: Join) -> float:
    """Try to move the item; returns what the move gains before penalties."""
    items, state, rules = search.items, search.state, search.rules
    b = join.window
    gain = leave.left + value(join.pairs, state.count[b] + 1) - leave.worth - join.worth
    cost = leave.less + penalty(rules, state.filled[b] + items.tokens[leave.item]) - leave.paid - join.paid
    keep_best(search.scratch, gain - cost, (b, -1), (-1, -1))
    return gain


@kernel
def list_members(search: Search, window: int) -> int:
    """Put up to MAX_MEMBERS members into the scratch; returns how many."""
    state, scratch = search.state, search.scratch
    n_members = 0
    j = state.first[window]
    while j >= 0 and n_members < MAX_MEMBERS:
        scratch.member[n_members] = j
        scratch.to_leaver[n_members] = UNKNOWN
        scratch.to_left[n_members] = UNKNOWN
        n_members += 1
        j = state.after[j]
    return n_members


@kernel
def propose_swaps(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to exchange the item with one member of the window."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    i, a, b = leave.item, leave.window, join.window
    own, tokens, bounds = items.weight[i], items.tokens[i], items.conflict_bounds
    paid, worth = leave.paid + join.paid, leave.worth + join.worth
    for place in range(n_members):
        j = scratch.member[place]
        more = items.tokens[j] - tokens
        cost = penalty(rules, state.filled[a] + more) + penalty(rules, state.filled[b] - more) - paid
        if cost >= SWAP_COST or (bounds[j] < bounds[j + 1] and clashes(items, state, j, a)):
            continue
        scratch.to_leaver[place] = dot_items(items.vectors, i, j) / items.scale2[0]
        scratch.to_left[place] = pull(items, state, j, a)
        shared = (own + items.weight[j]) * scratch.to_leaver[place]
        gain = value(leave.pairs + scratch.to_left[place] - shared, state.count[a])
        gain += value(join.pairs - tie(items, state, j) - shared, state.count[b])
        keep_best(scratch, gain - worth - cost, (b, j), (-1, -1))


@kernel
def propose_chains(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to move the item in, and a member on to a window of one of its own neighbours."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    i, b = leave.item, join.window
    spent = leave.less - leave.paid - join.paid
    for place in range(n_members):
        j = scratch.member[place]
        if scratch.to_leaver[place] == UNKNOWN:
            scratch.to_leaver[place] = dot_items(items.vectors, i, j) / items.scale2[0]
        cost = penalty(rules, state.filled[b] + items.tokens[i] - items.tokens[j]) + spent
        shared = (items.weight[i] + items.weight[j]) * scratch.to_leaver[place]
        base = value(join.pairs - tie(items, state, j) - shared, state.count[b])
        base += leave.left - leave.worth - join.worth - cost
        most = 1 + items.weight[j]  # no window gains more from a new member
        if base + most <= scratch.gain[0]:
            continue
        last = -1
        for near in items.neighbors[j, :CHAIN_NEIGHBORS]:
            c = state.window[near] if near >= 0 else -1
            if c < 0 or c == leave.window or c == b or c == last:
                continue
            last = c
            cost = penalty(rules, state.filled[c] + items.tokens[j]) - penalty(rules, state.filled[c])
            if base - cost + most <= scratch.gain[0] or clashes(items, state, j, c):
                continue
            gain = value(state.pairs[c] + pull(items, state, j, c), state.count[c] + 1)
            gain -= value(state.pairs[c], state.count[c])
            keep_best(scratch, base + gain - cost, (b, j), (-1, c))


@kernel
def propose_pairs(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to exchange the item for two members of the window."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    a, b, tokens = leave.window, join.window, items.tokens[leave.item]
    paid = leave.paid + join.paid
    for place in range(n_members):
        first = items.tokens[scratch.member[place]] - tokens
        for second in range(place + 1, n_members):
            more = first + items.tokens[scratch.member[second]]
            cost = penalty(rules, state.filled[a] + more) + penalty(rules, state.filled[b] - more) - paid
            if cost < PAIR_COST:
                _propose_pair(search, leave, join, (place, second), cost)


@kernel
def _propose_pair(search: Search, leave: Leave, join: Join, places: tuple[int, int], cost: float) -> None:
    items, state, scratch = search.items, search.state, search.scratch
    i, a, b, u, v = leave.item, leave.window, join.window, places[0], places[1]
    j, h = scratch.member[u], scratch.member[v]
    if clashes(items, state, j, a) or clashes(items, state, h, a):
        return
    for place in places:
        member = scratch.member[place]
        if scratch.to_leaver[place] == UNKNOWN:
            scratch.to_leaver[place] = dot_items(items.vectors, i, member) / items.scale2[0]
        if scratch.to_left[place] == UNKNOWN:
            scratch.to_left[place] = pull(items, state, member, a)
    own, w, x = items.weight[i], items.weight[j], items.weight[h]
    both = (w + x) * (dot_items(items.vectors, j, h) / items.scale2[0])
    shared = (own + w) * scratch.to_leaver[u] + (own + x) * scratch.to_leaver[v]
    pairs_a = leave.pairs + scratch.to_left[u] + scratch.to_left[v] + both - shared
    pairs_b = join.pairs - tie(items, state, j) - tie(items, state, h) + both - shared
    gain = value(pairs_a, state.count[a] + 1) + value(pairs_b, state.count[b] - 1)
    keep_best(scratch, gain - leave.worth - join.worth - cost, (b, j), (h, -1))
