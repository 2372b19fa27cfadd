"""Who owns a folder: a run is made in a folder of its own, which holds nothing but what icp made there.

In: the folder that `run` names. Out: the folder with a marker, or an error before a byte is written. A run writes,
replaces and removes folders called ``documents`` or ``packs``: what somebody else keeps under these names must never
be taken for its own.
"""

import os
import shutil
import uuid
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import yaml

from icp import __version__
from icp.config import Config, dump_config
from icp.config.addresses import expanded
from icp.errors import ArtifactError, ConfigError
from icp.run.names import (
    BUILD_STEPS,
    CONFIG,
    EXPORT_SUMMARY,
    EXPORTS,
    LOCK,
    LOG,
    MARKER,
    PACKS,
    STATS,
    TOKENS,
    VALIDATION,
    pack_config,
    subfolders,
)  # fmt: skip
from icp.run.records import BASIS, MANIFEST, TEMPORARY, json_text
from icp.run.seals import sealed, sealed_lines
from icp.run.storage import Mirror, address_of, mirror_of, push_small

OURS = (*BUILD_STEPS, TOKENS, PACKS)
OF_THE_SYSTEM = ("lost+found", ".DS_Store", ".snapshot")
"""What file systems put into folders by themselves."""
SECTIONS = {"run", "seed", "corpus", "dedup", "embed", "graph", "order", "tokenizer", "pack"}
"""What every resolved configuration holds, and hardly a file of another program called ``config.yaml``."""


SAMPLES = ("documents/part-00000.parquet", "tokens/bytes/tokenizer.json", CONFIG, "embeddings/part-00000.npy")
"""Some files of a run, of every kind that a corpus may have."""


def check_folder(run: Path) -> None:
    """Refuse a folder that is neither a run, nor empty, nor absent, and a run with links in it.

    Raises: ConfigError for a folder that holds something else; ArtifactError for a file, and for a step's folder that
        is a link: what lies behind it would be replaced and removed.
    """
    mirror = mirror_of(address_of(run))
    if mirror is not None:
        _check_server(run, mirror)
        return
    if run.is_symlink() and not run.exists():
        raise ArtifactError(f"{run}: is a link that leads nowhere; remove it or give another folder")
    if run.exists() and not run.is_dir():
        raise ArtifactError(f"{run}: is a file; a run needs a folder of its own")
    if not run.exists():
        return
    _refuse_links(run)
    if _is_run(run):
        return
    found = sorted(path.name for path in run.iterdir() if not _passes(path.name))
    if found:
        raise ConfigError(
            f"{run}: holds {', '.join(found[:3])}{' ...' if len(found) > 3 else ''} but is no run of icp, which needs "
            f"a folder of its own; give a new or empty one, e.g. --set run={run / 'run'}"
        )


def check_apart(run: Path, inputs: Sequence[str]) -> None:
    """Refuse a run inside a folder of its own input: its files would be read as documents.

    Raises: ConfigError naming the input.
    """
    place = run.resolve()
    for name in inputs:
        if "://" in name:
            continue
        path = Path(expanded(name))
        whole, files = str(path.absolute()), [place / file for file in SAMPLES]
        if path.is_dir():
            inside = place.is_relative_to(path.resolve())
        elif "**" in whole:
            inside = any(fnmatch(str(file), whole.replace("**/", "*")) for file in files)
        else:
            inside = any(path.match(whole) for file in files for path in (file, *file.parents))  # folders too
        if inside:
            raise ConfigError(
                f"corpus.input: {name} holds the run folder {run} itself, whose files would be read as documents; "
                "put the run beside the input, not inside it"
            )


def claim(run: Path) -> None:
    """Leave the marker in a folder that `check_folder` has let pass."""
    check_folder(run)
    run.mkdir(parents=True, exist_ok=True)
    if not (run / MARKER).exists():
        marker = {"icp": __version__}
        is_older = any((run / name).exists() for name in OURS)  # of a time when nothing had a seal
        _write(run, MARKER, json_text(marker if is_older else sealed(marker)))


def leave_config(run: Path, config: Config, pack: str | None = None) -> None:
    """Write the configuration in use: that of the run, and that of the pack if one is named."""
    for name in (CONFIG, *((pack_config(pack),) if pack else ())):
        _write(run, name, sealed_lines(dump_config(config)))


def remove_leftovers(run: Path) -> None:
    """Remove what killed commands left under temporary names; the lock must be held."""
    done = [path.parent for path in (run / PACKS).glob(f"*/{EXPORTS}/*/{EXPORT_SUMMARY}")]
    for folder in (run, *subfolders(run, PACKS), *done):
        for path in folder.glob(f"{TEMPORARY}*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _passes(name: str) -> bool:
    return name in OF_THE_SYSTEM or name in (LOCK, STATS) or name.startswith(TEMPORARY)


def _is_run(run: Path) -> bool:
    """Whether icp made the folder: it has the marker, or is a run of the time before there were markers."""
    if (run / MARKER).is_file():
        return True
    try:
        tree = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return False
    started = any((run / step / name).is_file() for step in BUILD_STEPS for name in (MANIFEST, BASIS))
    made = isinstance(tree, dict) and tree.keys() >= SECTIONS
    return made and (started or not any((run / name).exists() for name in OURS))


def _refuse_links(run: Path) -> None:
    places = [run / name for name in (*OURS, VALIDATION, LOG)]
    places += [path for kind in (TOKENS, PACKS) for path in (run / kind).glob("*")]
    places += list((run / PACKS).glob("*/*"))
    for path in (*places, *(inside for place in places for inside in _linked_folders(place))):
        if path.is_symlink():
            raise ArtifactError(
                f"{path}: is a link to {path.readlink()}; what lies in a run is replaced and removed, so that icp "
                "follows no links there; put the whole run on that disk, or mount it at this place"
            )


def _linked_folders(folder: Path) -> list[Path]:
    """Links to folders in a folder of a run: those of a step and of exports are written to and removed as well."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if entry.is_symlink() and entry.is_dir()]


def _check_server(run: Path, mirror: Mirror) -> None:
    there = mirror.server.folders("")
    taken = [name for name in OURS if name in there]
    # another slice may have come since the mirror was filled
    claimed = (run / CONFIG).exists() or any(mirror.server.read(name) is not None for name in (MARKER, CONFIG))
    if taken and not claimed:
        raise ConfigError(
            f"{address_of(run)}: holds {', '.join(taken)} but is no run of icp; give a new or empty folder"
        )


def _write(run: Path, name: str, text: str) -> None:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}-{path.name}")  # slices start at one time
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    push_small(run, name)
