import numpy as np
import pytest

from icp.kernels.pack_first_plan import LEAST_GAIN, LINEAR, Block, Flow, Links, drift, settle

SEQ_LEN = 12


def corpus(seed, n=14, n_windows=4, dim=5):
    """Vectors, tokens, neighbours, conflicts (pairs), a window for each document and a group for each window."""
    random = np.random.default_rng(seed)
    near = [random.permutation(n)[: random.integers(0, 6)].tolist() for _ in range(n)]
    group = np.array([0, 0, 0, 1], np.int32)[:n_windows]
    window = random.integers(0, n_windows, n).astype(np.int32)
    pairs = {tuple(sorted(random.choice(n, 2, replace=False).tolist())) for _ in range(3)}
    vectors = random.integers(-9, 10, (n, dim)).astype(np.int8)
    return vectors, random.integers(1, 8, n), near, pairs, window, group


def csr(rows):
    bounds = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return bounds, np.array([other for row in rows for other in row], np.int32)


def drifted(vectors, tokens, near, pairs, window, group, penalty, kernels=(settle, drift)):
    n, dim = vectors.shape
    n_windows = group.size
    foes = [[b if a == doc else a for a, b in sorted(pairs) if doc in (a, b)] for doc in range(n)]
    stamp = np.full(n_windows, -1, np.int64)
    flow = Flow(
        window.copy(),
        np.zeros((n_windows, dim), np.int32),
        *np.zeros((4, n_windows), np.int64),
        group,
        stamp,
        np.zeros(1, np.int64),
    )
    block = Block(vectors, np.arange(n), tokens.astype(np.int64), (vectors.astype(np.int64) ** 2).sum(axis=1))
    kernels[0](flow, block)
    moved = kernels[1](flow, block, Links(*csr(near), *csr(foes), np.array([20])), SEQ_LEN, (penalty, 81.0))
    return flow, moved


def worth(vectors, tokens, members, penalty):
    """What a window is worth, from its definition: every pair of members, and the penalty."""
    x = vectors[members].astype(float)
    cosines = (x @ x.T).sum() - (x * x).sum()
    over = abs(tokens[members].sum() - SEQ_LEN) / SEQ_LEN
    return (cosines / 81.0 / (len(members) - 1) if len(members) > 1 else 0.0) - penalty * (LINEAR * over + over * over)


def reference(vectors, tokens, near, pairs, window, group, penalty):
    window = window.tolist()

    def total():
        return sum(
            worth(vectors, tokens, [doc for doc in range(len(window)) if window[doc] == each], penalty)
            for each in range(group.size)
        )

    for doc in range(len(window)):
        mine, before = window[doc], total()
        best, most = mine, LEAST_GAIN
        for b in dict.fromkeys(window[other] for other in near[doc]):
            foes = {x + y - doc for x, y in pairs if doc in (x, y)}
            if b == mine or group[b] != group[mine] or any(window[foe] == b for foe in foes):
                continue
            window[doc] = b
            if total() - before > most + 1e-9:
                best, most = b, total() - before
            window[doc] = mine
        window[doc] = best
    return window


@pytest.mark.parametrize("kernels", [(settle, drift), (settle.py_func, drift.py_func)], ids=["compiled", "python"])
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_documents_move_where_the_plan_gains_most(seed, penalty, kernels):
    given = corpus(seed)
    flow, moved = drifted(*given, penalty, kernels)
    assert flow.window.tolist() == reference(*given, penalty)
    assert moved >= np.count_nonzero(flow.window != given[4])


def test_sums_stay_those_of_the_members():
    vectors, tokens, *rest = corpus(3)
    flow, moved = drifted(vectors, tokens, *rest, 1.0)
    assert moved > 0
    for each in range(flow.count.size):
        members = np.flatnonzero(flow.window == each)
        total = vectors[members].astype(np.int64).sum(axis=0)
        assert flow.sums[each].tolist() == total.tolist()
        assert flow.squares[each] == (total**2).sum()
        assert flow.own[each] == (vectors[members].astype(np.int64) ** 2).sum()
        assert (flow.count[each], flow.filled[each]) == (members.size, tokens[members].sum())
