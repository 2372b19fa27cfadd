"""What the benches share: timing, the vectors of a corpus, its documents without near-copies, their tokens.

In: a folder of Parquet files with columns ``text`` and ``source``, files of vectors. Out: arrays.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import icp
from icp import DocGraph, KnnGraph
from icp.config import TokenizerConfig
from icp.kernels.knn_graph import keep_leaders
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.tokenizer import load_tokenizer

K = 20
SPARE = 6
"""Neighbours beyond K, since those as alike as copies are no edges: as in a run."""
ALIKE, AGREE = 0.97, 0.7
"""`graph.duplicate_similarity` and `graph.duplicate_jaccard` of a run."""

TOKENIZER = "train:16384"
SAMPLE_CHARS, DOCUMENT_CHARS = 16 << 20, 1 << 15
"""Text that the tokenizer is trained on, and what a document may give to it: as in a run, drawn by another rule."""

Rows = NDArray[np.float16]


@dataclass(frozen=True)
class Documents:
    """A corpus without near-copies: texts alike in words and, in any of its embeddings, in vectors.

    Attributes:
        texts: UTF-8 of each.
        sources: (n,) int64.
        lengths: (n,) int64, tokens with one eos each.
        rows: vectors by the name of the embedding.
    """

    name: str
    texts: list[bytes]
    sources: NDArray[np.int64]
    lengths: NDArray[np.int64]
    rows: dict[str, Rows]


def timed(task: Callable[[], Any]) -> tuple[Any, float]:
    """What a task gives, and its CPU seconds."""
    started = time.process_time()
    return task(), time.process_time() - started


def vectors_of(data: Path, name: str, given: dict[str, Path], model: str) -> Rows:
    """A row for each document of a corpus, from a file or made by a model.

    Raises: ValueError if the file holds another number of rows than the corpus.
    """
    texts = pq.read_table(data / f"{name}.parquet", columns=["text"])["text"]
    rows = np.load(given[name]) if name in given else icp.embed_documents(texts, model=model)
    if len(rows) != len(texts):
        raise ValueError(f"{given[name]} holds {len(rows)} rows, expected {len(texts)}: one a document of {name}")
    return rows.astype(np.float16)


def load_documents(
    data: Path, name: str, embeddings: dict[str, Rows], scratch: Path | None, agree: float = AGREE
) -> Documents:
    """A corpus; what a run would leave out as near-copies in any of the embeddings is left out, zero rows too.

    Args:
        agree: least Jaccard of the texts of near-copies; 0: alike vectors are enough, and nothing is in conflict.
    """
    table = pq.read_table(data / f"{name}.parquet", columns=["text", "source"])
    texts: list[str] = table["text"].to_pylist()
    kept = np.ones(len(texts), dtype=bool)
    for rows in embeddings.values():
        kept &= rows.any(axis=1) & ~copies(rows, texts, agree)
    docs = np.flatnonzero(kept)
    sources = np.unique(table["source"].to_pylist(), return_inverse=True)[1].astype(np.int64)
    lengths = token_lengths(name, texts, scratch)
    return Documents(
        name,
        [texts[doc].encode() for doc in docs],
        sources[docs],
        lengths[docs],
        {key: rows[docs] for key, rows in embeddings.items()},
    )


def copies(rows: Rows, texts: list[str], agree: float) -> NDArray[np.bool_]:
    """(n,) bool: rows that the step `graph` removes: alike to an earlier kept one, their texts too."""
    pairs = pairs_alike(icp.search_neighbors(rows, k=K + SPARE, method="exact"))
    jaccards = np.empty(len(pairs))
    for number, (first, second) in enumerate(pairs):
        ours, others = (icp.shingle_hashes(texts[row]) for row in (first, second))
        both = np.intersect1d(ours, others).size
        jaccards[number] = both / max(1, ours.size + others.size - both)
    gone = np.zeros(len(texts), dtype=bool)
    gone[pairs[keep_leaders(pairs, jaccards, agree, len(texts)), 1]] = True
    return gone


def pairs_alike(knn: KnnGraph) -> NDArray[np.int64]:
    """(m, 2) int64: lower and higher row of pairs as alike as copies, sorted by the higher, then the lower."""
    row, place = np.nonzero((knn.neighbors >= 0) & (knn.similarities >= ALIKE))
    other = knn.neighbors[row, place].astype(np.int64)
    pairs = np.unique(np.stack((np.maximum(row, other), np.minimum(row, other)), axis=1), axis=0)
    return np.ascontiguousarray(pairs[:, ::-1])


def conflicting_neighbors(rows: Rows) -> tuple[KnnGraph, NDArray[np.int64]]:
    """Exact neighbours as the step `graph` takes them, and the pairs too alike to share a window."""
    knn = icp.search_neighbors(rows, k=K + SPARE, method="exact")
    conflicts = pairs_alike(knn)
    n_alike = ((knn.neighbors >= 0) & (knn.similarities >= ALIKE)).sum(axis=1)
    places = np.minimum(n_alike, SPARE)[:, None] + np.arange(K)
    near, similarities = (np.take_along_axis(array, places, axis=1) for array in (knn.neighbors, knn.similarities))
    near[similarities >= ALIKE] = -1
    similarities[near < 0] = 0
    return KnnGraph(near, similarities), conflicts


def neighbors_of(rows: Rows) -> tuple[KnnGraph, DocGraph]:
    """Exact neighbours and their graph."""
    knn = icp.search_neighbors(rows, k=K, method="exact")
    return knn, icp.symmetrize(knn)


def token_lengths(name: str, texts: list[str], scratch: Path | None) -> NDArray[np.int64]:
    """(n,) int64: tokens of each document under a tokenizer trained on the corpus, and one eos; kept in `scratch`."""
    path = scratch / f"lengths-{name}.npy" if scratch else None
    if path and path.exists():
        return np.load(path)
    config, sample, n_chars = TokenizerConfig(name=TOKENIZER), [], 0
    for row in np.random.default_rng(0).permutation(len(texts)):
        if n_chars >= SAMPLE_CHARS:
            break
        sample.append(texts[row][:DOCUMENT_CHARS])
        n_chars += len(sample[-1])
    n_ids = int(TOKENIZER.partition(":")[2])
    tokenizer = trained(config, train_tokenizer(sample, n_ids))
    lengths = np.diff(tokenizer.encode_batch(texts)[1]).astype(np.int64) + 1
    if path:
        np.save(path, lengths)
    return lengths


def trained(config: TokenizerConfig, text: str) -> Any:
    """The tokenizer of a ``tokenizer.json``."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(text, encoding="utf-8")
        return load_tokenizer(config, trained=path)
