"""The files of finished shards: where they lie, or fetched from a server into a local cache when they are first read.

In: a run's folder or URL (fsspec), and a pack. Out: the manifest, and local paths.
"""

import hashlib
import os
import uuid
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.errors import ArtifactError
from icp.run.names import SHARDS, pack_folder
from icp.run.records import MANIFEST, TEMPORARY, hash_file, read_json, read_manifest

NEEDED = ("seq_len", "stride", "dtype", "windows", "policy", "shuffle", "seed")


class ShardFiles:
    """The files of one pack's shards.

    Attributes:
        folder: where they lie; the cache, if they come from a server.
        manifest: of the step.
        facts: the whole of ``manifest.json``.

    Args:
        run: the run's folder or URL.
        pack: name of the pack.
        cache: where files of a server are kept; default: ``icp/shards`` in the user's cache folder.

    Raises: ArtifactError if the shards are missing, unfinished, or not of the size in their manifest.
    """

    def __init__(self, run: str | Path, pack: str, cache: str | Path | None) -> None:
        self._url = f"{str(run).rstrip('/')}/{pack_folder(pack, 'shards')}" if "://" in str(run) else None
        if self._url is None:
            self.folder = Path(run) / pack_folder(pack, "shards")
        else:
            self.folder = self._fetch_manifest(Path(cache) if cache is not None else _cache_folder())
        manifest = read_manifest(self.folder, check_sizes=self._url is None)
        if manifest is None:
            raise ArtifactError(f"{self.folder}: holds no finished shards; run `icp pack`, or name another run or pack")
        self.manifest = manifest
        self.facts: dict[str, Any] = read_json(self.folder / MANIFEST, what="manifest")
        missing = [name for name in NEEDED if name not in self.facts]
        if missing:
            raise ArtifactError(f"{self.folder / MANIFEST}: lacks {', '.join(missing)}; redo the step with --fresh")

    def path(self, name: str) -> Path:
        """A file on this machine; one of a server is fetched and its hash compared, once."""
        path = self.folder / name
        if self._url is None or path.exists():
            return path
        temporary = self._download(name)
        if hash_file(temporary) != self.manifest.files[name].sha256:
            temporary.unlink()
            raise ArtifactError(f"{self._url}/{name}: its hash is not the one in the manifest; copy the run again")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        return path

    def shards(self, row_bytes: int) -> tuple[list[str], NDArray[np.int64]]:
        """Names of the shards, and the first window of each.

        Raises: ArtifactError if they do not hold whole rows, as many as there are windows.
        """
        records = {name: record for name, record in self.manifest.files.items() if fnmatchcase(name, SHARDS)}
        rows = [record.bytes // row_bytes for record in records.values()]
        odd = [name for name, record in records.items() if record.bytes % row_bytes]
        if odd or sum(rows) != int(self.facts["windows"]):
            raise ArtifactError(
                f"{self.folder}: {odd[0] if odd else f'{len(rows)} shards'} hold no whole number of rows of "
                f"{row_bytes} bytes, or not {self.facts['windows']} in all; redo the step with --fresh"
            )
        first = np.concatenate(([0], np.cumsum(rows, dtype=np.int64)))[:-1]
        return list(records), first.astype(np.int64)

    def columns(self, table: str, names: Sequence[str]) -> list[NDArray[Any]]:
        """Columns of numbers of a table (`icp.run.names.SEGMENTS` or `WINDOWS`), over all its parts."""
        parts = [name for name in self.manifest.files if fnmatchcase(name, table)]
        tables = [pq.read_table(self.path(part), columns=list(names)) for part in parts]
        empty = np.empty(0, dtype=np.int32)
        return [np.concatenate([empty, *(table.column(name).to_numpy() for table in tables)]) for name in names]

    def _fetch_manifest(self, cache: Path) -> Path:
        """Read the manifest anew; files are kept by its hash, so other shards never meet in one folder."""
        self.folder = cache
        temporary = self._download(MANIFEST)
        folder = cache / hashlib.sha256(temporary.read_bytes()).hexdigest()[:24]
        folder.mkdir(parents=True, exist_ok=True)
        temporary.replace(folder / MANIFEST)
        return folder

    def _download(self, name: str) -> Path:
        import fsspec

        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            filesystem, path = fsspec.core.url_to_fs(f"{self._url}/{name}")
            filesystem.get_file(path, str(temporary))
        except (OSError, ImportError, ValueError) as error:
            temporary.unlink(missing_ok=True)
            raise ArtifactError(
                f"{self._url}/{name}: cannot be fetched ({error}); give the URL of a run whose pack is finished"
            ) from None
        return temporary


def _cache_folder() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "icp" / "shards"
