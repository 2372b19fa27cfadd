"""The local mirror of a run on a server: files come when they are opened, each once, and are known by their hash.

In: the URL of a run. Out: paths of this machine. What a manifest or a record names is fetched when its path is first
used, compared with the hash there, and kept in ``.objects/<sha256>``; its name in the mirror is a hard link to that.
"""

import contextlib
import os
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path, PosixPath

from icp.errors import ArtifactError
from icp.run.forms import safe_name
from icp.run.records import TEMPORARY, FileRecord, hash_file, remove_tree
from icp.run.storage.server import Server

OBJECTS = ".objects"
FETCHES = 4
"""Large files that are fetched at once."""
opened: dict[str, "Mirror"] = {}


class StagedPath(PosixPath):
    """A path in a mirror, which fetches its file from the server when the file is used, if it is one that is known."""

    @property
    def mirror(self) -> "Mirror | None":
        """The one it lies in."""
        return _place(str(self))[0]

    def __fspath__(self) -> str:
        text = str(self)
        mirror, name = _place(text)
        if mirror is not None and name in mirror.known:
            mirror.stage(name)
        return text

    def glob(self, pattern: str) -> Generator["StagedPath", None, None]:
        """Known files of this folder that match, fetched together; in a folder of which none is known what is there."""
        mirror, folder = _place(str(self))
        here = mirror.names_in(folder) if mirror is not None else []
        if mirror is None or not here:
            yield from super().glob(pattern)
            return
        names = [name for name in here if fnmatchcase(name, pattern)]
        mirror.stage_all([f"{folder}/{name}" for name in names])
        yield from (self / name for name in names)


class Mirror:
    """What this machine holds of a run on a server.

    Attributes:
        url: of the run.
        server: the files there.
        folder: of the mirror.
        known: what manifests and records say of the run's files, by name.
        fetched: bytes of files that came from the server for this process.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.server = Server(url)
        self.url = self.server.url
        self.folder = folder
        self.known: dict[str, FileRecord] = {}
        self.fetched = 0
        self._names: dict[str, set[str]] = {}
        opened[str(folder)] = self

    @property
    def path(self) -> "StagedPath":
        """Its folder, with files that come when they are opened."""
        return StagedPath(self.folder)

    def learn(self, folder: str, files: Mapping[str, FileRecord]) -> None:
        """Take the word of a manifest or of records for the files of a folder."""
        for name, record in files.items():
            whole = safe_name(f"{folder}/{name}", self.url)
            self.known[whole] = record
            parent, _, last = whole.rpartition("/")
            self._names.setdefault(parent, set()).add(last)

    def forget(self, folder: str) -> None:
        """Forget the files of a folder."""
        safe_name(folder, self.url)
        self.known = {name: record for name, record in self.known.items() if not name.startswith(f"{folder}/")}
        self._names = {
            parent: names for parent, names in self._names.items() if not f"{parent}/".startswith(f"{folder}/")
        }

    def names_in(self, folder: str) -> list[str]:
        """The known files right in a folder, sorted."""
        return sorted(self._names.get(folder, ()))

    def stage(self, name: str) -> None:
        """Fetch a known file to its place here.

        Raises: ArtifactError if the server has none, or another one than its record says.
        """
        record, path = self.known[name], self.folder / name
        for _ in range(3):
            kept = self._object(record.sha256)
            if _same_file(kept, path):
                return
            if not kept.exists():
                self._fetch(name, record, kept)
            with contextlib.suppress(FileNotFoundError):  # pruned by a process that tidied: fetched again
                self._link(kept, path)
                return
        raise ArtifactError(f"{path}: vanishes as soon as it is fetched; is something emptying {self.folder}?")

    def stage_all(self, names: Sequence[str]) -> None:
        """Fetch many files, several at a time."""
        missing = [name for name in names if not _same_file(self._object(self.known[name].sha256), self.folder / name)]
        with ThreadPoolExecutor(FETCHES) as pool:
            list(pool.map(self.stage, missing))

    def adopt(self, temporary: Path, name: str, record: FileRecord) -> None:
        """Give a file that a task wrote here, and that the server has, its name."""
        kept = self._object(record.sha256)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(str(temporary), kept)
        self._link(kept, self.folder / name)
        folder, _, last = name.rpartition("/")
        self.learn(folder, {last: record})

    def holds(self, record: FileRecord) -> bool:
        """Whether a file is kept here, and as long as its record says."""
        kept = self._object(record.sha256)
        return kept.exists() and kept.stat().st_size == record.bytes

    def pull(self, names: Iterable[str]) -> None:
        """Fetch small files as they are on the server now; a name that it does not have is removed here too."""
        wanted = [safe_name(name, self.url) for name in names]
        for name, data in self.server.read_all(wanted).items():
            path = self.folder / name
            if data is None:
                path.unlink(missing_ok=True)
            else:
                self.keep(name, data)

    def keep(self, name: str, data: bytes) -> None:
        """Write a small file here, whole or not at all; nothing is done if it is there."""
        path = self.folder / safe_name(name, self.url)
        if path.exists() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        temporary.write_bytes(data)
        temporary.replace(path)

    def push(self, name: str, *, replace: bool = True) -> bool:
        """Send a small file from here; with ``replace=False`` the first wins, and a later one takes what is there."""
        data = (self.folder / name).read_bytes()
        if replace:
            self.server.write(name, data)
            return True
        if self.server.create(name, data):
            return True
        self.pull([name])
        return False

    def remove_tree(self, folder: str) -> None:
        """Remove a folder of the run, there and here."""
        self.forget(folder)
        self.server.remove(self.server.sizes(folder))
        remove_tree(self.folder / folder)

    def prune(self) -> None:
        """Remove what was kept of files that have no name any more."""
        for path in (self.folder / OBJECTS).glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_nlink == 1 and not path.name.startswith(TEMPORARY):
                    path.unlink()

    def _object(self, sha256: str) -> Path:
        return self.folder / OBJECTS / sha256[:2] / sha256

    def _fetch(self, name: str, record: FileRecord, kept: Path) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        temporary = kept.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            self.server.fetch(name, temporary)
            size = temporary.stat().st_size
            if size != record.bytes or hash_file(temporary) != record.sha256:
                raise ArtifactError(
                    f"{self.url}/{name}: {size} bytes that are not those of its record ({record.bytes} bytes); restore "
                    "it or redo the step with --fresh"
                )
            self.fetched += size
            with contextlib.suppress(FileExistsError):
                os.link(temporary, kept)
        finally:
            temporary.unlink(missing_ok=True)

    def _link(self, kept: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        os.link(kept, temporary)
        temporary.replace(path)
        temporary.unlink(missing_ok=True)  # a rename between two links to one file does nothing


def _place(path: str) -> tuple[Mirror | None, str]:
    """The mirror that a path lies in, and its name there."""
    for folder, mirror in opened.items():
        if path.startswith(folder) and path[len(folder) : len(folder) + 1] in ("/", ""):
            return mirror, path[len(folder) + 1 :]
    return None, ""


def _same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except FileNotFoundError:
        return False
