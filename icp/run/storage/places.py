"""Where the runs of this process lie, here and on servers, and what is sent to a server from here.

The mirrors of a machine lie in the folder that ``ICP_MIRROR`` names, one for each URL (and endpoint).
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from icp.config.addresses import is_url
from icp.run.storage.exchange import Exchange, LocalExchange
from icp.run.storage.mirror import Mirror, opened
from icp.run.storage.remote import RemoteExchange
from icp.run.storage.scratch import ScratchExchange

FOLDER = "ICP_MIRROR"
"""Environment variable: the folder that holds the mirrors of this machine; default ``icp/runs`` in the user's cache."""


def mirror_of(run: str) -> Mirror | None:
    """The mirror of a run on a server; None for a run of this machine."""
    return _mirror(run.rstrip("/"), _mirrors_folder(), _endpoint()) if is_url(run) else None


def run_folder(run: str | Path) -> Path:
    """The folder of a run on this machine: its own, or that of its mirror. A path is returned as it is."""
    if isinstance(run, Path):
        return run
    mirror = mirror_of(run)
    if mirror is not None:
        return mirror.path
    folder = Path(unquote(run.removeprefix("file://"))) if run.startswith("file://") else Path(run)
    # pyarrow takes a relative path that begins like a URL (exp:1) for one
    return folder.absolute() if ":" in "".join(folder.parts[:1]) else folder


def push_small(run: Path, name: str) -> None:
    """Send a small file of a run to its server, if it has one."""
    mirror = opened.get(str(run))
    if mirror is not None:
        mirror.push(name)


def push_folder(run: Path, folder: str, *, last: str) -> None:
    """Send a folder of a run to its server, if it has one, in place of what is there; the file `last` at the end."""
    mirror = opened.get(str(run))
    if mirror is None:
        return
    mirror.server.remove(mirror.server.sizes(folder))
    paths = [path for path in (mirror.folder / folder).rglob("*") if path.is_file()]
    for path in sorted(paths, key=lambda path: path.name == last):
        mirror.server.upload(path, path.relative_to(mirror.folder).as_posix(), replace=True)


def address_of(folder: Path) -> str:
    """A run as its user calls it: the URL that a mirror is of, otherwise the path."""
    mirror = opened.get(str(folder))
    return mirror.url if mirror is not None else str(folder)


def shown(text: str) -> str:
    """A text in which files in mirrors are named by their URL."""
    for folder, mirror in opened.items():
        text = text.replace(folder, mirror.url)
    return text


def new_mirror(run: str, folder: Path) -> Mirror:
    """Another mirror of a run on a server, in an empty folder."""
    return Mirror(run.rstrip("/"), folder)


@lru_cache(maxsize=32)
def _mirror(url: str, folder: Path, endpoint: str) -> Mirror:
    number = hashlib.sha256(f"{endpoint} {url}".encode()).hexdigest()[:12]
    return Mirror(url, folder / f"{url.rpartition('/')[2]}-{number}")


def _mirrors_folder() -> Path:
    chosen = os.environ.get(FOLDER)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen).absolute() if chosen else home / "icp" / "runs"


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def exchange_of(run: str, folder: str, path: Path, *, stays: bool = False) -> Exchange:
    """What the tasks of the step in a folder of a run need besides their own files.

    Args:
        path: of that folder here.
        stays: what the tasks make is not needed on other machines.
    """
    mirror = mirror_of(run)
    return LocalExchange(path) if mirror is None else _remote_exchange(mirror, folder, stays)


@lru_cache(maxsize=256)
def _remote_exchange(mirror: Mirror, folder: str, stays: bool) -> RemoteExchange:
    return ScratchExchange(mirror, folder) if stays else RemoteExchange(mirror, folder)
