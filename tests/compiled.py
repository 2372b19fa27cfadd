"""Which kernels a piece of work calls, and for which types: asked in a process of its own, which has called none."""

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from numba.core.dispatcher import Dispatcher
from small_parts import make_small, topics_config
from tiny import make_run, quiet, tiny_config

from icp.engine.executor import Failure, ProcessExecutor, SerialExecutor


def kernels_called_by(work):
    """``{"module.kernel(types)"}`` that `work`, a function of a folder, compiles or loads in a fresh process."""
    with TemporaryDirectory() as folder, ProcessExecutor(1, attempts=1) as executor:
        ((_, outcome),) = executor.map(partial(_do_and_list, work), [Path(folder)])
    assert not isinstance(outcome, Failure), outcome.detail
    return outcome


def _do_and_list(work, folder):
    assert not compiled_here(), "kernels were called before the work began"
    work(folder)
    return compiled_here()


def compiled_here():
    """Every kernel of this process, with each tuple of types that it has machine code for."""
    found = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("icp.kernels."):
            kernels = {value for value in vars(module).values() if isinstance(value, Dispatcher)}
            found |= {
                f"{kernel.__module__}.{kernel.__name__}{types}" for kernel in kernels for types in kernel.signatures
            }
    return found


class ThreadedExecutor(SerialExecutor):
    """In this process, with tasks that use two threads, as those of a phase of one part do."""

    def threads(self, n_parts):
        """See `icp.engine.executor.Executor.threads`."""
        return 2


def ordinary_runs(folder):
    """Runs in many parts by every method of finding neighbours, with one thread a task and with two."""
    for method, verify, executor in (
        ("exact", "estimate", SerialExecutor()),
        ("cells", "none", ThreadedExecutor()),
        ("ivf", "exact", SerialExecutor()),
    ):
        sections = {"pack": {"seq_len": 128, "method": "random"}, "graph": {"method": method, "max_degree": 9}}
        sections["dedup"] = {"verify": verify}
        (folder / method).mkdir()
        make_run(tiny_config(folder / method, corpus={"part_mib": 0.01}, **sections), executor)


def windows_of_a_large_corpus(folder):
    """Windows planned in partitions, and their seams."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        run = make_run(topics_config(folder))
    assert (run / "packs/main/plan/manifest.json").read_text().count('"seam"'), "no seam was planned"


def neighbours_of_very_many_documents(folder):
    """Neighbours found in passes among neighbours' neighbours."""
    from icp.knn import cells
    from icp.pipeline import build_graph

    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("MANY_ROWS", 0), ("ROWS_OF_MANY", 8), ("MOST_COMPARED", 8), ("LEAST_JOINED", 1)):
            patch.setattr(cells, name, size)
        config = tiny_config(folder, graph={"method": "cells"})
        assert build_graph(config, SerialExecutor(), quiet, until="neighbors")["neighbors"].facts["passes"] > 0


def a_kernel_of_other_types(folder):
    """A call that no run makes."""
    import numpy as np

    from icp.kernels.dedup_union_find import find_root

    find_root(np.arange(3, dtype=np.int16), 1)
