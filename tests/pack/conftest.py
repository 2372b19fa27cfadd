"""The corpus of topics, made once for the tests of the planner; read it, do not change it."""

import pytest
from topics import topics_corpus


@pytest.fixture(scope="session")
def topics():
    return topics_corpus()
