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
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config.addresses import expanded, refuse_credentials
from icp.errors import ArtifactError, ConfigError
from icp.run.forms import Facts, safe_name
from icp.run.names import SHARDS, check_pack_name, pack_folder
from icp.run.records import MANIFEST, TEMPORARY, hash_file, read_facts, read_manifest
from icp.run.storage.server import Server

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
        run = _checked_address(run, pack)
        if not isinstance(cache, str | Path | None):
            raise ConfigError(f"cache is {str(cache)[:80]!r}, expected a folder")
        self._url = f"{run.rstrip('/')}/{pack_folder(pack, 'shards')}" if "://" in run else None
        if self._url is None:
            self.folder = Path(run) / pack_folder(pack, "shards")
        else:
            self.folder = self._fetch_manifest(Path(cache) if cache is not None else _cache_folder())
        try:
            manifest = read_manifest(self.folder, check_sizes=self._url is None)
        except OSError as error:
            raise _unreadable(self.folder, error) from None
        if manifest is None:
            raise ArtifactError(f"{self.folder}: holds no finished shards; run `icp pack`, or name another run or pack")
        self.manifest = manifest
        self.facts: Facts = read_facts(self.folder)
        missing = [name for name in NEEDED if name not in self.facts]
        if missing:
            raise ArtifactError(f"{self.folder / MANIFEST}: lacks {', '.join(missing)}; redo the step with --fresh")

    def path(self, name: str) -> Path:
        """A file on this machine; one of a server is fetched and its hash compared, once.

        Raises: ArtifactError for a file that cannot be fetched, or is another one.
        """
        path = self.folder / safe_name(name, self.folder / MANIFEST)
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
        """Columns of integers of a table (`icp.run.names.SEGMENTS` or `WINDOWS`), over all its parts.

        Raises: ArtifactError for a part that cannot be read, or lacks a column of integers.
        """
        parts = [name for name in self.manifest.files if fnmatchcase(name, table)]
        tables = [_read_numbers(self.path(part), names) for part in parts]
        return [np.concatenate([np.empty(0, np.int32), *(table[at] for table in tables)]) for at in range(len(names))]

    def rows(self, name: str, dtype: np.dtype[Any], stride: int) -> NDArray[Any]:
        """(n, stride) `dtype`, the rows of a shard, mapped; raises ArtifactError if it cannot be read."""
        path = self.path(name)
        try:
            return np.memmap(path, dtype=dtype, mode="r").reshape(-1, stride)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None

    def _fetch_manifest(self, cache: Path) -> Path:
        """Read the manifest anew; files are kept by its hash, so other shards never meet in one folder."""
        data = Server(str(self._url)).read(MANIFEST)
        if data is None:
            raise ArtifactError(f"{self._url}/{MANIFEST}: there is none; give the URL of a run whose pack is finished")
        folder = cache / hashlib.sha256(data).hexdigest()[:24]
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
        temporary.write_bytes(data)
        temporary.replace(folder / MANIFEST)
        return folder

    def _download(self, name: str) -> Path:
        temporary = self.folder / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            Server(str(self._url)).fetch(name, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary


def _checked_address(run: str | Path, pack: str) -> str:
    """The folder or URL of a run, with ``~`` and variables filled in; raises ConfigError for what is neither."""
    check_pack_name(pack, "pack")
    if not isinstance(run, str | Path):
        raise ConfigError(f"run is {str(run)[:80]!r}, expected the folder or URL of a run")
    try:
        refuse_credentials(str(run))
    except ValueError as error:
        raise ConfigError(f"the address of the run {error}") from None
    try:
        return expanded(str(run))
    except ValueError as error:
        raise ConfigError(f"run {run}: {error}") from None


def _read_numbers(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    try:
        table = pq.read_table(path, columns=list(names))
        columns = [table.column(name) for name in names]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None
    odd = [name for name, column in zip(names, columns, strict=True) if column.null_count]
    odd += [name for name, column in zip(names, columns, strict=True) if not pa.types.is_integer(column.type)]
    if odd:
        raise ArtifactError(f"{path}: column {odd[0]} holds other things than integers; redo the step with --fresh")
    return [column.to_numpy() for column in columns]


def _unreadable(path: Path, error: Exception) -> ArtifactError:
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return ArtifactError(f"{path}: cannot be read ({reason}); restore it or redo the step with --fresh")


def _cache_folder() -> Path:
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise ConfigError("there is no home folder to keep shards in; name a folder with cache=") from None
    return home / "icp" / "shards"
