"""Documents that were removed from a run: their tombstones, and the rows that they left empty.

In: the folder of a run. Out: ids and hashes of texts that may never come back; numbers of documents. A tombstone holds
no text: an id, the 128-bit hash of the canonical text (`icp.dedup.minhash.text_digests`), why and when.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.data import load_npy
from icp.errors import ArtifactError
from icp.run.forms import ADVICE
from icp.run.names import COMMIT, REMOVAL, REMOVED_DOCS, TOKENS, TOMBSTONES, subfolders, tokens_folder
from icp.run.records import MANIFEST, hash_file, read_manifest
from icp.texts import key_of, url_key

_WORD = re.compile(r"[^\s'\"(),;<>]+")
_SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A document that was removed.

    Attributes:
        id: of the document.
        text: hexadecimal hash of its canonical text; empty for a text without words.
        reason: what the user gave, or that it is a copy of a document that was named.
        date: day of the removal, ``YYYY-MM-DD``.
    """

    id: str
    text: str
    reason: str
    date: str

    def line(self) -> str:
        """The tombstone as it is kept."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Tombstones:
    """All documents that were removed from a run, the first removed first."""

    rows: tuple[Tombstone, ...] = ()

    @cached_property
    def keys(self) -> frozenset[str]:
        """The ids, as `icp.texts.key_of` compares them."""
        return frozenset(key_of(row.id) for row in self.rows)

    @cached_property
    def texts(self) -> frozenset[bytes]:
        """The 16 bytes of each hash of a text."""
        return frozenset(bytes.fromhex(row.text) for row in self.rows if row.text)


def read_tombstones(run: Path) -> Tombstones:
    """The tombstones of a run; none if nothing was removed.

    Raises: ArtifactError if they cannot be read: without them, what was removed would come back.
    """
    path = run / TOMBSTONES
    try:
        stamp = path.stat()
    except FileNotFoundError:
        return Tombstones()
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, stamp: int, size: int) -> Tombstones:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = tuple(Tombstone(**json.loads(line)) for line in lines)
        found = Tombstones(rows)
        found.keys, found.texts  # noqa: B018 - a wrong value shows here
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: the list of removed documents cannot be read ({error}); restore it") from None
    return found


def tombstone_identity(run: Path) -> list[tuple[str, str]]:
    """What the tombstones are, for the basis of a step that heeds them; nothing if there are none."""
    path = run / TOMBSTONES
    return [("removed documents", hash_file(path))] if path.exists() else []


def removed_docs(documents: Path) -> NDArray[np.int64]:
    """(n,) int64, ascending: `doc` of each row of a finished step `documents` that was removed."""
    path = documents / REMOVED_DOCS
    manifest = read_manifest(documents, check_sizes=False) if (documents / MANIFEST).exists() else None
    if manifest is None or REMOVED_DOCS not in manifest.files:
        return np.empty(0, np.int64)
    try:
        found = load_npy(path, None)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); {ADVICE}") from None
    return found.astype(np.int64)


def emptied_tokens(run: Path, fingerprint: str) -> str | None:
    """The folder of finished tokens, relative to the run, that depend on this since documents were removed."""
    for path in subfolders(run, TOKENS) if (run / TOMBSTONES).exists() else ():
        manifest = read_manifest(path, check_sizes=False)
        if manifest is not None and manifest.fingerprint == fingerprint:
            return tokens_folder(path.name)
    return None


def among(docs: NDArray[np.integer], chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) bool: whether each of some documents is one of `chosen`, which ascend."""
    if not chosen.size:
        return np.zeros(docs.shape, np.bool_)
    at = np.minimum(np.searchsorted(chosen, docs), chosen.size - 1)
    return np.asarray(chosen[at] == docs)


def names_one(text: str, keys: frozenset[str], urls: frozenset[str] = frozenset()) -> bool:
    """Whether one of some ids or URLs stands in a text as a word of its own; numbers and very short ids are not told
    apart."""
    words = [word for word in (one.rstrip(":.") for one in _WORD.findall(text)) if len(word) >= _SHORTEST]
    named = any(key_of(word) in keys for word in words if not word.isdigit())
    return named or bool(urls and any(url_key(word) in urls for word in words if "://" in word))


def write_tombstones(path: Path, rows: Sequence[Tombstone]) -> None:
    """Write the list anew; `path` must be a new name."""
    path.write_text("".join(row.line() for row in rows), encoding="utf-8")


def refuse_half_removed(run: Path) -> None:
    """Raise ArtifactError while files of a removal are half in place."""
    if (run / REMOVAL / COMMIT).exists():
        raise ArtifactError(
            f"{run}: `icp remove` was interrupted while it put its files in place; run the same command again, "
            "which finishes that"
        )
