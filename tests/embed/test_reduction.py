import numpy as np
import pytest

from icp.embed import reduction
from icp.kernels.embed_reduction import unit_rows


def flat_rows(n=400, width=60, true_dim=5, seed=0):
    """int8 rows that lie, but for rounding, in a few dimensions."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(n, true_dim)) @ generator.normal(size=(true_dim, width))
    unit = np.rint(rows / np.linalg.norm(rows, axis=1, keepdims=True) * 32767).astype(np.int16)
    return reduction.to_int8((unit, 1.0, 32767))


def test_halves_stand_side_by_side_with_their_shares():
    one, two = np.array([[300, -400]], np.int16), np.array([[500]], np.int16)
    joined = reduction.to_int8((one, 0.1, 500), (two, 0.2, 500))
    assert joined.dtype == np.int8
    assert joined.tolist() == [[36, -48, 120]]


def test_a_part_too_large_for_a_byte_is_cut():
    assert reduction.to_int8((np.array([[-32767, 0]], np.int16), 1.0, 32767)).tolist() == [[-127, 0]]


def test_second_moments_are_exact_over_blocks(monkeypatch):
    monkeypatch.setattr(reduction, "EXACT_ROWS", 7)
    rows = np.random.default_rng(0).integers(-127, 128, (30, 4)).astype(np.int8)
    wide = rows.astype(np.int64)
    assert np.array_equal(reduction.second_moments(rows), wide.T @ wide)


@pytest.mark.parametrize("width", [40, 200])
def test_threads_change_nothing(monkeypatch, width):
    monkeypatch.setattr(reduction, "EXACT_ROWS", 64)
    monkeypatch.setattr(reduction, "PRODUCT_ROWS", 48)
    rows = flat_rows(width=width)
    one, three = (
        reduction.find_components(rows, 30, power=0.2, is_centered=True, threads=threads) for threads in (1, 3)
    )
    assert np.array_equal(one[0], three[0])
    assert np.array_equal(one[1], three[1])


def test_sums_of_products_fit_a_float32():
    assert reduction.TOP**2 * reduction.EXACT_ROWS < 2**24
    rounding = np.sqrt(1 << 14) / 2  # of a row or component of so many dimensions
    assert (reduction.ROW_UNIT + rounding) * (reduction.BASIS_UNIT + rounding) < 2**24


def test_few_components_keep_all_similarities():
    rows = flat_rows()
    basis, scales = reduction.find_components(rows, 5, power=0.0, is_centered=False)
    unit = reduction.reduce_rows(rows, basis, np.zeros(5), scales)
    wide = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    assert np.abs(unit @ unit.T - wide @ wide.T).max() < 0.05


def test_a_positive_power_turns_weak_components_down():
    _, scales = reduction.find_components(flat_rows(), 5, power=0.5, is_centered=True)
    assert scales[0] == 1
    assert (np.diff(scales) < 0).all()


def test_nothing_is_left_beyond_the_rank():
    rows = np.zeros((3, 20), np.int8)
    rows[0, 0], rows[1, 1] = 100, 50
    basis, scales = reduction.find_components(rows, 10, power=0.0, is_centered=False)
    assert np.count_nonzero(basis.any(axis=0)) == 2
    assert np.count_nonzero(scales) == 2


def test_few_rows_have_the_components_of_their_moments():
    rows = flat_rows(n=30, width=90)
    few, few_scales = reduction.find_components(rows, 5, power=0.2, is_centered=True)
    many, many_scales = reduction.find_components(np.repeat(rows, 2, axis=0), 5, power=0.2, is_centered=True)
    assert np.abs(few - many).max() <= 1
    assert few_scales == pytest.approx(many_scales)


def test_no_rows_have_no_components():
    basis, scales = reduction.find_components(np.zeros((0, 20), np.int8), 4, power=0.1, is_centered=True)
    assert not basis.any()
    assert not scales.any()


def test_iteration_finds_the_components_of_a_wide_matrix():
    rows = flat_rows(width=200)
    basis, _ = reduction.find_components(rows, 5, power=0.0, is_centered=True)
    exact = np.linalg.eigh(np.cov(rows.astype(np.float64), rowvar=False))[1][:, ::-1][:, :5]
    inside = np.linalg.norm(exact.T @ (basis / reduction.BASIS_UNIT), axis=0)
    assert inside == pytest.approx(np.ones(5), abs=1e-3)


@pytest.mark.parametrize("impl", [unit_rows, unit_rows.py_func], ids=["compiled", "python"])
def test_unit_rows_by_hand(impl):
    rows = np.array([[4, 5], [0, 0], [1, 1]], np.float32)
    is_filled = np.array([True, False, True])
    unit = impl(rows, np.array([1.0, 1.0]), np.array([1.0, 1.0]), is_filled)
    assert unit == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, 0]]))
