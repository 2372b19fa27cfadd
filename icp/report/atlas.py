"""A map of documents on a plane: each point a document, coloured by source or by its place in training.

In: a `Corpus` and its vectors. Out: SVG, and which document each point is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from icp.report import charts
from icp.report.corpus import Corpus
from icp.report.sampling import Vectors

SOURCES_SHOWN = 7


@dataclass(frozen=True, slots=True)
class Atlas:
    """The map.

    Attributes:
        svg: its points, in the order of `docs`.
        docs: the doc of each point.
        windows: the first window that each stands in, -1 for none.
        text: what the colours say.
    """

    svg: str
    docs: list[int]
    windows: list[int]
    text: str


def make_atlas(corpus: Corpus, vectors: Vectors) -> Atlas | None:
    """The map of a sample; None for fewer documents than a map makes sense of."""
    docs, _ = vectors.sample
    if docs.size < 3:
        return None
    windows = _first_windows(corpus, docs.tolist())
    labels = corpus.labels("source")
    codes = labels.codes[docs]
    counts = np.bincount(codes[codes >= 0], minlength=len(labels.names))
    names = [labels.names[at] for at in np.argsort(-counts, kind="stable")[:SOURCES_SHOWN].tolist() if counts[at]]
    flat = vectors.flat()
    rows: list[dict[str, Any]] = [{"x": round(float(x), 4), "y": round(float(y), 4)} for x, y in flat]
    by_name = len(names) > 1
    if by_name:
        for row, code in zip(rows, codes.tolist(), strict=True):
            name = labels.names[code] if code >= 0 else ""
            row["c"] = name[:40] if name in names else "all others"
        text = "Colours are sources."
    else:
        rank = np.argsort(np.argsort(_path_places(corpus, windows), kind="stable"), kind="stable")
        for row, place in zip(rows, (rank / max(1, rank.size - 1)).tolist(), strict=True):
            row["c"] = round(place, 3)
        text = "Colours follow the path through all documents: neighbours in colour are neighbours on the path."
    return Atlas(charts.points(rows, by_name=by_name, legend="place on the path"), docs.tolist(), windows, text)


def _first_windows(corpus: Corpus, docs: list[int]) -> list[int]:
    if not corpus.places:
        return [-1] * len(docs)
    places = [corpus.places_of(doc) for doc in docs]
    return [int(corpus.places["window"][found[0]]) if found.size else -1 for found in places]


def _path_places(corpus: Corpus, windows: list[int]) -> Any:
    """The place along the path of each document's window; 0 where there is none."""
    if not corpus.windows:
        return np.zeros(len(windows))
    rank = np.append(corpus.windows["path_rank"], 0.0)
    return rank[np.array(windows)]
