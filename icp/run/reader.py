"""A run as its files say it is: configuration, manifests, and readers that name the file that cannot be read."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config, load_config
from icp.data import load_npy
from icp.errors import ArtifactError, IcpError
from icp.run import records
from icp.run.names import (
    BUILD_STEPS,
    CONFIG,
    DOCUMENTS,
    PACK_FOLDERS,
    PACKS,
    STEPS,
    TOKENS,
    check_pack_name,
    pack_config,
    pack_folder,
    step_folders,
)  # fmt: skip
from icp.run.records import Manifest


@dataclass(frozen=True, slots=True)
class Run:
    """The finished steps of a run and of one of its packs.

    Attributes:
        folder: of the run.
        pack: name of the pack.
        config: the pack's, or the run's where there is no such pack.
        folders: step -> folder; ``tokens`` only where the pack is finished.
        manifests: step -> manifest, finished steps only.
    """

    folder: Path
    pack: str
    config: Config
    folders: Mapping[str, Path]
    manifests: Mapping[str, Manifest]

    def require(self, steps: Sequence[str] = STEPS) -> None:
        """Raise ArtifactError unless these steps are finished."""
        for step in steps:
            if step in self.manifests:
                continue
            known = step_folders(self.pack)  # the folder of tokens is known by the shards
            there = f", there is no {known.get(step, known['shards'])}/{records.MANIFEST}"
            if step in BUILD_STEPS:
                raise ArtifactError(
                    f"{self.folder}: step {step} is not finished{there}; run `icp build-graph` to go on"
                )
            names = [name for name in pack_names(self.folder) if name != self.pack]
            others = f"finished packs: {', '.join(names)}" if names else "it has no finished pack"
            raise ArtifactError(
                f"{self.folder}: pack {self.pack} is not there or not finished ({others}){there}; run `icp pack`, "
                "or name another with --pack"
            )

    def names(self, step: str, pattern: str) -> list[str]:
        """The files of a step whose name matches, sorted; ``*`` does not cross a folder."""
        files = self.manifests[step].files
        depth = pattern.count("/")
        return sorted(name for name in files if name.count("/") == depth and fnmatch.fnmatchcase(name, pattern))

    def path(self, step: str, name: str) -> Path:
        """Where a file of a step lies."""
        return self.folders[step] / name

    def paths(self, step: str, pattern: str) -> list[Path]:
        """Where the files of a step lie whose name matches; see `names`."""
        return [self.path(step, name) for name in self.names(step, pattern)]

    def array(self, step: str, name: str, *, ndim: int = 1, kinds: str = "iu") -> NDArray[Any]:
        """A ``.npy`` file, memory-mapped; see `read_array`."""
        return read_array(self.path(step, name), ndim=ndim, kinds=kinds)

    def doc_bounds(self) -> NDArray[np.int64]:
        """First `doc` of each documents part and their number, from the files: (n_parts + 1,) int64."""
        rows = [parquet_rows(path) for path in self.paths("documents", DOCUMENTS)]
        return np.concatenate(([0], np.cumsum(rows, dtype=np.int64))).astype(np.int64)

    def shown(self, path: Path) -> str:
        """A path as it is named in findings: below the run's folder."""
        return path.relative_to(self.folder).as_posix()


def open_run(folder: Path, *, pack: str = "main") -> Run:
    """The finished steps of the run in `folder`, and of its pack if there is one.

    Raises: ConfigError for what is no name of a pack; ArtifactError if the folder is no run, or its configuration or a
        manifest cannot be read.
    """
    check_pack_name(pack)
    require_run(folder)
    own = folder / pack_config(pack)
    config = read_config(own if own.is_file() else folder / CONFIG)
    folders = {step: folder / name for step, name in step_folders(pack).items()}
    found = {step: records.read_manifest(path, check_sizes=False) for step, path in folders.items()}
    manifests = {step: manifest for step, manifest in found.items() if manifest is not None}
    if "shards" in manifests:
        folders["tokens"], manifests["tokens"] = _tokens(folder, manifests["shards"], pack)
    return Run(folder, pack, config, folders, manifests)


