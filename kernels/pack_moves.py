"""Steps that could make a plan better: a move, a swap of two, a chain through three windows, one item for two.

In: a `Search`, the item that leaves. Out: the best step so far, in ``search.scratch``. Nothing is checked.
"""

from icp.kernels._jit import bare_kernel
from icp.kernels.pack_bonds import comes, enters, enters_at_most, exchange, exchange_at_most, joins, replaces
from icp.kernels.pack_state import WHOLE
from icp.kernels.pack_step import MAX_MEMBERS, UNKNOWN, Join, Leave, Search, keep_best, penalties, penalty
from icp.kernels.pack_worth import clashes, dot_items, dot_window, is_free, pull, tie, value

SWAP_COST = 0.35  # steps that cost more in penalty than this hardly ever gain
PAIR_COST = 0.2
CHAIN_GAIN = 0.02  # a chain begins with a move that is at least so good
CHAIN_NEIGHBORS = 8
NEVER = -1e6


@bare_kernel
def propose_move(search: Search, leave: Leave, join: Join) -> float:
    """Try to move the item; returns what the move gains before penalties."""
    items, state, rules = search.items, search.state, search.rules
    b = join.window
    gain = leave.left + value(join.pairs, state.count[b] + join.grows) - leave.worth - join.worth
    gain += (1 - join.grows) * rules.whole_again
    gain += joins(items, state, search.bonds, leave.item, b)
    tokens = items.tokens[leave.item]
    filled = state.filled[leave.window] - tokens, state.filled[b] + tokens
    cost = penalties(search, leave, b, filled, -1) - leave.paid - join.paid
    keep_best(search.scratch, gain - cost, (b, -1), (-1, -1))
    return gain


@bare_kernel
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


