"""What people should know of a corpus that was read: values and ids that did not serve, paragraphs that come again."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq
import xxhash

from icp.config import CorpusConfig
from icp.errors import InputError
from icp.plurals import counted
from icp.run.names import REJECTED_ROWS
from icp.run.records import PartRecord
from icp.steps.documents.input_files import corpus_files
from icp.steps.documents.kinds import listed
from icp.steps.documents.lines import listed_ids
from icp.steps.documents.paragraphs import most_frequent
from icp.steps.documents.read_tasks import batches_of, rules_of
from icp.steps.documents.refusals import ranked, reasons_of
from icp.steps.documents.repeated_ids import repeated_ids
from icp.steps.documents.rows import EXCERPT, Findings

log = logging.getLogger("icp")
_Item = TypeVar("_Item")
_PIECES, _ROWS = 8, 250
_SHOWN_SHARE, _SHOWN = 0.02, 60


def told(
    config: CorpusConfig, records: Mapping[str, PartRecord], before: Sequence[Mapping[str, Any]] = ()
) -> tuple[list[str], list[str]]:
    """What to warn of, and what to note: values left out, ids that come again, ids to exclude; rows refused.

    `before`: figures of the ids of a run that is extended.
    """
    infos = [record.info for record in records.values()]
    warnings, notes = [*_left_out(infos)], [*_refused(records)]
    unread: Counter[str] = Counter()
    for info in infos:
        unread.update(info["unread"])
    if unread:
        warnings.append(f"members of tar files that are not read: {listed(unread)}")
    n_repeated, is_exact = repeated_ids([*before, *(info["ids"] for info in infos)])
    if n_repeated:
        about, have = "" if is_exact else "about ", "has" if n_repeated == 1 else "have"
        what = f"{about}{counted(n_repeated, 'document')} {have} the id of another one"
        warnings.append(f"{what}: --doc and corpus.exclude find all of an id; name another field in corpus.id")
    if config.exclude is not None:
        met = {value for info in infos for value in info["excluded"]}
        found, is_whole = listed_in_corpus(config.exclude, "corpus.exclude", met, "left out")
        (notes if is_whole else warnings).append(found)
    return warnings, notes


def _refused(records: Mapping[str, PartRecord]) -> Iterator[str]:
    reasons: Counter[str] = Counter()
    files: list[str] = []
    for record in records.values():
        found = reasons_of(record.counts)
        reasons += found
        files += record.info["rows"] if found else ()
    if reasons:
        where = f" of {files[0]}" if len(files) == 1 else ""
        yield f"{counted(reasons.total(), 'row')}{where} refused ({ranked(reasons)}): documents/{REJECTED_ROWS}"


def _left_out(infos: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for key in ("id", "source"):
        n_rows = sum(info["left_out"].get(key, 0) for info in infos)
        if n_rows:
            are = "is" if n_rows == 1 else "are"
            what = f"the field {key}: {counted(n_rows, 'value')} cannot serve and {are} left out"
            yield f"{what}; name another field in corpus.{key}, or set it to null to use none"


def listed_in_corpus(path: str, key: str, met: set[int], fate: str) -> tuple[str, bool]:
    """How many ids of a list stand in the corpus, with one of the others, and whether all do.

    Args:
        key: of the configuration, that names the list.
        met: hashes of those that do.
        fate: what becomes of them.
    """
    ids = sorted(listed_ids(path, key))
    missing = [doc_id for doc_id in ids if xxhash.xxh3_64_intdigest(doc_id.encode()) not in met]
    found = f"{path}: {len(ids) - len(missing):,} of its {counted(len(ids), 'id')} stand in the corpus and are {fate}"
    if missing:
        others = "1 other does not" if len(missing) == 1 else f"{len(missing):,} others do not"
        found += f"; {others}, e.g. {missing[0]}: check how they are written"
    return found, not missing


def paragraph_lines(found: object) -> Iterator[str]:
    """What `sampled_paragraphs` or `paragraphs_of_input` gave, as lines for a terminal; rare ones are not shown."""
    for row in found if isinstance(found, list) else ():
        match row:
            case [float(share), str(paragraph)] if share >= _SHOWN_SHARE:
                shown = paragraph if len(paragraph) <= _SHOWN else paragraph[:_SHOWN] + "..."
                yield f"{'':<11} {share:.0%} of the documents of a sample hold the paragraph {shown!r}"


def paragraphs_of_input(config: CorpusConfig) -> list[list[float | str]]:
    """The most frequent paragraphs of the first rows of some input files; of what cannot be read, none.

    Raises: InputError, ConfigError, as `icp.steps.documents.input_files.corpus_files` does.
    """
    files = corpus_files(config)
    whole = _spread([file for file in files if file.kind == "text"], _ROWS)
    samples = [whole] if whole else []
    samples += [[file] for file in _spread([file for file in files if file.kind != "text"], _PIECES)]
    texts: list[str] = []
    rules = rules_of(config.model_copy(update={"exclude": None}))
    for some in samples:
        try:
            for batch in batches_of(some, rules, Findings()):
                texts += batch.documents["text"].slice(0, _ROWS).to_pylist()
                if some is not whole:
                    break
        except InputError as error:  # the step says so when it comes to that file
            log.debug("%s", error)
    return [[share, paragraph[:EXCERPT]] for share, paragraph in most_frequent(texts)]


def _spread(items: Sequence[_Item], n_most: int) -> list[_Item]:
    """At most so many of them, evenly spread."""
    return [items[at] for at in np.unique(np.linspace(0, len(items) - 1, n_most).astype(int)).tolist()] if items else []


def sampled_paragraphs(folder: Path, pieces: Sequence[str]) -> list[list[float | str]]:
    """The most frequent paragraphs of the first rows of some pieces: the share of documents, and the beginning."""
    texts: list[str] = []
    for name in _spread(pieces, _PIECES):
        with pq.ParquetFile(folder / name) as file:
            for batch in file.iter_batches(_ROWS, [0], ["text"], use_threads=False):
                texts += batch.column("text").to_pylist()
                break
    return [[share, paragraph[:EXCERPT]] for share, paragraph in most_frequent(texts)]
