"""Documents that stand out: those with most links, groups of copies, those alone in their windows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from icp.inspect.lookup import excerpt, open_documents, width
from icp.plurals import counted
from icp.report.copies import groups, hubs
from icp.report.corpus import Corpus, load_corpus
from icp.report.opening import open_partly
from icp.run.texts import TextReader

SHOWN = 20


def show_hubs(run: Path, *, pack: str = "main") -> Iterator[str]:
    """The documents with most links in the graph."""
    corpus = _corpus(run, pack, ("documents", "graph", "tokens"))
    found = hubs(corpus)
    yield f"hubs        the {len(found)} documents with most links, of {counted(corpus.nodes.size, 'document')}"
    for hub in found:
        yield _cut(f"{hub['links']:>8,}  doc {hub['doc']}  id {hub['id']}  {hub['text']}")


def show_groups(run: Path, *, pack: str = "main") -> Iterator[str]:
    """The largest groups of copies, by the document that is kept of each."""
    corpus = _corpus(run, pack, ("documents", "dedup"))
    n_groups = np.unique(corpus.duplicate_of[corpus.duplicate_of >= 0]).size
    yield f"groups      {counted(n_groups, 'group')} of copies; the largest, by the document that is kept"
    for group in groups(corpus):
        yield _cut(f"{group['size']:>8,}  doc {group['doc']}  id {group['id']}  {group['text']}")


def show_alone(run: Path, *, pack: str = "main") -> Iterator[str]:
    """Documents that have their windows to themselves, the shortest first."""
    corpus = _corpus(run, pack, ("documents", "graph", "tokens", "shards"))
    docs = np.flatnonzero(corpus.alone)
    n_tokens = corpus.n_tokens[np.searchsorted(corpus.nodes, docs)]
    share = docs.size / max(1, corpus.nodes.size)
    yield f"alone       {counted(docs.size, 'document')} ({share:.1%} of those kept) share no window with another"
    shown = docs[np.argsort(n_tokens, kind="stable")][:SHOWN]
    rows = TextReader(corpus.run).rows(shown, ("id", "text"))
    for doc in shown.tolist():
        size = int(corpus.n_tokens[corpus.node_of(doc)])
        yield _cut(f"{size:>8,} tokens  doc {doc}  id {rows[doc]['id']}  {excerpt(rows[doc]['text'], 200)}")


def _corpus(run: Path, pack: str, steps: tuple[str, ...]) -> Corpus:
    """The documents of a run of which these steps are finished; raises ArtifactError otherwise."""
    opened, _ = open_documents(run, pack=pack)
    opened.require(steps)
    partly = open_partly(opened.folder, pack=pack)
    corpus = load_corpus(partly)
    assert corpus is not None, "the step documents is finished"
    return corpus


def _cut(line: str) -> str:
    return line if len(line) <= width() else line[: width() - 3] + "..."
