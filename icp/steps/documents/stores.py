"""What is asked of a disk or of a server (fsspec): which names exist, what matches, how large it is.

Paths are strings as the user wrote them; those of a server begin with its protocol.
"""

import glob
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from icp.config.addresses import expanded
from icp.errors import ConfigError, InputError
from icp.run.storage.server import open_filesystem, trouble_of

STAMPS = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "last_modified", "modified", "created")


def _raise(error: OSError) -> None:
    raise error


def refuse_pipe(path: str) -> None:
    """Raise InputError for a pipe or a device, which may give bytes without end."""
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path}: is a pipe or a device, not a file; write what it gives to a file first")


class Disk:
    """Local files."""

    def exists(self, path: str) -> bool:
        """Whether the name stands for something."""
        return os.path.lexists(path)

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder."""
        return Path(path).is_dir()

    def glob(self, pattern: str) -> list[str]:
        """What a pattern matches, in any order."""
        return glob.glob(pattern, recursive=True)  # noqa: PTH207 - pathlib normalises the names

    def walk(self, folder: str) -> list[str]:
        """All files in a folder and its folders, in any order."""
        found, seen = [], set()
        for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
            if os.path.realpath(parent) in seen:  # a link to a folder above
                folders.clear()
                continue
            seen.add(os.path.realpath(parent))
            found += [os.path.join(parent, name) for name in names]  # noqa: PTH118 - names as the user gave them
        return found

    def read(self, path: str) -> bytes:
        """The bytes of a small file."""
        refuse_pipe(path)
        return Path(path).read_bytes()

    def identity(self, path: str) -> str:
        """The same for two names of one file."""
        return os.path.realpath(path)

    def stat(self, path: str) -> tuple[int, str]:
        """Bytes (-1: not known) and a stamp that changes with the content."""
        info = Path(path).stat()
        return info.st_size, str(info.st_mtime_ns)


class Server:
    """Files behind URLs."""

    def __init__(self, filesystem: Any) -> None:
        self._fs = filesystem

    def exists(self, path: str) -> bool:
        """Whether the name stands for something; raises InputError for a bucket that is not there or refuses."""
        with _asking(path):
            if bool(self._fs.exists(path)):
                return True
            if path.startswith("s3://"):  # tell a name from a bucket, which `exists` does not
                self._fs.call_s3("list_objects_v2", Bucket=self._fs.split_path(path)[0], MaxKeys=1)
            return False

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder."""
        with _asking(path):
            return bool(self._fs.isdir(path))

    def glob(self, pattern: str) -> list[str]:
        """What a pattern matches, in any order."""
        with _asking(pattern):
            return [self._fs.unstrip_protocol(path) for path in self._fs.glob(pattern)]

    def walk(self, folder: str) -> list[str]:
        """All files in a folder and its folders, in any order."""
        root = self._fs._strip_protocol(folder)
        with _asking(folder):
            return [self._fs.unstrip_protocol(path) for path in self._fs.find(root)]

    def read(self, path: str) -> bytes:
        """The bytes of a small file."""
        with _asking(path):
            return bytes(self._fs.cat_file(path))

    def open(self, path: str) -> Any:
        """A file to read, as a context manager."""
        return self._fs.open(path, "rb")

    def look_again(self) -> None:
        """What was listed may have changed."""
        self._fs.invalidate_cache()

    def identity(self, path: str) -> str:
        """The same for two names of one file."""
        return str(self._fs.unstrip_protocol(self._fs._strip_protocol(path)))

    def stat(self, path: str) -> tuple[int, str]:
        """Bytes (-1: not known) and a stamp that changes with the content."""
        with _asking(path):
            info: Mapping[str, Any] = self._fs.info(path)
        size = info.get("size")
        return -1 if size is None else int(size), next((str(info[key]) for key in STAMPS if info.get(key)), "")


@contextmanager
def _asking(path: str) -> Iterator[None]:
    """Name what is wrong with a server or a bucket; a name that is not there is the caller's to judge."""
    try:
        yield
    except Exception as error:
        trouble = trouble_of(error)
        if trouble is None:
            raise
        raise InputError(f"{path}: {trouble.what}; see corpus.input") from None


@lru_cache(maxsize=16)
def _server(url: str, endpoint: str) -> Server:
    try:
        return Server(open_filesystem(url, listings=True)[0])
    except (ImportError, ValueError) as error:
        trouble = trouble_of(error)
        raise InputError(f"{url}: {trouble.what if trouble else error}; see corpus.input") from None


def server_of(url: str) -> Server:
    """Who holds the file of a URL; raises InputError for one that nobody holds."""
    whole_store = url.startswith("s3://")  # for others the URL may say more than protocol and host
    return _server("s3://" if whole_store else url, os.environ.get("AWS_ENDPOINT_URL", ""))


def store_of(pattern: str) -> Disk | Server:
    """Who holds the files of a path, pattern or URL; raises ConfigError or InputError for one that nobody holds."""
    if "::" in pattern:
        raise ConfigError(f"corpus.input: {pattern}: chained URLs are not read; name the files themselves")
    if "://" not in pattern:
        return Disk()
    server = server_of(pattern)
    server.look_again()
    return server


def file_identity(path: str) -> str:
    """Size and stamp of one file or URL; raises InputError if it cannot be looked at."""
    store = store_of(path)
    if isinstance(store, Disk):
        refuse_pipe(expanded(path))
    try:
        size, stamp = store.stat(expanded(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check its name") from None
    return f"{size} bytes, {stamp}"
