"""A copy of a run, by hard links, in which files are replaced; and how it takes the place of the run.

In: a run on a disk of this machine. Out: ``RUN/.removal`` while files are made; then the files that differ are renamed
into the run, and what the copy lacks goes. The copy counts from the moment its list of changes is there: whoever is
stopped before has changed nothing, whoever is stopped later goes on with the list.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from icp.errors import ArtifactError
from icp.run.names import COMMIT, EXPORTS, LOCK, LOG, PACKS, REMOVAL, VALIDATION
from icp.run.records import (
    MANIFEST,
    TEMPORARY,
    FileRecord,
    Manifest,
    hash_file,
    hash_json,
    read_manifest,
    read_mapping,
    remove_tree,
    sync,
    write_json,
)  # fmt: skip
from icp.run.seals import sealed

COPY = "run"
_APART = (LOCK, LOG, REMOVAL, VALIDATION)


def files_of(run: Path) -> Iterator[str]:
    """The files of a run that a removal may touch: all but lock, log, exports, and the validation run."""
    for folder, folders, names in os.walk(run):
        here = Path(folder).relative_to(run).as_posix()
        if here == ".":
            folders[:] = [name for name in folders if name not in _APART]
        if here.startswith(f"{PACKS}/") and here.count("/") == 1:
            folders[:] = [name for name in folders if name != EXPORTS]
        for name in names:
            if not (here == "." and name in _APART) and not name.startswith(TEMPORARY):
                yield name if here == "." else f"{here}/{name}"


def new_copy(run: Path) -> Path:
    """A copy of the run by hard links: its files must be replaced, never written to."""
    remove_tree(run / REMOVAL)
    copy = run / REMOVAL / COPY
    for name in files_of(run):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(run / name, target)
        except OSError as error:
            raise ArtifactError(
                f"{run}: its file system knows no hard links ({error.strerror}), by which a removal is made apart and "
                "put in place at once; copy the run to another disk"
            ) from None
    return copy


def commit(run: Path, facts: Mapping[str, Any]) -> None:
    """Make the copy count: leave the list of what goes into place; `facts` are for what is to be done afterwards."""
    copy = run / REMOVAL / COPY
    there, made = set(files_of(run)), set(files_of(copy))
    changed = sorted(name for name in made if name not in there or not (copy / name).samefile(run / name))
    for name in changed:
        sync(copy / name)
    tree = {"replace": changed, "delete": sorted(there - made), "facts": dict(facts)}
    write_json(run / REMOVAL / COMMIT, tree, replace=False)


def put_in_place(run: Path) -> dict[str, Any]:
    """Put what was committed into the run; may be done again until it is done. Returns the facts of `commit`."""
    tree = read_mapping(run / REMOVAL / COMMIT, what="list of a removal")
    copy = run / REMOVAL / COPY
    for name in tree["replace"]:
        if (copy / name).exists():
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).replace(run / name)
    for name in tree["delete"]:
        (run / name).unlink(missing_ok=True)
        _remove_empty((run / name).parent, run)
    facts: dict[str, Any] = tree["facts"]
    return facts


def _remove_empty(folder: Path, run: Path) -> None:
    while folder != run and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


class Patch:
    """A finished step of the copy, some of whose files are replaced; `save` writes its manifest."""

    def __init__(self, folder: Path) -> None:
        found = read_manifest(folder, check_sizes=False)
        assert found is not None, "the step is finished"
        self.folder, self.manifest = folder, found
        self.files = dict(found.files)
        self.counts = dict(found.counts)
        self.facts = dict(found.facts)
        self.info = {phase: dict(parts) for phase, parts in found.info.items()}

    @contextmanager
    def replacing(self, name: str, rows: int | None = None) -> Iterator[Path]:
        """A new file to write, which takes the name; `rows`: None leaves those that the manifest says."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY}{path.name}")
        yield temporary
        temporary.replace(path)
        before = self.files.get(name)
        n_rows = rows if rows is not None else before.rows if before else None
        self.files[name] = FileRecord(path.stat().st_size, hash_file(path), n_rows)

    def drop(self, name: str) -> None:
        """Take a file out of the step."""
        (self.folder / name).unlink()
        del self.files[name]

    def save(self, inputs: Mapping[str, Manifest], sources: Mapping[str, Any] | None = None) -> Manifest:
        """Write the manifest: made of these input steps, as far as it was made of them, and of these sources."""
        basis = dict(self.manifest.basis)
        named = basis.get("inputs", {})
        basis["inputs"] = {name: inputs[name].digest if name in inputs else digest for name, digest in named.items()}
        if sources is not None:
            basis["sources"] = dict(sources)
        made = replace(
            self.manifest, basis=basis, fingerprint=hash_json(basis), files=dict(sorted(self.files.items())),
            counts=self.counts, facts=self.facts, info=self.info,
        )  # fmt: skip
        write_json(self.folder / MANIFEST, sealed({**self.facts, **asdict(made)}))
        return made
