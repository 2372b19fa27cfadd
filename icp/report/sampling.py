"""What a report looks at: a bounded number of documents, pairs and windows, chosen by the run's seed.

In: a `Corpus` and the run's vectors. Out: arrays. The same run gives the same report.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from icp.audit.duplicates import vectors_of
from icp.data import RowParts
from icp.report.corpus import Corpus
from icp.run.names import SURVIVORS
from icp.streams import REPORT

MAP_DOCS = 3000
RANDOM_PAIRS = 20_000
WINDOWS_COMPARED = 512
NEAREST, SMOOTHED = 12, 3
"""Of the map: documents that one is moved to, and how often; else what sets one apart hides what it shares."""
FEW_AXES, AXES_ROUNDS = 8, 30
LAGS = (1, 2, 4, 8, 16, 32, 64)


@dataclass
class Vectors:
    """The vectors of kept documents, by doc.

    Attributes:
        corpus: whose.
        seed: of all that is drawn.
    """

    corpus: Corpus
    seed: int = 0

    @cached_property
    def _rows(self) -> RowParts:
        return vectors_of(self.corpus.run)

    @cached_property
    def _survivors(self) -> NDArray[np.int64]:
        return np.asarray(self.corpus.run.array("dedup", SURVIVORS), np.int64)

    def of(self, docs: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, dim) float32, the vectors of kept docs, in the order given."""
        unique, back = np.unique(docs, return_inverse=True)
        rows = np.searchsorted(self._survivors, unique)
        if rows.size and (rows[-1] >= self._survivors.size or np.any(self._survivors[rows] != unique)):
            raise ValueError("a document of the windows has no vector")
        return np.asarray(self._rows[rows], np.float32)[back]

    def drawn(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose."""
        return REPORT.generator(self.seed, purpose)

    @cached_property
    def sample(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Docs in ascending order, at most `MAP_DOCS`, and their vectors."""
        nodes = self.corpus.nodes
        chosen = nodes
        if nodes.size > MAP_DOCS:
            chosen = np.sort(self.drawn(0).choice(nodes, MAP_DOCS, replace=False))
        return chosen, self.of(chosen)

    def random_pairs(self) -> NDArray[np.float64]:
        """Cosines of random pairs of documents."""
        _, vectors = self.sample
        if len(vectors) < 2:
            return np.empty(0)
        one, two = self.drawn(1).integers(0, len(vectors), (2, RANDOM_PAIRS))
        apart = one != two
        return np.asarray((vectors[one[apart]] * vectors[two[apart]]).sum(axis=1), np.float64)

    def flat(self) -> NDArray[np.float32]:
        """(n, 2): the sample on a plane: each document moved to its nearest ones, then two principal components."""
        _, vectors = self.sample
        nearest = np.argpartition(-(vectors @ vectors.T), min(NEAREST, len(vectors) - 1), axis=1)[:, :NEAREST]
        for _ in range(SMOOTHED):
            vectors = vectors[nearest].mean(axis=1)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        centred = vectors - vectors.mean(axis=0)
        plane = centred @ self._widest(centred.T @ centred)[:, :2]
        signs = np.where(np.abs(plane.min(axis=0)) > plane.max(axis=0), -1, 1)  # an axis has no direction of its own
        return np.asarray(plane * signs, np.float32)

    def _widest(self, spread: NDArray[np.float32]) -> NDArray[np.float32]:
        """(dim, few): the directions in which most lies, the widest first, near enough for a picture.

        All of them, as LAPACK finds them, take its threads seconds on a machine that is busy.
        """
        basis = self.drawn(2).standard_normal((len(spread), min(FEW_AXES, len(spread)))).astype(np.float32)
        for _ in range(AXES_ROUNDS):
            basis = np.linalg.qr(spread @ basis)[0]
        _, turned = np.linalg.eigh(basis.T @ spread @ basis)
        return np.asarray(basis @ turned[:, ::-1], np.float32)

    def by_distance(self) -> list[dict[str, float]]:
        """How alike windows are that are trained some steps apart: means over stretches of training."""
        n_windows = self.corpus.windows["n_docs"].size
        chosen = np.unique(np.linspace(0, max(0, n_windows - LAGS[-1] - 1), WINDOWS_COMPARED // 8).astype(np.int64))
        wanted = np.unique(np.concatenate([chosen, *(chosen + lag for lag in LAGS)]))
        wanted = wanted[wanted < n_windows]
        centres = self.centres(wanted)
        found = []
        for lag in LAGS:
            one, two = chosen[chosen + lag < n_windows], chosen[chosen + lag < n_windows] + lag
            if one.size:
                pairs = centres[np.searchsorted(wanted, one)] * centres[np.searchsorted(wanted, two)]
                found.append({"lag": lag, "similarity": round(float(pairs.sum(axis=1).mean()), 4)})
        return found

    def centres(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, dim): the direction of the mean vector of each window; `windows` ascending."""
        places = self.corpus.places
        here = np.flatnonzero(np.isin(places["window"], windows))
        vectors = self.of(places["doc"][here])
        sums = np.zeros((windows.size, vectors.shape[1] if vectors.ndim == 2 else 0), np.float32)
        np.add.at(sums, np.searchsorted(windows, places["window"][here]), vectors)
        return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12), np.float32)
