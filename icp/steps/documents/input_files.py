"""Which files a corpus is made of.

In: `corpus.input`, names of files, folders, globs and URLs. Out: one `InputFile` for each file, in the order in which
their documents are numbered: patterns as given, matches sorted, the shards of a saved dataset as it lists them.
"""

import glob
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icp.config import CorpusConfig
from icp.config.addresses import expanded
from icp.errors import ConfigError, InputError
from icp.plurals import counted
from icp.steps.documents.kinds import SUPPORTED, fits, is_hidden, is_side_file, kind_of, suffixes_of
from icp.steps.documents.stores import Disk, Server, refuse_pipe, store_of

OUR_COLUMNS = ("doc", "key", "id", "text", "source", "file", "row")


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the corpus.

    Attributes:
        path: as it was given or matched; never made absolute. A URL with its protocol.
        kind: jsonl | csv | warc | tar | parquet | arrow | text.
        size: bytes, -1 where the server does not say.
        stamp: modification time in ns (local), otherwise the server's etag, checksum or time; may be empty.
    """

    path: str
    kind: str
    size: int
    stamp: str


def corpus_files(config: CorpusConfig, told: list[str] | None = None) -> list[InputFile]:
    """The files of a corpus, in the order in which their documents are numbered.

    Args:
        told: gets a line for what is left out.

    Raises: InputError where a pattern matches nothing, a file is of no known kind or cannot be looked at;
        ConfigError for a file named by two patterns and for a kept field that has the name of one of our columns.
    """
    _check_kept(config.keep)
    told = [] if told is None else told
    files: list[InputFile] = []
    owners: dict[str, int] = {}
    for number, pattern in enumerate(config.input):
        store = store_of(pattern)
        with _looking_at(pattern):
            paths = _matches(store, pattern, config, told)
        linked = []
        for path in paths:
            identity = store.identity(path)
            owner = owners.get(identity, number)
            if owner < number:
                raise ConfigError(
                    f"corpus.input: {path} is named twice, by {config.input[owner]} and by {pattern}; "
                    "each document is used once: name each file by one pattern"
                )
            if identity in owners:
                linked.append(path)
                continue
            owners[identity] = number
            with _looking_at(path):
                files.append(_describe(store, path, pattern, config))
        if linked:
            told.append(f"{pattern}: {counted(len(linked), 'link')} to a file that is read already, e.g. {linked[0]}")
    return files


@contextmanager
def _looking_at(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check corpus.input") from None


def _check_kept(names: Iterable[str]) -> None:
    taken = dict.fromkeys(OUR_COLUMNS, "a column that icp writes itself")
    for name in names:
        if name in taken:
            raise ConfigError(f"corpus.keep: {name} is {taken[name]}; leave it out of corpus.keep")
        taken[name] = "named twice"


def _matches(store: Disk | Server, pattern: str, config: CorpusConfig, told: list[str]) -> list[str]:
    """Paths of files: a name that exists is taken as it stands, otherwise as a glob; folders are looked into."""
    name = expanded(pattern)
    found = [name] if store.exists(name) else sorted(store.glob(name)) if glob.has_magic(name) else []
    if not found:
        raise InputError(f"corpus.input: no file matches {pattern} (seen from {Path.cwd()}); correct the name")
    folders = [entry for entry in found if store.is_folder(entry)]
    if folders and name not in found:  # of a glob that matches folders and what is in them, each file is taken once
        tops = [f for f in folders if not any(f != top and f.startswith(top.rstrip("/") + "/") for top in folders)]
        found = [e for e in found if e in tops or not any(e.startswith(top.rstrip("/") + "/") for top in tops)]
    if found == [name]:
        return _inside(store, name, config, told) if folders else found
    base = _before_glob(name)
    loose = [entry for entry in found if entry not in folders]
    for entry in found:
        if entry in folders and is_hidden(entry, base):
            loose += store.walk(entry)
    files = _chosen(loose, pattern, config, base, told) if loose else []
    for entry in found:
        if entry in folders and not is_hidden(entry, base):
            files = files + _inside(store, entry, config, told)
    if not files and loose:
        raise InputError(
            f"corpus.input: {pattern} matches {len(loose):,} files, none of a kind that is read "
            f"({suffixes_of(loose)}), e.g. {loose[0]}; expected {SUPPORTED}, or name them in corpus.include, "
            "e.g. '*.py'"
        )
    return sorted(files) if loose else files


def _before_glob(pattern: str) -> str:
    """The folders of a pattern that are written out; all of it if it asks for names with ``_`` or ``.`` in front."""
    first = next(i for i, letter in enumerate(pattern) if letter in "*?[")
    written = pattern[: pattern.rfind("/", 0, first) + 1]
    asks = any(part.startswith(("_", ".")) for part in pattern[len(written) :].split("/"))
    return pattern if asks else written


def _inside(store: Disk | Server, folder: str, config: CorpusConfig, told: list[str]) -> list[str]:
    """The files of a folder: the shards of a saved dataset, else tables, else texts."""
    root = folder.rstrip("/")
    found = sorted(store.walk(folder))
    shown = [path for path in found if not is_hidden(path, root + "/")]
    names = {path.rpartition("/")[2]: path for path in shown}
    if "dataset_dict.json" in names:
        where = names["dataset_dict.json"].rpartition("/")[0]
        splits = _json_in(store, names["dataset_dict.json"]).get("splits", [])
        raise InputError(
            f"{where}: holds the splits {', '.join(splits)} of a saved dataset; name the ones to use, "
            f"e.g. {where}/{splits[0] if splits else 'train'}"
        )
    if f"{root}/state.json" in shown:
        return _saved_shards(store, root, told)
    saved = [path for path in shown if path.endswith("/state.json")]
    if saved:
        where = saved[0].rpartition("/")[0]
        raise InputError(f"{folder}: holds a saved dataset in {where}; name that folder itself in corpus.input")
    files = _chosen(found, folder, config, root + "/", told)
    if not files:
        held = f" ({suffixes_of(found)})" if found else " (it is empty)"
        raise InputError(
            f"{folder}: holds no file that can be read{held}; expected {SUPPORTED}, or name them in corpus.include"
        )
    return files


def _chosen(paths: list[str], where: str, config: CorpusConfig, base: str, told: list[str]) -> list[str]:
    """Of the files of a folder or glob those that are read: tables, else texts; what is left out is told.

    Args:
        base: what stands before the names that are looked at.
        told: gets a line for what is left out.

    Raises: InputError if more than side files is left out, and `corpus.ignore` or `corpus.include` does not say so.
    """
    left = [path for path in paths if not fits(path, config.ignore, base)]
    if config.include:
        chosen = [path for path in left if fits(path, config.include, base)]
    else:
        shown = [path for path in left if not is_hidden(path, base)]
        tables = [path for path in shown if kind_of(path) not in (None, "text") and not is_side_file(path)]
        texts = [path for path in shown if kind_of(path) == "text"]
        chosen = tables or texts
    others = sorted(set(left) - set(chosen))
    if others and chosen:
        are = "is" if len(others) == 1 else "are"
        told.append(f"{where}: {counted(len(others), 'file')} {are} not read ({suffixes_of(others)}), e.g. {others[0]}")
    if config.include or not chosen:
        return chosen
    unknown = [path for path in others if not is_side_file(path) and not is_hidden(path, base)]
    notes = [path for path in unknown if path.lower().endswith(".md")]
    if tables and len(notes) <= len(tables):  # a few notes beside the data
        unknown = sorted(set(unknown) - set(notes))
    if unknown:
        raise InputError(
            f"{where}: {len(unknown)} of its files would not be read ({suffixes_of(unknown)}), e.g. {unknown[0]}; "
            f"{len(chosen)} would ({suffixes_of(chosen)}); name those to leave out in corpus.ignore, e.g. '*.bin', or "
            "those to read in corpus.include"
        )
    return chosen


def _saved_shards(store: Disk | Server, folder: str, told: list[str]) -> list[str]:
    state = _json_in(store, f"{folder}/state.json")
    try:
        shards = [f"{folder}/{row['filename']}" for row in state["_data_files"]]
    except (KeyError, TypeError):
        raise InputError(f"{folder}/state.json: not the state of a saved dataset; save it again") from None
    if state.get("_indices_data_files"):
        raise InputError(f"{folder}: saved with an indices mapping; save it again after flatten_indices()")
    if not shards:
        told.append(f"{folder}: holds a saved dataset without rows")
    missing = [shard for shard in shards if not store.exists(shard)]
    if missing:
        raise InputError(f"{missing[0]}: missing, though {folder}/state.json lists it; save the dataset again")
    return shards


def _json_in(store: Disk | Server, path: str) -> dict[str, Any]:
    try:
        tree = json.loads(store.read(path))
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: not a JSON object; save the dataset again")
    return tree


def _describe(store: Disk | Server, path: str, pattern: str, config: CorpusConfig) -> InputFile:
    is_asked_for = path != expanded(pattern) or fits(path, config.include)  # others of no known kind were left out
    kind = kind_of(path) or ("text" if is_asked_for else None)
    if "\udc80" <= max(path, default="") <= "\udcff":
        raise InputError(f"{path!r}: its name is not UTF-8; rename it")
    if kind is None:
        raise InputError(f"{path} (matched by {pattern}): not a kind of file that is read, {SUPPORTED}")
    if isinstance(store, Disk):
        refuse_pipe(path)
    size, stamp = store.stat(path)
    return InputFile(path, kind, size, stamp)
