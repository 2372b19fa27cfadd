"""Removed documents beside the ones kept in their place, word by word; the largest groups; what hubs say.

In: a `Corpus`. Out: plain values.
"""

import difflib
from typing import Any

import numpy as np

from icp.audit.segments import TokenFiles, layout_of
from icp.report.corpus import FATES, Corpus
from icp.report.viewer import described
from icp.run.names import INDPTR
from icp.run.texts import TextReader

SHOWN_COPIES, COMPARED_WORDS, CONTEXT_WORDS = 36, 900, 30
SHOWN_GROUPS, SHOWN_HUBS = 12, 12
EXCERPT = 240


def copies(corpus: Corpus, seed: int) -> list[dict[str, Any]]:
    """Pairs of each kind, those least alike first: where dedup was wrong, it was wrong there."""
    chosen: list[int] = []
    for kind in (4, 3, 2, 1):
        docs = np.flatnonzero((corpus.fate == kind) & (corpus.duplicate_of >= 0))
        by_jaccard = docs[np.argsort(np.nan_to_num(corpus.jaccard[docs], nan=1.0), kind="stable")]
        share = SHOWN_COPIES // 3
        spread = by_jaccard[
            np.unique(np.linspace(0, max(0, docs.size - 1), share - share // 2).astype(int))[: docs.size]
        ]
        chosen += np.unique(np.concatenate((by_jaccard[: share // 2], spread))).tolist()
    docs = np.array(chosen, np.int64)
    kept = corpus.duplicate_of[docs]
    rows = TextReader(corpus.run).rows(np.concatenate((docs, kept)), ("id", "source", "text"))
    found = [_pair(corpus, rows, doc) for doc in chosen]
    return sorted(found, key=lambda pair: (pair["jaccard"] is None, pair["jaccard"], pair["doc"]))


def _pair(corpus: Corpus, rows: dict[int, dict[str, Any]], doc: int) -> dict[str, Any]:
    kept = int(corpus.duplicate_of[doc])
    jaccard = float(corpus.jaccard[doc])
    return {
        "doc": doc,
        "kept": kept,
        "kind": FATES[int(corpus.fate[doc])],
        "jaccard": round(jaccard, 4) if np.isfinite(jaccard) else None,
        "ids": [str(rows[one]["id"])[:200] for one in (doc, kept)],
        "sources": [str(rows[one]["source"] or "")[:100] for one in (doc, kept)],
        "chars": [len(rows[one]["text"]) for one in (doc, kept)],
        **differences(rows[doc]["text"], rows[kept]["text"]),
    }


def differences(removed: str, kept: str) -> dict[str, Any]:
    """What both have (``=``), only the removed (``-``), only the kept (``+``): pairs of a mark and a text."""
    one, other = removed.split(" ", COMPARED_WORDS), kept.split(" ", COMPARED_WORDS)
    cut = len(one) > COMPARED_WORDS or len(other) > COMPARED_WORDS
    one, other = [w[:200] for w in one[:COMPARED_WORDS]], [w[:200] for w in other[:COMPARED_WORDS]]
    parts: list[list[str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(["=", _shortened(one[a:b])])
        else:
            parts += [["-", " ".join(one[a:b])]] if b > a else []
            parts += [["+", " ".join(other[c:d])]] if d > c else []
    return {"parts": parts, "cut": cut}


def _shortened(words: list[str]) -> str:
    if len(words) <= 3 * CONTEXT_WORDS:
        return " ".join(words)
    left_out = len(words) - 2 * CONTEXT_WORDS
    head, tail = " ".join(words[:CONTEXT_WORDS]), " ".join(words[-CONTEXT_WORDS:])
    return f"{head} \u2026 [{left_out:,} words that are the same] \u2026 {tail}"


def groups(corpus: Corpus) -> list[dict[str, Any]]:
    """The largest groups of copies, and how the one that is kept begins."""
    kept, counts = np.unique(corpus.duplicate_of[corpus.duplicate_of >= 0], return_counts=True)
    order = np.lexsort((kept, -counts))[:SHOWN_GROUPS]
    rows = TextReader(corpus.run).rows(kept[order], ("id", "text"))
    return [
        {"doc": int(kept[at]), "size": int(counts[at]) + 1, "id": str(rows[int(kept[at])]["id"])[:200],
         "text": " ".join(rows[int(kept[at])]["text"][: 2 * EXCERPT].split())[:EXCERPT]}
        for at in order.tolist()
    ]  # fmt: skip


def hubs(corpus: Corpus) -> list[dict[str, Any]]:
    """The documents with most links, and how they begin."""
    degree = np.diff(np.asarray(corpus.run.array("graph", INDPTR), np.int64))
    order = np.lexsort((np.arange(degree.size), -degree))[:SHOWN_HUBS]
    docs = corpus.nodes[order].tolist()
    layout = layout_of(corpus.run)
    names = described(corpus, docs, (layout, TokenFiles(corpus.run, layout)))
    return [
        {"doc": doc, "links": int(degree[at]), "id": names[doc][0], "source": names[doc][1], "text": names[doc][2]}
        for doc, at in zip(docs, order.tolist(), strict=True)
    ]
