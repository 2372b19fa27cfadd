"""Promise 5, of files: every file is the one that its manifest names, of the form that its step gives it.

In: all files of a run and a pack, their manifests. Out: breaches.
"""

from fnmatch import fnmatchcase
from typing import Any

from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.audit.segments import Layout
from icp.audit.small_files import check_small_files, differing
from icp.errors import ArtifactError
from icp.run.names import (
    CARD,
    CONFIG,
    CONFLICTS,
    HELD_VECTORS,
    INDICES,
    INDPTR,
    LINK_ALIKE,
    LINK_SHARES,
    LINK_VECTORS,
    LINK_WEIGHTS,
    LINKS,
    NEIGHBORS,
    NODES,
    OFFSETS,
    ORDER,
    PATH_STARTS,
    REMOVED_DOCS,
    SIMILARITIES,
    STEPS,
    SURVIVORS,
    TAIL,
    VECTORS,
    WEIGHTS,
    pack_config,
)  # fmt: skip
from icp.run.reader import Run, WrongForm, parquet_rows, read_array
from icp.run.records import MANIFEST, RECORDS, TEMPORARY, FileRecord, hash_file, hash_json

FORMS = {
    f"documents/{REMOVED_DOCS}": ("int64", 1),
    f"dedup/{SURVIVORS}": ("int64", 1),
    f"embeddings/{VECTORS}": ("float16", 2),
    f"embeddings/{HELD_VECTORS}": ("float16", 2),
    f"neighbors/{NEIGHBORS}": ("int32 int64", 2),
    f"neighbors/{SIMILARITIES}": ("float16", 2),
    f"graph/{CONFLICTS}": ("int64", 2),
    f"graph/{NODES}": ("int64", 1),
    f"graph/{INDPTR}": ("int64", 1),
    f"graph/{INDICES}": ("int32 int64", 1),
    f"graph/{WEIGHTS}": ("float16", 1),
    f"graph/{LINKS}": ("int64", 2),
    f"graph/{LINK_SHARES}": ("float32", 2),
    f"graph/{LINK_WEIGHTS}": ("float16", 1),
    f"graph/{LINK_ALIKE}": ("bool", 1),
    f"graph/{LINK_VECTORS}": ("float16", 2),
    f"tokens/{OFFSETS}": ("int64", 1),
    f"order/{ORDER}": ("int32 int64", 1),
    f"order/{PATH_STARTS}": ("bool", 1),
    f"windows/{TAIL}": ("int64", 2),
    "windows/*.npy": ("int64", 1),
}
"""Type and dimensions of arrays: docs/design.md, *Files of a run*. A step's name stands for its folder."""


def check_files(run: Run, layout: Layout, found: Breaches) -> str:
    """Sizes, hashes, rows and types of all files; none without a record; each step made of the others as they are."""
    n_files = n_bytes = 0
    for step in STEPS:
        manifest, folder = run.manifests[step], run.folders[step]
        for name, record in manifest.files.items():
            _check_file(run, step, name, record, found)
            _check_form(run, step, name, (record.rows, layout), found)
            n_files, n_bytes = n_files + 1, n_bytes + record.bytes
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            known = name in manifest.files or name == MANIFEST or name.startswith(f"{RECORDS}/")
            known = known or (step, name) == ("shards", CARD)
            if path.is_file() and not known and not path.name.startswith(TEMPORARY):
                found.add("files that no manifest names", run.shown(path))
        _check_basis(run, step, found)
    n_small = check_small_files(run, found)
    return f"{n_files:,} files ({n_bytes / 2**20:,.1f} MiB) as their manifests say, {n_small} small files as written"


def check_present(run: Run) -> None:
    """Raise ArtifactError for the first file of a manifest that is not there."""
    for step in STEPS:
        for name in run.manifests[step].files:
            if not run.path(step, name).is_file():
                raise ArtifactError(f"{run.path(step, name)}: missing; restore it or redo the step with --fresh")


def _check_file(run: Run, step: str, name: str, record: FileRecord, found: Breaches) -> None:
    path = run.path(step, name)
    if path.is_symlink():
        found.add("links in the place of files", run.shown(path))
    try:
        size = path.stat().st_size
        digest = hash_file(path) if size == record.bytes else ""
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; restore it or redo the step with --fresh") from None
    if size != record.bytes:
        found.add("files of another size", f"{run.shown(path)}: {size:,} bytes, the manifest says {record.bytes:,}")
    elif digest != record.sha256:
        found.add("files of another hash", run.shown(path))


def _check_form(run: Run, step: str, name: str, expected: tuple[int | None, Layout], found: Breaches) -> None:
    """Rows and type of a file."""
    rows, layout = expected
    path, n_rows = run.path(step, name), None
    if name.endswith(".parquet"):
        n_rows = parquet_rows(path)
    elif name.endswith(".npy"):
        array = _any_array(path)
        n_rows = array.shape[0] if array.ndim else None
        _check_type(f"{step}/{name}", array, run.shown(path), found)
    elif name.endswith(".bin"):
        width = layout.dtype.itemsize * (layout.stride if step == "shards" else 1)
        n_rows = path.stat().st_size // width
    if rows is not None and rows != n_rows:
        found.add("files with other rows", f"{run.shown(path)}: {n_rows} rows, the manifest says {rows}")


def _any_array(path: Any) -> NDArray[Any]:
    for ndim in (1, 2, 0, 3):
        try:
            return read_array(path, ndim=ndim, kinds="biufSU")
        except WrongForm:
            continue
    raise ArtifactError(f"{path}: an array that no step writes; redo the step with --fresh")


def _check_type(name: str, array: NDArray[Any], shown: str, found: Breaches) -> None:
    wanted, ndim = next((form for pattern, form in FORMS.items() if fnmatchcase(name, pattern)), ("", array.ndim))
    if array.ndim != ndim or (wanted and array.dtype.name not in wanted.split()):
        found.add(
            "arrays of another type", f"{shown}: {array.dtype} {array.shape}, expected {wanted} in {ndim} dimensions"
        )


def _config_of(run: Run) -> str:
    """The file that the configuration of the pack was read from."""
    own = pack_config(run.pack)
    return own if (run.folder / own).is_file() else CONFIG


def _check_basis(run: Run, step: str, found: Breaches) -> None:
    """The manifest says of what the step was made: that is the configuration and the other steps as they are now."""
    manifest, named = run.manifests[step], f"{step} ({run.shown(run.folders[step] / MANIFEST)})"
    if hash_json(manifest.basis) != manifest.fingerprint:
        found.add("manifests whose fingerprint is not that of what they name", named)
    for key, was, now in differing(run.config, manifest.basis.get("config", {})):
        stated = f"is {now!r} in {_config_of(run)}"
        found.add("steps made with another configuration", f"{named}: {key} was {was!r}, {stated}")
    for name, digest in manifest.basis.get("inputs", {}).items():
        if name in run.manifests and run.manifests[name].digest != digest:
            found.add("steps made of other files than are there", f"{named} of {name}")
