"""What `pack.tail` and `pack.continuation` repeated or left out, as the plan lists it; promise 3 holds beside it.

In: plan/, the configuration. Out: spans of tokens, specials not counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.audit.passes import Passes
from icp.audit.segments import Layout, TokenFiles, WindowPart
from icp.run.names import TAIL
from icp.run.reader import Run, WrongForm


@dataclass(frozen=True, slots=True)
class Tail:
    """Tokens ``start`` to ``stop`` of nodes, (n,) int64 each: once more in `window`, or in none if that is -1."""

    node: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    window: NDArray[np.int64]

    @property
    def again(self) -> NDArray[np.bool_]:
        """(n,) bool: repeated, not left out."""
        return self.window >= 0

    def counts(self) -> dict[str, int]:
        """Tokens repeated and left out, and documents of which some are left out."""
        tokens, again = self.stop - self.start, self.again
        return {
            "repeated": int(tokens[again].sum()),
            "left_out": int(tokens[~again].sum()),
            "left_out_documents": int(np.unique(self.node[~again]).size),
        }

    def tiles(self, passes: Passes, mixed: Callable[[NDArray[np.int64]], NDArray[np.uint64]]) -> NDArray[np.uint64]:
        """(passes * n_nodes,) uint64: what pieces that tile the rest lack, or have too much, in numbers of `mixed`."""
        tiles = np.zeros((passes.firsts.size - 1) * passes.times.size, np.uint64)
        spans, slots = mixed(self.start) - mixed(self.stop), passes.slots(self.node, self.window)
        np.subtract.at(tiles, slots[self.again], spans[self.again])
        np.add.at(tiles, slots[~self.again], spans[~self.again])
        return tiles

    def repeats(self, part: WindowPart) -> NDArray[np.bool_]:
        """(n_pieces,) bool: the piece is one that is repeated."""
        listed = set(
            zip(*(column[self.again].tolist() for column in (self.node, self.start, self.window)), strict=True)
        )
        if not listed:
            return np.zeros(part.node.size, np.bool_)
        columns = (part.node, part.pieces["doc_start"], part.pieces["window"])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return np.fromiter((row in listed for row in rows), np.bool_, part.node.size)


def read_tail(run: Run, layout: Layout, tokens: TokenFiles) -> Tail:
    """The tail of a pack; of one whose windows are padded, nothing.

    Raises: WrongForm where it names what is not there, or does what `pack.tail` does not say.
    """
    how = run.config.pack.tail
    if not run.config.pack.lists_tail and not (is_reduced(run) and TAIL in run.manifests["windows"].files):
        return Tail(*np.empty((4, 0), np.int64))
    rows = np.asarray(run.array("windows", TAIL, ndim=2), dtype=np.int64)
    if rows.shape[1] != 4:
        raise WrongForm(f"{TAIL} holds {rows.shape[1]} columns, expected 4")
    node, start, stop, window = rows.T
    if rows.size and not (node.min() >= 0 and node.max() < tokens.nodes.size):
        raise WrongForm(f"{TAIL} names nodes {node.min()} to {node.max()} of {tokens.nodes.size:,}")
    n_bos, _ = layout.document_specials
    start, stop = (np.clip(edge - n_bos, 0, tokens.lengths[node]) for edge in (start, stop))
    begins = bool((start == 0).all()) or how != "pad"  # pack.continuation alone repeats beginnings
    as_made = bool(((window >= 0) == (how != "drop")).all()) and begins
    if np.any(start >= stop) or not (as_made or is_reduced(run)):
        raise WrongForm(f"{TAIL} lists other pieces than {_maker(run)} makes")
    return Tail(node, start, stop, window)


def is_reduced(run: Run) -> bool:
    """Whether documents were removed from the windows of the pack: some are dropped, or have room, though `pack.tail`
    makes none of these."""
    return "removed" in run.manifests["windows"].facts


def repeated_pieces(run: Run, layout: Layout, tokens: TokenFiles) -> set[tuple[int, int, int]]:
    """Window, doc and first token of each piece that `pack.tail` repeats."""
    tail = read_tail(run, layout, tokens)
    columns = (tail.window, tokens.nodes[tail.node], tail.start)
    return set(zip(*(column[tail.again].tolist() for column in columns), strict=True))


def told(run: Run, tail: Tail) -> str:
    """A phrase of what is not there exactly once; empty if windows are padded."""
    counts = tail.counts()
    if run.config.pack.tail == "drop" or counts["left_out"]:
        documents = counts["left_out_documents"]
        who = "pack.tail or a removal leaves" if is_reduced(run) else "pack.tail leaves"
        return f" but {counts['left_out']:,} tokens of {documents:,} documents, which {who} out"
    return f" but {counts['repeated']:,} tokens that {_maker(run)} repeats" if run.config.pack.lists_tail else ""


def _maker(run: Run) -> str:
    """The key by which tokens come once more, or not at all."""
    pack = run.config.pack
    keys = {"pack.continuation": pack.continuation == "restart", f"pack.tail {pack.tail}": pack.tail != "pad"}
    return " and ".join(key for key, does in keys.items() if does)


def stated(run: Run) -> dict[str, Any]:
    """What the plan's manifest counts, see `Tail.counts`."""
    counts = run.manifests["windows"].counts
    return {name: counts.get(name, 0) for name in ("repeated", "left_out", "left_out_documents")}
