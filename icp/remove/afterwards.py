"""What follows a removal once its files are in place: figures, cards, exports beside packs, the log.

In: the run, and what `icp.remove.stage.commit` noted. Out: files that no step makes. All of it can be done again.
"""

import json
import logging
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icp.errors import IcpError
from icp.export import export_pack
from icp.report.card import write_card
from icp.run.names import (
    CONFIG,
    EXPORT_SUMMARY,
    LOG,
    PACKS,
    REMOVAL,
    exports_folder,
    pack_config,
    pack_folder,
    subfolders,
)
from icp.run.reader import read_config
from icp.run.records import TEMPORARY, read_manifest, read_mapping, remove_tree
from icp.run.removed import names_one
from icp.run.stats import write_stats

log = logging.getLogger("icp")


def planned_exports(run: Path) -> list[tuple[str, str]]:
    """Pack and format of each export beside a pack, whole or not."""
    found = []
    for pack in subfolders(run, PACKS):
        for folder in sorted((run / exports_folder(pack.name)).glob("*")):
            if folder.is_dir():
                found.append((pack.name, folder.name))
    return found


def finish(run: Path, facts: Mapping[str, Any]) -> list[str]:
    """Make figures, cards and exports anew, and let the copy go; lines for people."""
    write_stats(run)
    told = []
    for pack in facts["finished"]:
        own = run / pack_config(pack)
        config = read_config(own if own.is_file() else run / CONFIG)
        write_card(config.model_copy(update={"run": str(run)}), pack)
    for pack, fmt in facts["again"]:
        told.append(_export_again(run, pack, fmt))
    remove_tree(run / REMOVAL)
    return told


def _export_again(run: Path, pack: str, fmt: str) -> str:
    folder = run / exports_folder(pack) / fmt
    manifest = read_manifest(run / pack_folder(pack, "shards"), check_sizes=False)
    summary = read_mapping(folder / EXPORT_SUMMARY) if (folder / EXPORT_SUMMARY).is_file() else {}
    if manifest is not None and summary.get("shards") == manifest.digest:
        return f"export      {pack}: {fmt} is made anew"
    if folder.exists():
        aside = run / f"{TEMPORARY}export-{uuid.uuid4().hex}"
        folder.rename(aside)  # at once: what is left of it holds removed text
        shutil.rmtree(aside)
    if manifest is None:
        return f"export      {pack}: {fmt} is removed, its pack was not finished"
    try:
        export_pack(run, fmt, folder, pack=pack, allow_reshuffle=True, allow_padding=True)
    except IcpError as error:
        remove_tree(folder)
        log.warning("export %s of pack %s is removed and cannot be made anew: %s", fmt, pack, error)
        return f"export      {pack}: {fmt} is removed and cannot be made anew ({error})"
    return f"export      {pack}: {fmt} is made anew"


def purge_log(run: Path, keys: frozenset[str]) -> None:
    """Take lines out of the log of a run that name removed documents."""
    path = run / LOG
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not names_one(_message(line), keys)]
    if len(kept) < len(lines):
        temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        temporary.write_text("".join(kept), encoding="utf-8")
        temporary.replace(path)


def _message(line: str) -> str:
    try:
        return str(json.loads(line).get("message", ""))
    except (ValueError, AttributeError):
        return line
