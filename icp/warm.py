"""Compile the kernels once, in one process, before workers start.

numba's disk cache must not be filled by several processes at once (numba issue 4807). A tiny corpus goes through every
step in a process of its own; what the steps call is then compiled for the very types they pass.
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
    log.info("compiling kernels once (a minute or two); later runs find them in %s", marker.parent)
    with ProcessExecutor(1) as executor:
        for _, outcome in executor.map(fill_in_this_process, [None]):
            if isinstance(outcome, Failure):
                # the run itself will say what is wrong, with the user's own files named
                log.debug("kernels were not all compiled: %s", outcome.detail)
                if outcome.error is not None:
                    raise outcome.error


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
    from icp.dedup.find_duplicates import find_duplicates
    from icp.pipeline import build_graph, pack

    with tempfile.TemporaryDirectory(prefix="icp-warm-") as folder:
        corpus = Path(folder) / "tiny.jsonl"
        corpus.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows()), encoding="utf-8")
        tree = {
            "run": f"{folder}/run",
            "corpus": {"input": [str(corpus)]},
            "embed": {"model": "hybrid"},
            "tokenizer": {"name": "train:300"},
            "pack": {"seq_len": 64},
        }
        config = parse_config(tree)
        build_graph(config, SerialExecutor(), _quiet)
        for method in ("cells", "ivf"):
            searched = parse_config({**tree, "run": f"{folder}/{method}", "graph": {"method": method}})
            build_graph(searched, SerialExecutor(), _quiet, until="neighbors")
        find_duplicates([row["text"] for row in tiny_rows()], verify="none")
        _expand_twice()
        by_words = {**tree, "run": f"{folder}/words", "embed": {"model": "lexical"}, "dedup": {"near": False}}
        build_graph(parse_config(by_words), SerialExecutor(), _quiet, until="embeddings")
        pack(config, SerialExecutor(), _quiet)
        by_size = parse_config({**tree, "pack": {"seq_len": 64, "method": "best-fit"}})
        pack(by_size, SerialExecutor(), _quiet, name="by-size")  # plans too fit by size what found no room


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
