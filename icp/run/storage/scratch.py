"""The exchange of a scratch phase whose parts are all done on this machine: its files stay in the mirror.

Nothing of it goes to the server, no record either, so that a record there always means files there. Another machine, or
this one without its mirror, finds nothing of the phase and does it again; what others left on the server is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from icp.errors import ArtifactError
from icp.run import records
from icp.run.records import RECORDS, PartRecord
from icp.run.storage.remote import RemoteExchange


class ScratchExchange(RemoteExchange):
    """For a scratch phase of a run on a server, done by this machine alone."""

    def pull_records(self, phase: str, parts: Sequence[str], *, resuming: bool = False) -> None:
        """See `Exchange`. Where the server has no record, one of this mirror counts if its files are here."""
        paths = [self._folder / RECORDS / f"{phase}.{part}.json" for part in parts]
        kept = {path: path.read_bytes() for path in paths if resuming and self._is_whole(path)}
        super().pull_records(phase, parts, resuming=resuming)
        for path, data in kept.items():
            if not path.exists():
                self._mirror.keep(f"{self._step}/{RECORDS}/{path.name}", data)

    def finish_phase(self, phase: str, parts: Sequence[str], *, publish: bool) -> None:
        """See `Exchange`. Nobody elsewhere is told; what an earlier command told is not true of the files here."""
        super().finish_phase(phase, parts, publish=False)
        self._server.remove([f"{self._step}/{RECORDS}/{phase}.records"])

    def prepare(self, fingerprint: str, record: str, phases: Sequence[str], inputs: Mapping[str, str]) -> None:
        """See `Exchange`."""
        if not (self._folder / RECORDS / record).exists():
            super().prepare(fingerprint, record, phases, inputs)

    def commit(self, staged: Mapping[str, Path], path: Path, record: PartRecord) -> None:
        """See `Exchange`."""
        for file, temporary in staged.items():
            records.sync(temporary)
            self._mirror.adopt(temporary, f"{self._step}/{file}", record.files[file])
        records.write_json(path, asdict(record))

    def _is_whole(self, path: Path) -> bool:
        try:
            record = records.read_record(path)
        except ArtifactError:  # half written when the machine stopped
            return False
        return record is not None and all(self._mirror.holds(file) for file in record.files.values())