@bare_kernel
def propose_swaps(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to exchange the item with one member of the window."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    # taken out of their tuples once: doing so in the loop costs more than a dot product
    vectors, tokens, weight, bounds, kind = items.vectors, items.tokens, items.weight, items.conflict_bounds, items.kind
    scaled, version, ties, tie_version = state.scaled, state.version, state.tie, state.tie_version
    i, a, b = leave.item, leave.window, join.window
    unit, scale2, filled_a, filled_b = state.unit[a], items.scale2[0], state.filled[a], state.filled[b]
    others_a, others_b = state.count[a] - 1, state.count[b] - 1
    paid, worth = leave.paid + join.paid, leave.worth + join.worth
    for place in range(n_members):
        j = scratch.member[place]
        more = tokens[j] - tokens[i]
        cost = penalties(search, leave, b, (filled_a + more, filled_b - more), j) - paid
        if cost >= SWAP_COST or ((bounds[j] < bounds[j + 1] or kind[j] != WHOLE) and clashes(items, state, j, a)):
            continue
        toward, grows = dot_window(vectors, j, scaled, a) * unit, 1
        if weight[j] != 1:
            if items.doc[i] == items.doc[j]:
                continue
            toward, grows = pull(items, state, j, a)
        tied = ties[j] if tie_version[j] == version[b] else tie(items, state, j)
        like = dot_items(vectors, i, j) / scale2
        scratch.to_leaver[place] = like
        # the pulls are of the windows as they are: with the one that leaves
        gain = value(leave.pairs + toward - (weight[j] + grows * weight[i]) * like, others_a + grows)
        gain += value(join.pairs - tied - (weight[i] + join.grows * weight[j]) * like, others_b + join.grows)
        gain += (2 - grows - join.grows) * rules.whole_again
        gain += replaces(items, state, search.bonds, i, j) + comes(items, search.bonds, j)
        keep_best(scratch, gain - worth - cost, (b, j), (-1, -1))


@bare_kernel
def propose_chains(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to move the item in, and a member on to a window of one of its own neighbours."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    i, b = leave.item, join.window
    spent, count = -leave.paid - join.paid, state.count[b] - 1 + join.grows
    ties, tie_version, version = state.tie, state.tie_version, state.version[b]
    for place in range(n_members):
        j = scratch.member[place]
        if items.doc[j] == items.doc[i]:
            continue
        if scratch.to_leaver[place] == UNKNOWN:
            scratch.to_leaver[place] = dot_items(items.vectors, i, j) / items.scale2[0]
        filled = state.filled[leave.window] - items.tokens[i], state.filled[b] + items.tokens[i] - items.tokens[j]
        cost = penalties(search, leave, b, filled, j) + spent
        shared = (items.weight[i] + join.grows * items.weight[j]) * scratch.to_leaver[place]
        tied = ties[j] if tie_version[j] == version else tie(items, state, j)
        base = value(join.pairs - tied - shared, count)
        base += leave.left - leave.worth - join.worth - cost + (1 - join.grows) * rules.whole_again
        base += replaces(items, state, search.bonds, i, j)
        # no window gains more than that from a new member
        most = 1 + items.weight[j] + enters_at_most(items, state, j)
        if base + most > scratch.gain[0]:
            _propose_onward(search, leave, j, b, (base, most))


@bare_kernel
def _propose_onward(search: Search, leave: Leave, j: int, b: int, bounds: tuple[float, float]) -> None:
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    window, filled, count, pairs = state.window, state.filled, state.count, state.pairs
    tokens, (base, most) = items.tokens[j], bounds
    last = -1
    for near in items.neighbors[j, :CHAIN_NEIGHBORS]:
        c = window[near] if near >= 0 else -1
        closed = c == leave.window or c == b
        if c < 0 or closed or c == last:
            continue
        last = c
        cost = penalty(rules, filled[c] + tokens) - penalty(rules, filled[c])
        if base - cost + most <= scratch.gain[0] or state.group[c] != items.group[j]:
            continue
        if not is_free(items, j) and clashes(items, state, j, c):
            continue
        toward, grows = dot_window(items.vectors, j, state.scaled, c) * state.unit[c], 1
        if items.weight[j] != 1:
            toward, grows = pull(items, state, j, c)
        gain = value(pairs[c] + toward, count[c] + grows) - value(pairs[c], count[c])
        gain += (1 - grows) * rules.whole_again + enters(items, state, j, c)
        keep_best(scratch, base + gain - cost, (b, j), (-1, c))


@bare_kernel
def propose_pairs(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to exchange the item for two members of the window; whole documents only."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    tokens, member, to_left, paid = items.tokens, scratch.member, scratch.to_left, leave.paid + join.paid
    filled_a = state.filled[leave.window] - tokens[leave.item]
    filled_b = state.filled[join.window] + tokens[leave.item]
    if items.kind[leave.item] != WHOLE:
        return
    for u in range(1, n_members):
        for v in range(u):
            both = tokens[member[u]] + tokens[member[v]]
            cost = penalty(rules, filled_a + both) + penalty(rules, filled_b - both) - paid
            if cost >= PAIR_COST:
                continue
            if to_left[u] == UNKNOWN:
                _know(search, leave, u)
            if to_left[v] == UNKNOWN:
                _know(search, leave, v)
            _weigh_pair(search, leave, join, (u, v), cost)


@bare_kernel
def _weigh_pair(search: Search, leave: Leave, join: Join, places: tuple[int, int], cost: float) -> None:
    """Note the exchange of the item for the members at two places, if it is the best so far."""
    items, state, scratch, (u, v) = search.items, search.state, search.scratch, places
    j, h, a, b = scratch.member[u], scratch.member[v], leave.window, join.window
    count_a, count_b = state.count[a] + 1, state.count[b] - 1
    into_a = leave.pairs + scratch.to_left[u] + scratch.to_left[v]
    into_b = join.pairs + scratch.to_stay[u] + scratch.to_stay[v]
    less = leave.worth + join.worth + cost
    most = joins(items, state, search.bonds, leave.item, b)
    most += exchange_at_most(items, state, search.bonds, j) + exchange_at_most(items, state, search.bonds, h)
    # two of one kind at most: no cosine is above 1
    if value(into_a + 2, count_a) + value(into_b + 2, count_b) - less + most <= scratch.gain[0]:
        return
    if items.conflict_bounds[j] < items.conflict_bounds[j + 1] and clashes(items, state, j, a):
        return
    if items.conflict_bounds[h] < items.conflict_bounds[h + 1] and clashes(items, state, h, a):
        return
    like = 2 * (dot_items(items.vectors, j, h) / items.scale2[0])
    found = value(into_a + like, count_a) + value(into_b + like, count_b) - less
    if found + most > scratch.gain[0]:
        keep_best(scratch, found + exchange(items, state, leave.item, (j, h)), (b, j), (h, -1))


@bare_kernel
def _know(search: Search, leave: Leave, place: int) -> None:
    """What a member, coming over, gives the window left, and takes off its own, the leaving item among the others."""
    items, state, scratch = search.items, search.state, search.scratch
    j = scratch.member[place]
    if scratch.to_leaver[place] == UNKNOWN:
        scratch.to_leaver[place] = dot_items(items.vectors, leave.item, j) / items.scale2[0]
    both = 2 * scratch.to_leaver[place]
    whole = items.kind[j] == WHOLE
    toward = dot_window(items.vectors, j, state.scaled, leave.window) * state.unit[leave.window]
    scratch.to_left[place] = toward - both if whole else NEVER
    scratch.to_stay[place] = -tie(items, state, j) - both
