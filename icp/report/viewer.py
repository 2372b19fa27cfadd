"""Windows for the viewer: their documents in order, decoded, with what is like them and where that stands.

In: a `Corpus`, its vectors, the shards. Out: plain values, texts cut to a budget.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.audit.segments import Layout, TokenFiles, layout_of
from icp.audit.tails import repeated_pieces
from icp.data import PackPlan
from icp.pack.similarity import context_bits
from icp.report.corpus import Corpus
from icp.report.sampling import Vectors
from icp.run.names import INDICES, INDPTR, SEGMENTS, WEIGHTS, shard_file
from icp.run.reader import read_columns
from icp.run.texts import TextReader
from icp.streams import REPORT

SHOWN_WINDOWS, EXTREMES = 150, 30
TEXT_BYTES = 4_200_000
LEAST_CHARS = 160
NEIGHBOURS = 5
TITLE_TOKENS, TITLE_CHARS = 32, 90
BITS_TOKENS = 300_000
Item = dict[str, Any]


@dataclass
class Viewer:
    """Windows as the page shows them.

    Attributes:
        windows: an item each, in training order.
        docs: doc -> its id, source and title, of all that windows and neighbours name.
        texts: (window, position) -> whole decoded text of pieces, for figures; not for the page.
    """

    windows: list[Item] = field(default_factory=list)
    docs: dict[int, list[str]] = field(default_factory=dict)
    texts: dict[tuple[int, int], str] = field(default_factory=dict)


def chosen_windows(corpus: Corpus) -> NDArray[np.int64]:
    """The most and least coherent windows, and some at equal distances along training; ascending."""
    similarity = np.nan_to_num(corpus.windows["mean_similarity"])
    several = np.flatnonzero(corpus.windows["n_docs"] > 1)
    by_similarity = several[np.argsort(similarity[several], kind="stable")]
    n_even = SHOWN_WINDOWS - 2 * EXTREMES
    even = np.linspace(0, similarity.size - 1, min(n_even, similarity.size)).astype(np.int64)
    if similarity.size <= SHOWN_WINDOWS:
        even = np.arange(similarity.size)
    return np.unique(np.concatenate((by_similarity[:EXTREMES], by_similarity[-EXTREMES:], even))).astype(np.int64)


def make_viewer(corpus: Corpus, vectors: Vectors) -> Viewer:
    """The chosen windows with all that the page shows of them."""
    layout, viewer = layout_of(corpus.run), Viewer()
    tokens = TokenFiles(corpus.run, layout)
    chosen = chosen_windows(corpus)
    rows, again = _segments(corpus, chosen), repeated_pieces(corpus.run, layout, tokens)
    budget = TEXT_BYTES // max(1, chosen.size)
    graph = [np.asarray(corpus.run.array("graph", name, kinds="iuf")) for name in (INDPTR, INDICES, WEIGHTS)]
    for window in chosen.tolist():
        pieces = rows[window]
        viewer.windows.append(_window(corpus, vectors, (window, pieces)))
        for piece, item in zip(pieces, viewer.windows[-1]["pieces"], strict=True):
            text = _decoded(corpus, layout, piece)
            viewer.texts[window, piece["position"]] = text
            item["again"] = (window, piece["doc"], piece["doc_start"]) in again
            item["near"] = _near(corpus, graph, piece["doc"])
            item["text"], item["more"] = _fitted(text, budget // len(pieces))
    _describe(corpus, viewer, (layout, tokens))
    return viewer


def _segments(corpus: Corpus, chosen: NDArray[np.int64]) -> dict[int, list[Item]]:
    """The rows of the segments of some windows, by position."""
    found: dict[int, list[Item]] = {window: [] for window in chosen.tolist()}
    run = corpus.run
    columns = ("window", "shard", "row", "position", "doc", "doc_start", "doc_stop", "win_start", "win_stop")
    for name in run.names("shards", SEGMENTS):
        table = read_columns(run.path("shards", name), columns)
        here = np.flatnonzero(np.isin(table.column("window").to_numpy(), chosen))
        for row in table.take(here).to_pylist():
            found[row["window"]].append(row)
    return {window: sorted(pieces, key=lambda row: row["position"]) for window, pieces in found.items()}


def _window(corpus: Corpus, vectors: Vectors, window_pieces: tuple[int, list[Item]]) -> Item:
    """A window without texts."""
    window, pieces = window_pieces
    docs = np.array([piece["doc"] for piece in pieces], np.int64)
    own = vectors.of(docs)
    cosines = own @ own.T
    others = max(1, docs.size - 1)
    figures = {name: float(np.nan_to_num(column[window])) for name, column in corpus.windows.items()}
    items = []
    for at, piece in enumerate(pieces):
        rest = [
            [int(corpus.places["window"][k]), int(corpus.places["doc_start"][k]), int(corpus.places["doc_stop"][k])]
            for k in corpus.places_of(piece["doc"])
            if corpus.places["window"][k] != window or corpus.places["doc_start"][k] != piece["doc_start"]
        ]
        node = corpus.node_of(piece["doc"])
        items.append(
            {
                "doc": piece["doc"],
                "from": piece["doc_start"],
                "to": piece["doc_stop"],
                "of": int(corpus.n_tokens[node]) if node >= 0 else None,
                "at": piece["win_start"],
                "previous": round(float(cosines[at, at - 1]), 3) if at else None,
                "window": round(float((cosines[at].sum() - cosines[at, at]) / others), 3) if docs.size > 1 else None,
                "rest": rest[:20],
            }
        )
    return {
        "window": window,
        "shard": f"{shard_file(pieces[0]['shard'])} row {pieces[0]['row']}" if pieces else "",
        "mean": round(figures["mean_similarity"], 4),
        "largest": round(figures["max_pair_similarity"], 4),
        "padding": int(figures["n_pad"]),
        "rank": int(figures["path_rank"]),
        "pieces": items,
    }


def _near(corpus: Corpus, graph: list[NDArray[Any]], doc: int) -> list[list[Any]]:
    """The nearest documents: doc, similarity, windows it stands in."""
    indptr, indices, weights = graph
    node = corpus.node_of(doc)
    if node < 0:
        return []
    edges = range(int(indptr[node]), min(int(indptr[node]) + NEIGHBOURS, int(indptr[node + 1])))
    found = []
    for edge in edges:
        other = int(corpus.nodes[indices[edge]])
        where = np.unique(corpus.places["window"][corpus.places_of(other)])[:6]
        found.append([other, round(float(weights[edge]), 3), where.tolist()])
    return found


def _decoded(corpus: Corpus, layout: Layout, piece: Item) -> str:
    """The text of a piece, from the shard."""
    begin = piece["row"] * layout.stride + piece["win_start"]
    shard = _shard(corpus.run.path("shards", shard_file(piece["shard"])), layout.dtype.name)
    return layout.tokenizer.decode(shard[begin : begin + piece["win_stop"] - piece["win_start"]])


@lru_cache(maxsize=256)
def _shard(path: Path, dtype: str) -> NDArray[Any]:
    """The tokens of a shard, mapped; pieces of one shard are many."""
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))


def _fitted(text: str, n_bytes: int) -> tuple[str, int]:
    """A text cut to about so many bytes, and how many characters were left out."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size <= n_bytes:
        return text, 0
    n_chars = max(LEAST_CHARS, n_bytes * len(text) // size)
    return text[:n_chars], max(0, len(text) - n_chars)


def _describe(corpus: Corpus, viewer: Viewer, read: tuple[Layout, TokenFiles]) -> None:
    """Ids, sources and titles of all documents that the windows name."""
    named = {item["doc"] for window in viewer.windows for item in window["pieces"]}
    named |= {near[0] for window in viewer.windows for item in window["pieces"] for near in item["near"]}
    viewer.docs.update(described(corpus, sorted(named), read))


def described(corpus: Corpus, docs: list[int], read: tuple[Layout, TokenFiles]) -> dict[int, list[str]]:
    """Id, source and title of kept documents; the title is how its tokens begin, so that no text is read."""
    layout, tokens = read
    rows = TextReader(corpus.run).rows(np.array(docs, np.int64), ("id", "source"))
    nodes = np.array([corpus.node_of(doc) for doc in docs], np.int64)
    counts = np.where(nodes < 0, 0, np.minimum(tokens.lengths[nodes], TITLE_TOKENS))
    ids = np.split(tokens.gather(tokens.offsets[np.maximum(nodes, 0)], counts), np.cumsum(counts)[:-1])
    return {
        doc: [
            str(rows[doc]["id"])[:200],
            str(rows[doc]["source"] or "")[:100],
            title_of(layout.tokenizer.decode(own)) if own.size else "",
        ]
        for doc, own in zip(docs, ids, strict=True)
    }


def title_of(text: str) -> str:
    """The first line of a text, cut."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[0] if lines else ""
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "\u2026"


def bits_of(viewer: Viewer, seed: int) -> tuple[float, float] | None:
    """`context_bits` of the windows shown, and of the same pieces in windows shuffled at random."""
    keys, size = [], 0
    for key, text in viewer.texts.items():
        if text and size < 4 * BITS_TOKENS:
            keys.append(key)
            size += len(text)
    if len(keys) < 2:
        return None
    texts = [viewer.texts[key] for key in keys]
    lengths = np.array([len(text) for text in texts], np.int64)
    doc, window = np.arange(len(keys)), np.array([key[0] for key in keys], np.int64)
    mixed = REPORT.generator(seed, 31).permutation(len(keys))
    plans = (doc, mixed)
    found = [
        context_bits(texts, PackPlan(order, np.zeros_like(order), lengths[order], window), lengths) for order in plans
    ]
    return found[0], found[1]
