"""Where the pieces of a plan stand in the rows of a shard, and which ids surround them.

In: pieces of windows as `icp.plan_windows` gives them, counting specials. Out: the same pieces in plain tokens, and
where their specials stand. A document's full sequence is [bos] tokens [eos]; a cut adds no special.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan


@dataclass(frozen=True, slots=True)
class Specials:
    """Which ids stand where.

    Attributes:
        bos: none | document | window.
        bos_id: None if bos is none.
        eos_id: None if documents end without one.
        pad_id: fills the end of a row.
    """

    bos: str
    bos_id: int | None
    eos_id: int | None
    pad_id: int

    @property
    def of_document(self) -> tuple[int, int]:
        """Specials before a document's first token, and after its last."""
        return int(self.bos == "document"), int(self.eos_id is not None)

    @property
    def of_window(self) -> int:
        """Specials at the beginning of a row."""
        return int(self.bos == "window")


@dataclass(frozen=True, slots=True)
class Segments:
    """Pieces of documents in the rows of one shard, (segments,) each, sorted by row, then position.

    Attributes:
        row: int64, row of the shard.
        position: int64, place of the piece among those of its row, from 0.
        node: int64.
        doc_start, doc_stop: int64, tokens of the document, specials not counted.
        win_start, win_stop: int64, where these stand in the row, specials around them not covered.
        has_bos, has_eos: bool, whether a special stands just before ``win_start``, just at ``win_stop``.
    """

    row: NDArray[np.int64]
    position: NDArray[np.int64]
    node: NDArray[np.int64]
    doc_start: NDArray[np.int64]
    doc_stop: NDArray[np.int64]
    win_start: NDArray[np.int64]
    win_stop: NDArray[np.int64]
    has_bos: NDArray[np.bool_]
    has_eos: NDArray[np.bool_]


def place_segments(plan: PackPlan, n_tokens: NDArray[np.int64], specials: Specials) -> Segments:
    """The pieces of consecutive windows, laid one after another from the begin of each row.

    Args:
        plan: pieces with windows numbered from 0; `start` and `stop` count the document's specials.
        n_tokens: (segments,) int64, plain tokens of each piece's document.
        specials: of document and window.
    """
    n_bos, n_eos = specials.of_document
    size = plan.stop - plan.start
    first = np.flatnonzero(np.diff(plan.window, prepend=-1))
    per_row = np.diff(first, append=plan.window.size)
    laid = np.cumsum(size) - size
    place = laid - np.repeat(laid[first], per_row) + specials.of_window
    has_bos = (plan.start == 0) & bool(n_bos)
    has_eos = (plan.stop == n_tokens + n_bos + n_eos) & bool(n_eos)
    doc_start, doc_stop = (np.clip(edge - n_bos, 0, n_tokens) for edge in (plan.start, plan.stop))
    win_start = place + has_bos
    win_stop = win_start + doc_stop - doc_start
    assert np.array_equal(win_stop + has_eos, place + size), "a piece reaches beyond its document"
    position = np.arange(size.size) - np.repeat(first, per_row)
    return Segments(
        plan.window, position, plan.doc, doc_start, doc_stop, win_start, win_stop, has_bos, has_eos
    )  # fmt: skip


def row_ends(segments: Segments, n_rows: int, specials: Specials) -> NDArray[np.int64]:
    """(n_rows,) int64: where the padding of each row begins."""
    ends = np.full(n_rows, specials.of_window, dtype=np.int64)
    np.maximum.at(ends, segments.row, segments.win_stop + segments.has_eos)
    return ends


def place_specials(rows: NDArray[np.unsignedinteger], segments: Segments, specials: Specials) -> None:
    """Write bos and eos into rows that hold the tokens; padding is there already.

    Args:
        rows: (windows, stride) unsigned, the token ids, changed in place.
        segments: where the pieces stand in them.
    """
    if specials.bos == "window" and specials.bos_id is not None:
        rows[:, 0] = specials.bos_id
    for chosen, place, number in (
        (segments.has_bos, segments.win_start - 1, specials.bos_id),
        (segments.has_eos, segments.win_stop, specials.eos_id),
    ):
        if number is not None:
            rows[segments.row[chosen], place[chosen]] = number


def main_source(row: NDArray[np.int64], source: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """The source of most tokens in each row; ties go to the lower number, -1 (none) after all others.

    Args:
        row: (segments,) int64, ascending, every row of the shard in it.
        source: (segments,) int64, number of each piece's source, -1 for none.
        tokens: (segments,) int64.

    Returns: (rows,) int64.
    """
    last = np.where(source < 0, np.iinfo(np.int64).max, source)
    together = np.lexsort((last, row))
    row, last, tokens = row[together], last[together], tokens[together]
    begins = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(last, prepend=-1) != 0))
    row, last, tokens = row[begins], last[begins], np.add.reduceat(tokens, begins)
    best = np.lexsort((last, -tokens, row))
    firsts = np.flatnonzero(np.diff(row, prepend=-1))
    chosen = last[best[firsts]]
    return np.where(chosen == np.iinfo(np.int64).max, -1, chosen)
