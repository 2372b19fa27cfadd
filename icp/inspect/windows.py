"""One window: its figures, its pieces, and their text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from icp.audit.duplicates import cosines, vectors_of
from icp.audit.segments import SEGMENT_COLUMNS, Layout, TokenFiles, layout_of
from icp.audit.tails import repeated_pieces
from icp.errors import ConfigError
from icp.inspect.lookup import open_pack, readable, wrapped
from icp.plurals import counted
from icp.run.names import SEGMENTS, SURVIVORS, WINDOWS, of_part, part_of, shard_file
from icp.run.reader import Run, WrongForm, read_columns
from icp.run.texts import TextReader

INDENT = "     "
FIGURES = ("window", "shard", "row", "n_docs", "n_pad", "path_rank", "mean_similarity", "max_pair_similarity", "source")
Item = dict[str, Any]


def show_window(run: Path, window: int, *, pack: str = "main", chars: int | None = None) -> Iterator[str]:
    """A window of a pack: figures, then for each piece where it comes from and its text.

    Args:
        chars: of each piece that are shown; None for all.

    Raises: ConfigError for a window that is not there; ArtifactError for a pack that is not.
    """
    opened, reader = open_pack(run, pack=pack)
    try:
        yield from _window_lines(opened, read_window(opened, reader, window), chars)
    except WrongForm as error:
        raise readable(error, opened.folder) from None


def show_text(run: Path, window: int, *, pack: str = "main") -> Iterator[str]:
    """The text of a window as it is trained on, line by line: its pieces, one after another."""
    opened, reader = open_pack(run, pack=pack)
    try:
        for piece in read_window(opened, reader, window)["pieces"]:
            yield from piece["text"].split("\n")
    except WrongForm as error:
        raise readable(error, opened.folder) from None


def show_rows(run: Path, window: int, *, pack: str = "main") -> Iterator[str]:
    """A window as JSON, a line for each piece: what `show_window` tells, and the whole text."""
    opened, reader = open_pack(run, pack=pack)
    try:
        for piece in read_window(opened, reader, window)["pieces"]:
            yield json.dumps({"window": window, **piece}, ensure_ascii=False)
    except WrongForm as error:
        raise readable(error, opened.folder) from None


def read_window(run: Run, reader: TextReader, window: int) -> Item:
    """The figures of a window, and its pieces in order, each with its document and its decoded text."""
    layout = layout_of(run)
    again = repeated_pieces(run, layout, TokenFiles(run, layout)) if run.config.pack.lists_tail else set()
    figures, pieces = _rows_of(run, window)
    rows = reader.rows(np.array([piece["doc"] for piece in pieces], dtype=np.int64), ("id", "source"))
    found = [
        {
            **{name: piece[name] for name in ("position", "doc", "doc_start", "doc_stop", "win_start", "win_stop")},
            "id": rows[piece["doc"]]["id"],
            "source": rows[piece["doc"]]["source"],
            "repeated": (window, piece["doc"], piece["doc_start"]) in again,
            "similarity": None if alike is None else round(alike, 4),
            "text": _decoded(run, layout, piece),
        }
        for piece, alike in zip(pieces, _to_previous(run, pieces), strict=True)
    ]
    return {**figures, "stride": layout.stride, "pieces": found}


def _window_lines(run: Run, window: Item, chars: int | None) -> Iterator[str]:
    n_docs, pieces = window["n_docs"], window["pieces"]
    yield (
        f"window {window['window']}  {counted(n_docs, 'document')}, {window['stride'] - window['n_pad']:,} "
        f"of {window['stride']:,} tokens, mean similarity {window['mean_similarity']:.4f}, "
        f"largest {window['max_pair_similarity']:.4f}"
    )
    yield (
        f"{shard_file(window['shard'])} row {window['row']}, {window['path_rank']:,} along the path, "
        f"most tokens from {window['source'] or 'no source'}"
    )
    for piece in pieces:
        alike = piece["similarity"]
        yield ""
        yield f"{piece['position']:>3}  doc {piece['doc']}  id {piece['id']}"
        yield (
            f"{INDENT}source {piece['source'] or '-'}  tokens {piece['doc_start']:,} to {piece['doc_stop']:,} at "
            f"{piece['win_start']:,}"
            + (", repeated to fill the window" if piece["repeated"] else "")
            + ("" if alike is None else f"  similarity to the previous {alike:.4f}")
        )
        yield from _text_lines(piece["text"], chars)


def _text_lines(text: str, chars: int | None) -> Iterator[str]:
    """A text with its own lines, each wrapped; cut with a note of how much is left."""
    shown = text if chars is None else text[:chars]
    for line in shown.split("\n"):
        yield from wrapped(INDENT, line)
    if len(shown) < len(text):
        yield f"{INDENT}... {len(text) - len(shown):,} more characters (--chars shows more)"


def _rows_of(run: Run, window: int) -> tuple[Item, list[Item]]:
    """The row of a window in ``shards/windows`` and its rows in ``shards/segments``."""
    first = 0
    for name in run.names("shards", WINDOWS):
        table = read_columns(run.path("shards", name), FIGURES)
        if first <= window < first + table.num_rows:
            segments = read_columns(run.path("shards", of_part(SEGMENTS, part_of(name, WINDOWS))), SEGMENT_COLUMNS)
            pieces = segments.filter(pc.equal(segments.column("window"), window)).to_pylist()
            return table.slice(window - first, 1).to_pylist()[0], sorted(pieces, key=lambda row: row["position"])
        first += table.num_rows
    raise ConfigError(f"window {window}: pack {run.pack} has windows 0 to {first - 1:,}")


def _to_previous(run: Run, pieces: list[Item]) -> list[float | None]:
    """Cosine of each piece's document to the one before it."""
    survivors = run.array("dedup", SURVIVORS)
    rows = np.searchsorted(survivors, [piece["doc"] for piece in pieces])
    found = cosines(vectors_of(run), rows[1:], rows[:-1])
    return [None, *found.tolist()][: len(pieces)]


def _decoded(run: Run, layout: Layout, piece: Item) -> str:
    """The text of a piece, decoded from the shard."""
    path = run.path("shards", shard_file(piece["shard"]))
    begin = piece["row"] * layout.stride + piece["win_start"]
    tokens = np.memmap(path, dtype=layout.dtype, mode="r")[begin : begin + piece["win_stop"] - piece["win_start"]]
    return layout.tokenizer.decode(tokens)
