"""Where an export goes: a folder of its own, filled under temporary names and named when it is whole, or a server's."""

import errno
import fcntl
import os
import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from icp.config.addresses import is_url, refuse_credentials
from icp.errors import ConfigError, InputError
from icp.run import records
from icp.run.lock import NO_ROOM
from icp.run.names import EXPORT_SUMMARY
from icp.run.storage import run_folder
from icp.run.storage.server import Server

NO_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES)
"""What a file system answers that cannot link the two names."""


class Target:
    """The folder of an export; its files take their names when the ``with`` block ends well.

    Attributes:
        address: the folder as its user calls it.
        linked, copied: files that share the tokens of the run, and files that hold them again.

    Raises: ConfigError if the folder holds something; InputError if it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = str(folder)
        self.linked = self.copied = 0
        self._staging = folder / f"{records.TEMPORARY}{uuid.uuid4().hex}"

    def __enter__(self) -> "Target":
        try:
            self._is_new = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            there = [path.name for path in self.folder.iterdir() if not path.name.startswith(records.TEMPORARY)]
            if there:
                raise ConfigError(
                    f"--out {self.folder}: is not empty ({sorted(there)[0]}); give a new or an empty folder"
                )
            self._remove_leftovers()
            self._staging.mkdir()
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            raise InputError(f"--out {self.folder}: cannot be written ({error.strerror})") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for path in sorted(self._staging.iterdir(), key=lambda entry: entry.name == EXPORT_SUMMARY):
                path.replace(self.folder / path.name)
        shutil.rmtree(self._staging)
        os.close(self._held)
        if kind is not None and self._is_new:
            with suppress(OSError):  # not empty: somebody else uses it by now
                self.folder.rmdir()

    def _remove_leftovers(self) -> None:
        """Remove what a killed export left here, unless it is one that still runs: it holds a lock of the system."""
        self._held = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"--out {self.folder}: another export is written there; wait for it") from None
        except OSError:  # some network file systems know no such locks
            return
        for path in self.folder.glob(f"{records.TEMPORARY}*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)

    def path(self, name: str) -> Path:
        """A file to write, which becomes `name`."""
        return self._staging / name

    def link(self, source: Path, name: str) -> None:
        """Give a file of the run another name, without a copy where the file system can."""
        try:
            os.link(source, self.path(name))
            self.linked += 1
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
            shutil.copyfile(source, self.path(name))
            self.copied += 1

    def sizes(self) -> dict[str, int]:
        """Bytes of each file so far, by name."""
        return {path.name: path.stat().st_size for path in sorted(self._staging.iterdir())}

    def hashes(self) -> dict[str, str]:
        """sha256 of each file so far, by name."""
        return {path.name: records.hash_file(path) for path in sorted(self._staging.iterdir())}


class Upload(Target):
    """The folder of an export on a server: files are made in the folder for temporary ones and sent when all are there.

    Raises: ConfigError if there is something below the address; ArtifactError for a server that cannot be used.
    """

    def __init__(self, url: str) -> None:
        try:
            refuse_credentials(url)
        except ValueError as error:
            raise ConfigError(f"--out: the address {error}") from None
        super().__init__(Path(tempfile.gettempdir()) / f"icp-export-{uuid.uuid4().hex}")
        self.address = url.rstrip("/")
        self._server = Server(self.address)

    def __enter__(self) -> "Upload":
        there = sorted(self._server.sizes(""))
        if there:
            raise ConfigError(f"--out {self.address}: is not empty ({there[0]}); give a new or an empty folder")
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sent: list[str] = []
        try:
            paths = sorted(self._staging.iterdir(), key=lambda path: path.name == EXPORT_SUMMARY)
            for path in paths if kind is None else ():
                if not self._server.upload(path, path.name):
                    raise ConfigError(f"--out {self.address}: {path.name} came from elsewhere meanwhile; give another")
                sent.append(path.name)
        except BaseException:
            self._server.remove(sent)
            raise
        finally:
            shutil.rmtree(self.folder)
            os.close(self._held)

    def link(self, source: Path, name: str) -> None:
        """Name a file of the run, which is sent from where it is."""
        # opened here, since files of a mirror are fetched when they are
        self.path(name).symlink_to(Path(os.fspath(source)).absolute())
        self.copied += 1


def target_at(out: str | Path) -> Target:
    """The folder that ``--out`` names: a path, or the URL of a server."""
    return Upload(str(out)) if is_url(str(out)) else Target(run_folder(str(out)))
