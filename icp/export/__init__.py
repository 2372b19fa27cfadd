"""`icp export`: the shards of a pack as a trainer's loader reads them, with what its user has to know beside them.

In: a finished pack. Out: a folder with the files of the format, ``README.md`` and ``export.json``. Formats that hold
tokens as raw rows share the run's files by hard links; the others are converted, a stretch of a shard at a time.
"""

import errno
import logging
import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from icp import __version__
from icp.choices import EXPORT_FORMATS, GRAPH_EXPORTS
from icp.config import Config
from icp.config.addresses import is_url
from icp.errors import ConfigError
from icp.export.formats import Format
from icp.export.readme import readme
from icp.export.relations import write_relations
from icp.export.source import Pack, open_pack
from icp.export.target import Target, target_at
from icp.run import records
from icp.run.names import EXPORT_SUMMARY, check_pack_name, exports_folder, pack_folder
from icp.run.seals import sealed
from icp.run.storage import address_of, push_folder, run_folder

log = logging.getLogger("icp")
_NO_PADDING = (
    "pack again with `icp pack --name NAME --set pack.tail=repeat`, which repeats the beginning of a related document "
    "where a window has room, or with `--set pack.method=path-cut --set pack.tail=drop`, which leaves windows out "
    "that are not full"
)
FORMATS: dict[str, Format] = {name: import_module(f"icp.export.formats.{name}").FORMAT for name in EXPORT_FORMATS}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export left.

    Attributes:
        folder: where; an address, if it is a server's.
        facts: the content of ``export.json``.
    """

    folder: Path | str
    facts: dict[str, Any]

    def lines(self) -> list[str]:
        """What a person wants to read."""
        facts = self.facts
        if facts["format"] in GRAPH_EXPORTS:
            n_files = sum(facts["files"].values()) / 2**20
            return [f"{facts['format']:<11} {facts['rows']:,} rows, {n_files:,.1f} MiB", f"{'':<11} {self.folder}"]
        shared = f"{facts['files_linked']} hard links" if facts["files_linked"] else "no hard links"
        copied = f", {facts['files_copied']} copies" if facts["files_copied"] else ""
        return [
            f"{facts['format']:<11} {facts['windows']:,} windows of {facts['seq_len']:,} tokens, order_kept: "
            f"{facts['order_kept']}; {shared}{copied}, {sum(facts['files'].values()) / 2**20:,.1f} MiB",
            f"{'':<11} {self.folder}/README.md tells how to load it",
        ]


def export_pack(
    run: Path,
    fmt: str,
    out: str | Path,
    *,
    pack: str = "main",
    allow_reshuffle: bool = False,
    allow_padding: bool = False,
) -> Exported:
    """Write the shards of a pack in a trainer's format.

    Args:
        run: the run's folder.
        fmt: a name in `FORMATS`, or ``pairs`` or ``clusters``, which are made of the graph, whatever the pack.
        out: a new or empty folder, or the URL of one on a server.
        pack: name of the pack.
        allow_reshuffle: export though the loader gives up an order of windows that matters.
        allow_padding: export though the trainer would be trained on padding.

    Raises: ConfigError for a format whose loader would cut windows, reshuffle them or train on padding, and for a
        folder that is not empty; ArtifactError and BrokenPromise as `icp.export.source.open_pack` does.
    """
    if fmt in GRAPH_EXPORTS:
        return _export_relations(run, fmt, out)
    if fmt not in FORMATS:
        known = ", ".join(sorted((*FORMATS, *GRAPH_EXPORTS)))
        raise ConfigError(f"--format {fmt}: no such format; use one of {known}")
    chosen = FORMATS[fmt]
    with target_at(out) as target:
        check_pack_name(pack)
        opened = open_pack(run_folder(run), pack)
        padded = bool(opened.padding) and not chosen.knows_padding and not allow_padding
        _check_stride(chosen, "seq_len+1" if opened.stride > opened.seq_len else "seq_len", padded)
        _check_order(chosen, opened, allow_reshuffle)
        _check_padding(chosen, opened, allow_padding)
        _write(chosen, opened, target)
        facts = _facts(chosen, opened, target)
        target.path("README.md").write_text(readme(chosen, opened, facts), encoding="utf-8")
        facts["sha256"] = target.hashes()
        records.write_json(target.path(EXPORT_SUMMARY), sealed(facts))
    return Exported(target.address if is_url(str(out)) else target.folder, facts)


def _export_relations(run: Path, fmt: str, out: str | Path) -> Exported:
    with target_at(out) as target:
        facts = write_relations(run_folder(run), fmt, target)
        facts |= {"files": target.sizes(), "sha256": target.hashes()}
        records.write_json(target.path(EXPORT_SUMMARY), sealed(facts))
    return Exported(target.address if is_url(str(out)) else target.folder, facts)


def _write(chosen: Format, pack: Pack, target: Target) -> None:
    """Have a format write its files; Arrow says neither which file nor what the system answered when closing fails."""
    try:
        chosen.write(pack, target)
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.EIO, str(error), target.address) from error


def check_exports(config: Config) -> None:
    """Refuse what is known before anything is built: an export whose loader would cut windows or train on padding.

    Raises: ConfigError.
    """
    for wanted in config.export:
        chosen = FORMATS[wanted.format]
        _check_stride(chosen, config.pack.stride)
        if config.pack.tail == "pad" and not (chosen.knows_padding or wanted.allow_padding):
            raise ConfigError(
                f"export: {chosen.trainer} would train on the padding of windows that are not full; set pack.tail: "
                f"repeat, or allow it with export: {{format: {chosen.name}, allow_padding: true}}"
            )


def export_all(config: Config, *, pack: str) -> list[Exported]:
    """Write the formats of ``export:`` into ``packs/<pack>/exports/``; what is there for the same shards is left."""
    done = []
    for wanted in config.export:
        run = run_folder(config.run)
        name = f"{exports_folder(pack)}/{wanted.format}"
        folder = run / name
        if _is_current(folder, run, pack):
            continue
        if folder.exists():
            shutil.rmtree(folder)
        options = {"allow_reshuffle": wanted.allow_reshuffle, "allow_padding": wanted.allow_padding}
        done.append(export_pack(run, wanted.format, folder, pack=pack, **options))
        push_folder(run, name, last=EXPORT_SUMMARY)
        for line in done[-1].lines():
            log.info("%s", line)
    return done


def _is_current(folder: Path, run: Path, pack: str) -> bool:
    if not (folder / EXPORT_SUMMARY).is_file():
        return False
    manifest = records.read_manifest(run / pack_folder(pack, "shards"), check_sizes=False)
    facts = records.read_mapping(folder / EXPORT_SUMMARY, what="summary of an export")
    return manifest is not None and (facts.get("shards"), facts.get("icp")) == (manifest.digest, __version__)


def _check_stride(chosen: Format, stride: str, padded: bool = False) -> None:
    if stride not in chosen.strides:
        raise ConfigError(
            f"{chosen.name}: pack.stride is {stride}, but the loader of {chosen.trainer} cuts rows of "
            f"{chosen.strides[0]} tokens: every window would drift; pack again with "
            f"`icp pack --name NAME --set pack.stride={chosen.strides[0]}{' --set pack.tail=repeat' * padded}`"
        )


def _check_order(chosen: Format, pack: Pack, allowed: bool) -> None:
    reason = pack.order_matters
    kept = chosen.order_kept(pack)
    if reason and kept != "full" and not allowed:
        raise ConfigError(
            f"{chosen.name}: {reason}, but the loader of {chosen.trainer} shuffles (order_kept: {kept}); use "
            "icp.WindowDataset or another format, or --allow-reshuffle to export all the same"
        )


def _check_padding(chosen: Format, pack: Pack, allowed: bool) -> None:
    if pack.padding and not allowed and not chosen.masks_padding(pack):
        share = pack.padding / (pack.n_windows * pack.stride)
        raise ConfigError(
            f"{chosen.name}: {pack.padding:,} tokens of padding ({share:.2%}, id {pack.pad_id}) would be trained on by "
            f"{chosen.trainer}, which cannot tell them from text; {_NO_PADDING}, use another format, or "
            "--allow-padding to export all the same"
        )


def _facts(chosen: Format, pack: Pack, target: Target) -> dict[str, Any]:
    lost, crossing = chosen.labels(pack)
    unmarked = 0
    for shard in pack.shards:
        pieces = pack.pieces(shard)
        inside = pieces.stop < pieces.row_end[pieces.row]
        unmarked += int((inside & ~pieces.has_eos).sum())
    names = ("seq_len", "stride", "dtype", "vocab_size", "bos_id", "eos_id", "pad_id", "windows", "shuffle", "seed")
    return {
        "format": chosen.name,
        "trainer": chosen.trainer,
        "tested_with": chosen.tested,
        "icp": __version__,
        "run": address_of(pack.run).rstrip("/").rpartition("/")[2],
        "pack": pack.name,
        "shards": pack.digest,
        **{name: pack.facts[name] for name in names},
        "tokenizer_sha256": pack.facts["tokenizer_sha256"],
        "order_kept": chosen.order_kept(pack),
        "padding": pack.padding,
        "padding_masked": not pack.padding or chosen.masks_padding(pack),
        "pieces_without_eos": unmarked,
        "labels_lost_per_window": lost,
        "labels_crossing_per_window": crossing,
        "files_linked": target.linked,
        "files_copied": target.copied,
        "files": target.sizes(),
    }
