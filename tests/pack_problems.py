"""Small problems for the kernels of the planner, and what windows are worth by the definition, pair by pair."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pytest

from icp.kernels import (
    pack_bonds,
    pack_fit,
    pack_lay,
    pack_moves,
    pack_near,
    pack_orient,
    pack_pieces,
    pack_pour,
    pack_pour_step,
    pack_reach,
    pack_repair,
    pack_search,
    pack_state,
    pack_step,
    pack_worth,
)
from icp.kernels.pack_bonds import new_bonds
from icp.kernels.pack_reach import new_reach
from icp.kernels.pack_state import LONG, MOST_LOOSE, PIECE, WHOLE, Items
from icp.kernels.pack_step import MAX_MEMBERS, Rules, Scratch, Search

MODULES = (
    pack_bonds,
    pack_fit,
    pack_lay,
    pack_near,
    pack_moves,
    pack_orient,
    pack_pieces,
    pack_pour,
    pack_pour_step,
    pack_reach,
    pack_repair,
    pack_search,
    pack_state,
    pack_step,
    pack_worth,
)
CAPACITY = 12
BOND = 0.7

both = pytest.mark.parametrize("mode", ["compiled", "python"])


@contextmanager
def running(mode):
    """The kernels of the planner, and those that they call, as plain Python if `mode` says so."""
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES if mode == "python" else ():
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    patch.setattr(module, name, value.py_func)
        yield


def run(mode, module, name):
    """A kernel of a module, to be called compiled or as plain Python."""

    def call(*args):
        with running(mode):
            return getattr(module, name)(*args)

    return call


@dataclass
class Problem:
    """Items in windows, as lists; a document's pieces follow one another."""

    doc: list
    vectors: np.ndarray
    tokens: list
    weight: list
    neighbors: list
    foes: set
    group: list
    window: list
    window_group: list
    long: set = field(default_factory=set)
    scale2: float = field(init=False)

    def __post_init__(self):
        longest2 = (self.vectors.astype(int) ** 2).sum(axis=1).max()
        self.scale2 = float(max(longest2, 1))  # no cosine is above 1

    @property
    def n(self):
        return len(self.doc)

    def clash(self, i, j):
        return self.group[i] != self.group[j] or frozenset((self.doc[i], self.doc[j])) in self.foes

    def kind(self, i, weight):
        return LONG if self.doc[i] in self.long else PIECE if weight[i] != 1 else WHOLE

    def like(self, i, j):
        """Cosine of two that list each other, 0 for others; of a document in pieces the first counts."""
        first = all(self.doc.index(self.doc[each]) == each for each in (i, j))
        mutual = j in self.neighbors[i] and i in self.neighbors[j] and self.doc[i] != self.doc[j]
        return float(np.float32(max(0, cosine(self, i, j)))) if first and mutual else 0.0

    def items(self):
        conflicts = [
            [j for j in range(self.n) if frozenset((self.doc[i], self.doc[j])) in self.foes] for i in range(self.n)
        ]
        bounds = np.cumsum([0, *map(len, conflicts)]).astype(np.int64)
        return Items(
            self.vectors.copy(),
            np.array(self.doc, np.int64),
            np.array(self.tokens, np.int64),
            np.array(self.weight, np.float64),
            (self.vectors.astype(np.int64) ** 2).sum(axis=1) / self.scale2,
            np.array(self.neighbors, np.int32),
            np.array(
                [[self.like(i, j) if j >= 0 else 0 for j in self.neighbors[i]] for i in range(self.n)], np.float32
            ),
            np.array([BOND]),
            bounds,
            np.array([j for row in conflicts for j in row], np.int32),
            np.array(self.group, np.int32),
            np.array([self.kind(i, self.weight) for i in range(self.n)], np.int8),
            np.array([self.scale2]),
            np.array([np.sqrt(self.scale2)]),
        )

    def start(self):
        """Items and state."""
        items = self.items()
        arrays = np.array(self.window, np.int32), np.array(self.window_group, np.int32)
        return items, pack_state.new_state(items, *arrays)


