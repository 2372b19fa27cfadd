"""What pieces save, and the windows they stand in, on texts small enough to reckon by hand."""

import numpy as np
import pytest

from icp.data import PackPlan
from icp.probe.arms import redealt
from icp.probe.coder import UNIT, deflate_cost, warm_coder
from icp.probe.figures import _before, _headless, _seen
from icp.probe.gains import DEFLATE, MASKED, N_GRAM, gains_of
from icp.probe.sample import Pieces, Sample

FOX = b"the quick brown fox jumps over the lazy dog and runs into the dark wood"
SEA = b"sailors of seven seas sing of storms; ships sink, shells and salt remain"
WARM = {9: b"some other words entirely, of no use to anyone"}


def plan_of(*rows):
    return PackPlan(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


def pieces_of(*rows):
    doc, begin, end, window = np.array(rows, dtype=np.int64).T
    return Pieces(doc, begin, end, window, np.zeros_like(doc))


def measured(texts, *rows, window=10_000, threads=1):
    sample = Sample({**texts, **WARM}, {"one": pieces_of(*rows)}, np.array([9]))
    coder = warm_coder(WARM.values())
    return gains_of(sample, coder, lambda doc: window, threads=threads)["one"], coder


def test_a_document_alone_saves_nothing():
    found, _ = measured({0: FOX}, (0, 0, len(FOX), 0))
    assert {name: saved.tolist() for name, saved in found.saved.items()} == {N_GRAM: [0], DEFLATE: [0], MASKED: [0]}


def test_a_copy_saves_nearly_all_and_another_text_nearly_nothing():
    n = len(FOX)
    found, coder = measured({0: FOX, 1: FOX, 2: SEA}, (0, 0, n, 0), (1, 0, n, 0), (0, 0, n, 1), (2, 0, len(SEA), 1))
    alone = coder.costs(FOX).sum()
    assert found.saved[N_GRAM][1] > 0.5 * alone
    assert abs(found.saved[N_GRAM][3]) < 0.05 * alone
    assert found.saved[DEFLATE][1] == deflate_cost(FOX) - deflate_cost(FOX, FOX) > 0
    assert found.saved[N_GRAM][[0, 2]].tolist() == [0, 0]
    assert found.n_bytes.tolist() == [n, n, n, len(SEA)]


def test_a_cut_pays_for_what_it_loses():
    text = FOX + b" " + FOX
    half = len(FOX) + 1
    found, coder = measured({0: text}, (0, 0, half, 0), (0, half, len(text), 1))
    costs = coder.costs(text)
    lost = int(costs[half:].sum() - coder.costs(text[half:]).sum())
    assert lost < 0
    assert found.saved[N_GRAM].tolist() == [0, lost]
    assert found.saved[MASKED].tolist() == [0, lost]
    assert found.saved[DEFLATE].sum() < 0


def test_a_document_longer_than_a_window_is_cut_in_the_yardstick_too():
    text = FOX + FOX
    n = len(FOX)
    found, _ = measured({0: text}, (0, 0, n, 0), (0, n, 2 * n, 1), window=n)
    assert found.saved[N_GRAM].tolist() == [0, 0]
    assert found.saved[DEFLATE].tolist() == [0, 0]


def test_documents_that_were_read_first_are_context_but_are_not_scored():
    found, _ = measured({0: FOX}, (9, 0, len(WARM[9]), 0), (0, 0, len(FOX), 0))
    assert found.doc.tolist() == [0]


def test_threads_change_nothing():
    texts = {n: FOX[n:] + SEA[n:] for n in range(6)}
    rows = [(n, 0, len(texts[n]), n // 2) for n in range(6)]
    one, two = (measured(texts, *rows, threads=threads)[0] for threads in (1, 3))
    for name in one.saved:
        np.testing.assert_array_equal(one.saved[name], two.saved[name])


def test_redealt_windows_hold_every_document_once_and_other_neighbours():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 9, 60)
    ends = np.cumsum(lengths)
    rows = [(doc, 0, length, (end - 1) // 16) for doc, (length, end) in enumerate(zip(lengths, ends, strict=True))]
    plan = plan_of(*rows)
    dealt = redealt(plan, 4, 16, seed=1)
    first = np.searchsorted(plan.window, 4)  # the documents of the first batch come first, in another order
    assert sorted(
        set(dealt.doc[: np.searchsorted(np.cumsum(dealt.stop - dealt.start), lengths[:first].sum()) + 1])
    ) == [*range(first)]
    tokens = np.zeros(60, dtype=np.int64)
    np.add.at(tokens, dealt.doc, dealt.stop - dealt.start)
    assert tokens.tolist() == lengths.tolist()
    assert np.bincount(dealt.window, dealt.stop - dealt.start).max() <= 16
    assert dealt.doc.tolist() != plan.doc.tolist()


def test_pieces_of_a_document_in_one_batch_are_one_again():
    plan = plan_of((0, 0, 6, 0), (0, 6, 9, 1), (1, 0, 4, 1))
    dealt = redealt(plan, 2, 20, seed=0)
    assert sorted(zip(dealt.doc.tolist(), dealt.start.tolist(), dealt.stop.tolist(), strict=True)) == [
        (0, 0, 9),
        (1, 0, 4),
    ]


def test_what_a_token_can_see():
    plan = plan_of((0, 0, 4, 0), (1, 2, 8, 0), (2, 0, 5, 1))
    plain, masked = _before(plan)
    every = sorted([*range(10), *range(5)])
    assert _seen(plain, plan)[2] == pytest.approx(np.percentile(every, 50), abs=1)
    alone = sorted([*range(4), *range(6), *range(5)])
    assert _seen(masked, plan)[2] == pytest.approx(np.percentile(alone, 50), abs=1)
    assert _seen(plain, plan)[-1] == pytest.approx(np.percentile(every, 90), abs=1)
    assert _headless(plan) == 6 / 15
    assert UNIT == 65536
