"""Files that can be trusted: parts, their records, manifests and fingerprints.

In: temporary files a task wrote. Out: files under their final names, each named by a record (`.parts/*.json`)
while a step runs and by `manifest.json` when it is done. Whoever comes first wins; nothing is overwritten.
"""

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from icp.errors import ArtifactError
from icp.run.forms import ADVICE, Facts, check_manifest, check_mapping, check_record, parsed_json

MANIFEST = "manifest.json"
RECORDS = ".parts"
BASIS = f"{RECORDS}/basis.json"
"""What a started step depends on; there until its manifest says it."""
TEMPORARY = ".tmp-"
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
"""What systems say where a file cannot have a second name: FAT, some network and user-space file systems."""
TAKE_OVER_SECONDS = 10.0
"""How long a name without a record is left to whoever holds it; a part needs milliseconds from name to record."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file: its size, its hash, and its rows where that means something."""

    bytes: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class PartRecord:
    """What one finished part left: files by name (relative to the step's folder), counts, facts."""

    fingerprint: str
    files: dict[str, FileRecord] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_rss_mib: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one finished step left. `info` is phase -> part -> facts; `facts` and `costs` are of the step (`fold`)."""

    step: str
    format: int
    fingerprint: str
    basis: dict[str, Any]
    files: dict[str, FileRecord]
    counts: dict[str, int]
    info: dict[str, dict[str, dict[str, Any]]]
    facts: dict[str, Any]
    seconds: float
    peak_rss_mib: float
    versions: dict[str, str]
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hash of all file names and hashes: the same if and only if the step's bytes are."""
        return hash_json({name: record.sha256 for name, record in self.files.items()})


def hash_json(value: Any) -> str:
    """sha256 (hex) of `value` as canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """sha256 (hex) of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_text(value: Any) -> str:
    """A value as the JSON files of a run spell it."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def write_json(path: Path, value: Any, *, replace: bool = True) -> bool:
    """Write whole or not at all; with ``replace=False`` False is returned if the name is taken."""
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(json_text(value))
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            temporary.replace(path)
            return True
        return _take_name(temporary, path)
    except (OSError, ArtifactError):
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path, *, what: str = "file") -> Any:
    """The JSON in `path`; raises ArtifactError if it is missing or broken."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path}: {what} is missing; run the command that makes it") from None
    except OSError as error:
        raise ArtifactError(f"{path}: {what} cannot be read ({error.strerror}); redo the step with --fresh") from None
    return parsed_json(data, path, what)


def read_mapping(path: Path, *, what: str = "file") -> dict[str, Any]:
    """The JSON object in `path`; raises ArtifactError if it is missing, broken, or something else."""
    return check_mapping(read_json(path, what=what), path, what)


def commit(folder: Path, staged: Mapping[str, Path], record_path: Path, record: PartRecord) -> bool:
    """Give staged files their final names and leave the record; False if another attempt was first.

    The first file decides between attempts: who takes its name names the others and writes the record. A name
    whose holder leaves no record within `TAKE_OVER_SECONDS` is taken over (its holder died in between).
    """
    for position, (name, temporary) in enumerate(sorted(staged.items())):
        final = folder / name
        final.parent.mkdir(parents=True, exist_ok=True)
        sync(temporary)
        deadline = time.monotonic() + TAKE_OVER_SECONDS
        while not _take_name(temporary, final, keep=True):
            if record_path.exists():
                return False
            if position > 0 or time.monotonic() > deadline:
                final.unlink(missing_ok=True)
            else:
                time.sleep(0.05)
        temporary.unlink()
    return write_json(record_path, asdict(record), replace=False)


def record_name(phase: str, part: str) -> str:
    """The record of a part, relative to the step's folder."""
    return f"{RECORDS}/{phase}.{part}.json"


def read_record(path: Path) -> PartRecord | None:
    """The record in `path`, None if there is none."""
    if not path.exists():
        return None
    return record_from(read_json(path, what="record"), path)


def record_from(tree: Any, where: object) -> PartRecord:
    """The record of a part from its JSON; raises ArtifactError naming `where` if it is none."""
    tree = check_record(tree, where)
    return PartRecord(**{**tree, "files": {name: FileRecord(**row) for name, row in tree.get("files", {}).items()}})


def read_manifest(folder: Path, *, check_sizes: bool = True) -> Manifest | None:
    """The manifest of a finished step, None if it is not finished; sizes of the files are compared.

    Raises: ArtifactError naming the first file that is missing or of another size.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    tree = check_manifest(read_json(path, what="manifest"), path)
    files = {name: FileRecord(**row) for name, row in tree["files"].items()}
    known = {key: tree[key] for key in Manifest.__slots__ if key in tree}
    manifest = Manifest(**{**known, "files": files, "facts": Facts(tree["facts"], str(path))})
    if check_sizes:
        for name, record in files.items():
            check_size(folder / name, record)
    return manifest


def read_facts(folder: Path) -> Facts:
    """The whole of a manifest, with the step's facts at its top; raises as `read_manifest`, and if they differ."""
    path = folder / MANIFEST
    tree = check_manifest(read_json(path, what="manifest"), path)
    for name, fact in tree["facts"].items():
        if hash_json(tree.get(name, fact)) != hash_json(fact):  # NaN is not equal to itself
            raise ArtifactError(f"{path}: says {name} is {tree[name]!r}, and {fact!r} elsewhere; {ADVICE}")
    return Facts(tree, str(path))


def check_size(path: Path, record: FileRecord) -> None:
    """Raise ArtifactError if the file is missing or not of the recorded size."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; restore it or redo the step with --fresh") from None
    if size != record.bytes:
        raise ArtifactError(
            f"{path}: {size} bytes, its manifest says {record.bytes}; restore it or redo the step with --fresh"
        )


def remove_strangers(folder: Path, known: Iterable[str]) -> None:
    """Remove what no record names: temporary files, names taken by attempts that died, emptied folders."""
    keep = {*known, MANIFEST}
    for path in sorted(folder.rglob("*") if folder.exists() else (), key=lambda entry: len(entry.parts), reverse=True):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            if name != RECORDS and not any(path.iterdir()):
                path.rmdir()
        elif path.name.startswith(TEMPORARY) or (name not in keep and not name.startswith(f"{RECORDS}/")):
            path.unlink(missing_ok=True)


def _take_name(temporary: Path, final: Path, *, keep: bool = False) -> bool:
    try:
        os.link(temporary, final)
    except FileExistsError:
        if not keep:
            temporary.unlink()
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        raise ArtifactError(
            f"{final.parent}: its file system knows no hard links ({error.strerror}), by which icp gives a finished "
            "file its name at once; give a run folder on another disk with --set run=FOLDER"
        ) from None
    if not keep:
        temporary.unlink()
    return True


def sync(path: Path) -> None:
    """Flush a file to the disk, so that it survives a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)
