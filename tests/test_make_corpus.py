"""The corpora that benches are made of: tests/bench/make_corpus.py."""

import importlib.util
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pyarrow.parquet as pq
import pytest

PATH = Path(__file__).parent / "bench" / "make_corpus.py"


@pytest.fixture(scope="module")
def made():
    """The module, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("make_corpus", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_corpus"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_corpus"]


def corpus_of(made, n_docs=600, n_distinct=540, n_paragraphs=150):
    words = [" ".join(f"w{number}x{at}" for at in range(60)) for number in range(n_paragraphs)]
    return made.Corpus(words, ["a"] * n_paragraphs, n_docs, n_distinct, 0)


def test_no_two_documents_share_more_than_one_paragraph(made):
    corpus = corpus_of(made)
    found = Counter()
    for number in range(corpus.n_distinct):
        paragraphs = made.document(corpus, number)[0].split("\n\n")
        assert len(set(paragraphs)) == 3
        found.update(frozenset(pair) for pair in combinations(paragraphs, 2))
    assert set(found.values()) == {1}


def test_planted_duplicates_repeat_all_words_but_three(made):
    corpus = corpus_of(made)
    exact = 0
    for number in range(corpus.n_distinct, corpus.n_docs):
        text, _, original = made.document(corpus, number)
        truth = made.document(corpus, int(original[1:]))[0].split()
        lost = Counter(truth) - Counter(text.split())
        assert 0 <= lost.total() <= 3
        exact += text.split() == truth
    assert 3 <= exact <= 25  # a fifth of sixty


def test_paragraphs_are_neither_short_nor_long(made):
    text = "\n\n".join(["short one", "word " * 300, "another short one", "middle " * 50])
    sizes = [len(paragraph) for paragraph in made.paragraphs_of(text)]
    assert sizes
    assert all(made.LEAST <= size <= made.MOST for size in sizes)


def test_same_options_give_the_same_bytes(made, tmp_path):
    for name in ("one", "two"):
        made.write_corpus(corpus_of(made), tmp_path / name, docs_per_file=250)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    ids = [row for name in files for row in pq.read_table(tmp_path / "one" / name)["id"].to_pylist()]
    assert sorted(ids) == sorted(f"d{number}" for number in range(600))


@pytest.mark.shared
def test_paragraphs_come_from_the_development_corpora(made, shared_data):
    corpus = made.make_corpus(shared_data, n_docs=1000, duplicates=0.05, seed=0)
    assert corpus.n_distinct == 950
    assert len(set(corpus.paragraphs)) == len(corpus.paragraphs) >= 950 / 4
    assert len(set(corpus.sources)) > 2
