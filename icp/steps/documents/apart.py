"""The tasks that find what is to be kept out of training: text of evaluation sets, and held-out documents.

In: the evaluation sets, and what the tasks before left. Out: ``apart/evaluation-*`` and ``apart/held-*``, the n-grams
that are looked for; ``held/<task>.parquet``, the held-out documents. There are no such tasks without `holdout` and
`decontaminate`.

A document that holds text of an evaluation set is refused, whether it would be held out or not.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from icp.config import Config, DecontaminateConfig
from icp.dedup.overlap import Overlaps, References, folded, references_of
from icp.dedup.shingles import word_counts
from icp.engine.step import PartOutput, one_part
from icp.run.context import Context
from icp.run.extended import carried, extended
from icp.run.names import HOLDOUT
from icp.run.tables import open_writer
from icp.steps.documents.evaluation import TOGETHER, evaluation_texts
from icp.steps.documents.lines import listed_ids
from icp.steps.documents.read_tasks import STEP_NAME, read_parts
from icp.steps.documents.reports import check_places, read_reports
from icp.steps.documents.stages import groups_of
from icp.texts import Texts, key_of

EVALUATION, HELD = "evaluation", "held"
_FIELDS = ("hashes", "owners", "sizes", "screen")


@dataclass(frozen=True, slots=True)
class Known:
    """What is looked for: references of one length of n-grams, and the name of each."""

    references: References
    names: list[str]


def evaluation_parts(context: Context) -> list[str]:
    """One part, if there are evaluation sets."""
    return one_part(context) if context.config.decontaminate.is_set else []


def index_evaluation(context: Context, part: str, output: PartOutput) -> None:
    """Leave the n-grams of the evaluation sets; a text of fewer words is looked for whole, down to a least size."""
    config = context.config.decontaminate
    check_places(context.config, read_reports(config))
    if not config.input:
        return
    found = list(evaluation_texts(config))
    looked_for = references_by_length(found, config)
    by_itself = {name for one in looked_for for name in one.names}
    strings = [name for name, _ in found if not name.endswith(TOGETHER)]
    short = [name for name in strings if name not in by_itself]
    output.info |= {"texts": len(strings), "short": len(short)}
    output.info["nowhere"] = sum(f"{name}{TOGETHER}" not in by_itself for name in short)
    for one in looked_for:
        _save(output, f"{EVALUATION}-{one.references.ngram}", one)


def references_by_length(found: list[tuple[str, str]], config: DecontaminateConfig) -> list[Known]:
    """What to look for of texts with their names: n-grams of `ngram` words, and shorter texts as a whole."""
    names, texts = [name for name, _ in found], [text for _, text in found]
    lengths = np.minimum(word_counts(folded(texts)), config.ngram)
    looked_for = []
    for ngram in range(config.least_words, config.ngram + 1):
        chosen = np.flatnonzero(lengths == ngram)
        if chosen.size:
            references = references_of([folded([texts[k] for k in chosen])], ngram=ngram)
            looked_for.append(Known(references, [names[k] for k in chosen]))
    return looked_for


def held_parts(context: Context) -> list[str]:
    """One part for each read task, if documents are held out."""
    wanted = context.config.holdout.is_set and context.config.extends is None
    return read_parts(context) if wanted else []


def hold_out(context: Context, part: str, output: PartOutput) -> None:
    """Write the held-out documents of one read task."""
    evaluation = known(context, EVALUATION)
    groups = []
    for group in groups_of(context, "held", part):
        chosen = group.filter(pa.array(is_held(context.config, group["id"])))
        is_clean = np.ones(chosen.num_rows, np.bool_)
        for _, overlaps in found_in(evaluation, folded(chosen["text"])):
            is_clean[overlaps.text] = False
        is_clean[[at for at, _ in read_reports(context.config.decontaminate).found_in(chosen)]] = False
        groups.append(chosen.filter(pa.array(is_clean)))
    table = pa.concat_tables(groups) if groups else None
    if table is not None and table.num_rows:
        with open_writer(output.path(f"held/{part}.parquet"), table.schema) as writer:
            writer.write_table(table)
        output.rows(f"held/{part}.parquet", table.num_rows)


def index_parts(context: Context) -> list[str]:
    """One part, if documents are held out."""
    return one_part(context) if context.config.holdout.is_set else []


def index_held(context: Context, part: str, output: PartOutput) -> None:
    """Leave the n-grams of all held-out documents."""
    names: list[str] = []

    def batches() -> Iterator[Texts]:
        for path in _held_files(context):
            table = pq.read_table(path, columns=["id", "text"])
            names.extend(table["id"].to_pylist())
            yield folded(table["text"])

    references = references_of(batches(), ngram=context.config.holdout.ngram)
    _save(output, HELD, Known(references, names))


def _held_files(context: Context) -> list[Path]:
    """The files of held-out documents: of this corpus, or of the run that it extends."""
    base = extended(context)
    if base is not None:
        return [path for _, path, _ in carried(base, STEP_NAME, (HOLDOUT,))]
    return [
        context.folder(STEP_NAME) / f"held/{task}.parquet"
        for task, record in context.records("held").items()
        if record.files
    ]


def is_held(config: Config, ids: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each document is one to be held out: by a list, or by a hash of its id, the same in every run."""
    wanted, edge = held_ids(config), int(config.holdout.fraction * 2**64)
    return np.array(
        [
            (wanted and key_of(name) in wanted) or xxhash.xxh3_64_intdigest(name.encode()) < edge
            for name in ids.to_pylist()
        ],
        np.bool_,
    )


def held_ids(config: Config) -> frozenset[str]:
    """The ids that `holdout.ids` lists."""
    return listed_ids(config.holdout.ids, "holdout.ids") if config.holdout.ids is not None else frozenset()


def found_in(known: list[Known], texts: Texts) -> Iterator[tuple[list[str], Overlaps]]:
    """What texts share with what is known: names of the references, and the overlaps with them."""
    for one in known:
        yield one.names, one.references.overlaps(texts)


def known(context: Context, kind: str) -> list[Known]:
    """What `index_evaluation` or `index_held` left; kept from one part to the next."""
    records = context.records("index" if kind == HELD else "evaluation")
    names = [name for record in records.values() for name in record.files if name.endswith(".json")]
    hashes = [str(record.files[name].sha256) for record in records.values() for name in sorted(record.files)]
    return _load(context.folder(STEP_NAME), tuple(sorted(names)), "".join(hashes)) if names else []


@lru_cache(maxsize=2)
def _load(folder: Path, files: tuple[str, ...], hashes: str) -> list[Known]:
    found = []
    for file in files:
        ngram, names = json.loads((folder / file).read_text(encoding="utf-8"))
        arrays = (np.load(folder / file.replace(".json", f".{field}.npy"), mmap_mode="r") for field in _FIELDS)
        hashes_, owners, sizes, screen = arrays
        found.append(Known(References(hashes_, owners, sizes, ngram, screen), names))
    return found


def _save(output: PartOutput, name: str, what: Known) -> None:
    for field in _FIELDS:
        with output.path(f"apart/{name}.{field}.npy").open("wb") as file:
            np.save(file, getattr(what.references, field))
    text = json.dumps([what.references.ngram, what.names])
    output.path(f"apart/{name}.json").write_text(text, encoding="utf-8")
