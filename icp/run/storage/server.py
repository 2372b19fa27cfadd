"""Files behind a URL (fsspec): read, created where nobody has the name, listed, removed; errors in a user's words.

Credentials come from the environment alone; an address that carries some is refused. No name is ever trusted from a
listing's cache.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

from icp.errors import ArtifactError, ConfigError
from icp.machine import host_name

THREADS = 16
"""Requests for small files that wait at once."""
CHUNK = 16 << 20
"""Bytes of a piece of a large file; four of them are held while it is sent or fetched."""
TRIES = 6
"""Attempts of a request that the server fails or leaves unanswered; AWS_MAX_ATTEMPTS says otherwise."""
CONFLICT_SECONDS = 0.5
SERVER_FAILED = {errno.EIO, errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO)}


class UnreachableError(ArtifactError):
    """The server fails or does not answer, after all tries: the same command may do better later."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a server or a bucket, and whether it may pass by itself."""

    what: str
    passing: bool = False


def trouble_of(error: BaseException) -> Trouble | None:
    """What an error of fsspec, s3fs or botocore means for a user; None for a name that is not there, and others."""
    code, words = _answer(error)
    if code == "NoSuchBucket":
        return Trouble("there is no such bucket; create it or correct the name")
    if isinstance(error, PermissionError):
        return Trouble(f"access is refused ({words}); check the credentials in the environment and the bucket's policy")
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"):
        return Trouble(
            f"no credentials on {host_name()} ({words}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        )
    if isinstance(error, ImportError):
        return Trouble(f'needs a package that is not installed ({words}); for s3:// pip install ".[s3]"')
    if type(error).__module__.partition(".")[0] in ("botocore", "aiobotocore", "aiohttp", "requests", "urllib3"):
        return Trouble(f"the server cannot be reached ({words}); check the address, or try again later", passing=True)
    if isinstance(error, FileNotFoundError | FileExistsError | IsADirectoryError):
        return None
    if isinstance(error, ConnectionError | TimeoutError):
        return Trouble(f"the server does not answer ({words}); try again later", passing=True)
    if isinstance(error, OSError) and error.errno in SERVER_FAILED:
        return Trouble(f"the server fails ({words}); try again later", passing=True)
    return Trouble(f"cannot be used ({words}); check the address") if isinstance(error, OSError | ValueError) else None


def _answer(error: BaseException) -> tuple[str, str]:
    """The code of a server's answer, if there is one, and a line of words."""
    for found in (error, error.__cause__):
        response = getattr(found, "response", None)
        if isinstance(response, Mapping):
            answer = response.get("Error", {})
            return str(answer.get("Code", "")), str(answer.get("Message") or answer.get("Code") or error)
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "", words.splitlines()[0]


def open_filesystem(url: str, *, listings: bool = False) -> tuple[Any, str]:
    """The filesystem of a URL, which keeps no listings unless told to, and the path there."""
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": listings}
    if url.startswith(("s3://", "s3a://")):
        settings: dict[str, Any] = {"connect_timeout": 10, "read_timeout": 60}
        if not {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"} & set(os.environ):
            settings["retries"] = {"mode": "standard", "max_attempts": TRIES}
        options |= {"config_kwargs": settings, "default_block_size": CHUNK, "max_concurrency": 4}
        # said here too, since instances are shared between all who ask with the same words
        options["endpoint_url"] = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    filesystem, path = fsspec.core.url_to_fs(url, **options)
    return filesystem, str(path)


class Server:
    """The files below one URL, by name.

    Names are keys as they stand, never patterns.

    Raises: ArtifactError for a bucket that is not there, refuses or is unknown; UnreachableError (an ArtifactError)
        after all tries; ConfigError for an address with ``?versionId=``.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        if "?versionId=" in self.url:  # s3fs cuts a key there, so that all files would share one
            raise ConfigError(f"{self.url}: names a version of an object, which is no folder; leave ?versionId= out")
        with self._asking(""):
            self._fs, self._root = open_filesystem(self.url)
        self._s3 = self.url.startswith(("s3://", "s3a://"))
        self._whole = {"max_concurrency": 1} if self._s3 else {}  # one request, not two

    def read(self, name: str) -> bytes | None:
        """The bytes of a small file, None if there is none."""
        with self._asking(name):
            try:
                return bytes(self._fs.cat_file(self._path(name), **self._whole))
            except FileNotFoundError as error:
                if trouble_of(error):
                    raise
                return None

    def read_all(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """Small files by name, many at once."""
        if len(names) < 2:
            return {name: self.read(name) for name in names}
        with ThreadPoolExecutor(min(THREADS, len(names))) as pool:
            return dict(zip(names, pool.map(self.read, names), strict=True))

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file unless the name is taken; the first writer wins, False for all others."""
        return self._unless_taken(name, lambda mode: self._fs.pipe_file(self._path(name), data, mode=mode))

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, over what is there."""
        with self._asking(name):
            self._fs.pipe_file(self._path(name), data)

    def upload(self, path: Path, name: str, *, replace: bool = False) -> bool:
        """Send a local file unless the name is taken; see `create`."""
        pieces = {"chunksize": CHUNK, "max_concurrency": 4} if self._s3 else {}

        def send(mode: str) -> None:
            self._fs.put_file(str(path), self._path(name), mode=mode, **pieces)

        if not replace:
            return self._unless_taken(name, send)
        with self._asking(name):
            send("overwrite")
        return True

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to this machine; raises ArtifactError if it is not there."""
        with self._asking(name):
            try:
                self._fs.get_file(self._path(name), str(path))
            except FileNotFoundError as error:
                if trouble_of(error):
                    raise
                raise ArtifactError(
                    f"{self.url}/{name}: missing, though a manifest or record names it; restore it or redo the step "
                    "with --fresh"
                ) from None

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all files in a folder and its folders, by name below the URL."""
        with self._asking(folder):
            found: dict[str, dict[str, Any]] = self._fs.find(self._path(folder), detail=True)
        return {path[len(self._root) :].lstrip("/"): int(info.get("size") or 0) for path, info in found.items()}

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, sorted."""
        with self._asking(folder):
            try:
                found = self._fs.ls(self._path(folder), detail=True)
            except FileNotFoundError as error:
                if trouble_of(error):
                    raise
                return []
        names = (info["name"].rstrip("/").rpartition("/")[2] for info in found if info["type"] == "directory")
        return sorted(set(names))

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone already are passed over."""
        paths = [self._path(name) for name in names]
        # fsspec's rm takes * ? [ for patterns, which match files of other runs; only rm_file takes a name as it is
        many = [path for path in paths if self._s3 and not has_magic(path)]
        single = [path for path in paths if not self._s3 or has_magic(path)]
        with self._asking(""):
            if many:
                self._fs.rm(many)
            if single:
                with ThreadPoolExecutor(min(THREADS, len(single))) as pool:
                    list(pool.map(self._remove_file, single))

    def _remove_file(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")

    def _unless_taken(self, name: str, send: Any) -> bool:
        with self._asking(name):
            for attempt in range(TRIES):
                try:
                    send("create")
                except FileExistsError:
                    return False
                except OSError as error:  # another conditional put is at work: AWS asks to try again
                    if _answer(error)[0] == "PreconditionFailed":
                        return False
                    if _answer(error)[0] != "ConditionalRequestConflict" or attempt + 1 == TRIES:
                        raise
                    time.sleep(CONFLICT_SECONDS * 2**attempt)
                else:
                    return True
        return False

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        where = f"{self.url}/{name}".rstrip("/")
        try:
            yield
        except (ArtifactError, ConfigError):
            raise
        except Exception as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise
            kind = UnreachableError if trouble.passing else ArtifactError
            raise kind(f"{where}: {trouble.what}; what is done is kept") from error
