"""Fixtures of several tests (finished runs of the tiny corpus, the development corpora) and the suite's parallel run.

``make test`` runs the suite in as many processes as there are cores (pytest-xdist). The tests of a file stay together,
in one process, so that what its fixtures make is made once. Kernels are compiled once, before the processes start.
"""

import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import settings
from tiny import cut_config, data_files, make_run, tiny_config, write_jsonl

# a run that passes passes again, on a busy machine too: no example is timed
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=300, print_blob=True, deadline=None)  # new examples at every run
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"
SLOWEST = ("jobs", "tests", "storage", "audit", "export")
"""Folders whose tests start clusters, servers and commands: they come first, so that no process is left alone at it."""


def pytest_configure(config):
    """Fill the cache of compiled kernels before the processes of a parallel run start."""
    if hasattr(config, "workerinput"):
        _write_compiled_kernels_one_at_a_time()
    elif config.getoption("dist", "no") != "no" and not config.option.collectonly:
        from icp.warm import fill_kernel_cache

        fill_kernel_cache()


def _write_compiled_kernels_one_at_a_time():
    """numba reads its index of compiled code, adds to it and writes it without a lock (numba issue 4807).

    Two processes that compile a kernel for other types each would take the same file for both.
    """
    from numba.core.caching import IndexDataCacheFile

    from icp.kernels._jit import CACHE_FOLDER

    save = IndexDataCacheFile.save

    def save_alone(self, key, data):
        with (Path(CACHE_FOLDER) / "tests.lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            save(self, key, data)

    IndexDataCacheFile.save = save_alone


def pytest_collection_modifyitems(items):
    """Put the slowest folders first."""
    folders = {name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: folders.get(item.path.parent.name, len(folders)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Deal the tests out file by file."""
    from by_file import ByFile

    return ByFile(config, log)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of the development corpora, beside the project; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("development corpora are not beside the project (../shared/data)")
    return SHARED / "data"


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A finished run of the tiny corpus; read it, do not change it."""
    return make_run(tiny_config(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory):
    """The file of the tiny corpus: its path and time stand in the documents of a run, and in what is made of them."""
    from icp.warm import tiny_rows

    return write_jsonl(tmp_path_factory.mktemp("corpus") / "tiny.jsonl", tiny_rows())


@pytest.fixture(scope="session")
def cut_run(tmp_path_factory, tiny_corpus):
    """A finished, undisturbed run of `tiny_corpus` in several parts and shards; read it, do not change it."""
    return make_run(cut_config(tmp_path_factory.mktemp("cut"), tiny_corpus))


@pytest.fixture(scope="session")
def cut_files(cut_run):
    """The bytes of `cut_run`, by name: those of any other run of `cut_config`."""
    return data_files(cut_run)
