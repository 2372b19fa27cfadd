"""Compile the kernels once, before workers start.

numba's disk cache must not be filled by several processes at once (numba issue 4807). A tiny corpus goes through every
step in a process of its own; what the steps call is then compiled for the very types they pass. Most of that two
processes compile before, in a folder each, out of which it is taken over.
"""

import contextlib
import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from icp.engine.executor import Failure, ProcessExecutor, SerialExecutor

log = logging.getLogger("icp")
TEXT = "the quick brown fox jumps over a lazy dog while seven wizards mix bright potions für große Bären 東京 ไทย"


def fill_kernel_cache() -> None:
    """Compile all kernels unless that was done for this version, numba and CPU."""
    marker = _marker()
    if marker.exists():
        return
    log.info("compiling kernels once (a minute); later runs find them in %s", marker.parent)
    if len(os.sched_getaffinity(0)) > 1:
        _compile_halves(marker.parent)
    with ProcessExecutor(1) as executor:
        for _, outcome in executor.map(fill_in_this_process, [None]):
            if isinstance(outcome, Failure):
                # the run itself will say what is wrong, with the user's own files named
                log.debug("kernels were not all compiled: %s", outcome.detail)
                if outcome.error is not None:
                    raise outcome.error


def _compile_halves(folder: Path) -> None:
    """What each half fails to compile is compiled afterwards, or said then."""
    from icp.kernels._jit import take_compiled

    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(ProcessExecutor(2, attempts=1))
        apart = [stack.enter_context(tempfile.TemporaryDirectory(prefix="apart-", dir=folder)) for _ in _HALVES]
        for _, outcome in executor.map(compile_half, list(enumerate(apart))):
            if isinstance(outcome, Failure):
                log.debug("a half of the kernels was not compiled: %s", outcome.detail)
        with _one_at_a_time(folder):
            for half in apart:
                take_compiled(Path(half))


def compile_half(half: tuple[int, str]) -> None:
    """Compile what one of the halves calls, in a folder of its own; for a process that has no kernels yet."""
    from icp.kernels import _jit

    number, folder = half
    os.environ[_jit.APART] = folder
    with tempfile.TemporaryDirectory(prefix="icp-warm-") as workplace:
        _HALVES[number](workplace)


def share_kernel_cache() -> None:
    """Tell the processes that this one starts of its folder, so that none looks for another and warns again."""
    from icp.kernels._jit import CACHE_FOLDER, INHERITED

    os.environ[INHERITED] = str(Path(CACHE_FOLDER).parent)


def fill_in_this_process(_: Any = None) -> None:
    """Compile all kernels here, unless that was done; others on this machine that want the same wait."""
    marker = _marker()
    if marker.exists():
        return
    with _one_at_a_time(marker.parent):
        if not marker.exists():
            run_tiny_corpus()
            marker.touch()


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as stream:
        with contextlib.suppress(OSError):  # a file system without locks: at worst, work is done twice
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _marker() -> Path:
    from icp.kernels._jit import CACHE_FOLDER

    return Path(CACHE_FOLDER) / "complete"


def run_tiny_corpus(_: Any = None) -> None:
    """Every step, local and in this process, on a corpus that reaches every kernel."""
    from icp.config import parse_config
    from icp.pipeline import pack

    with tempfile.TemporaryDirectory(prefix="icp-warm-") as folder:
        tree = _tree(folder)
        _build_tiny_graphs(folder)
        config = parse_config(tree)
        pack(config, SerialExecutor(), _quiet)
        by_size = parse_config({**tree, "pack": {"seq_len": 64, "method": "best-fit"}})
        pack(by_size, SerialExecutor(), _quiet, name="by-size")  # plans too fit by size what found no room


def _tree(folder: str) -> dict[str, Any]:
    return {
        "run": f"{folder}/run",
        "corpus": {"input": [f"{folder}/tiny.jsonl"]},
        "embed": {"model": "hybrid"},
        "tokenizer": {"name": "train:300"},
        "pack": {"seq_len": 64},
    }


