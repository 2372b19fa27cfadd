"""Which documents other tools mean: by id, by spans of the text of an id, by file and row.

In: what `icp.dedup.imported` and `icp.dedup.imported_places` read, documents/. Out: pairs of documents, and documents.
An id that several documents have groups all of them, but lets none of them be removed: which is meant is not known.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.dedup.components import connected_pairs
from icp.dedup.imported import Found, Grouped, Marked, covered
from icp.dedup.imported_places import Placed
from icp.engine.step import PartOutput
from icp.run.context import Context, document_paths, part_paths
from icp.run.ids import found_ids
from icp.run.names import REJECTED_ROWS
from icp.run.tables import read_column, read_groups
from icp.texts import id_hashes

KEY = "dedup.import"
NONE = np.zeros(0, np.int64)


class Ids:
    """The ids of all documents, looked up by their hashes; what was asked for is counted."""

    def __init__(self, context: Context, found: Sequence[Found]) -> None:
        wanted = bool(found)
        columns = (read_column(path, "id").to_pylist() for path in document_paths(context)) if wanted else ()
        hashes = np.concatenate([np.zeros(0, np.uint64), *map(id_hashes, columns)])
        self._docs = np.argsort(hashes, kind="stable").astype(np.int64)
        self._hashes = hashes[self._docs]
        self._asked, self._shared = [np.zeros(0, np.uint64)], 0
        self.says_nothing = wanted and not any(one.ids.size for one in found)

    @property
    def n_ids(self) -> int:
        """How many ids were asked for."""
        return int(np.unique(np.concatenate(self._asked)).size)

    def pairs(self, found: Sequence[Grouped]) -> NDArray[np.int64]:
        """(m, 2) int64: documents of one group; a document may be in several."""
        ids = np.concatenate([np.zeros(0, np.uint64), *(one.ids for one in found)])
        groups = np.concatenate([np.zeros(0, np.uint64), *(one.groups for one in found)])
        low, counts = self._places(ids)
        begins = np.cumsum(counts) - counts
        docs = self._docs[np.repeat(low - begins, counts) + np.arange(counts.sum())]
        return _chained(docs, np.repeat(groups, counts))

    def docs(self, found: Sequence[NDArray[np.uint64]]) -> NDArray[np.int64]:
        """The documents that have one of the ids."""
        docs = self.doc_of(np.unique(np.concatenate([np.zeros(0, np.uint64), *found])))
        return _there(docs)

    def doc_of(self, ids: NDArray[np.uint64], *, counted: bool = True) -> NDArray[np.int64]:
        """(n,) int64: the document of each id, -1 if there is none, or several."""
        low, counts = self._places(ids, counted=counted)
        self._shared += int(np.unique(ids[counts > 1]).size) if counted else 0
        if not self._docs.size:
            return np.full(ids.size, -1, np.int64)
        return np.where(counts == 1, self._docs[np.minimum(low, self._docs.size - 1)], -1)

    def tell(self, output: PartOutput) -> None:
        """Count what was asked for, and what stands in no document."""
        asked = np.unique(np.concatenate(self._asked))
        output.count("imported_ids", int(asked.size))
        output.count("imported_unknown", int((self._places(asked, counted=False)[1] == 0).sum()))
        if self._shared:
            warn(output, f"{self._shared:,} ids to be removed are those of several documents each, which all stay")

    def _places(self, ids: NDArray[np.uint64], *, counted: bool = True) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the documents of each id begin, and how many there are."""
        if counted:
            self._asked.append(ids)
        low, high = (np.searchsorted(self._hashes, ids, side=side) for side in ("left", "right"))
        return low.astype(np.int64), (high - low).astype(np.int64)


def marked_docs(context: Context, ids: Ids, found: Sequence[Marked], output: PartOutput) -> NDArray[np.int64]:
    """Documents of which `dedup.import_share` of all characters or more are marked, by one file or several together.

    Where Dolma compared whole documents, by some field, a span is as long as that field, and documents that are no
    copies lack the attribute: there, all with a span go.
    """
    if not found:
        return NONE
    lengths = np.concatenate([NONE, *(_n_chars(context, path) for path in range(len(document_paths(context))))])
    whole, owners, spans = [NONE], [NONE], [np.zeros((0, 2), np.int64)]
    for one in found:
        docs, unmarked = ids.doc_of(one.ids), ids.doc_of(one.unmarked, counted=False)
        is_known = docs >= 0
        if one.is_single and lengths[unmarked[unmarked >= 0]].any():
            whole.append(docs[is_known])
            continue
        owners.append(docs[is_known])
        spans.append(one.spans[is_known])
    docs, chars = covered(np.concatenate(owners), np.concatenate(spans), lengths)
    share = context.config.dedup.import_share
    goes = (chars > 0) & (chars >= share * lengths[docs] - 1e-9)
    going = np.unique(np.concatenate((*whole, docs[goes])))
    if staying := int(((chars > 0) & ~goes).sum()):
        output.count("imported_in_part", staying)
        warn(
            output, f"{staying:,} documents are marked in part, with less than dedup.import_share ({share:g}), and stay"
        )
    return going


