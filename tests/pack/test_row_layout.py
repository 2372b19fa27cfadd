import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.data import PackPlan
from icp.pack.row_layout import Specials, main_source, place_segments, place_specials, row_ends

BOS, EOS, PAD = 1000, 1001, 1002


def int64(values):
    return np.array(values, dtype=np.int64)


def plan_of(pieces):
    return PackPlan(*(int64([piece[column] for piece in pieces]) for column in range(4)))


def test_specials_stand_around_documents_not_at_cuts():
    specials = Specials("document", BOS, EOS, PAD)
    plan = plan_of([(7, 0, 5, 0), (8, 0, 3, 0), (8, 3, 6, 1)])  # 3 and 4 tokens, with bos and eos 5 and 6
    segments = place_segments(plan, int64([3, 4, 4]), specials)
    assert segments.doc_start.tolist() == [0, 0, 2]
    assert segments.doc_stop.tolist() == [3, 2, 4]
    assert segments.win_start.tolist() == [1, 6, 0]
    assert segments.win_stop.tolist() == [4, 8, 2]
    assert segments.position.tolist() == [0, 1, 0]
    assert (segments.has_bos.tolist(), segments.has_eos.tolist()) == ([True, True, False], [True, False, True])
    assert row_ends(segments, 2, specials).tolist() == [8, 3]


def test_window_begins_with_bos():
    specials = Specials("window", BOS, None, PAD)
    segments = place_segments(plan_of([(0, 0, 2, 0), (1, 0, 1, 0)]), int64([2, 1]), specials)
    assert segments.win_start.tolist() == [1, 3]
    rows = np.full((1, 6), PAD, dtype=np.uint16)
    place_specials(rows, segments, specials)
    assert rows[0].tolist() == [BOS, PAD, PAD, PAD, PAD, PAD]
    assert row_ends(segments, 1, specials).tolist() == [4]


def reference_rows(pieces, tokens, specials, n_rows, stride):
    """Rows as lists: the pieces of each document's full sequence, one after another."""
    full = [
        [*[BOS] * specials.of_document[0], *document, *[EOS] * specials.of_document[1]] if document else []
        for document in tokens
    ]  # fmt: skip
    rows = [[BOS] * specials.of_window for _ in range(n_rows)]
    for doc, start, stop, window in pieces:
        rows[window] += full[doc][start:stop]
    return [row + [PAD] * (stride - len(row)) for row in rows]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_matches_reference_for_any_cut(data):
    bos = data.draw(st.sampled_from(["none", "document", "window"]))
    has_eos = data.draw(st.booleans())
    specials = Specials(bos, BOS if bos != "none" else None, EOS if has_eos else None, PAD)
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    tokens = [[100 * doc + place for place in range(n)] for doc, n in enumerate(lengths)]
    pieces, window, used = [], 0, 0
    n_bos, n_eos = specials.of_document
    stride = 12
    for doc, document in enumerate(tokens):
        length, start = len(document) + n_bos + n_eos, 0
        while start < length:
            room = stride - specials.of_window - used
            stop = min(length, start + data.draw(st.integers(1, 9)), start + room)
            if stop == length - n_eos and n_eos and stop < length:
                stop -= 1  # a piece never parts eos from the last token
            if stop <= (n_bos if start == 0 else start):
                window, used = window + 1, 0
                continue
            pieces.append((doc, start, stop, window))
            used += stop - start
            start = stop
    n_rows = window + 1
    segments = place_segments(plan_of(pieces), int64([len(tokens[piece[0]]) for piece in pieces]), specials)
    rows = np.full((n_rows, stride), PAD, dtype=np.uint16)
    for row, node, start, stop, begin, end in zip(
        segments.row, segments.node, segments.doc_start, segments.doc_stop, segments.win_start, segments.win_stop,
        strict=True,
    ):  # fmt: skip
        rows[row, begin:end] = tokens[node][start:stop]
    place_specials(rows, segments, specials)
    assert rows.tolist() == reference_rows(pieces, tokens, specials, n_rows, stride)
    filled = [stride - row.count(PAD) for row in rows.tolist()]
    assert row_ends(segments, n_rows, specials).tolist() == filled


def test_source_of_most_tokens_ties_by_number_none_last():
    row = int64([0, 0, 0, 1, 1, 2, 2, 3])
    source = int64([2, 0, 2, 1, 0, -1, 5, -1])
    tokens = int64([3, 4, 2, 4, 4, 2, 2, 1])
    assert main_source(row, source, tokens).tolist() == [2, 0, 5, -1]
