"""The pieces of documents in their windows, part by part, with what each piece should look like.

In: ``shards/segments`` and ``shards/windows``, offsets of tokens/, the policy for specials. Out: `WindowPart`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.errors import ArtifactError, ConfigError, InputError
from icp.run.extended import n_carried
from icp.run.names import NODES, OFFSETS, SEGMENTS, TOKEN_IDS, TOKENIZER, WINDOWS, of_part, part_of
from icp.run.reader import Run, WrongForm, integers, read_array, read_columns
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer

SEGMENT_COLUMNS = ("window", "shard", "row", "position", "doc", "doc_start", "doc_stop", "win_start", "win_stop")
WINDOW_COLUMNS = ("window", "shard", "row", "n_docs", "n_pad", "path_rank", "mean_similarity", "max_pair_similarity")


@dataclass(frozen=True)
class Layout:
    """How rows are laid out: what the configuration and the tokenizer in tokens/ say, whatever the shards claim."""

    tokenizer: Tokenizer
    stride: int
    capacity: int
    bos_policy: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a token on disk."""
        return self.tokenizer.dtype

    @cached_property
    def bos_id(self) -> int | None:
        """Id of the token before a document or a row, if there is one."""
        return self.tokenizer.bos_id if self.bos_policy != "none" else None

    @cached_property
    def eos_id(self) -> int | None:
        """Id of the token after a document, if there is one."""
        return self.tokenizer.eos_id

    @cached_property
    def pad_id(self) -> int:
        """Id that fills the end of a row."""
        return self.tokenizer.pad_id

    @property
    def window_specials(self) -> int:
        """Specials at the begin of a row."""
        return int(self.bos_policy == "window")

    @property
    def document_specials(self) -> tuple[int, int]:
        """Specials before and after a document."""
        return int(self.bos_policy == "document"), int(self.eos_id is not None)


def layout_of(run: Run) -> Layout:
    """The layout that a run's configuration and its tokenizer ask for."""
    path = run.path("tokens", TOKENIZER)
    try:
        tokenizer = load_tokenizer(run.config.tokenizer, trained=path)
    except (InputError, ConfigError) as error:
        raise ArtifactError(f"{path}: damaged ({error}); restore it, or make the pack again with --fresh") from None
    return Layout(tokenizer, run.config.pack.row_tokens, run.config.capacity, run.config.tokenizer.bos)


class TokenFiles:
    """The tokens of all nodes: the ``.bin`` parts as if they were one array.

    Attributes:
        nodes: (n_nodes,) int64, doc of each node.
        offsets: (n_nodes + 1,) int64, first token of each node.
        bounds: (n_parts + 1,) int64, first token of each part, from the sizes of the files.
        first: the first node that the pack is to hold; windows of those before it are in the shards of another run.
    """

    def __init__(self, run: Run, layout: Layout) -> None:
        self.nodes = np.asarray(run.array("graph", NODES), dtype=np.int64)
        self.offsets = np.asarray(read_array(run.path("tokens", OFFSETS)), dtype=np.int64)
        self._paths = [run.path("tokens", name) for name in run.names("tokens", TOKEN_IDS)]
        self._dtype = layout.dtype
        n_old = n_carried(run.manifests["documents"]) if run.config.pack.documents == "new" else 0
        self.first = int(np.searchsorted(self.nodes, n_old))
        sizes = [path.stat().st_size // self._dtype.itemsize for path in self._paths]
        self.bounds = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.int64)
        rises = self.offsets.size == self.nodes.size + 1 and not np.any(np.diff(self.offsets) < 0)
        if not rises or self.offsets[0] != 0 or self.offsets[-1] != self.bounds[-1]:
            raise WrongForm(
                f"tokens/: {OFFSETS} ({self.offsets.size}) does not rise from 0 to the {self.bounds[-1]:,} tokens "
                f"of {TOKEN_IDS} over {self.nodes.size:,} nodes"
            )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n_nodes,) int64: tokens of each node, specials excluded."""
        return np.diff(self.offsets)

    @property
    def packed(self) -> NDArray[np.int64]:
        """(n_nodes,) int64: those of them that the pack is to hold; 0 for nodes whose windows another run has."""
        lengths = self.lengths
        lengths[: self.first] = 0
        return lengths

    def gather(self, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[Any]:
        """The tokens ``starts[i] .. starts[i] + counts[i]`` one stretch after another; none crosses a part."""
        parts = np.minimum(np.searchsorted(self.bounds, starts, side="right"), len(self._paths)) - 1
        begins = starts - self.bounds[parts]
        views = {part: self._part(part) for part in np.unique(parts).tolist()}
        rows = zip(parts.tolist(), begins.tolist(), (begins + counts).tolist(), strict=True)
        return np.concatenate([np.empty(0, dtype=self._dtype), *(views[part][a:b] for part, a, b in rows)])

    def document(self, node: int) -> NDArray[Any]:
        """All tokens of one node."""
        return self.gather(self.offsets[node : node + 1], self.lengths[node : node + 1])

    def _part(self, part: int) -> NDArray[Any]:
        path = self._paths[part]
        if not path.stat().st_size:  # no document of it has a token
            return np.empty(0, dtype=self._dtype)
        return np.asarray(np.memmap(path, dtype=self._dtype, mode="r"))


@dataclass(frozen=True)
class WindowPart:
    """Consecutive windows and their pieces, and how the pieces should lie.

    Attributes:
        name: of the files.
        windows: columns of ``shards/windows``; ``window`` and others (n_windows,) int64.
        pieces: columns of ``shards/segments``, (n_pieces,) int64 each.
        node: (n_pieces,) int64, node of each piece, -1 if its doc is none.
        length: (n_pieces,) int64, tokens of that node.
        bounds: (n_windows + 1,) int64, first piece of each window.
        before, after: (n_pieces,) int64, specials before and after each piece.
        place: (n_pieces,) int64, where the piece's first token should stand in the row.
        end: (n_windows,) int64, tokens of each row that are no padding.
    """

    name: str
    windows: dict[str, NDArray[np.int64]]
    pieces: dict[str, NDArray[np.int64]]
    node: NDArray[np.int64]
    length: NDArray[np.int64]
    bounds: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    place: NDArray[np.int64]
    end: NDArray[np.int64]

    @property
    def sound(self) -> NDArray[np.bool_]:
        """(n_pieces,) bool: the piece names a node and tokens that it has."""
        start, stop = self.pieces["doc_start"], self.pieces["doc_stop"]
        return (self.node >= 0) & (start >= 0) & (start < stop) & (stop <= self.length)

    @property
    def window_of(self) -> NDArray[np.int64]:
        """(n_pieces,) int64: rank of each piece's window in this part."""
        return np.repeat(np.arange(self.end.size), np.diff(self.bounds))

    def shown(self, piece: int) -> str:
        """A piece as it is named in findings."""
        row = {name: int(values[piece]) for name, values in self.pieces.items()}
        return f"doc {row['doc']} tokens {row['doc_start']} to {row['doc_stop']} in window {row['window']}"