def _n_chars(context: Context, at: int) -> NDArray[np.int64]:
    """(n,) int64: characters of the documents of one part."""
    tables = read_groups(document_paths(context)[at], ["text"])
    return np.concatenate([NONE, *(pc.utf8_length(table["text"]).to_numpy().astype(np.int64) for table in tables)])


class Numbers:
    """Documents by the numbers of their files and rows; a row that was refused is none."""

    def __init__(self, context: Context, output: PartOutput) -> None:
        info = context.manifest("documents").info.get("read", {})
        names = [name for _, part in sorted(info.items()) for name in part.get("rows", {})]
        self._files = {name: number for number, name in enumerate(names)}
        self._context, self._output = context, output
        places = [NONE, *(self._coded(path) for path in range(len(document_paths(context))))]
        place = np.concatenate(places)
        self._docs = np.argsort(place, kind="stable").astype(np.int64)
        self._place = place[self._docs]

    def found(self, placed: Sequence[Placed]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs of documents (m, 2) int64, and documents to remove.

        What is connected to a document of datatrove's index is a copy of that, and goes as a whole.
        """
        pairs, of_index, gone, clustered = (
            np.concatenate([getattr(one, name) for one in placed]) for name in Placed.__slots__
        )
        self._warn_of_refused({*np.concatenate((pairs[:, 0], of_index[:, 0], gone[:, 0], clustered[:, 0])).tolist()})
        copies = self._of(pairs.reshape(-1, 2)).reshape(-1, 2)
        copies = copies[(copies >= 0).all(axis=1)]
        label, is_gone = connected_pairs(self._docs.size, copies), np.zeros(self._docs.size, np.bool_)
        is_gone[label[_there(self._of(of_index))]] = True
        going = np.concatenate((_there(self._of(gone)), np.flatnonzero(is_gone[label])))
        docs = self._of(clustered[:, :2])
        chained = _chained(docs[docs >= 0], clustered[docs >= 0, 2].astype(np.uint64))
        return np.concatenate((copies, chained)), np.unique(going)

    def _of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) int64: the document of each file and row, (n, 2) int64; -1 if there is none."""
        found = found_ids(self._place, self._docs, (places[:, 0] << 32) | places[:, 1])
        return np.where(places[:, 0] < 2**31, found, -1)

    def _coded(self, at: int) -> NDArray[np.int64]:
        path = document_paths(self._context)[at]
        coded = read_column(path, "file").combine_chunks().dictionary_encode()
        numbers = np.array([self._files[name] for name in coded.dictionary.to_pylist()], np.int64)
        rows: NDArray[np.int64] = read_column(path, "row").to_numpy().astype(np.int64)
        places: NDArray[np.int64] = (numbers[np.asarray(coded.indices)] << 32) | rows
        return places

    def _warn_of_refused(self, numbers: set[int]) -> None:
        names = {name for name, number in self._files.items() if number in numbers}
        paths = [path for path in part_paths(self._context, "documents", REJECTED_ROWS) if path.exists()]
        refused = sum(name in names for path in paths for name in read_column(path, "file").to_pylist())
        if refused:
            text = f"{refused:,} rows of the files that it numbers were refused; where datatrove passed over rows "
            warn(self._output, text + "without text, numbers behind them are of other rows: give copies by id")


def warn(output: PartOutput, text: str) -> None:
    """Leave a warning of the imports."""
    output.info["warnings"] = [*output.info.get("warnings", []), f"{KEY}: {text}"]


def _there(docs: NDArray[np.int64]) -> NDArray[np.int64]:
    return docs[docs >= 0]


def _chained(docs: NDArray[np.int64], groups: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(m, 2) int64: pairs that connect the documents of each group."""
    order = np.lexsort((docs, groups))
    same = groups[order][1:] == groups[order][:-1]
    return np.stack((docs[order][:-1][same], docs[order][1:][same]), axis=1)
