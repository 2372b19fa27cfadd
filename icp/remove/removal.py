"""`icp remove`: documents leave a finished run, all that is made of them, and all that a later build would make.

In: a finished run, and what a list names. Out: the same run without them; tombstones. A copy of the run is made apart,
by hard links, its steps are emptied of these documents, its packs planned and written anew where they held some; then
the files that differ take their places. Whoever is stopped goes on with the same command.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from icp.engine.executor import Executor
from icp.engine.step import Progress
from icp.errors import ConfigError
from icp.plurals import counted
from icp.remove.afterwards import finish, planned_exports, purge_log
from icp.remove.lists import Wanted
from icp.remove.packs import NewPlan, new_plan
from icp.remove.rewriting import make_shards, write_plan
from icp.remove.stage import Patch, commit, new_copy, put_in_place
from icp.remove.steps import empty_steps
from icp.remove.told import Asked, PackChange, Removal
from icp.remove.wanted import Gone, find_gone
from icp.run.arrays import load_nodes, load_plan, path_rank
from icp.run.claim import check_folder, remove_leftovers
from icp.run.context import Context
from icp.run.lock import lock_of
from icp.run.log import kept_log
from icp.run.names import (
    BUILD_STEPS,
    COMMIT,
    CONFIG,
    PACK_FOLDERS,
    PACKS,
    REMOVAL,
    TOMBSTONES,
    VALIDATION,
    old_shards_folder,
    pack_config,
    pack_folder,
    step_folders,
    subfolders,
)  # fmt: skip
from icp.run.reader import Run, open_run, pack_names, read_config, require_run
from icp.run.records import MANIFEST, Manifest, remove_tree
from icp.run.removed import Tombstone, read_tombstones, write_tombstones
from icp.run.storage import mirror_of, run_folder
from icp.run.texts import TextReader
from icp.texts import key_of

log = logging.getLogger("icp")
COPY_REASON = "a copy of a document that was removed"


def show_removal(run: Path, wanted: Wanted, asked: Asked) -> Removal:
    """What a removal would take, without taking it; raises as `remove_documents`."""
    folder = _checked(run)
    opened = open_run(folder)
    gone = find_gone(opened, wanted)
    found = _counted(gone, opened)
    for name in pack_names(folder):
        made = new_plan(_context(folder, name), gone.docs, asked.how)
        found.packs.append(_change(folder, name, made))
    found.told += [f"export      {pack}: {fmt} would be made anew" for pack, fmt in planned_exports(folder)]
    return found


def remove_documents(run: Path, wanted: Wanted, asked: Asked, executor: Executor, progress: Progress) -> Removal:
    """Take documents, and all their copies, out of a finished run; what was begun is finished first.

    Raises: ConfigError for a run on a server, and for what `find_gone` says; ArtifactError for a run that is not
        finished, or whose disk knows no hard links.
    Cost: the files of documents, embeddings, tokens and shards that hold some are written anew; neighbours, the graph,
        and the figures of each pack always.
    """
    folder = _checked(run)
    with _locked(folder):
        while_half = (folder / REMOVAL / COMMIT).exists()
        if while_half:
            finish(folder, put_in_place(folder))
            log.info("remove: finished what was interrupted")
        remove_tree(folder / REMOVAL)
        opened = open_run(folder)
        gone = find_gone(opened, wanted)
        found = _counted(gone, opened)
        if gone.new.size or gone.held or _new_tombstones(folder, gone, asked):
            found.packs = _make(folder, gone, asked, (executor, progress))
            found.told += finish(folder, put_in_place(folder))
    purge_log(folder, gone.keys)
    inner = folder / VALIDATION
    if (inner / CONFIG).exists():
        keys = frozenset(read_tombstones(folder).keys)
        found.told += _of_validation(inner, Wanted(keys), asked, (executor, progress))
    return found


def _of_validation(run: Path, wanted: Wanted, asked: Asked, work: tuple[Executor, Progress]) -> list[str]:
    unfinished = any(not (run / step / MANIFEST).exists() for step in BUILD_STEPS)
    if unfinished:
        remove_tree(run)
        return ["validation  was not finished and is removed; the next `icp run` makes it anew"]
    opened = open_run(run)
    gone = find_gone(opened, wanted)
    if not gone.new.size and not (run / REMOVAL).exists():
        return []
    if gone.docs.size == opened.doc_bounds()[-1]:
        remove_tree(run)
        return ["validation  holds no document any more and is removed"]
    # an evaluation keeps all other documents
    found = remove_documents(run, wanted, replace(asked, how="mask" if asked.how == "drop" else asked.how), *work)
    found.unknown = []
    return [f"validation: {line}" for line in found.lines()]


def _checked(run: Path) -> Path:
    if mirror_of(str(run)) is not None:
        raise ConfigError(f"{run}: icp remove works on a run on a disk of this machine; copy the run here, and back")
    folder = run_folder(str(run))
    require_run(folder)
    check_folder(folder)
    if not (folder / REMOVAL / COMMIT).exists():
        open_run(folder).require(BUILD_STEPS)
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with lock_of(folder, "remove"):
        remove_leftovers(folder)
        with kept_log(folder, "remove"):
            yield


def _counted(gone: Gone, run: Run) -> Removal:
    n_named = int(gone.named.sum())
    n_refused = sum(named for _, named in gone.refused)
    found = Removal(n_named, int(gone.new.size) - n_named, len(gone.held), n_refused, gone.unknown)
    extended = run.config.extends
    if extended is not None and Path(extended).exists():
        found.told.append(f"not touched {extended}, which this run extends: remove them from it too")
    return found


def _context(folder: Path, pack: str) -> Context:
    """A finished pack of the run in a folder."""
    own = folder / pack_config(pack)
    config = read_config(own if own.is_file() else folder / CONFIG)
    config = config.model_copy(update={"run": str(folder)})
    tokens = open_run(folder, pack=pack).folders["tokens"].relative_to(folder).as_posix()
    return Context(config, "", {**step_folders(pack), "tokens": tokens}, pack=pack)


def _change(folder: Path, name: str, made: NewPlan) -> PackChange:
    docs = np.asarray(load_nodes(_context(folder, name))[made.lost_nodes])
    rows = TextReader(open_run(folder, pack=name)).rows(docs, ("id",)) if docs.size else {}
    ids = [str(rows[doc]["id"]) for doc in docs.tolist()]
    return PackChange(name, made.n_before, made.path_rank.size, made.reduced.n_held, made.n_tokens, ids)


def _new_tombstones(folder: Path, gone: Gone, asked: Asked) -> list[Tombstone]:
    """Tombstones of all that goes, and of named ids that the run does not hold: they may never come."""
    known, today = read_tombstones(folder).keys, time.strftime("%Y-%m-%d", time.gmtime())
    rows = [
        Tombstone(name, digest.hex(), asked.reason if named else COPY_REASON, today)
        for name, digest, named in zip(gone.ids, gone.digests, gone.named.tolist(), strict=True)
    ]
    rows += [Tombstone(name, digest.hex(), asked.reason, today) for name, digest in gone.held]
    rows += [Tombstone(name, "", asked.reason if named else COPY_REASON, today) for name, named in gone.refused]
    there = known | {key_of(row.id) for row in rows}
    unknown = (name for name in gone.unknown if name in gone.keys and name not in there)
    return rows + [Tombstone(name, "", asked.reason, today) for name in unknown]


def _make(folder: Path, gone: Gone, asked: Asked, work: tuple[Executor, Progress]) -> list[PackChange]:
    """Make the copy without these documents, and commit it."""
    exports = planned_exports(folder)
    copy = new_copy(folder)
    rows = [*read_tombstones(folder).rows, *_new_tombstones(folder, gone, asked)]
    (copy / TOMBSTONES).unlink(missing_ok=True)
    write_tombstones(copy / TOMBSTONES, rows)
    finished = pack_names(folder)
    if gone.docs.size == open_run(folder).doc_bounds()[-1]:
        raise ConfigError(f"{folder}: no document would be left; delete the folder instead")
    plans = {name: new_plan(_context(folder, name), gone.docs, asked.how) for name in finished}
    for name, plan in plans.items():
        if not plan.plan.n_windows and plan.n_before:
            raise ConfigError(f"{folder}: no window of pack {name} would be left; use --windows replan, or mask")
    changes = [_change(folder, name, plans[name]) for name in finished]
    made = empty_steps(folder, copy, gone)
    for path in subfolders(copy, PACKS):
        if path.name in plans:
            _make_pack(folder, copy, path.name, (plans[path.name], asked), made, work)
        else:
            log.warning("remove: pack %s was not finished; what there is of it goes", path.name)
            for step in PACK_FOLDERS:
                remove_tree(copy / pack_folder(path.name, step))
    commit(folder, {"again": [list(export) for export in exports], "finished": finished})
    return changes


def _make_pack(
    folder: Path,
    copy: Path,
    name: str,
    asked: tuple[NewPlan, Asked],
    made: Mapping[str, Manifest],
    work: tuple[Executor, Progress],
) -> None:
    plan, how = asked
    before = _context(folder, name)
    context = _context(copy, name)
    Patch(context.folder("order")).save(made)
    if how.keep_old and plan.reduced.n_held:
        number = 1
        while (copy / old_shards_folder(name, number)).exists():
            number += 1
        _link_tree(folder / pack_folder(name, "shards"), copy / old_shards_folder(name, number))
    told = dict(context.manifest("windows").facts.get("removed", {}))
    told = {
        "documents": int(_n_removed(context)),
        "windows": int(told.get("windows", 0)) + plan.reduced.n_held,
        "how": sorted({*told.get("how", []), how.how}),
    }
    write_plan(context, plan, told)
    old = load_plan(before), np.asarray(path_rank(before))
    n_same = make_shards(context, before.folder("shards"), plan, old, work)
    log.info("remove: pack %s: %s as before", name, counted(n_same, "shard"))


def _n_removed(context: Context) -> int:
    return context.manifest("graph").counts.get("removed", 0)


def _link_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to(path)
