"""Windows that share cut documents: which are reached, how much can be passed on, and what is left when it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import check_plan, check_state, filled_of, plan_in, plan_of, problem, running

from icp.kernels import pack_reach
from icp.kernels.pack_reach import MOST_REACHED

LEAST = 1
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def plain_python():
    """These kernels count no references, so only other kernels can call them when they are compiled."""
    with running("python"):
        yield


def links_of(given_one):
    """(window, window) -> the item in the first and the item in the second, of documents in two windows."""
    found = {}
    for i in range(given_one.n - 1):
        if given_one.doc[i] == given_one.doc[i + 1]:
            a, b = given_one.window[i], given_one.window[i + 1]
            found.setdefault((a, b), []).append((i, i + 1))
            found.setdefault((b, a), []).append((i + 1, i))
    return found


def reached(given_one, items, state, a):
    """The reach of a window, and a row for each that it reaches: window, chain of (near, far) up to the first."""
    reach = pack_reach.new_reach(state.count.size)
    pack_reach.find_reach(items, state, reach, a, LEAST)
    rows = []
    for place in range(reach.count[0]):
        chain, at = [], place
        while at >= 0:
            chain.append((int(reach.near[at]), int(reach.far[at])))
            at = reach.parent[at]
        rows.append((int(reach.window[place]), chain))
    return reach, rows


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_all_windows_that_cut_documents_join_are_reached_nearest_first(seed):
    given_one = problem(seed, n_docs=9, n_windows=3)
    items, state = given_one.start()
    links = links_of(given_one)
    for a in range(state.count.size):
        reach, rows = reached(given_one, items, state, a)
        distance, queue = {a: 0}, [a]
        for here in queue:
            for one, other in links:
                if one == here and other not in distance:
                    distance[other] = distance[here] + 1
                    queue.append(other)
        far = [distance[window] for window, _ in rows]
        assert far == sorted(distance[each] for each in queue[1:])[:MOST_REACHED]
        assert len({window for window, _ in rows}) == len(rows)
        for place, (window, chain) in enumerate(rows):
            assert given_one.window[chain[0][1]] == window
            assert given_one.window[chain[-1][0]] == a
            assert all(pair in links[given_one.window[pair[0]], given_one.window[pair[1]]] for pair in chain)
            assert [given_one.window[near] for near, _ in chain[:-1]] == [given_one.window[far] for _, far in chain[1:]]
            assert reach.give[place] == min(given_one.tokens[far] - LEAST for _, far in chain)
            assert reach.take[place] == min(given_one.tokens[near] - LEAST for near, _ in chain)


@settings(max_examples=150, deadline=None)
@given(seeds, st.integers(-6, 6))
def test_what_fits_fits_when_tokens_are_passed_on(seed, more):
    given_one = problem(seed, n_docs=9, n_windows=3)
    plan = plan_of(given_one)
    for a in range(len(given_one.window_group)):
        items, state = given_one.start()
        reach, rows = reached(given_one, items, state, a)
        for window in set(range(state.count.size)) - {a}:
            place = next((at for at, (each, _) in enumerate(rows) if each == window), -1)
            filled = filled_of(plan, a), filled_of(plan, window)
            seq_len = max(filled) - abs(more)
            over_a, over_b = (each - seq_len for each in filled)
            can = place >= 0 and sum(filled) <= 2 * seq_len
            can = can and over_b <= reach.give[place] and over_a <= reach.take[place]
            assert pack_reach.fits(reach, window, filled, seq_len) == can
            if not can:
                continue
            items, state = given_one.start()
            changed = np.zeros(state.count.size, np.int64)
            pack_reach.pass_on(items, state, reach, window, seq_len, changed, 7)
            after = plan_in(items, state)
            check_state(given_one, items, state)
            check_plan(given_one, after)
            assert after.window == plan.window
            assert max(state.filled[a], state.filled[window]) <= seq_len
            passed = [each for each in range(state.count.size) if filled_of(after, each) != filled_of(plan, each)]
            assert set(passed) <= {a, window}
            assert min(after.tokens) >= LEAST
            moved = {given_one.window[i] for i in range(given_one.n) if after.tokens[i] != plan.tokens[i]}
            assert moved == set(np.flatnonzero(changed == 7).tolist())
            break
