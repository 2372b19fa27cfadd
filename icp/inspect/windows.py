"""One window: its figures, its pieces, and how they begin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from icp.audit.duplicates import cosines, vectors_of
from icp.audit.segments import SEGMENT_COLUMNS, Layout, layout_of
from icp.errors import ConfigError
from icp.inspect.lookup import excerpt, open_pack, readable, wrapped
from icp.run.names import SEGMENTS, SURVIVORS, WINDOWS, of_part, part_of, shard_file
from icp.run.reader import Run, WrongForm, read_columns
from icp.run.texts import TextReader
from icp.wording import counted

SHOWN_CHARS = 200
SHOWN_TOKENS = 120
FIGURES = ("window", "shard", "row", "n_docs", "n_pad", "path_rank", "mean_similarity", "max_pair_similarity", "source")


def show_window(run: Path, window: int, *, pack: str = "main") -> Iterator[str]:
    """A window of a pack: figures, then for each piece where it comes from and how it begins.

    Raises: ConfigError for a window that is not there; ArtifactError for a pack that is not.
    """
    opened, reader = open_pack(run, pack=pack)
    try:
        yield from _window_lines(opened, reader, window)
    except WrongForm as error:
        raise readable(error, opened.folder) from None


def _window_lines(run: Run, reader: TextReader, window: int) -> Iterator[str]:
    layout = layout_of(run)
    figures, pieces = _rows_of(run, window)
    yield (
        f"window {window}  {counted(figures['n_docs'], 'document')}, {layout.stride - figures['n_pad']:,} "
        f"of {layout.stride:,} tokens, mean similarity {figures['mean_similarity']:.4f}, "
        f"largest {figures['max_pair_similarity']:.4f}"
    )
    yield (
        f"{shard_file(figures['shard'])} row {figures['row']}, {figures['path_rank']:,} along the path, "
        f"most tokens from {figures['source'] or 'no source'}"
    )
    rows = reader.rows(np.array([piece["doc"] for piece in pieces], dtype=np.int64), ("id", "source"))
    similarity = _to_previous(run, pieces)
    for piece, alike in zip(pieces, similarity, strict=True):
        row = rows[piece["doc"]]
        yield ""
        yield f"{piece['position']:>3}  doc {piece['doc']}  id {row['id']}"
        yield (
            f"     source {row['source'] or '-'}  tokens {piece['doc_start']:,} to {piece['doc_stop']:,} at "
            f"{piece['win_start']:,}" + ("" if alike is None else f"  similarity to the previous {alike:.4f}")
        )
        yield from wrapped("     ", excerpt(_begin_of(run, layout, piece), SHOWN_CHARS))


def _rows_of(run: Run, window: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
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


def _to_previous(run: Run, pieces: list[dict[str, Any]]) -> list[float | None]:
    """Cosine of each piece's document to the one before it."""
    survivors = run.array("dedup", SURVIVORS)
    rows = np.searchsorted(survivors, [piece["doc"] for piece in pieces])
    found = cosines(vectors_of(run), rows[1:], rows[:-1])
    return [None, *found.tolist()][: len(pieces)]


def _begin_of(run: Run, layout: Layout, piece: dict[str, Any]) -> str:
    """How a piece begins, decoded from the shard."""
    path = run.path("shards", shard_file(piece["shard"]))
    begin = piece["row"] * layout.stride + piece["win_start"]
    count = min(SHOWN_TOKENS, piece["win_stop"] - piece["win_start"])
    tokens = np.memmap(path, dtype=layout.dtype, mode="r")[begin : begin + count]
    more = "..." if piece["win_stop"] - piece["win_start"] > count else ""
    return layout.tokenizer.decode(tokens) + more
