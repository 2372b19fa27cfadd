"""Promises 3 and 4: every row of every shard is what its segments, the tokens and the policy for specials say.

In: shards, segments, tokens. Each row is made again and compared token by token. Out: breaches of promise 3 (a
document's tokens) and of promise 4 (specials, padding, ids, sizes).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.audit.findings import PLACES, Breaches
from icp.audit.passes import Passes, mixed, read_passes
from icp.audit.segments import Layout, TokenFiles, WindowPart, read_parts
from icp.audit.tails import read_tail
from icp.choices import PACK_METHODS
from icp.run.names import SHARDS, shard_file
from icp.run.reader import Run

BLOCK_TOKENS = 1 << 21
"""Tokens that are made again and compared at once."""


@dataclass(slots=True)
class Tally:
    """What was counted on the way; tokens unless it says otherwise."""

    windows: int = 0
    pieces: int = 0
    of_documents: int = 0
    specials: int = 0
    padding: int = 0
    shard_rows: dict[int, int] = field(default_factory=dict)

    @property
    def written(self) -> int:
        """All tokens of all rows."""
        return self.of_documents + self.specials + self.padding


@dataclass(frozen=True, slots=True)
class _Work:
    """What comparing a part needs."""

    run: Run
    layout: Layout
    tokens: TokenFiles
    content: Breaches  # promise 3
    form: Breaches  # promise 4
    repeats: bool  # a document may stand in several windows


def check_rows(run: Run, layout: Layout, tokens: TokenFiles, content: Breaches, form: Breaches) -> Tally:
    """Compare every token of every row, and see that the pieces of every node tile it."""
    work = _Work(run, layout, tokens, content, form, PACK_METHODS[run.config.pack.method].repeats)
    tally, passes = Tally(), read_passes(run, tokens)
    tiles = read_tail(run, layout, tokens).tiles(passes, mixed)
    for part in read_parts(run, layout, tokens):
        _check_pieces(part, work, tally)
        sound = part.sound
        starts, stops = (part.pieces[column][sound] for column in ("doc_start", "doc_stop"))
        spans = (stops - starts).astype(np.uint64) if work.repeats else mixed(starts) - mixed(stops)
        np.add.at(tiles, passes.slots(part.node[sound], part.pieces["window"][sound]), spans)
        fits = _windows_that_fit(part, work)
        for block in _blocks(part, layout.stride, tally):
            _compare(part, block[fits[block]], work)
    _check_tiles(tiles, work, passes)
    _check_shards(work, tally)
    return tally


def _check_pieces(part: WindowPart, work: _Work, tally: Tally) -> None:
    """The columns of the segments agree with one another and with the windows."""
    pieces, window_of = part.pieces, part.window_of
    work.content.add_all("segments that name no tokens of a node", np.flatnonzero(~part.sound), part.shown)
    position = np.arange(window_of.size) - part.bounds[:-1][window_of]
    misplaced = (pieces["win_start"] != part.place) | (
        pieces["win_stop"] - pieces["win_start"] != pieces["doc_stop"] - pieces["doc_start"]
    )
    misplaced |= pieces["position"] != position
    for column in ("shard", "row"):
        misplaced |= pieces[column] != part.windows[column][window_of]
    work.form.add_all("segments that are not where the policy puts them", np.flatnonzero(misplaced), part.shown)
    if part.end.size and part.windows["window"][0] != tally.windows:
        work.form.add("windows that are not numbered in order", f"{part.name} begins with {part.windows['window'][0]}")
    tally.windows += part.end.size
    tally.pieces += window_of.size
    tally.of_documents += int((pieces["doc_stop"] - pieces["doc_start"]).sum())
    tally.specials += int(part.before.sum() + part.after.sum()) + part.end.size * work.layout.window_specials
    tally.padding += int((work.layout.stride - part.end).sum())


def _windows_that_fit(part: WindowPart, work: _Work) -> NDArray[np.bool_]:
    """(n_windows,) bool: windows whose pieces are sound and fit into a row; the others are breaches already."""
    number, stride = part.windows["window"], work.layout.stride
    full = part.end > stride
    work.form.add_all(
        f"windows of more than {stride} tokens",
        np.flatnonzero(full),
        lambda at: f"window {number[at]}: {part.end[at]} tokens",
    )
    empty = np.flatnonzero(np.diff(part.bounds) == 0)
    work.form.add_all("windows without a segment", empty, lambda at: f"window {number[at]}")
    fits = ~full
    fits[part.window_of[~part.sound]] = False
    return fits


def _blocks(part: WindowPart, stride: int, tally: Tally) -> Iterator[NDArray[np.int64]]:
    """Ranks of windows of one shard, few enough to hold their rows; rows of each shard are counted."""
    shards = part.windows["shard"]
    for shard in np.unique(shards).tolist():
        here = np.flatnonzero(shards == shard)
        tally.shard_rows[shard] = tally.shard_rows.get(shard, 0) + here.size
        step = max(1, BLOCK_TOKENS // stride)
        yield from (here[begin : begin + step] for begin in range(0, here.size, step))


def _compare(part: WindowPart, block: NDArray[np.int64], work: _Work) -> None:
    """Make the rows of some windows again and compare them with the shard."""
    if not block.size:
        return
    actual, block = _rows_of(part, block, work)
    if not block.size:
        return
    expected, picked = _remake(part, block, work)
    high = int(actual.max())
    if high >= work.layout.tokenizer.vocab_size:
        wrong = int(np.count_nonzero(actual >= work.layout.tokenizer.vocab_size))
        place = f"shard {part.windows['shard'][block[0]]}: {high} of {work.layout.tokenizer.vocab_size}"
        work.form.add("ids beyond the vocabulary", place, wrong)
    if not np.array_equal(actual, expected):
        _note_differences(part, block, picked, (actual, expected), work)


def _rows_of(part: WindowPart, block: NDArray[np.int64], work: _Work) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The rows of windows as they stand in their shard, and the windows whose rows are there."""
    shard, rows = int(part.windows["shard"][block[0]]), part.windows["row"][block]
    path, stride = work.run.path("shards", shard_file(shard)), work.layout.stride
    n_there = path.stat().st_size // (stride * work.layout.dtype.itemsize) if path.is_file() else 0
    there = (rows >= 0) & (rows < n_there)
    number = part.windows["window"][block]
    work.form.add_all(
        "windows whose row is not in the shard",
        np.flatnonzero(~there),
        lambda at: f"window {number[at]}: {path.name} row {rows[at]} of {n_there}",
    )
    if not there.any():
        return np.empty((0, stride), dtype=work.layout.dtype), block[there]
    whole = np.memmap(path, dtype=work.layout.dtype, mode="r", shape=(n_there, stride))
    wanted = rows[there]
    is_run = np.all(np.diff(wanted) == 1)
    return (whole[wanted[0] : wanted[-1] + 1] if is_run else whole[wanted]), block[there]