def _build_tiny_graphs(folder: str) -> None:
    """Everything but packs, each way that reaches kernels."""
    from icp.config import parse_config
    from icp.dedup.find_duplicates import find_duplicates
    from icp.pipeline import build_graph

    corpus, tree = Path(folder) / "tiny.jsonl", _tree(folder)
    corpus.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows()), encoding="utf-8")
    build_graph(parse_config(tree), SerialExecutor(), _quiet)
    for method in ("cells", "ivf"):
        searched = parse_config({**tree, "run": f"{folder}/{method}", "graph": {"method": method}})
        build_graph(searched, SerialExecutor(), _quiet, until="neighbors")
    find_duplicates([row["text"] for row in tiny_rows()], verify="none")
    _expand_twice()
    by_words = {**tree, "run": f"{folder}/words", "embed": {"model": "lexical"}, "dedup": {"near": False}}
    build_graph(parse_config(by_words), SerialExecutor(), _quiet, until="embeddings")


def _build_and_train(folder: str) -> None:
    from icp.tokenizer.byte_level import train_tokenizer

    _build_tiny_graphs(folder)
    train_tokenizer([row["text"] for row in tiny_rows()], 300)


def _plan(_: str) -> None:
    """Windows of the library: more than half of all that is compiled."""
    import numpy as np

    from icp.pack.plan_windows import plan_windows

    graph, vectors = _tiny_graph()
    lengths = np.arange(graph.n_docs) * 37 % 90 + 1
    for method in ("windows", "best-fit"):
        plan_windows(graph, vectors, np.arange(graph.n_docs, dtype=np.int32), lengths, seq_len=64, method=method)


_HALVES = (_plan, _build_and_train)


def _tiny_graph() -> tuple[Any, Any]:
    """A graph in which everybody knows everybody, and its vectors."""
    import numpy as np

    from icp.data import DocGraph

    n_docs = 96
    rows = np.cos(np.arange(n_docs * 16) ** 2.0).reshape(n_docs, 16)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similarities = rows @ rows.T
    np.fill_diagonal(similarities, -2)
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, : n_docs - 1]
    weights = np.take_along_axis(similarities, nearest, 1).astype(np.float16)
    indptr = np.arange(n_docs + 1, dtype=np.int64) * (n_docs - 1)
    return DocGraph(indptr, nearest.ravel().astype(np.int32), weights.ravel()), rows.astype(np.float16)


def _expand_twice() -> None:
    """Two passes among neighbours' neighbours, which only very many documents need."""
    import numpy as np

    from icp.knn.cells import Cells
    from icp.knn.exact import compare_ranges
    from icp.knn.expansion import expand

    rows, joined = np.eye(6, 8, dtype=np.float16), np.arange(6, dtype=np.int32)[:, None]
    keys = compare_ranges(rows, range(6), range(6), keep=2).keys
    own = Cells(np.arange(6, dtype=np.int32), np.array([0, 6]))
    for before in (None, keys):
        expand(rows, (keys, before), joined, own, range(1))


def tiny_rows() -> list[dict[str, str]]:
    """160 short documents: related, near-duplicate, copied, a few very short, and of several alphabets."""
    words, rows = TEXT.split(), []
    for number in range(160):
        chosen = [words[(number * step + step) % len(words)] for step in range(1, 40)]
        rows.append({"id": str(number), "text": " ".join(chosen), "source": "ab"[number % 2]})
    rows += [{"id": f"short-{mark}", "text": " ".join(words[:12]) + mark, "source": "c"} for mark in "?!"]
    rows += [{"id": f"copy-{n}", "text": rows[n]["text"] + " again", "source": "c"} for n in range(5)]
    return [*rows, {"id": "same", "text": rows[0]["text"], "source": "c"}]


def _quiet(label: str, done: int, total: int) -> None:
    pass
