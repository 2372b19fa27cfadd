"""What a user chooses by name and a developer may add to: every choice is listed here, once.

The configuration, `--help`, messages and the library take the names from these tables, and `tests/test_choices.py`
holds the documentation to them. The tables stand on the ground floor, where the configuration can read them, so an
entry names its code by a path inside its library package, ``module.name``, which the package imports at first use.
CONTRIBUTING.md has a recipe for each kind of entry.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class PackMethod:
    """A value of ``pack.method``: a way to fill windows with documents.

    Attributes:
        name: in the configuration.
        code: in `icp.pack`, a function that takes an `icp.pack.methods.Request` and returns a `PackPlan`.
        summary: what it does, in the words of the documentation.
        knows_split: it respects ``pack.split``; the others cut a document wherever a window ends, and ``split: never``
            is refused with them.
        cuts: under some ``pack.split`` it cuts documents that fit a window, at places that it chooses.
        fills: it cuts documents wherever a window ends, so that only the last window has room, and one whose end
            would part a document's last token from its end token.
        varies: it goes by the graph, or by a seed, so that each of several passes (``pack.epochs``) is another.
        repeats: a document may stand in several windows; groups and random windows are refused.
        by_source: it needs the source of each document.
        in_partitions: a corpus of several partitions is planned by tasks of their own, one for each partition.
    """

    name: str
    code: str
    summary: str
    knows_split: bool = False
    cuts: bool = False
    fills: bool = False
    varies: bool = False
    repeats: bool = False
    by_source: bool = False
    in_partitions: bool = False


@dataclass(frozen=True, slots=True)
class KnnMethod:
    """A value of ``graph.method``: a way to find the nearest neighbours of every document.

    Attributes:
        name: in the configuration.
        code: in `icp.knn`, an `icp.knn.groupings.Grouping`; empty for ``exact``, which compares all pairs of rows and
            needs no groups, and for ``faiss``, which searches an index of FAISS.
        summary: what it does, in the words of the documentation.
    """

    name: str
    code: str
    summary: str


@dataclass(frozen=True, slots=True)
class Embedder:
    """A kind of ``embed.model``: something that turns documents into vectors.

    Attributes:
        name: the value of ``embed.model``; one that ends in a colon is only its beginning.
        summary: what it does, in the words of the documentation.
        code: in `icp.embed`, a function that takes a seed and `TransformerSettings` and returns a `CorpusEmbedder`, for
            a model that looks at the whole corpus before it embeds a document; empty for the others.
        is_seeded: ``seed`` changes its vectors.
        has_transformer: a transformer is part of it, so that all keys of ``embed`` change its vectors.
        counts_words: it weighs words by the number of documents that hold them.
    """

    name: str
    summary: str
    code: str = ""
    is_seeded: bool = False
    has_transformer: bool = False
    counts_words: bool = False


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Entry = TypeVar("_Entry", bound=_Named)


def _by_name(*entries: _Entry) -> dict[str, _Entry]:
    return {entry.name: entry for entry in entries}


PACK_METHODS = _by_name(
    PackMethod(
        "windows",
        "methods.plan_whole_windows",
        "The documents of a window are chosen together, so that all of them are related; few documents are cut.",
        knows_split=True,
        cuts=True,
        varies=True,
        in_partitions=True,
    ),
    PackMethod(
        "path-cut",
        "methods.cut_path",
        "The paper's method: documents follow one another along the path, which is cut wherever a window ends.",
        fills=True,
        varies=True,
    ),
    PackMethod(
        "path-fit",
        "methods.fit_along_path",
        "Along the path, each window takes the first waiting documents that fit.",
        knows_split=True,
        cuts=True,
        varies=True,
    ),
    PackMethod(
        "best-fit",
        "methods.fit_by_size",
        "Best fit by falling size, whatever the documents are about.",
        knows_split=True,
    ),
    PackMethod(
        "single",
        "methods.place_alone",
        "For validation: each document in windows of its own, padded.",
    ),
    PackMethod(
        "random",
        "methods.cut_at_random",
        "A control: a random order, cut wherever a window ends.",
        fills=True,
        varies=True,
    ),
    PackMethod(
        "source",
        "methods.cut_by_source",
        "A control: the order of the sources, cut wherever a window ends.",
        fills=True,
        by_source=True,
    ),
    PackMethod(
        "knn",
        "methods.repeat_nearest",
        "The paper's baseline: a document and its nearest ones, which may stand in other windows as well.",
        repeats=True,
    ),
)

KNN_METHODS = _by_name(
    KnnMethod("exact", "", "Every pair of documents is compared, once."),
    KnnMethod(
        "cells", "groupings.CELLS", "A document joins the cells near to it, and all documents of a cell are compared."
    ),
    KnnMethod(
        "ivf", "groupings.LISTS", "A document stands in one list and searches as many lists as the recall needs."
    ),
    KnnMethod("faiss", "", "An index of FAISS, which `graph.faiss` describes, proposes neighbours."),
)

EMBEDDERS = _by_name(
    Embedder(
        "hybrid",
        "Words, weighted over the whole corpus, joined to the static model.",
        "hybrid.hybrid_embedder",
        is_seeded=True,
        counts_words=True,
    ),
    Embedder(
        "lexical",
        "Words alone, weighted over the whole corpus.",
        "lexical.lexical_embedder",
        is_seeded=True,
        counts_words=True,
    ),
    Embedder("static", "A table of vectors of word pieces, part of this package.", "hybrid.static_embedder"),
    Embedder(
        "hybrid:",
        "Followed by the name of a transformer: words and the static model, joined to that transformer.",
        "hybrid.triple_embedder",
        is_seeded=True,
        has_transformer=True,
        counts_words=True,
    ),
    Embedder("files:", "Followed by a glob of files: vectors of your own, found by document id."),
)
TRANSFORMER = Embedder(
    "", "Any other value: a model of sentence-transformers, by preset, folder or name.", has_transformer=True
)

CONTINUATIONS = ("cut", "restart", "pad")
"""The values of ``pack.continuation``: what becomes of a document that would be cut where a window ends."""

EXPORT_FORMATS = tuple(
    sorted(
        entry.name.removesuffix(".py")
        for entry in files("icp").joinpath("export", "formats").iterdir()
        if entry.name.endswith(".py") and not entry.name.startswith("_")
    )
)
"""The values of `icp export --format` and of ``export``: the modules of `icp.export.formats`, whose names they are."""

GRAPH_EXPORTS = ("clusters", "pairs")
"""Values of `icp export --format` that are made of the graph alone; see `icp.export.relations`."""

REMOVAL_WINDOWS = ("replan", "drop", "mask")
"""Values of `icp remove --windows`: what becomes of windows that held a removed document; see `icp.pack.without`."""
