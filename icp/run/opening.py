"""The folder of a run as a command opens it: as it is, or a mirror that knows what the server holds.

In: a path or a URL. Out: a folder whose manifests, configurations and figures can be read; the files that finished
steps left come from the server when they are opened.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icp.config.addresses import refuse_credentials
from icp.errors import ConfigError
from icp.run.names import (
    BUILD_STEPS,
    CONFIG,
    EXPORT_SUMMARY,
    LOCK,
    MARKER,
    PACK_FOLDERS,
    PACKS,
    STATS,
    TOKENS,
    exports_folder,
    pack_config,
    pack_folder,
    tokens_folder,
)  # fmt: skip
from icp.run.records import BASIS, MANIFEST, RECORDS, read_manifest, remove_tree
from icp.run.removed import refuse_half_removed
from icp.run.storage import Mirror, mirror_of, new_mirror, run_folder

STEP_FILES = (MANIFEST, BASIS)


def open_folder(run: str | Path, *, records: bool = False) -> Path:
    """The folder of a run.

    Args:
        run: path or URL.
        records: have the records of unfinished steps too.

    Raises: ArtifactError if the server or its bucket cannot be used; ConfigError for a URL that carries credentials.
    """
    try:
        refuse_credentials(str(run))
    except ValueError as error:
        raise ConfigError(f"the address of the run {error}") from None
    mirror = mirror_of(str(run))
    if mirror is not None:
        _pull(mirror, records)
    else:
        refuse_half_removed(run_folder(run))
    return run_folder(run)


@contextmanager
def fresh_folder(run: str | Path) -> Iterator[Path]:
    """The folder of a run to verify: every file of a run on a server is fetched anew, and removed afterwards."""
    mirror = mirror_of(str(run))
    if mirror is None:
        yield open_folder(run)
        return
    mirror.folder.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="verify-", dir=mirror.folder.parent))
    try:
        anew = new_mirror(str(run), folder)
        _pull(anew, False)
        yield anew.path
    finally:
        shutil.rmtree(folder)


def _pull(mirror: Mirror, records: bool) -> None:
    """Fetch the small files of a run, and learn which others there are."""
    folders = [*BUILD_STEPS]
    names = [CONFIG, STATS, MARKER]
    for kind in (TOKENS, PACKS):
        found = mirror.server.folders(kind)
        for path in (mirror.folder / kind).glob("*"):
            if path.name not in found:
                remove_tree(path)
        for name in found:
            if kind == TOKENS:
                folders.append(tokens_folder(name))
                continue
            folders += [pack_folder(name, step) for step in PACK_FOLDERS]
            names.append(pack_config(name))
            exports = exports_folder(name)
            names += [f"{exports}/{fmt}/{EXPORT_SUMMARY}" for fmt in mirror.server.folders(exports)]
    mirror.pull([*names, *(f"{folder}/{name}" for folder in folders for name in STEP_FILES)])
    for folder in folders:
        manifest = read_manifest(mirror.folder / folder, check_sizes=False)
        if manifest is not None:
            mirror.forget(folder)
            mirror.learn(folder, manifest.files)
        elif records and (mirror.folder / folder / STEP_FILES[1]).exists():
            found_names = list(mirror.server.sizes(f"{folder}/{RECORDS}"))
            mirror.pull([name for name in found_names if name.endswith((".json", ".failed"))])
    if records:
        mirror.pull([LOCK])
