"""The pictures of a report: what each shows, as a title, a sentence, and SVG.

In: a `Corpus`, its vectors, facts of manifests. Out: `Picture`s; one that cannot be made is left out and told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.report import charts
from icp.report.corpus import FATES, Corpus
from icp.report.opening import Partly
from icp.report.sampling import Vectors
from icp.run.names import INDPTR, WEIGHTS

EDGES_LOOKED_AT = 200_000
BINS, STEPS_SHOWN, SOURCES_SHOWN = 48, 80, 7
BESIDE_MAP = "How related windows are"
"""The title of the picture that stands beside the map."""
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and the words around it."""

    group: str
    title: str
    text: str
    svg: str


def pictures(partly: Partly, corpus: Corpus, vectors: Vectors) -> list[Picture]:
    """All that the run allows, in the order of the steps."""
    makers: list[tuple[tuple[str, ...], str, Callable[[], Picture | None]]] = [
        (("graph", "embeddings"), "links against random pairs", lambda: neighbours(corpus, vectors)),
        (("graph",), "links of documents", lambda: degrees(corpus)),
        (("dedup",), "sizes of duplicate groups", lambda: groups(corpus)),
        (("dedup",), "likeness of duplicates", lambda: jaccards(corpus)),
        (("graph", "tokens"), "lengths", lambda: lengths(corpus)),
        (("windows",), "similarity by method", lambda: methods(partly)),
        (("shards",), "similarity of windows", lambda: coherence(corpus)),
        (("shards",), "documents of windows", lambda: along(corpus, "n_docs")),
        (("shards",), "similarity along training", lambda: along(corpus, "mean_similarity")),
        (("shards",), "padding along training", lambda: along(corpus, "n_pad")),
        (("shards",), "sources along training", lambda: mixture(corpus)),
        (("shards", "embeddings"), "distance of windows", lambda: distances(partly, vectors)),
    ]
    found = []
    for needed, what, make in makers:
        picture = partly.attempt(f"picture of {what}", make) if partly.has(*needed) else None
        found += [picture] if picture is not None else []
    return found


