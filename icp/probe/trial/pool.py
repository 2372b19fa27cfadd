"""The documents of a run as a tiny model reads them: the beginnings of their texts in a small vocabulary of their own.

In: a run. Out: token ids of chosen nodes. Only texts that are asked for are read.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.config import Config, TokenizerConfig
from icp.data import DocGraph, Rows
from icp.errors import ConfigError
from icp.run.arrays import load_graph, load_nodes, load_order
from icp.run.context import Context, document_paths
from icp.run.names import TOKENIZER
from icp.run.nodes import field_groups, load_vectors
from icp.run.texts import TextReader
from icp.streams import PROBE
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer

SEPARATOR = 0
"""The id before each document: the first of a tokenizer that is trained here."""
MOST_TOKENS = 448
"""Of a document, its separator among them: a window holds two or three."""
HEAD_CHARS = 2400
SAMPLE = 2000
"""Documents whose beginnings the tokenizer is trained on."""
TOKENS_BY, SPLIT_BY, TRUNK_BY, BRANCH_BY, SHUFFLE_BY, ORDER_BY = range(10, 16)
"""Parts of `icp.streams.PROBE`, beside those of the probe without training."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The documents of a run, by node.

    Attributes:
        config: of the run.
        nodes: (n,) int64, doc of each.
        sources: (n,) int64, a number for the source of each.
        graph: their similarities. vectors: (n, dim).
        path: (n,) int64, all nodes in the order of the run.
        reader: of texts. tokenizer: of `vocabulary` ids.
    """

    config: Config
    nodes: NDArray[np.int64]
    sources: NDArray[np.int64]
    graph: DocGraph
    vectors: Rows
    path: NDArray[np.int64]
    reader: TextReader
    tokenizer: Tokenizer

    def heads(self, rows: NDArray[np.int64]) -> list[str]:
        """The beginnings of the texts of some nodes."""
        return _heads(self.reader, self.nodes, rows)

    def ids(self, rows: NDArray[np.int64]) -> list[NDArray[np.int16]]:
        """Ids of the beginnings of some nodes, the separator first, `MOST_TOKENS` at most."""
        ids, offsets = self.tokenizer.encode_batch(self.heads(rows))
        bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        first = np.array([SEPARATOR], dtype=np.int16)
        return [np.concatenate((first, ids[begin:end][: MOST_TOKENS - 1].astype(np.int16))) for begin, end in bounds]


def open_pool(context: Context, reader: TextReader, *, vocabulary: int, seed: int) -> Pool:
    """The documents of a run with a finished pack.

    Raises: ConfigError for a run without documents.
    """
    nodes = load_nodes(context)
    if not nodes.size:
        raise ConfigError("the run has no documents to train on")
    sources = field_groups(document_paths(context), nodes, ["source"])
    sample = np.sort(PROBE.generator(seed, TOKENS_BY).permutation(nodes.size)[:SAMPLE])
    text = train_tokenizer(_heads(reader, nodes, sample), vocabulary)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, TOKENIZER)
        path.write_text(text, encoding="utf-8")
        tokenizer = load_tokenizer(TokenizerConfig(name=f"train:{vocabulary}"), trained=path)
    order = np.asarray(load_order(context), dtype=np.int64)
    graph, vectors = load_graph(context), load_vectors(context)
    return Pool(context.config, nodes, sources, graph, vectors, order, reader, tokenizer)


def _heads(reader: TextReader, nodes: NDArray[np.int64], rows: NDArray[np.int64]) -> list[str]:
    texts = reader.fetch(nodes[rows])
    return [texts[doc][:HEAD_CHARS] for doc in nodes[rows].tolist()]
