import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.pack_gather import gather_pieces

IMPLEMENTATIONS = pytest.mark.parametrize("impl", [gather_pieces, gather_pieces.py_func], ids=["compiled", "python"])


def int64(values):
    return np.array(values, dtype=np.int64)


def gather(impl, rows, tokens, pieces):
    size = rows.itemsize
    row, place, source, length = (int64([piece[column] for piece in pieces]) for column in range(4))
    impl(rows.view(np.uint8), tokens.view(np.uint8), row, place * size, source * size, length * size)
    return rows


def reference(rows, tokens, pieces):
    rows = rows.tolist()
    for row, place, source, length in pieces:
        rows[row][place : place + length] = tokens.tolist()[source : source + length]
    return rows


@IMPLEMENTATIONS
def test_pieces_stand_where_they_are_told(impl):
    tokens = np.array([1000, 2000, 3000, 65535], dtype=np.uint16)
    rows = np.full((2, 3), 7, dtype=np.uint16)
    gather(impl, rows, tokens, [(1, 0, 2, 2), (0, 1, 0, 1), (0, 0, 3, 0)])
    assert rows.tolist() == [[7, 1000, 7], [3000, 65535, 7]]


@IMPLEMENTATIONS
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_matches_reference_around_powers_of_two(impl, data):
    width = (1 << data.draw(st.integers(1, 7))) + data.draw(st.sampled_from([-1, 0, 1]))
    dtype = data.draw(st.sampled_from([np.uint16, np.uint32]))
    tokens = np.arange(300, dtype=dtype) * 200 + 1
    pieces, n_rows = [], data.draw(st.integers(1, 4))
    for row in range(n_rows):
        place = data.draw(st.integers(0, 1))
        while place < width:
            length = data.draw(st.integers(1, width - place))
            pieces.append((row, place, data.draw(st.integers(0, 300 - length)), length))
            place += length + data.draw(st.integers(0, 2))
    rows = np.full((n_rows, width), 9, dtype=dtype)
    expected = reference(rows, tokens, pieces)
    assert gather(impl, rows, tokens, pieces).tolist() == expected


def test_mapped_file_and_memory_share_one_compilation(tmp_path):
    tokens = np.arange(50, dtype=np.uint16)
    tokens.tofile(tmp_path / "part.bin")
    mapped = np.asarray(np.memmap(tmp_path / "part.bin", dtype=np.uint16, mode="c"))
    rows = np.zeros((1, 50), dtype=np.uint16)
    gather(gather_pieces, rows, mapped, [(0, 0, 0, 50)])
    assert rows[0].tolist() == list(range(50))
    gather(gather_pieces, rows, tokens, [(0, 0, 0, 50)])
    assert len(gather_pieces.signatures) == 1