def require_run(folder: Path) -> None:
    """Raise ArtifactError unless a run lies in `folder`."""
    if not (folder / CONFIG).is_file():
        raise ArtifactError(f"{folder}: holds no run of icp (no {CONFIG}); give the folder that `run:` names")


def pack_names(folder: Path) -> list[str]:
    """The names of the finished packs of a run."""
    manifests = sorted((folder / PACKS).glob(f"*/{PACK_FOLDERS['shards']}/{records.MANIFEST}"))
    return [path.parent.parent.name for path in manifests]


def read_array(path: Path, *, ndim: int = 1, kinds: str = "iu") -> NDArray[Any]:
    """A ``.npy`` file, memory-mapped.

    Raises: ArtifactError if it cannot be read; WrongForm if it has other dimensions or another kind of type.
    """
    try:
        array: NDArray[Any] = load_npy(path, "r")
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from None
    if array.ndim != ndim or array.dtype.kind not in kinds:
        raise WrongForm(f"{path.name} holds {array.dtype} {array.shape}, expected {ndim} dimensions of kind {kinds}")
    return array


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of a Parquet file; raises ArtifactError if it cannot be read, WrongForm if it lacks one."""
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file, columns)
            return file.read(columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def read_groups(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Columns of a Parquet file, a row group at a time; errors as in `read_columns`."""
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file, columns)
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def parquet_rows(path: Path) -> int:
    """Rows of a Parquet file; raises ArtifactError if it cannot be read."""
    try:
        with pq.ParquetFile(path) as file:
            return int(file.metadata.num_rows)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def integers(table: pa.Table, column: str) -> NDArray[np.int64]:
    """A column as int64; raises WrongForm if it holds nulls or anything else."""
    values = table.column(column)
    if values.null_count or not pa.types.is_integer(values.type):
        raise WrongForm(f"column {column} holds {values.type} with {values.null_count} nulls, expected integers")
    return np.asarray(values.to_numpy(), dtype=np.int64)


def read_config(path: Path) -> Config:
    """A configuration that a run keeps; raises ArtifactError if it is missing or damaged."""
    try:
        return load_config(path)
    except IcpError as error:
        raise ArtifactError(f"{error}; the configuration that the run keeps is damaged, put it back") from None


def _tokens(folder: Path, shards: Manifest, pack: str) -> tuple[Path, Manifest]:
    """The tokens folder of which the shards were made: the one they name, else the one of that content."""
    wanted = shards.basis.get("inputs", {}).get("tokens")
    named = folder / str(shards.facts.get("tokens", "tokens"))
    paths = sorted(path.parent for path in (folder / TOKENS).glob(f"*/{records.MANIFEST}"))
    for path in (named, *paths):
        manifest = records.read_manifest(path, check_sizes=False)
        if manifest is not None and (path == named or manifest.digest == wanted):
            return path, manifest
    raise ArtifactError(
        f"{named / records.MANIFEST}: missing, and none of {len(paths)} folders of tokens is the one of the pack, as "
        f"{folder / pack_folder(pack, 'shards') / records.MANIFEST} says; restore it, or run `icp pack --fresh`"
    )


def _check_columns(path: Path, file: Any, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise WrongForm(f"{path.name} has no column {', '.join(missing)}; it has {', '.join(file.schema_arrow.names)}")


def _unreadable(path: Path, error: Exception) -> ArtifactError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ArtifactError(f"{path}: missing or damaged ({reason}); restore it or redo the step with --fresh")


class WrongForm(Exception):  # noqa: N818 - it says what a file is
    """A file can be read, but is not of the shape or type that a check needs: a breach of the promise being checked."""
