"""Promise 5, of the files that no manifest names: manifests, figures, configurations, the marker, exports.

In: a run. Out: breaches. Each holds a hash of what it says (`icp.run.seals`); those of older runs hold none, and are
held to what other files say of the same.
"""

from pathlib import Path
from typing import Any

from icp.audit.findings import Breaches
from icp.config import Config
from icp.errors import ArtifactError
from icp.run.forms import check_mapping, safe_name
from icp.run.names import (
    BUILD_STEPS,
    CONFIG,
    EXPORT_SUMMARY,
    MARKER,
    STATS,
    STEPS,
    exports_folder,
    pack_config,
)  # fmt: skip
from icp.run.reader import Run, read_config
from icp.run.records import MANIFEST, TEMPORARY, hash_file, read_json, read_mapping
from icp.run.seals import broken_lines, broken_seal
from icp.run.storage import StagedPath


def check_small_files(run: Run, found: Breaches) -> int:
    """Look at each; returns how many there are."""
    n_files = 0
    must = _is_sealed(run, found)
    exports = sorted((run.folder / exports_folder(run.pack)).glob(f"*/{EXPORT_SUMMARY}"))
    for path in (run.folder / exports_folder(run.pack)).glob("*/*"):
        if not path.name.startswith(TEMPORARY) and not (path.parent / EXPORT_SUMMARY).exists():
            found.add("exports that are not whole", f"{run.shown(path.parent / EXPORT_SUMMARY)}: is missing")
            break
    for path in (*(run.folders[step] / MANIFEST for step in STEPS), run.folder / STATS, *exports):
        _note(run, path, broken_seal(path), must, found)
        n_files += 1
    for path in (run.folder / CONFIG, run.folder / pack_config(run.pack)):
        if path.exists() or must:
            _note(run, path, broken_lines(path), must, found)
            n_files += 1
    _check_configs(run, found)
    for path in exports if not isinstance(run.folder, StagedPath) else ():  # files of a server's export stay there
        _check_export(run, path, found)
    return n_files


def _is_sealed(run: Run, found: Breaches) -> bool:
    """Whether the run was begun when every file had a seal already, as its marker says by its own."""
    path = run.folder / MARKER
    if not path.exists():
        if any(broken_seal(run.folders[step] / MANIFEST) is not None for step in STEPS):
            found.add("files that are missing", run.shown(path))
        return False
    marker = check_mapping(read_json(path, what="marker"), path, "marker")
    broken = broken_seal(path)
    _note(run, path, "", False, found)
    if broken or not isinstance(marker.get("icp"), str) or not marker.keys() <= {"icp", "seal"}:
        found.add("files changed since icp wrote them", run.shown(path))
    return broken is not None


def _note(run: Run, path: Path, broken: str | None, must: bool, found: Breaches) -> None:
    if path.is_symlink():
        found.add("links in the place of files", run.shown(path))
    if broken or (broken is None and must):
        found.add("files changed since icp wrote them", run.shown(path))


def _check_configs(run: Run, found: Breaches) -> None:
    """The configuration of the run is the one of the graph; that of the pack is compared with the steps elsewhere."""
    config = read_config(run.folder / CONFIG)
    for step in BUILD_STEPS:
        for key, was, now in differing(config, run.manifests[step].basis.get("config", {})):
            found.add("steps made with another configuration", f"{CONFIG}: {step}: {key} was {was!r}, is {now!r}")


def differing(config: Config, basis: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose value a basis states otherwise, what it says, and what the configuration says."""
    flat: dict[str, Any] = {}

    def collect(tree: dict[str, Any], prefix: str) -> None:
        for key, value in tree.items():
            if isinstance(value, dict):
                collect(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    collect(config.model_dump(mode="json"), "")
    return [(key, value, flat.get(key)) for key, value in basis.items() if flat.get(key) != value]


def _check_export(run: Run, path: Path, found: Breaches) -> None:
    """An export beside the pack holds its files, as its summary says; those of older ones have no hashes there."""
    summary = read_mapping(path, what="summary of an export")
    sizes, hashes = (summary.get(key, {}) for key in ("files", "sha256"))
    if not isinstance(sizes, dict) or not isinstance(hashes, dict):
        raise ArtifactError(f"{path}: names no files; remove its folder and run `icp pack` again")
    for name in sorted({*sizes, *hashes}):
        file = path.parent / safe_name(name, path)
        if not file.is_file() or file.is_symlink() or file.stat().st_size != sizes.get(name, file.stat().st_size):
            told = f"{sizes.get(name)} bytes, as {run.shown(path)} says"
            found.add("exports that are not whole", f"{run.shown(file)}: expected {told}")
        elif name in hashes and hash_file(file) != hashes[name]:
            found.add("exports that are not whole", f"{run.shown(file)}: of another hash")