def read_parts(run: Run, layout: Layout, tokens: TokenFiles) -> Iterator[WindowPart]:
    """The windows of a pack in training order.

    Raises: WrongForm where segments and windows do not belong together.
    """
    parts = [part_of(name, WINDOWS) for name in run.names("shards", WINDOWS)]
    if [part_of(name, SEGMENTS) for name in run.names("shards", SEGMENTS)] != parts:
        raise WrongForm("shards: the tables of segments and of windows do not have the same parts")
    for part in parts:
        window_table = read_columns(run.path("shards", of_part(WINDOWS, part)), WINDOW_COLUMNS[:6])
        piece_table = read_columns(run.path("shards", of_part(SEGMENTS, part)), SEGMENT_COLUMNS)
        windows = {column: integers(window_table, column) for column in WINDOW_COLUMNS[:6]}
        pieces = {column: integers(piece_table, column) for column in SEGMENT_COLUMNS}
        yield _lay_out(part, windows, pieces, (layout, tokens))


def _lay_out(
    name: str,
    windows: dict[str, NDArray[np.int64]],
    pieces: dict[str, NDArray[np.int64]],
    rules: tuple[Layout, TokenFiles],
) -> WindowPart:
    layout, tokens = rules
    number, window = windows["window"], pieces["window"]
    if np.any(np.diff(number) != 1) or np.any(np.diff(window) < 0):
        raise WrongForm(f"{name}: windows are not numbered one after another")
    if window.size and not number[:1] <= window[0] <= window[-1] <= number[-1:]:
        raise WrongForm(f"{name}: segments name windows {window[0]} to {window[-1]}, not those of the same part")
    node = np.searchsorted(tokens.nodes, pieces["doc"])
    node[node == tokens.nodes.size] = 0
    node = np.where(tokens.nodes[node] == pieces["doc"], node, -1) if tokens.nodes.size else node - 1
    length = np.where(node >= 0, tokens.lengths[node], 0)
    n_bos, n_eos = layout.document_specials
    before = np.where(pieces["doc_start"] == 0, n_bos, 0)
    after = np.where(pieces["doc_stop"] == length, n_eos, 0)
    bounds = np.searchsorted(window, np.append(number, number[-1:] + 1)).astype(np.int64)
    span = before + pieces["doc_stop"] - pieces["doc_start"] + after
    total = np.concatenate(([0], np.cumsum(span)))
    first = np.repeat(total[bounds[:-1]], np.diff(bounds))
    place = total[:-1] - first + before + layout.window_specials
    end = np.diff(total[bounds]) + layout.window_specials
    return WindowPart(name, windows, pieces, node, length, bounds, before, after, place, end)