def _remake(part: WindowPart, block: NDArray[np.int64], work: _Work) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The rows as segments, tokens and policy say, and the pieces they hold."""
    layout, stride = work.layout, work.layout.stride
    rows = np.full((block.size, stride), layout.pad_id, dtype=layout.dtype)
    if layout.window_specials:
        rows[:, 0] = layout.bos_id
    counts = np.diff(part.bounds)[block]
    picked = np.repeat(part.bounds[:-1][block] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    begin = np.repeat(np.arange(block.size) * stride, counts) + part.place[picked]
    n_tokens = part.pieces["doc_stop"][picked] - part.pieces["doc_start"][picked]
    flat = rows.reshape(-1)
    edges = np.zeros(flat.size + 1, dtype=np.int8)
    edges[begin] += 1
    edges[begin + n_tokens] -= 1
    source = work.tokens.offsets[part.node[picked]] + part.pieces["doc_start"][picked]
    flat[np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)] = work.tokens.gather(source, n_tokens)
    if layout.bos_policy == "document":
        flat[begin[part.before[picked] > 0] - 1] = layout.bos_id
    if layout.eos_id is not None:
        flat[(begin + n_tokens)[part.after[picked] > 0]] = layout.eos_id
    return rows, picked


def _note_differences(
    part: WindowPart,
    block: NDArray[np.int64],
    picked: NDArray[np.int64],
    rows: tuple[NDArray[Any], NDArray[Any]],
    work: _Work,
) -> None:
    """Sort differences into tokens of documents and the rest, and name the first."""
    actual, expected = rows
    differs = np.argwhere(actual != expected)
    window_of, starts = part.window_of[picked], part.place[picked]
    stops = starts + part.pieces["doc_stop"][picked] - part.pieces["doc_start"][picked]
    order = window_of * (work.layout.stride + 1) + starts
    owner = np.searchsorted(order, block[differs[:, 0]] * (work.layout.stride + 1) + differs[:, 1], side="right") - 1
    inside = (owner >= 0) & (window_of[owner] == block[differs[:, 0]]) & (differs[:, 1] < stops[owner])

    def describe(at: int) -> str:
        row, column = differs[at].tolist()
        piece = int(picked[owner[at]])
        where = f"window {part.windows['window'][block[row]]} position {column}"
        values = f"is {actual[row, column]}, expected {expected[row, column]}"
        if not inside[at]:
            return f"{where} {values}"
        token = column - int(part.place[piece]) + int(part.pieces["doc_start"][piece])
        return f"doc {part.pieces['doc'][piece]}: token {token} {values}, {where}"

    work.content.add_all("tokens in shards differ from the document's", np.flatnonzero(inside), describe)
    work.form.add_all("specials or padding differ from the policy", np.flatnonzero(~inside), describe)


def _check_tiles(tiles: NDArray[np.uint64], work: _Work, passes: Passes) -> None:
    """Pieces tile a node if and only if begins and ends cancel but for 0 and the length, in each pass: see `mixed`.

    With ``pack.method: knn`` documents come again: there are as many tokens as each has, or more.
    """
    lengths = work.tokens.packed
    whole = mixed(np.zeros_like(lengths)) - mixed(lengths)
    wrong = np.flatnonzero(tiles < lengths.astype(np.uint64) if work.repeats else tiles != passes.wanted(whole))
    wrong = np.unique(wrong % max(1, lengths.size))
    if not wrong.size:
        return
    pieces: dict[int, list[str]] = {int(doc): [] for doc in work.tokens.nodes[wrong[:PLACES]]}
    for part in read_parts(work.run, work.layout, work.tokens):
        for at in np.flatnonzero(np.isin(part.pieces["doc"], list(pieces))).tolist():
            span = f"{part.pieces['doc_start'][at]}-{part.pieces['doc_stop'][at]}"
            pieces[int(part.pieces["doc"][at])].append(span)

    def describe(node: int) -> str:
        spans = pieces[int(work.tokens.nodes[node])]
        shown = ", ".join(spans[:8]) + (", ..." if len(spans) > 8 else "")
        often = "" if passes.times[node] == 1 else f", {passes.times[node]} times"
        return f"doc {work.tokens.nodes[node]}: {shown or 'nothing'} of {lengths[node]} tokens{often}"

    work.content.add_all("documents whose tokens are not all there exactly once", wrong, describe)


def _check_shards(work: _Work, tally: Tally) -> None:
    """The shards have the rows that the windows name, and no more."""
    n_bytes = work.layout.stride * work.layout.dtype.itemsize
    for name in work.run.names("shards", SHARDS):
        size = work.run.path("shards", name).stat().st_size
        n_rows = tally.shard_rows.get(int(name[6:-4]), 0)
        if size != n_rows * n_bytes:
            place = f"{name}: {size:,} bytes, its {n_rows:,} windows take {n_rows * n_bytes:,}"
            work.form.add("shards of another size than their windows", place)
