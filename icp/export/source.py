"""A finished pack as an exporter sees it: facts, rows of tokens, pieces of documents.

In: ``RUN/packs/<pack>/``. Out: `Pack`, whose arrays come a shard at a time.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.audit.facts import stated_otherwise
from icp.audit.segments import layout_of
from icp.errors import ArtifactError, BrokenPromise
from icp.run.names import PACK_FOLDERS, PACKS, SEGMENTS, SHARDS, TOKENIZER, WINDOWS, of_part, pack_folder, part_name
from icp.run.reader import open_run, pack_names, require_run
from icp.run.records import MANIFEST, Manifest, hash_file, hash_json, read_facts, read_manifest
from icp.run.seals import broken_seal
from icp.tokenizer.vocabulary import read_files

_COLUMNS = ("window", "position", "doc", "doc_start", "win_start", "win_stop")


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of rows, and its pieces."""

    name: str
    number: int
    n_rows: int
    path: Path


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of documents in the rows of one shard, specials included, in the order they stand.

    Attributes:
        first: (n_rows + 1,) int64, first piece of each row.
        begin, stop: (pieces,) int64, where each piece stands in its row.
        doc: (pieces,) int64.
        row_end: (n_rows,) int64, where the padding of each row begins.
        has_eos: (pieces,) bool, whether the last token of the piece ends its document.
    """

    first: NDArray[np.int64]
    begin: NDArray[np.int64]
    stop: NDArray[np.int64]
    doc: NDArray[np.int64]
    row_end: NDArray[np.int64]
    has_eos: NDArray[np.bool_]

    @property
    def row(self) -> NDArray[np.int64]:
        """(pieces,) int64, the row of each piece."""
        return np.repeat(np.arange(self.row_end.size), np.diff(self.first))


@dataclass(frozen=True)
class Pack:
    """A finished pack.

    Attributes:
        run: the run's folder.
        name: of the pack.
        manifests: of its steps ``order``, ``windows`` and ``shards``.
        facts: what the shards' manifest tells readers.
    """

    run: Path
    name: str
    manifests: Mapping[str, Manifest]
    facts: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the shards lie."""
        return self.run / pack_folder(self.name, "shards")

    @property
    def seq_len(self) -> int:
        """The model's context length."""
        return int(self.facts["seq_len"])

    @property
    def stride(self) -> int:
        """Tokens of a row."""
        return int(self.facts["stride"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Little-endian uint16 or uint32."""
        dtype: np.dtype[Any] = np.dtype(self.facts["dtype"]).newbyteorder("<")
        return dtype

    @property
    def n_windows(self) -> int:
        """Rows of all shards."""
        return int(self.facts["windows"])

    @property
    def padding(self) -> int:
        """Tokens of padding in all rows."""
        return int(self.manifests["shards"].counts.get("padding", 0))

    @property
    def digest(self) -> str:
        """Hash of the shards: the same if and only if their bytes are."""
        return self.manifests["shards"].digest

    @property
    def eos_id(self) -> int | None:
        """The token that ends a document."""
        return None if self.facts["eos_id"] is None else int(self.facts["eos_id"])

    @property
    def pad_id(self) -> int:
        """The token that fills rows."""
        return int(self.facts["pad_id"])

    @cached_property
    def tokenizer_pad_id(self) -> int | None:
        """The token that the tokenizer itself names for padding, as trainers read it; None if it names none."""
        files = read_files(self.run / self.facts["tokens"] / TOKENIZER)
        named = files.named("pad_token")
        listed = {entry["content"]: int(entry["id"]) for entry in json.loads(files.text).get("added_tokens", [])}
        return ({**listed, **files.declared_ids()}).get(named) if named else None

    @property
    def order_matters(self) -> str | None:
        """Why another order of windows would spoil the pack; None if any order will do."""
        shuffle = str(self.facts["shuffle"])
        if shuffle.startswith("lanes"):
            return f"pack.shuffle is {shuffle}: row b of consecutive batches continues one path"
        if "passes" in self.facts:
            return "pack.epochs are passes that follow one another"
        config = self.manifests["windows"].basis.get("config", {})
        if any(key.startswith("pack.mix_random.") for key in config):
            return "pack.mix_random is a schedule along training order"
        return None

    @cached_property
    def shards(self) -> list[Shard]:
        """The shards in training order."""
        records = self.manifests["shards"].files
        row_bytes = self.stride * self.dtype.itemsize
        names = sorted(name for name in records if fnmatchcase(name, SHARDS))
        return [
            Shard(name, number, records[name].bytes // row_bytes, self.folder / name)
            for number, name in enumerate(names)
        ]

    def rows(self, shard: Shard) -> NDArray[Any]:
        """(n_rows, stride) uint16 or uint32, mapped."""
        return np.memmap(shard.path, dtype=self.dtype, mode="r", shape=(shard.n_rows, self.stride))

    def blocks(self, shard: Shard, n_bytes: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """The first row and the rows of stretches of at most `n_bytes` (but one row at least)."""
        rows = self.rows(shard)
        step = max(1, n_bytes // (self.stride * self.dtype.itemsize))
        for first in range(0, shard.n_rows, step):
            yield first, rows[first : first + step]

    def pieces(self, shard: Shard) -> Pieces:
        """The pieces in the rows of a shard."""
        part = part_name(shard.number)
        table = pq.read_table(self.folder / of_part(SEGMENTS, part))
        n_pad = self._column(of_part(WINDOWS, part), "n_pad")
        columns = {name: np.asarray(table.column(name), dtype=np.int64) for name in _COLUMNS}
        row_end = self.stride - n_pad
        begin = columns["win_start"] - ((columns["doc_start"] == 0) if self.facts["policy"]["bos"] == "document" else 0)
        begin[columns["position"] == 0] = 0
        counts = np.bincount(columns["window"] - columns["window"][:1], minlength=shard.n_rows)
        first = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        stop = np.empty_like(begin)
        stop[:-1] = begin[1:]
        stop[first[1:] - 1] = row_end
        return Pieces(first, begin, stop, columns["doc"], row_end, stop > columns["win_stop"])

    def _column(self, name: str, column: str) -> NDArray[np.int64]:
        table: pa.Table = pq.read_table(self.folder / name, columns=[column])
        return np.asarray(table.column(0), dtype=np.int64)


def open_pack(run: Path, name: str) -> Pack:
    """A finished pack whose files are those that its manifests name: sizes, hashes, and each step made of the others.

    Raises: ArtifactError if it is not there or not finished, or a file is missing; BrokenPromise for a file of another
        hash, steps that do not belong together, and a type of token that cannot hold the vocabulary.
    Cost: every file of the pack is read once.
    """
    require_run(run)
    found = {step: read_manifest(run / pack_folder(name, step)) for step in PACK_FOLDERS}
    manifests = {step: manifest for step, manifest in found.items() if manifest is not None}
    missing = [step for step in PACK_FOLDERS if step not in manifests]
    if missing:
        raise ArtifactError(
            f"{run / PACKS / name}: step {missing[0]} is not finished, or there is no such pack (finished packs: "
            f"{', '.join(pack_names(run)) or 'none'}); run `icp pack`, or name another with --pack"
        )
    facts = read_facts(run / pack_folder(name, "shards"))
    opened = Pack(run, name, manifests, facts)
    _check_files(opened)
    _check_facts(run, name)
    if np.iinfo(opened.dtype).max < int(facts["vocab_size"]) - 1:
        raise BrokenPromise(
            f"{opened.folder}: {facts['dtype']} cannot hold a vocabulary of {facts['vocab_size']:,} ids; "
            "make the shards again with `icp pack --fresh`"
        )
    return opened


def _check_facts(run: Path, name: str) -> None:
    """What readers go by is what configuration, tokenizer and plan give, or other shards would be exported."""
    opened = open_run(run, pack=name)
    path = opened.folders["shards"] / MANIFEST
    wrong = stated_otherwise(opened, layout_of(opened))
    if wrong or broken_seal(path):
        fact, stated, right = wrong[0] if wrong else ("something", "changed", "as icp wrote it")
        raise BrokenPromise(
            f"{path}: says {fact} is {stated!r}, expected {right!r}; `icp verify` tells more; restore it, or make the "
            "pack again with `icp pack --fresh`"
        )


def _check_files(pack: Pack) -> None:
    advice = "`icp verify` tells more; make the pack again with `icp pack --fresh`"
    for step, manifest in pack.manifests.items():
        folder = pack.run / pack_folder(pack.name, step)
        for name, record in manifest.files.items():
            if hash_file(folder / name) != record.sha256:
                raise BrokenPromise(f"{folder / name}: its hash is not the one in the manifest; {advice}")
        stale = [
            earlier
            for earlier, digest in manifest.basis.get("inputs", {}).items()
            if earlier in pack.manifests and pack.manifests[earlier].digest != digest
        ]
        if stale or hash_json(manifest.basis) != manifest.fingerprint:
            raise BrokenPromise(f"{folder}: was not made of {stale[0] if stale else 'what it says'}; {advice}")
