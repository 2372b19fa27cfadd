"""Where a window may begin in mid-document, and where it may leave one open."""

from types import SimpleNamespace

import numpy as np
import pytest

from icp.audit.findings import Breaches
from icp.audit.windows import _check_ends

LATE = "pieces that begin in mid-document behind others"
OPEN = "pieces that leave a document open before others"


def window_part(windows):
    """Windows of pieces (start, stop, length)."""
    pieces = [piece for window in windows for piece in window]
    start, stop, length = (np.array(column) for column in zip(*pieces, strict=True))
    bounds = np.cumsum([0, *map(len, windows)])
    return SimpleNamespace(
        pieces={"doc_start": start, "doc_stop": stop},
        length=length,
        node=np.arange(length.size),
        bounds=bounds,
        window_of=np.repeat(np.arange(len(windows)), np.diff(bounds)),
        shown=lambda piece: f"piece {piece}",
    )


@pytest.mark.parametrize(("windows", "counts"), [
    ([[(4, 9, 9), (0, 3, 3), (0, 2, 5)], [(2, 5, 5)]], {}),
    ([[(0, 3, 3), (4, 9, 9)], [(0, 4, 9)]], {LATE: 1}),
    ([[(4, 9, 9), (2, 5, 5)]], {LATE: 1}),
    ([[(0, 2, 5), (0, 3, 3)]], {OPEN: 1}),
    ([[(3, 7, 9), (0, 3, 3)], [(0, 1, 1), (0, 2, 5), (0, 3, 9)]], {OPEN: 2}),
])  # fmt: skip
def test_only_the_first_piece_begins_in_mid_document_and_only_the_last_is_left_open(windows, counts):
    found = Breaches(4)
    part = window_part(windows)
    _check_ends(part, np.zeros(part.node.size, bool), found)
    assert found.counts == counts


def test_pieces_that_are_repeated_are_none_of_these():
    part = window_part([[(4, 9, 9), (0, 2, 5), (3, 6, 9), (0, 1, 9)]])
    found = Breaches(4)
    _check_ends(part, np.array([False, True, True, False]), found)
    assert found.counts == {}