def neighbours(corpus: Corpus, vectors: Vectors) -> Picture | None:
    """Histogram of the weights of links beside cosines of random pairs."""
    weights = corpus.run.array("graph", WEIGHTS, kinds="f")
    step = max(1, weights.size // EDGES_LOOKED_AT)
    linked, random = np.asarray(weights[::step], np.float64), vectors.random_pairs()
    if not linked.size or not random.size:
        return None
    edges = np.linspace(min(random.min(), linked.min()), max(1.0, linked.max()), BINS + 1)
    rows = binned(linked, edges, "linked documents") + binned(random, edges, "random pairs")
    text = (
        "Cosines of documents that the graph links, beside those of pairs drawn at random. The less they "
        "overlap, the more a link says."
    )
    return Picture("Graph", "Neighbours are not random", text, charts.histogram(rows, "cosine", what="share of pairs"))


def binned(values: NDArray[np.float64], edges: NDArray[np.float64], kind: str = "", *, share: bool = True) -> Rows:
    """Rows of a histogram; `share` of all values instead of counts."""
    counts = np.histogram(values, edges)[0]
    worth = counts / max(1, values.size) if share else counts
    rows = zip(edges[:-1].tolist(), edges[1:].tolist(), worth.tolist(), strict=True)
    return [{"low": a, "high": b, "count": n, "kind": kind} for a, b, n in rows if n]


def degrees(corpus: Corpus) -> Picture | None:
    """Histogram of the numbers of links."""
    degree = np.diff(np.asarray(corpus.run.array("graph", INDPTR), np.int64)).astype(np.float64)
    if not degree.size:
        return None
    edges = np.unique(np.linspace(0, degree.max() + 1, BINS + 1).astype(np.int64)).astype(np.float64)
    text = (
        f"Half of the documents have {np.median(degree):.0f} or fewer, the most linked one has "
        f"{degree.max():,.0f}. Those far to the right are hubs: see below what they say."
    )
    svg = charts.histogram(binned(degree, edges, share=False), "links of a document", log_y=True)
    return Picture("Graph", "Links of a document", text, svg)


def groups(corpus: Corpus) -> Picture | None:
    """How many groups of copies there are of each size."""
    kept = corpus.duplicate_of[corpus.duplicate_of >= 0]
    if not kept.size:
        return None
    sizes = np.unique(kept, return_counts=True)[1] + 1
    edges = np.unique(np.geomspace(2, sizes.max() + 1, 20).astype(np.int64)).astype(np.float64)
    rows = binned(sizes.astype(np.float64), edges if edges.size > 1 else np.array([2.0, 3.0]), share=False)
    text = (
        f"{sizes.size:,} groups of documents that are copies of each other; of each, one is kept. The largest "
        f"has {sizes.max():,}."
    )
    svg = charts.histogram(rows, "documents of a group", what="groups", log_x=True, log_y=True)
    return Picture("Duplicates", "Sizes of duplicate groups", text, svg)


def jaccards(corpus: Corpus) -> Picture | None:
    """Jaccard similarity of removed documents with what is kept, by kind."""
    values = {kind: corpus.jaccard[corpus.fate == at] for at, kind in enumerate(FATES) if at > 1}
    known = {kind: found[np.isfinite(found)] for kind, found in values.items()}
    if not any(found.size for found in known.values()):
        return None
    edges = np.linspace(min(found.min() for found in known.values() if found.size) - 0.01, 1.0001, 30)
    rows = [row for kind, found in known.items() for row in binned(found, edges, kind, share=False)]
    text = (
        "Jaccard similarity of each removed document and the one kept in its place, over sets of word sequences; "
        "exact copies are not counted here."
    )
    return Picture("Duplicates", "How alike removed documents were", text, charts.histogram(rows, "Jaccard similarity"))


def lengths(corpus: Corpus) -> Picture | None:
    """Tokens of documents, on a logarithmic axis."""
    found = corpus.n_tokens[corpus.n_tokens > 0].astype(np.float64)
    if not found.size:
        return None
    edges = np.geomspace(found.min(), found.max() + 1, BINS + 1)
    text = (
        f"Half of the documents have {np.median(found):,.0f} tokens or fewer; a window holds "
        f"{corpus.run.config.pack.seq_len:,}."
    )
    svg = charts.histogram(binned(found, edges, share=False), "tokens of a document", log_x=True)
    return Picture("Windows", "Lengths of documents", text, svg)


def methods(partly: Partly) -> Picture | None:
    """Mean similarity inside windows: this pack beside what others would give."""
    facts = partly.run.manifests["windows"].facts
    names = (
        ("random windows", "random_mean_similarity"),
        ("the paper's method", "algorithm1_mean_similarity"),
        ("our path, cut", "path_cut_mean_similarity"),
        ("this pack", "mean_similarity"),
    )
    colours = ("var(--c5)", "var(--c1)", "var(--c2)", "var(--c0)")
    rows = [
        {"name": name, "value": facts[key], "colour": colour}
        for (name, key), colour in zip(names, colours, strict=True)
        if facts.get(key) is not None
    ]
    text = (
        "Mean cosine of two documents that share a window: the same documents in windows of the same size; only "
        "which ones stand together differs."
    )
    return Picture("Windows", BESIDE_MAP, text, charts.bars(rows, "name", "value", label=".3f"))


def coherence(corpus: Corpus) -> Picture | None:
    """Histogram of the windows' mean similarity."""
    values = corpus.windows["mean_similarity"]
    values = values[np.isfinite(values) & (corpus.windows["n_docs"] > 1)]
    if not values.size:
        return None
    edges = np.linspace(min(0.0, values.min()), values.max() + 1e-6, BINS + 1)
    text = f"Mean similarity of each window with more than one document; half of them reach {np.median(values):.3f}."
    svg = charts.histogram(binned(values, edges, share=False), "mean similarity", what="windows")
    return Picture("Windows", "How coherent windows are", text, svg)


_ALONG = {
    "n_docs": ("Documents in a window", "documents", "Mean number of documents along training."),
    "mean_similarity": ("Similarity along training", "similarity", "Mean similarity in windows: it should not drift."),
    "n_pad": ("Padding along training", "tokens of padding", "Mean padding of a window along training."),
}  # fmt: skip


def along(corpus: Corpus, figure: str) -> Picture | None:
    """A figure of windows, as means over stretches of training."""
    values = np.nan_to_num(corpus.windows[figure])
    if values.size < 2:
        return None
    stretches = np.array_split(values, min(STEPS_SHOWN, values.size))
    firsts = np.cumsum([0, *(len(stretch) for stretch in stretches[:-1])])
    rows = [{"x": int(x), "y": round(float(s.mean()), 4)} for x, s in zip(firsts, stretches, strict=True)]
    title, y_title, text = _ALONG[figure]
    svg = charts.lines(rows, "x", "y", x_title="window, in training order", y_title=y_title, zero=True)
    return Picture("Training", title, text, svg)


def mixture(corpus: Corpus) -> Picture | None:
    """Shares of the largest sources along training."""
    labels = corpus.labels("source")
    if len(labels.names) < 2:
        return None
    places, n_windows = corpus.places, corpus.windows["n_docs"].size
    n_steps, n_names = min(STEPS_SHOWN, n_windows), len(labels.names) + 1
    code = labels.codes[places["doc"]]
    code = np.where(code < 0, n_names - 1, code)
    step = places["window"] * n_steps // max(1, n_windows)
    size = places["doc_stop"] - places["doc_start"]
    totals = np.bincount(code, weights=size, minlength=n_names)
    largest = [at for at in np.argsort(-totals, kind="stable")[:SOURCES_SHOWN].tolist() if totals[at]]
    rank = np.full(n_names, len(largest))
    rank[largest] = np.arange(len(largest))
    cells = np.bincount(step * (len(largest) + 1) + rank[code], weights=size, minlength=n_steps * (len(largest) + 1))
    names = [*([*labels.names, "(none)"][at][:40] for at in largest), "all others"]
    rows = [
        {"x": s * n_windows // n_steps, "share": int(n), "kind": names[k]}
        for k in range(len(names))
        for s, n in enumerate(cells.reshape(n_steps, -1)[:, k].tolist())
        if k < len(largest) or totals.sum() > totals[largest].sum()
    ]
    text = "Shares of the largest sources in the tokens of each stretch: all of them should be met throughout training."
    return Picture("Training", "Sources along training", text, charts.shares(rows, x_title="window, in training order"))


def distances(partly: Partly, vectors: Vectors) -> Picture | None:
    """How alike windows are that are trained close to each other."""
    rows: Rows = list(vectors.by_distance())
    if len(rows) < 2:
        return None
    shuffle = partly.run.config.pack.shuffle
    text = (
        f"Cosine of the means of two windows some steps apart (pack.shuffle is {shuffle}). Similar "
        "windows should not follow one another: a batch would be about one subject."
    )
    svg = charts.lines(
        rows, "lag", "similarity", x_title="steps apart", y_title="similarity", log_x=True, zero=True, points=True
    )
    return Picture("Training", "Windows trained one after another", text, svg)