def problem(seed, *, pieces=True, largest=3, foes=2, n_docs=None, n_windows=0):
    """Documents, some in pieces, in windows without conflict; vectors so short that scaled sums are exact."""
    rng = np.random.default_rng(seed)
    n_docs = int(rng.integers(2, 9)) if n_docs is None else n_docs
    of_doc = rng.integers(-largest, largest + 1, (n_docs, 3)).astype(np.int8)
    group_of = np.where(rng.random(n_docs) < 0.2, 1, 0)
    doc = sorted([*range(n_docs), *(rng.choice(n_docs, n_docs // 3, replace=False).tolist() if pieces else ())])
    weight = []
    for one in dict.fromkeys(doc):
        share = int(rng.integers(1, 256)) / 256
        weight += [1.0] if doc.count(one) == 1 else [share, 1 - share]
    pairs = [frozenset(pair) for pair in combinations(range(n_docs), 2)]
    made = Problem(
        doc,
        of_doc[doc],
        rng.integers(1, 7, len(doc)).tolist(),
        weight,
        [near_of(rng, i, of_doc[doc].astype(int)) for i in range(len(doc))],
        {pairs[at] for at in rng.integers(0, len(pairs), foes)},
        group_of[doc].tolist(),
        [],
        [0] * (n_windows + int(rng.integers(1, 4))) + [1] * (n_windows // 3 + int(rng.integers(1, 3))),
        set(np.flatnonzero(rng.random(n_docs) < 0.15).tolist()) if pieces else set(),
    )
    for i in range(made.n):
        made.window.append(home(rng, made, i))
    return made


def near_of(rng, i, vectors):
    near = [int(j) for j in rng.permutation(len(vectors)) if j != i][: int(rng.integers(1, 7))]
    near.sort(key=lambda j: -int(vectors[i] @ vectors[j]))
    return near + [-1] * (6 - len(near))


def home(rng, made, i):
    """A window that is not closed to the item; a new one if all are."""
    shut = {made.window[j] for j in range(i) if made.clash(i, j) or made.doc[i] == made.doc[j]}
    if made.kind(i, made.weight) != WHOLE:
        loose = [made.window[j] for j in range(i) if made.kind(j, made.weight) != WHOLE]
        shut |= {window for window in loose if loose.count(window) >= MOST_LOOSE}
    open_ones = [w for w, group in enumerate(made.window_group) if group == made.group[i] and w not in shut]
    if not open_ones:
        made.window_group.append(made.group[i])
        open_ones = [len(made.window_group) - 1]
    return int(rng.choice(open_ones))


def rules(problem, *, hard=False, penalty=1.0, linear=0.3, two_sided=True, pairs=True, whole_again=0.15, least=0):
    """What a search may do: softly by a capacity that is often exceeded, hard by one that is not."""
    filled = [0] * len(problem.window_group)
    for i, window in enumerate(problem.window):
        filled[window] += problem.tokens[i]
    capacity = max(CAPACITY, *filled) if hard else CAPACITY
    return Rules(capacity, np.full(1, penalty), hard, linear, two_sided, 20, 20, pairs, whole_again, least)


def search_of(items, state, rules):
    """A search whose best step so far is none, of no gain at all."""
    k, n_windows = items.neighbors.shape[1], state.count.size
    scratch = Scratch(
        np.empty(k, np.int32),
        np.empty(k),
        np.empty(k, np.int64),
        np.empty(MAX_MEMBERS, np.int32),
        *np.empty((3, MAX_MEMBERS)),
        np.full(n_windows, -1, np.int64),
        np.full(1, -1e30),
        np.full(4, -1, np.int64),
    )
    return Search(items, state, rules, scratch, new_bonds(items.doc.size, n_windows), new_reach(n_windows))


# What follows is the definition: every pair of members anew, nothing kept.


@dataclass
class Plan:
    """Where items stand, and how large they are, after pieces that met were joined."""

    window: list
    tokens: list
    weight: list
    joined: int = 0


def plan_of(problem):
    return Plan(list(problem.window), list(problem.tokens), list(problem.weight))


def plan_in(items, state):
    return Plan(state.window.tolist(), items.tokens.tolist(), items.weight.tolist())


def changed(problem, plan, moves):
    """The plan after items went to other windows; pieces of one document that meet are one, under the lower number."""
    new = Plan(list(plan.window), list(plan.tokens), list(plan.weight), plan.joined)
    for i, window in moves.items():
        new.window[i] = window
    for i, j in combinations(range(problem.n), 2):
        if problem.doc[i] == problem.doc[j] and new.window[i] == new.window[j] >= 0:
            new.tokens[i], new.tokens[j] = new.tokens[i] + new.tokens[j], 0
            new.weight[i] = min(1.0, new.weight[i] + new.weight[j])
            new.window[j], new.joined = -1, new.joined + 1
    return new


def cosine(problem, i, j):
    return int(problem.vectors[i].astype(int) @ problem.vectors[j].astype(int)) / problem.scale2


def members_of(plan, window):
    return [i for i, mine in enumerate(plan.window) if mine == window]


def pairs_of(problem, plan, window):
    """Sum over the members of weight times the cosines to the others."""
    members = members_of(plan, window)
    return sum(plan.weight[i] * cosine(problem, i, j) for i in members for j in members if j != i)


def worth_of(problem, plan, window):
    return pairs_of(problem, plan, window) / max(len(members_of(plan, window)) - 1, 1)


def best_of(problem, plan, i):
    """Cosine to the nearest of its window, and to the next."""
    mates = [j for j in members_of(plan, plan.window[i]) if j != i] if plan.window[i] >= 0 else []
    return sorted([0.0, 0.0, *(problem.like(i, j) for j in mates)], reverse=True)[:2]


def bonds_of(problem, plan, window):
    return sum(best_of(problem, plan, i)[0] for i in members_of(plan, window))


def price_of(rules, tokens):
    """What a window of so many tokens costs."""
    if rules.hard:
        return np.inf if tokens > rules.seq_len else 0.0
    share = tokens / rules.seq_len - 1
    share = abs(share) if rules.two_sided else max(share, 0)
    return float(rules.penalty[0]) * (rules.linear * share + share**2)


def filled_of(plan, window):
    return sum(plan.tokens[i] for i in members_of(plan, window))


def total_of(problem, plan, rules):
    """What all windows are worth, less what they cost, and what joined pieces gained."""
    windows = range(len(problem.window_group))
    found = sum(worth_of(problem, plan, w) - price_of(rules, filled_of(plan, w)) for w in windows)
    found += BOND * sum(bonds_of(problem, plan, w) for w in windows)
    return found + plan.joined * rules.whole_again


def gain_of(problem, plan, rules, moves):
    """What a step gains, penalties and all."""
    return total_of(problem, changed(problem, plan, moves), rules) - total_of(problem, plan, rules)


def cost_of(problem, plan, rules, moves):
    """What a step costs in penalties alone."""
    after = changed(problem, plan, moves)
    windows = range(len(problem.window_group))
    return sum(price_of(rules, filled_of(after, w)) - price_of(rules, filled_of(plan, w)) for w in windows)


def may_enter(problem, plan, i, window):
    """No other group, no document in conflict and not too many that are no whole documents stand in the window."""
    mates = [j for j in members_of(plan, window) if j != i]
    loose = [j for j in mates if problem.kind(j, plan.weight) != WHOLE]
    twins = any(problem.doc[j] == problem.doc[i] for j in mates)
    if problem.kind(i, plan.weight) != WHOLE and len(loose) >= MOST_LOOSE and not twins:
        return False
    return problem.window_group[window] == problem.group[i] and not any(problem.clash(i, j) for j in mates)


def check_state(problem, items, state):
    """The state is the one that is made anew from where the items stand."""
    plan = plan_in(items, state)
    for window in range(state.count.size):
        members, linked = members_of(plan, window), []
        i, before = int(state.first[window]), -1
        while i >= 0:
            assert state.before[i] == before
            linked.append(i)
            i, before = int(state.after[i]), i
        assert sorted(linked) == members
        weights = [plan.weight[i] for i in members]
        assert (state.count[window], state.filled[window]) == (len(members), filled_of(plan, window))
        assert state.light[window] == sum(weight != 1 for weight in weights)
        assert state.loose[window] == sum(problem.kind(i, plan.weight) != WHOLE for i in members)
        assert state.mass[window] == pytest.approx(sum(weights), abs=1e-12)
        own = sum(plan.weight[i] * cosine(problem, i, i) for i in members)
        assert state.own[window] == pytest.approx(own, abs=1e-9)
        rows = problem.vectors[members].astype(int)
        assert state.sums[window].tolist() == rows.sum(axis=0).tolist()
        both_ways = (rows * (1 + np.array(weights))[:, None]).sum(axis=0) / problem.scale2
        assert (state.scaled[window] * state.unit[window]).tolist() == pytest.approx(both_ways.tolist(), abs=1e-9)
        assert state.pairs[window] == pytest.approx(pairs_of(problem, plan, window), abs=1e-9)
        assert state.bonds[window] == pytest.approx(bonds_of(problem, plan, window), abs=1e-9)
        for i in members:
            assert [state.best[i], state.second[i]] == best_of(problem, plan, i)
            without = changed(problem, plan, {i: -1})
            assert state.lean[i] == pytest.approx(state.bonds[window] - bonds_of(problem, without, window), abs=1e-9)


def check_plan(problem, plan):
    """Every token stands somewhere, no group is mixed, no conflict shares a window."""
    for one in set(problem.doc):
        mine = [i for i in range(problem.n) if problem.doc[i] == one]
        assert sum(plan.tokens[i] for i in mine if plan.window[i] >= 0) == sum(problem.tokens[i] for i in mine)
        here = [plan.window[i] for i in mine if plan.window[i] >= 0]
        assert len(here) == len(set(here)), "pieces that met are one"
    for i in range(problem.n):
        assert plan.window[i] < 0 or may_enter(problem, plan, i, plan.window[i])
