"""Arguments of the public API, checked before a kernel goes where they lead: kernels check nothing.

In: arguments as a caller passed them; lists are taken where an array is meant. Out: arrays of the types that kernels
were compiled for, or an `IcpError` that names the argument and what was expected. Each check is a pass over the array.
"""

import functools
import inspect
import numbers
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, KnnGraph
from icp.errors import ConfigError, InputError

MOST_TOKENS = 1 << 40
"""Tokens of a document, and of all documents, that a plan can count."""
BLOCK_ROWS = 1 << 14
LARGEST, LARGEST_HALF = 2**63, 65504.0
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def public(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A function of the public API, whose options are of the types that its signature names, or refused.

    Raises: ConfigError naming the option: an int must be a whole number of 64 bits, a float a number, a str a text.
    """
    signature = inspect.signature(function)
    wanted: Mapping[str, Any] = {
        name: _OPTIONS[found.annotation] for name, found in signature.parameters.items() if found.annotation in _OPTIONS
    }

    @functools.wraps(function)
    def checked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in wanted and not wanted[name][1](value):
                shown = repr(value)
                raise ConfigError(f"{name} is {shown[:80]}, expected {wanted[name][0]}")
            if name == "seed" and value < 0:  # generators take none below 0
                raise ConfigError(f"seed is {value}, expected a whole number from 0 on")
        return function(*args, **kwargs)

    return checked


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and -LARGEST <= int(value) < LARGEST


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


_OPTIONS: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    int: ("a whole number", _is_whole),
    float: ("a number", _is_number),
    bool: ("True or False", lambda value: isinstance(value, bool | np.bool_)),
    str: ("a text", lambda value: isinstance(value, str)),
}


def as_array(name: str, value: Any, *, kinds: str, n_axes: int) -> NDArray[Any]:
    """An array of native byte order, of a dtype of `kinds` (numpy's letters), with `n_axes` axes; lists are taken."""
    if not isinstance(value, np.ndarray):
        value = _from_list(name, value, kinds)
    if value.dtype.kind not in kinds or value.ndim != n_axes or not value.dtype.isnative:
        wanted = {"f": "floats", "iu": "whole numbers", "b": "truth values"}.get(kinds, "numbers")
        raise InputError(
            f"{name} is {value.dtype} of shape {value.shape}, expected {wanted} with {n_axes} axes, in the byte order "
            "of this machine"
        )
    return np.asarray(value)


def _from_list(name: str, value: Any, kinds: str) -> NDArray[Any]:
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise InputError(f"{name} is a {type(value).__name__}, expected an array or a list of numbers")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError, Warning) as error:
        raise InputError(f"{name} is a {type(value).__name__} that makes no array of numbers ({error})") from None
    return found.astype(kinds[0] + "8") if not found.size else found


def check_range(name: str, numbers: NDArray[Any], low: int, high: int) -> None:
    """Numbers from `low` to below `high`."""
    if numbers.size:
        least, most = int(numbers.min()), int(numbers.max())
        if least < low or most >= high:
            raise InputError(f"{name} holds {least if least < low else most}, expected {low} to {high - 1}")


def check_finite(name: str, values: NDArray[Any], expected: str) -> None:
    """Neither NaN nor infinity as float16, looked for in blocks of rows."""
    for begin in range(0, len(values), BLOCK_ROWS):
        if not (np.abs(values[begin : begin + BLOCK_ROWS]) <= LARGEST_HALF).all():
            raise InputError(f"{name} hold NaN or infinity, as float16 at least; give {expected}")


def checked_graph(graph: DocGraph, *, name: str = "graph") -> DocGraph:
    """A CSR graph whose edges lead to its own rows."""
    indptr, indices, weights = (
        as_array(f"{name}.{part}", _attribute(graph, part, name, "a DocGraph"), kinds=kinds, n_axes=1)
        for part, kinds in (("indptr", "iu"), ("indices", "iu"), ("weights", "f"))
    )
    if not indptr.size or indptr[0] != 0 or np.any(indptr[1:] < indptr[:-1]) or indptr[-1] != indices.size:
        raise InputError(
            f"{name}.indptr must rise from 0 to the number of edges, {indices.size:,}; icp.symmetrize makes one"
        )
    if weights.shape != indices.shape:
        raise InputError(f"{name} has {indices.size:,} indices and {weights.size:,} weights, expected as many of each")
    check_range(f"{name}.indices", indices, 0, indptr.size - 1)
    check_finite(f"{name}.weights", weights, "cosines")
    index = np.int32 if indptr.size < 2**31 else np.int64
    return DocGraph(_own(indptr, np.int64), _own(indices, index), _own(weights, np.float16))


def _own(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The array in the type, order and alignment that kernels were compiled for; a copy only if it is not."""
    return np.require(array, dtype, ["C", "A", "W"])


def checked_knn(knn: KnnGraph, n_rows: int | None = None) -> KnnGraph:
    """Lists of neighbours of `n_rows` rows (None: as many as there are) with a finite similarity of each."""
    neighbors = as_array("knn.neighbors", _attribute(knn, "neighbors", "knn", "a KnnGraph"), kinds="iu", n_axes=2)
    similarities = as_array("knn.similarities", _attribute(knn, "similarities", "knn", "a KnnGraph"), kinds="f",
                            n_axes=2)  # fmt: skip
    if similarities.shape != neighbors.shape:
        raise InputError(
            f"knn has neighbors of shape {neighbors.shape} and similarities of {similarities.shape}, expected "
            "the same; check for a cut array"
        )
    if n_rows is not None and len(neighbors) != n_rows:
        raise InputError(f"knn has {len(neighbors)} rows, expected {n_rows}: one a document of the graph")
    check_range("knn.neighbors", neighbors, -1, len(neighbors))
    check_finite("knn.similarities", similarities, "cosines")
    return KnnGraph(_own(neighbors, neighbors.dtype), _own(similarities, similarities.dtype))


def checked_rows(name: str, rows: Any, n_rows: int) -> Any:
    """Vectors of `n_rows` documents: an array of finite floats, or what gives rows by number, such as `RowParts`."""
    if isinstance(rows, np.ndarray) or not hasattr(rows, "shape"):
        rows = as_array(name, rows, kinds="f", n_axes=2)
        check_finite(name, rows, "rows of norm 1, or all zero")
    if len(rows.shape) != 2 or rows.shape[0] != n_rows:
        raise InputError(f"{name} are {rows.shape}, expected ({n_rows}, dim): one row a document of the graph")
    return rows


def checked_tokens(lengths: NDArray[Any], seq_len: int, specials: tuple[int, int]) -> NDArray[np.int64]:
    """Counts of tokens that sums over all documents can hold, and specials that are none or some."""
    lengths = as_array("lengths", lengths, kinds="iu", n_axes=1)
    most = int(lengths.max(initial=0))
    if most > MOST_TOKENS or most * max(1, lengths.size) > MOST_TOKENS << 16 or seq_len > MOST_TOKENS:
        raise InputError(
            f"lengths go up to {most} and seq_len is {seq_len}; more than {MOST_TOKENS:,} tokens of a document or "
            "window are no text"
        )
    if (
        not isinstance(specials, tuple | list)
        or len(specials) != 2
        or not all(map(_is_whole, specials))
        or not 0 <= min(specials) <= max(specials) <= MOST_TOKENS
    ):
        raise InputError(f"specials are {specials!r}, expected two counts from 0 on: of bos and of eos")
    return _own(lengths, np.int64)


def _attribute(value: Any, part: str, name: str, kind: str) -> Any:
    if not hasattr(value, part):
        raise InputError(f"{name} is a {type(value).__name__}, expected {kind}")
    return getattr(value, part)
