"""Promise 9: what was removed is not there, nor a text that equals it.

In: tombstones, or a list of ids with texts if the user has them; all packs of a run, old shards and exports among them.
Out: breaches. The shards are decoded again: rows cut by ``segments`` into documents, these hashed as `dedup` hashes
texts to tell exact copies. Files that people read are searched for the ids.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from icp.audit.findings import Breaches, Finding
from icp.audit.removed_shards import Seen, Sought, check_shards, note
from icp.data import load_npy
from icp.dedup.minhash import text_digests
from icp.plurals import counted
from icp.run.names import (
    DOCUMENTS,
    EXPORT_SUMMARY,
    HOLDOUT,
    LOCK,
    NEAR_HELD,
    NODES,
    OFFSETS,
    OVERLAPS,
    PACKS,
    REMOVAL,
    SIGNATURES,
    SURVIVORS,
    TOKENS,
    TOMBSTONES,
    VALIDATION,
    VECTORS,
    exports_folder,
    pack_folder,
    subfolders,
)  # fmt: skip
from icp.run.reader import Run, open_run, pack_names, read_groups
from icp.run.records import MANIFEST, read_mapping
from icp.run.removed import among, names_one, read_tombstones, removed_docs
from icp.texts import key_of, text_buffers, url_key

DOCUMENTS_FOLDER = "documents"
SEARCHED = (".json", ".jsonl", ".yaml", ".md", ".html", ".txt", ".csv", ".log")
LARGEST = 256 << 20
"""Bytes of a file that is searched as text."""


def verify_removed(folder: Path, listed: Sought) -> Iterator[Finding]:
    """One finding if nothing is left of what was removed and of what is listed; else one for each kind of breach."""
    found, seen = Breaches(9), Seen()
    sought = _sought(folder, listed)
    for run, where in ((folder, ""), (folder / VALIDATION, f"{VALIDATION}/")):
        if (run / DOCUMENTS_FOLDER / MANIFEST).exists():
            _check_run(run, where, sought, found, seen)
    lossy = f"; decoding loses letters in {', '.join(seen.lossy)}, whose texts cannot be told" if seen.lossy else ""
    yield from found.findings(
        f"nothing of {len(sought.keys | sought.urls):,} documents: none of their ids or texts among "
        f"{counted(seen.documents, 'document')}, {seen.decoded:,} documents decoded from shards, "
        f"{counted(seen.files, 'file')} searched{lossy}"
    )


def check_holes(run: Run, found: Breaches) -> str:
    """Rows of removed documents hold nothing, and no other row has their id or text."""
    sought, seen = _sought(run.folder, Sought()), Seen()
    _check_documents(run, "", sought, found, seen)
    _check_rows(run, "", found)
    return f"none of {len(sought.keys):,} removed ids, nor their texts, among {counted(seen.documents, 'document')}"


def _sought(folder: Path, listed: Sought) -> Sought:
    stones = read_tombstones(folder)
    return Sought(listed.keys | stones.keys, listed.texts | stones.texts, listed.urls)


def _check_run(folder: Path, where: str, sought: Sought, found: Breaches, seen: Seen) -> None:
    if (folder / REMOVAL).exists():
        found.add("removals that were interrupted; run the same `icp remove` again", f"{where}{REMOVAL}")
        return
    run = open_run(folder)
    _check_documents(run, where, sought, found, seen)
    _check_rows(run, where, found)
    for pack in pack_names(folder):
        opened = open_run(folder, pack=pack)
        for shards in sorted((folder / PACKS / pack).glob(f"{Path(pack_folder(pack, 'shards')).name}*")):
            check_shards(opened, shards, f"{where}{shards.relative_to(folder)}", (sought, found, seen))
        _check_exports(opened, where, found)
    _search(run, where, sought, found, seen)


def _check_documents(run: Run, where: str, sought: Sought, found: Breaches, seen: Seen) -> None:
    """Ids, URLs and texts of documents and of held-out ones; ids in lists of what was refused."""
    holes, first = removed_docs(run.folders["documents"]), 0
    for pattern in (DOCUMENTS, HOLDOUT):
        for name in run.names("documents", pattern):
            path = run.path("documents", name)
            columns = [one for one in ("id", "text", "url") if one in pq.read_schema(path).names]
            for table in read_groups(path, columns):
                place = f"{where}documents/{name}"
                _note_ids(table["id"].to_pylist(), sought.keys, place, found)
                if "url" in columns:
                    values = [url_key(str(value)) if value else "" for value in table["url"].to_pylist()]
                    _note_ids(values, sought.urls, place, found)
                digests = text_digests(text_buffers(table["text"]))
                hits = [row for row, one in enumerate(digests) if one.tobytes() in sought.texts]
                note(found, "texts of removed documents", hits, place)
                if pattern == DOCUMENTS:
                    mine = holes[(holes >= first) & (holes < first + table.num_rows)] - first
                    full = [row for row in mine.tolist() if table["text"][row].as_py() or table["id"][row].as_py()]
                    note(found, "removed rows that hold something", full, place)
                    first += table.num_rows
                seen.documents += table.num_rows
    for name in run.names("documents", OVERLAPS):
        for table in read_groups(run.path("documents", name), ("id", "of")):
            for column in ("id", "of"):
                _note_ids(table[column].to_pylist(), sought.keys, f"{where}documents/{name}", found)
    for name in run.names("graph", NEAR_HELD) if "graph" in run.manifests else ():
        for table in read_groups(run.path("graph", name), ("held",)):
            _note_ids(table["held"].to_pylist(), sought.keys, f"{where}graph/{name}", found)


def _note_ids(values: list[Any], keys: frozenset[str], place: str, found: Breaches) -> None:
    hits = [row for row, value in enumerate(values) if value and key_of(str(value)) in keys]
    found.add_all("ids of removed documents", np.array(hits, np.int64), lambda row: f"{place}: {values[row]}")


def _check_rows(run: Run, where: str, found: Breaches) -> None:
    """Vectors, signatures and tokens of removed documents hold nothing."""
    holes = removed_docs(run.folders["documents"])
    if not holes.size:
        return
    survivors, nodes = (np.asarray(run.array(step, name)) for step, name in (("dedup", SURVIVORS), ("graph", NODES)))
    first, rows = 0, np.flatnonzero(among(survivors, holes))
    for name in run.names("embeddings", VECTORS):
        vectors = run.array("embeddings", name, ndim=2, kinds="f")
        here = rows[(rows >= first) & (rows < first + len(vectors))] - first
        full = here[np.any(vectors[here] != 0, axis=1)]
        note(found, "vectors of removed documents", full, f"{where}embeddings/{name}")
        first += len(vectors)
    for name in run.names("dedup", SIGNATURES):
        table = pq.read_table(run.path("dedup", name), columns=["doc", "n_bytes", "words_hash"])
        out = among(table["doc"].to_numpy(), holes)
        full = np.flatnonzero(out & (table["n_bytes"].to_numpy() > 0))
        note(found, "signatures of removed documents", full, f"{where}dedup/{name}")
    is_gone = among(nodes, holes)
    for folder in subfolders(run.folder, TOKENS):
        if (folder / MANIFEST).exists():
            lengths = np.diff(load_npy(folder / OFFSETS, "r"))
            full = np.flatnonzero(is_gone & (lengths > 0))
            note(found, "tokens of removed documents", nodes[full], f"{where}{run.shown(folder)}: doc")


def _check_exports(run: Run, where: str, found: Breaches) -> None:
    """An export beside a pack is of the shards as they are; one elsewhere is not known."""
    for folder in (run.folder / exports_folder(run.pack)).glob("*"):
        path = folder / EXPORT_SUMMARY
        if not path.is_file() or read_mapping(path).get("shards") != run.manifests["shards"].digest:
            found.add("exports of other shards than those that are there", f"{where}{run.shown(folder)}")


def _search(run: Run, where: str, sought: Sought, found: Breaches, seen: Seen) -> None:
    """Search files that people read for the ids: figures, logs, cards, and whatever else lies in the folder."""
    for path in sorted(run.folder.rglob("*")):
        name = path.relative_to(run.folder).as_posix()
        if not path.is_file() or name in (TOMBSTONES, LOCK) or name.startswith((f"{VALIDATION}/", f"{REMOVAL}/")):
            continue
        seen.files += 1
        # the manifest of documents names the files of the corpus, of which a text file is a document
        if path.suffix not in SEARCHED or name == f"{DOCUMENTS_FOLDER}/{MANIFEST}" or path.stat().st_size > LARGEST:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if names_one(text, sought.keys, sought.urls):
            found.add("files that name a removed document", f"{where}{name}")
