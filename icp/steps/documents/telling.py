"""What people should know of a corpus that was read: values and ids that did not serve, paragraphs that come again."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import xxhash

from icp.config import CorpusConfig
from icp.run.records import PartRecord
from icp.steps.documents.lines import load_excluded
from icp.steps.documents.paragraphs import most_frequent
from icp.steps.documents.repeated_ids import repeated_ids
from icp.steps.documents.rows import EXCERPT

log = logging.getLogger("icp")
_PIECES, _ROWS = 8, 250


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
        _tell_excluded(config.exclude, {value for info in infos for value in info["excluded"]})


def _tell_excluded(path: str, met: set[int]) -> None:
    ids = sorted(load_excluded(path))
    missing = [doc_id for doc_id in ids if xxhash.xxh3_64_intdigest(doc_id.encode()) not in met]
    found = f"{path}: {len(ids) - len(missing):,} of its {len(ids):,} ids stand in the corpus and are left out"
    if missing:
        log.warning("%s; %s others do not, e.g. %s: check how they are written", found, f"{len(missing):,}", missing[0])
    else:
        log.info("%s", found)


def sampled_paragraphs(folder: Path, pieces: Sequence[str]) -> list[list[float | str]]:
    """The most frequent paragraphs of the first rows of some pieces: the share of documents, and the beginning."""
    chosen = [pieces[at] for at in np.unique(np.linspace(0, len(pieces) - 1, _PIECES).astype(int)).tolist()]
    texts: list[str] = []
    for name in chosen:
        with pq.ParquetFile(folder / name) as file:
            for batch in file.iter_batches(_ROWS, [0], ["text"], use_threads=False):
                texts += batch.column("text").to_pylist()
                break
    return [[share, paragraph[:EXCERPT]] for share, paragraph in most_frequent(texts)]
