"""Public functions with arguments that do not fit: an `IcpError` or a result comes out; no other error, no hang."""

import random
import signal
import time
from contextlib import contextmanager

import numpy as np

import icp
from icp import DocGraph, KnnGraph
from torture import Broken

SECONDS_A_CALL = 90
WEIRD = [
    None,
    "x",
    "",
    b"x",
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    2**40,
    2**70,
    -(2**70),
    True,
    [],
    {},
    object(),
    (1,),
]


def made():
    """Arguments that fit, by function."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 8))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    knn = icp.search_neighbors(rows, k=5)
    graph = icp.symmetrize(knn)
    order = icp.visit_order(graph, rows, knn=knn).order
    lengths = rng.integers(5, 90, 60).astype(np.int64)
    texts = [f"words of text {number} and {number % 7} more that follow it" for number in range(20)]
    groups, conflicts = np.arange(60) % 3, np.array([[0, 1], [2, 3]])
    methods = ["windows", "path-cut", "path-fit", "best-fit", "random", "source", "knn"]
    return {
        "shingle_hashes": ([texts[0]], {"ngram": 5}),
        "minhash_signatures": ([texts], {"num_perm": 16, "ngram": 3, "seed": 1}),
        "find_duplicates": (
            [texts],
            {"threshold": 0.8, "bands": 4, "rows": 4, "ngram": 3, "verify": "exact", "keep": "first", "seed": 1}
            | {"priority": np.arange(20.0)},
        ),
        "embed_documents": ([texts], {"model": "lexical", "seed": 0}),
        "search_neighbors": ([rows], {"k": 5, "method": "exact", "target_recall": 0.9, "seed": 0}),
        "symmetrize": ([knn], {}),
        "visit_order": (
            [graph, rows],
            {"method": "matching", "improve": True, "recompute_degree": False, "seed": 0, "groups": groups, "knn": knn},
        ),
        "plan_windows": (
            [graph, rows, order, lengths],
            {"seq_len": 100, "method": methods, "min_fill": 0.9, "split": "minimal", "conflicts": conflicts}
            | {"seed": 0, "specials": (1, 1), "groups": groups, "sources": groups, "threads": 1},
        ),
    }


def call(fitting, rng):
    """A function and arguments of which one or two do not fit."""
    name = rng.choice(list(fitting))
    args, options = fitting[name]
    args, options = (
        list(args),
        {key: rng.choice(v) if key == "method" and isinstance(v, list) else v for key, v in options.items()},
    )
    if options.get("method") == "knn":
        options.pop("groups")
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.choice([*range(len(args)), *options])
        where = args if isinstance(place, int) else options
        where[place] = spoiled(where[place], rng)
        if place == "model" and isinstance(where[place], str):  # names of models are looked for on the network
            where[place] = "files:x"
    return name, args, options


def spoiled(value, rng):
    """A value that does not fit where `value` does."""
    if isinstance(value, DocGraph | KnnGraph) and rng.random() < 0.9:
        parts = {part: getattr(value, part) for part in value.__slots__}
        part = rng.choice(list(parts))
        return type(value)(**{**parts, part: spoiled(parts[part], rng)})
    if isinstance(value, list) and rng.random() < 0.8:
        return [*value, rng.choice([*WEIRD, "\ud800"])]
    if isinstance(value, np.ndarray) and value.ndim and rng.random() < 0.9:
        return spoiled_array(value, rng)
    return rng.choice(WEIRD)


@np.errstate(all="ignore")
def spoiled_array(array, rng):
    """An array of another type, shape, order of bytes, or with a number that leads nowhere."""
    if array.size and array.dtype.kind in "iufb" and rng.random() < 0.4:
        number = rng.choice([-1, -2, 10**6, 2**31, 2**62, -(2**40), np.nan, np.inf, 60, 59])
        is_float = array.dtype.kind == "f" or not np.isfinite(number)
        found = array.astype(np.float64 if is_float else np.int64)
        found.reshape(-1)[rng.randrange(array.size)] = number
        return found.astype(array.dtype) if array.dtype.kind == "f" else found
    forms = [
        lambda: array.tolist(),
        lambda: array[: rng.randrange(len(array) + 1)],
        lambda: np.concatenate((array, array)),
        lambda: array.astype(array.dtype.newbyteorder(">")),
        lambda: array.astype(np.float64) + 0.5,
        lambda: array.astype(np.uint64),
        lambda: array.astype(np.int8),
        lambda: array.astype(bool),
        lambda: array.astype(object),
        lambda: array.astype(str),
        lambda: array.astype(np.complex128),
        lambda: array[..., None],
        lambda: array[::-1],
        lambda: array.reshape(-1),
        lambda: array[:0],
        lambda: np.asfortranarray(array),
        lambda: array * 0,
        lambda: array.astype("datetime64[s]") if array.dtype.kind in "iu" else array.astype(np.longdouble),
        lambda: [array, array[:3]],
        lambda: np.ma.masked_array(array, array == 0),
        lambda: frozen(array),
    ]
    return rng.choice(forms)()


def frozen(array):
    """A copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


@contextmanager
def limited(seconds):
    """TimeoutError after so many seconds of the processor."""

    def stop(*_):
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def attack(seconds, seed, *, calls=None, log=None):
    """Call until the time is over, or `calls` times; counts of calls, refusals and results."""
    fitting, rng = made(), random.Random(seed)
    counts = {"calls": 0, "refused": 0, "done": 0}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (calls is None or counts["calls"] < calls):
        name, args, options = call(fitting, rng)
        if log is not None:  # a death by signal leaves the call that it came of
            log.write(f"{seed} {counts['calls']} {name} {args!r} {options!r}\n"[:2000])
            log.flush()
        counts["calls"] += 1
        try:
            with limited(SECONDS_A_CALL):
                getattr(icp, name)(*args, **options)
            counts["done"] += 1
        except icp.IcpError:
            counts["refused"] += 1
        except Exception as error:
            raise Broken(
                f"seed {seed}, call {counts['calls']}: {name} gave {type(error).__name__}: {error}; {args} {options}"
            ) from error
    return counts
