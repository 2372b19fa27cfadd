"""What people should know of a corpus that was read: values and ids that did not serve, paragraphs that come again."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq
import xxhash

from icp.config import CorpusConfig
from icp.errors import InputError
from icp.run.records import PartRecord
from icp.steps.documents.input_files import corpus_files
from icp.steps.documents.lines import listed_ids
from icp.steps.documents.paragraphs import most_frequent
from icp.steps.documents.read_tasks import batches_of, rules_of
from icp.steps.documents.repeated_ids import repeated_ids
from icp.steps.documents.rows import EXCERPT, Findings

log = logging.getLogger("icp")
_Item = TypeVar("_Item")
_PIECES, _ROWS = 8, 250
_SHOWN_SHARE, _SHOWN = 0.02, 60


def tell(config: CorpusConfig, records: Mapping[str, PartRecord]) -> None:
    """Warn of what the read tasks left out, of ids that come again, and of ids to exclude that stand nowhere."""
    infos = [record.info for record in records.values()]
    for key in ("id", "source"):
        n_rows = sum(info["left_out"].get(key, 0) for info in infos)
        if n_rows:
            what = f"the field {key}: {n_rows:,} values cannot serve and are left out"
            log.warning("%s; name another field in corpus.%s, or set it to null to use none", what, key)
    unread: Counter[str] = Counter()
    for info in infos:
        unread.update(info["unread"])
    if unread:
        shown = ", ".join(f"{n:,} {suffix}" for suffix, n in sorted(unread.items()))
        log.warning("members of tar files that are not read: %s", shown)
    n_repeated, is_exact = repeated_ids(info["ids"] for info in infos)
    if n_repeated:
        about = "" if is_exact else "about "
        what = f"{about}{n_repeated:,} documents have the id of another one"
        log.warning("%s: --doc and corpus.exclude find all of an id; name another field in corpus.id", what)
    if config.exclude is not None:
        met = {value for info in infos for value in info["excluded"]}
        tell_listed(config.exclude, "corpus.exclude", met, "are left out")


def tell_listed(path: str, key: str, met: set[int], fate: str) -> None:
    """Say how many ids of a list stand in the corpus, and warn of those that do not; `met` are hashes of ids."""
    ids = sorted(listed_ids(path, key))
    missing = [doc_id for doc_id in ids if xxhash.xxh3_64_intdigest(doc_id.encode()) not in met]
    found = f"{path}: {len(ids) - len(missing):,} of its {len(ids):,} ids stand in the corpus and {fate}"
    if missing:
        log.warning("%s; %s others do not, e.g. %s: check how they are written", found, f"{len(missing):,}", missing[0])
    else:
        log.info("%s", found)


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
