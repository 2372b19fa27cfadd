"""Fixtures of several tests: a finished run of the tiny corpus, and the development corpora where they are."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from tiny import make_run, tiny_config

settings.register_profile("fixed", derandomize=True)  # a run that passes passes again
settings.register_profile("explore", max_examples=300, print_blob=True)  # new examples at every run
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
