"""Fewer dimensions: the principal components of integer rows, found on a sample, with the least ones turned down.

Rows are int8 of at most length `ROW_UNIT`, the components integers of at most length `BASIS_UNIT`. Every sum of
products of the two, and of the sample's rows among one another, is an integer below 2**24: float32 holds it exactly in
whatever order a BLAS adds. What is not exact, the components themselves, is worked out once a corpus and then rounded.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from icp.kernels.embed_reduction import unit_rows
from icp.streams import fixed_generator

ROW_UNIT = 600
BASIS_UNIT = 16384
TOP = 127  # of an int8; a larger part of a row, which one word makes of a short text, is cut
EXACT_ROWS = 1024  # 127 * 127 * 1024 < 2**24
PRODUCT_ROWS = 384
"""Rows of a large matrix that one thread multiplies at a time."""
ROUNDS = 4
SPARE = 32
NOTHING = 1e-9
"""Components of less than this share of the largest variance are left out: rounding is all they hold."""
_Result = TypeVar("_Result")


def to_int8(*parts: tuple[NDArray[np.int16], float, int]) -> NDArray[np.int8]:
    """Rows joined side by side: ``(rows, share, unit)``, rows of length `unit` to have `share` of `ROW_UNIT`."""
    width = sum(rows.shape[1] for rows, _, _ in parts)
    joined = np.empty((len(parts[0][0]), width), np.int8)
    at = 0
    for rows, share, unit in parts:
        scaled = np.rint(rows * np.float32(share * ROW_UNIT / unit))
        joined[:, at : at + rows.shape[1]] = np.clip(scaled, -TOP, TOP)
        at += rows.shape[1]
    return joined


def second_moments(rows: NDArray[np.int8], *, threads: int = 1) -> NDArray[np.int64]:
    """Sums of the products of any two columns: (width, width) int64, exact."""

    def of_thread(number: int) -> NDArray[np.int64]:
        moments = np.zeros((rows.shape[1], rows.shape[1]), np.int64)
        for first in range(number * EXACT_ROWS, len(rows), threads * EXACT_ROWS):
            block = rows[first : first + EXACT_ROWS].astype(np.float32)
            moments += (block.T @ block).astype(np.int64)
        return moments

    total, *others = _by_threads(of_thread, range(threads), threads)
    for moments in others:
        total += moments
    return total


def find_components(
    sample: NDArray[np.int8], dim: int, *, power: float, is_centered: bool, threads: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The directions that say most of the sample, strongest first, and what each counts.

    Args:
        sample: (m, width) int8; rows that are all zero are left out.
        dim: how many, at most `width`.
        power: a component of variance v counts ``v ** power`` times its size: above 0 common themes gain over what
            sets single documents apart, below 0 they lose.
        is_centered: is the mean of the sample taken away first?
        threads: how many to use; they change nothing but the time.

    Returns:
        basis: (width, dim) float32, integers; columns of length `BASIS_UNIT` to rounding, zero where nothing is left.
        scales: (dim,) float64, the largest 1.
    """
    filled = sample[sample.any(axis=1)]
    width, n_rows = sample.shape[1], max(1, len(filled))
    mean = filled.sum(axis=0, dtype=np.int64) / n_rows if is_centered else np.zeros(width)
    if 2 * n_rows <= width:
        variances, directions = _of_few_rows(filled - mean, dim)
    else:
        moments = second_moments(filled, threads=threads).astype(np.float64) / n_rows - np.outer(mean, mean)
        variances, directions = _largest(moments, dim, threads)
    signs = np.sign(directions[np.argmax(np.abs(directions), axis=0), np.arange(dim)])
    directions = directions * np.where(signs == 0, 1.0, signs)
    is_left = variances > max(NOTHING * float(variances[0]), 0.0)
    scales = np.where(is_left, np.where(is_left, variances / max(float(variances[0]), 1e-30), 1.0) ** power, 0.0)
    basis = np.rint(directions * BASIS_UNIT) * is_left
    assert basis.shape == (width, dim)
    return basis.astype(np.float32), scales / max(float(scales.max()), 1e-30)


def reduce_rows(
    rows: NDArray[np.int8], basis: NDArray[np.float32], mean: NDArray[np.float64], scales: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Unit rows along the components: (n, dim) float32; all zero where the row is; `mean` along the components."""
    along = rows.astype(np.float32) @ basis
    unit: NDArray[np.float32] = unit_rows(along, mean, scales, rows.any(axis=1))
    return unit


def _of_few_rows(rows: NDArray[np.float64], dim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `_largest` of the second moments of rows fewer than their dimensions, by way of their products."""
    values, inside = np.linalg.eigh(rows @ rows.T / max(1, len(rows)))
    values, inside = values[::-1][:dim], inside[:, ::-1][:, :dim]
    variances, directions = np.zeros(dim), np.zeros((rows.shape[1], dim))
    is_left = values > max(NOTHING * float(values[:1].sum()), 0.0)
    variances[: values.size][is_left] = values[is_left]
    along = rows.T @ inside[:, is_left]
    directions[:, : values.size][:, is_left] = along / np.linalg.norm(along, axis=0)
    return variances, directions


def _largest(matrix: NDArray[np.float64], dim: int, threads: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `dim` largest eigenvalues of a symmetric matrix and their vectors, largest first.

    Source: subspace iteration with a random start (Halko, Martinsson, Tropp, 2011, algorithm 4.4), for wide matrices.
    """
    if matrix.shape[0] <= 2 * dim:
        values, vectors = np.linalg.eigh(matrix)
        return values[::-1][:dim], vectors[:, ::-1][:, :dim]
    space: NDArray[Any] = fixed_generator().integers(0, 2, (matrix.shape[0], dim + SPARE)) * 2.0 - 1.0
    for _ in range(ROUNDS):
        space = np.linalg.qr(_product(matrix, space, threads))[0]
    values, inside = np.linalg.eigh(space.T @ _product(matrix, space, threads))
    return values[::-1][:dim], (space @ inside)[:, ::-1][:, :dim]


def _product(matrix: NDArray[np.float64], space: NDArray[Any], threads: int) -> NDArray[np.float64]:
    """Their product, by stretches of rows that are the same for any number of threads."""
    product = np.empty((len(matrix), space.shape[1]))

    def of_stretch(first: int) -> None:
        rows = slice(first, first + PRODUCT_ROWS)
        np.matmul(matrix[rows], space, out=product[rows])

    _by_threads(of_stretch, range(0, len(matrix), PRODUCT_ROWS), threads)
    return product


def _by_threads(work: Callable[[int], _Result], items: Iterable[int], threads: int) -> list[_Result]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
