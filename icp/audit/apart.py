"""Promise 8: no held-out document, no near-copy of one, and no text of an evaluation set stands in training.

In: ``documents/``, its ``holdout/``, and the files that the configuration names, where they are still there. Out:
breaches. That windows hold what stands in ``documents/``, and nothing else, are promises 2 and 3.

All documents are compared by the n-grams that the step hashed; some of them again in plain Python.
"""

from collections.abc import Callable, Iterator
from typing import Any
from unicodedata import normalize

import numpy as np
import xxhash
from numpy.typing import NDArray

from icp.audit.apart_vectors import check_vectors
from icp.audit.findings import Breaches
from icp.audit.shingles import jaccard, shingles
from icp.config import Config
from icp.dedup.overlap import Overlaps, folded, references_of
from icp.errors import ConfigError, InputError
from icp.plurals import counted
from icp.run.names import DOCUMENTS, HOLDOUT
from icp.run.reader import Run, read_groups
from icp.steps.documents.apart import references_by_length
from icp.steps.documents.evaluation import evaluation_texts
from icp.steps.documents.lines import listed_ids
from icp.steps.documents.reports import read_reports
from icp.texts import key_of

SAMPLE = 100
"""Documents, of either kind, that are compared in plain Python too."""


def check_apart(run: Run, found: Breaches) -> str:
    """What is kept out of training is not in it; empty where nothing is to be."""
    told = []
    if run.config.holdout.is_set:
        told.append(_check_holdout(run, found))
    if run.config.holdout.compares_vectors:
        told.append(check_vectors(run, found))
    if run.config.decontaminate.input:
        told.append(_check_evaluation(run, found))
    if run.config.decontaminate.reports:
        told.append(_check_reported(run, found))
    if run.config.corpus.exclude is not None:
        told.append(_check_listed(run, run.config.corpus.exclude, "corpus.exclude", found))
    return "; ".join(told)


def _check_holdout(run: Run, found: Breaches) -> str:
    ids: list[str] = []
    texts: list[str] = []
    for name in run.names("documents", HOLDOUT):
        for table in read_groups(run.path("documents", name), ("id", "text")):
            ids += table["id"].to_pylist()
            texts += table["text"].to_pylist()
    config = run.config.holdout
    edge, held = int(config.fraction * 2**64), set(ids)
    if config.ids is not None:
        _check_listed(run, config.ids, "holdout.ids", found)
    references = references_of([folded(texts)], ngram=config.ngram)
    n_docs = 0
    for name, first, table in _documents(run):
        names = table["id"].to_pylist()
        is_held = np.array([one in held or xxhash.xxh3_64_intdigest(one.encode()) < edge for one in names], np.bool_)
        found.add_all("held-out documents in training", np.flatnonzero(is_held), _at(name, first, names))
        near = _near(references.overlaps(folded(table["text"])), run.config)
        found.add_all("documents near to a held-out one in training", near, _at(name, first, names))
        n_docs += table.num_rows
    n_compared = _compare_plainly(run, texts, found)
    return (
        f"none of {counted(n_docs, 'document')} is one of {len(ids):,} held out, or near to one by "
        f"{config.ngram} words ({n_compared} pairs again in plain Python)"
    )


def _check_evaluation(run: Run, found: Breaches) -> str:
    config = run.config.decontaminate
    try:
        known = references_by_length(list(evaluation_texts(config)), config)
    except (InputError, ConfigError) as error:
        return f"the evaluation sets are not there to be looked for ({error})"
    for name, first, table in _documents(run):
        names, texts = table["id"].to_pylist(), folded(table["text"])
        for one in known:
            rows = np.unique(one.references.overlaps(texts).text)
            found.add_all("documents with text of an evaluation set in training", rows, _at(name, first, names))
    n_texts = sum(len(one.names) for one in known)
    return f"none holds {config.ngram} words in a row of {n_texts:,} strings of evaluation sets"


def _check_reported(run: Run, found: Breaches) -> str:
    try:
        reports = read_reports(run.config.decontaminate)
    except InputError as error:
        return f"decontaminate.reports are not there to be looked at ({error})"
    for name in run.names("documents", DOCUMENTS):
        first = 0
        for table in read_groups(run.path("documents", name), ("id", "file", "row")):
            rows = np.unique(np.array([at for at, _ in reports.found_in(table)], np.int64))
            found.add_all("documents reported as contaminated", rows, _at(name, first, table["id"].to_pylist()))
            first += table.num_rows
    return f"none is named by {reports.n_named:,} hits of decontaminate.reports"


def _check_listed(run: Run, path: str, key: str, found: Breaches) -> str:
    try:
        listed = listed_ids(path, key)
    except InputError as error:
        return f"{key} is not there to be looked at ({error})"
    for name, first, table in _documents(run):
        names = table["id"].to_pylist()
        rows = np.array([row for row, one in enumerate(names) if key_of(one) in listed], np.int64)
        found.add_all(f"documents that {key} names in training", rows, _at(name, first, names))
    return f"none is one of {len(listed):,} ids of {key}"


def _documents(run: Run) -> Iterator[tuple[str, int, Any]]:
    for name in run.names("documents", DOCUMENTS):
        first = 0
        for table in read_groups(run.path("documents", name), ("id", "text")):
            yield name, first, table
            first += table.num_rows


def _at(name: str, first: int, ids: list[str]) -> Callable[[int], str]:
    return lambda row: f"{name} row {first + row}: {ids[row]}"


def _near(overlaps: Overlaps, config: Config) -> NDArray[np.int64]:
    limits = config.holdout
    return np.unique(overlaps.text[(overlaps.jaccard >= limits.jaccard) | (overlaps.containment >= limits.containment)])


def _compare_plainly(run: Run, held: list[str], found: Breaches) -> int:
    """Compare some documents with some held-out ones, both spread evenly, by another implementation."""
    config, n_docs = run.config.holdout, int(run.doc_bounds()[-1])
    chosen = [shingles(normalize("NFKC", held[at]), ngram=config.ngram) for at in _spread(len(held))]
    wanted, first, n_pairs = set(_spread(n_docs)), 0, 0
    for name, begin, table in _documents(run):
        for row in sorted(wanted & set(range(first, first + table.num_rows))):
            own = shingles(normalize("NFKC", table["text"][row - first].as_py()), ngram=config.ngram)
            for other in chosen:
                n_pairs += 1
                shared = np.intersect1d(own, other, assume_unique=True).size
                least = min(own.size, other.size)
                if jaccard(own, other) >= config.jaccard or (least and shared / least >= config.containment):
                    found.add("documents near to a held-out one in training", f"{name} row {begin + row - first}")
        first += table.num_rows
    return n_pairs


def _spread(n: int) -> list[int]:
    return np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(int)).tolist() if n else []
