"""The exchange of a step whose run lies on a server: see `icp.run.storage.exchange` for what each part is for."""

import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from icp.errors import ArtifactError
from icp.run.forms import check_mapping, parsed_json
from icp.run.records import (
    BASIS,
    MANIFEST,
    RECORDS,
    TEMPORARY,
    FileRecord,
    Manifest,
    PartRecord,
    hash_file,
    read_manifest,
    read_record,
    remove_strangers,
    remove_tree,
)
from icp.run.storage.exchange import Exchange
from icp.run.storage.mirror import Mirror

WAIT_SECONDS = 60.0
"""How long a file of other bytes is left to the attempt that sent it, before its name is taken over."""
MARK = "mirror"
log = logging.getLogger("icp")


class RemoteExchange(Exchange):
    """For a run on a server.

    Args:
        mirror: of the run.
        folder: of the step, below the run.
    """

    remote = True

    def __init__(self, mirror: Mirror, folder: str) -> None:
        self._mirror, self._server, self._step = mirror, mirror.server, folder
        self._folder = mirror.folder / folder
        self._told: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """See `Exchange`."""
        self._mirror.pull([f"{self._step}/{MANIFEST}", f"{self._step}/{BASIS}"])

    def settle(self, manifest: Manifest) -> None:
        """See `Exchange`; raises ArtifactError for a file that is not there, or of another size."""
        sizes = self._server.sizes(self._step)
        for name, record in manifest.files.items():
            self._check(name, record, sizes)
        keep = {f"{self._step}/{name}" for name in (*manifest.files, MANIFEST)}
        self._server.remove(sorted(set(sizes) - keep))  # left by attempts that were too late
        self._mirror.forget(self._step)
        self._mirror.learn(self._step, manifest.files)

    def forget_failures(self) -> None:
        """See `Exchange`."""
        names = [name for name in self._server.sizes(f"{self._step}/{RECORDS}") if name.endswith(".failed")]
        self._server.remove(names)
        for path in (self._folder / RECORDS).glob("*.failed"):
            path.unlink(missing_ok=True)

    def recall_scratch(self) -> None:
        """See `Exchange`. It counts only while the step's folder on the server has the mark this mirror left there."""
        mine = self._folder / RECORDS / MARK
        if mine.exists() and self._server.read(f"{self._step}/{RECORDS}/{mine.read_text()}.{MARK}") is not None:
            return
        for path in (self._folder / RECORDS).glob("*.*.json"):
            path.unlink()
        name = uuid.uuid4().hex
        self._server.write(f"{self._step}/{RECORDS}/{name}.{MARK}", b"{}")
        mine.write_text(name)

    def pull_records(self, phase: str, parts: Sequence[str], *, resuming: bool = False) -> None:
        """See `Exchange`. Records are asked for by name; of what is here, only what the server still has stays."""
        names = [f"{phase}.{part}.json" for part in parts]
        wanted = names if resuming else [name for name in names if not (self._folder / RECORDS / name).exists()]
        self._mirror.pull([f"{self._step}/{RECORDS}/{name}" for name in wanted])
        for path in (self._folder / RECORDS).glob(f"{phase}.*.json"):
            if path.name not in set(names):
                path.unlink(missing_ok=True)
        if resuming and any((self._folder / RECORDS / name).exists() for name in names):
            self._drop_damaged(names)

    def finish_phase(self, phase: str, parts: Sequence[str], *, publish: bool) -> None:
        """See `Exchange`."""
        records = {part: self._read(f"{phase}.{part}.json") for part in parts}
        if publish:
            data = json.dumps({part: asdict(record) for part, record in records.items()}, sort_keys=True).encode()
            self._server.write(f"{self._step}/{RECORDS}/{phase}.records", data)
        self._know(records.values())

    def prepare(self, fingerprint: str, record: str, phases: Sequence[str], inputs: Mapping[str, str]) -> None:
        """See `Exchange`.

        Args:
            fingerprint: of the step; records of a phase are taken once for each.
            record: name of the task's record.
            phases: all earlier ones of the step.
            inputs: folder of each input step -> digest of its files.

        Raises: ArtifactError if an input step was made anew since the digest was taken.
        """
        self._mirror.pull([f"{self._step}/{name}" for name in (f"{RECORDS}/{record}", MANIFEST, BASIS)])
        if (self._folder / RECORDS / record).exists():
            return
        for folder, digest in inputs.items():
            if (folder, digest) not in self._told:
                self._mirror.learn(folder, self._manifest(folder, digest).files)
                self._told.add((folder, digest))
        for phase in phases:
            if (phase, fingerprint) not in self._told:
                self._take_records(phase)
                self._told.add((phase, fingerprint))

    def commit(self, staged: Mapping[str, Path], path: Path, record: PartRecord) -> None:
        """See `Exchange`."""
        name = f"{self._step}/{RECORDS}/{path.name}"
        if self._server.read(f"{self._step}/{MANIFEST}") is not None:
            return  # an attempt that comes after the end
        for file, temporary in sorted(staged.items()):
            if not self._send(temporary, f"{self._step}/{file}", record.files[file], name):
                self._mirror.pull([name])
                return
        data = json.dumps(asdict(record), indent=1, sort_keys=True).encode()
        # a request that was answered too late and sent again finds its own record
        if not self._server.create(name, data) and self._server.read(name) != data:
            self._mirror.pull([name])
            return
        for file, temporary in staged.items():
            self._mirror.adopt(temporary, f"{self._step}/{file}", record.files[file])
        self._mirror.keep(name, data)

    def push(self, name: str, *, replace: bool = True) -> None:
        """See `Exchange`."""
        self._mirror.push(f"{self._step}/{name}", replace=replace)

    def tidy(self, manifest: Manifest) -> None:
        """See `Exchange`. The basis goes last: while it is there, a later command knows that there is more to do."""
        keep = {f"{self._step}/{name}" for name in (*manifest.files, MANIFEST)}
        basis = f"{self._step}/{BASIS}"
        there = self._server.sizes(self._step)
        self._server.remove(sorted(name for name in there if name not in keep and name != basis))
        self._server.remove([basis] if basis in there else [])
        remove_tree(self._folder / RECORDS)
        remove_strangers(self._folder, manifest.files)
        self._mirror.forget(self._step)
        self._mirror.learn(self._step, manifest.files)
        self._mirror.prune()

    def remove_tree(self) -> None:
        """See `Exchange`."""
        self._mirror.remove_tree(self._step)

    def _manifest(self, folder: str, digest: str) -> Manifest:
        for attempt in range(2):
            manifest = read_manifest(self._mirror.folder / folder, check_sizes=False)
            if manifest is not None and manifest.digest == digest:
                return manifest
            if attempt == 0:
                self._mirror.pull([f"{folder}/{MANIFEST}"])
        raise ArtifactError(f"{self._mirror.url}/{folder}: was made anew while it was used; run the same command again")

    def _take_records(self, phase: str) -> None:
        """The records of a finished phase: from their one file, or one by one where slices are done by themselves."""
        data = self._server.read(f"{self._step}/{RECORDS}/{phase}.records")
        if data is not None:
            where = f"{self._mirror.url}/{self._step}/{RECORDS}/{phase}.records"
            for part, tree in check_mapping(
                parsed_json(data, where, "file of records"), where, "file of records"
            ).items():
                text = json.dumps(tree, indent=1, sort_keys=True).encode()
                self._mirror.keep(f"{self._step}/{RECORDS}/{phase}.{part}.json", text)
        else:
            start = f"{self._step}/{RECORDS}/{phase}."
            there = self._server.sizes(f"{self._step}/{RECORDS}")
            self._mirror.pull([name for name in there if name.startswith(start) and name.endswith(".json")])
        paths = (self._folder / RECORDS).glob(f"{phase}.*.json")
        self._know(self._read(path.name) for path in paths)

    def _know(self, records: Iterable[PartRecord]) -> None:
        for record in records:
            self._mirror.learn(self._step, record.files)

    def _read(self, name: str) -> PartRecord:
        record = read_record(self._folder / RECORDS / name)
        assert record is not None, name
        return record

    def _send(self, path: Path, name: str, record: FileRecord, record_name: str) -> bool:
        """Have a file on the server under its name; False if another attempt has done the part.

        A name taken by the same bytes is as good as ours: results repeat. Other bytes are left to their attempt until
        it has had time to leave its record.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._server.upload(path, name):
            if self._server.read(record_name) is not None:
                return False
            if self._is_same(name, record):
                return True
            if time.monotonic() > deadline:
                return self._server.upload(path, name, replace=True)
            time.sleep(1.0)
        return True

    def _is_same(self, name: str, record: FileRecord) -> bool:
        if self._server.sizes(name).get(name) != record.bytes:
            return False
        temporary = self._mirror.folder / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            self._server.fetch(name, temporary)
            return hash_file(temporary) == record.sha256
        finally:
            temporary.unlink(missing_ok=True)

    def _drop_damaged(self, names: Sequence[str]) -> None:
        """Remove the records of parts whose files are not as they were left: those parts are done again."""
        sizes = self._server.sizes(self._step)
        for name in names:
            path = self._folder / RECORDS / name
            record = read_record(path)
            try:
                for file, known in record.files.items() if record is not None else ():
                    self._check(file, known, sizes)
            except ArtifactError as error:
                log.warning("%s: %s; its part is done again", self._step, str(error).partition(";")[0])
                lost = [f"{self._step}/{file}" for file in (record.files if record is not None else ())]
                self._server.remove([f"{self._step}/{RECORDS}/{name}", *(file for file in lost if file in sizes)])
                path.unlink()

    def _check(self, name: str, record: FileRecord, sizes: Mapping[str, int]) -> None:
        """Raise ArtifactError unless the server has a file of the recorded size."""
        found = sizes.get(f"{self._step}/{name}")
        if found != record.bytes:
            what = "missing" if found is None else f"{found} bytes, its manifest says {record.bytes}"
            raise ArtifactError(
                f"{self._mirror.url}/{self._step}/{name}: {what}; restore it or redo the step with --fresh"
            )
