"""What the tasks of the step `neighbors` do where neighbours are imported: ``graph.import``.

*ids* leaves which row each id means, *given* of each file the pairs that it lists, by row; a task of *search* scores
those of a range of rows by the vectors. An id of a copy means the document that dedup keeps in its place. The lists
of a run extended stay, and take in what the files say of old and new documents.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.engine.step import PartOutput, one_part
from icp.errors import InputError
from icp.knn.given import KEY, beside, list_files, read_lists, score_lists
from icp.knn.methods import Found
from icp.run.arrays import mapped, survivors
from icp.run.context import Context
from icp.run.ids import docs_of_ids, found_ids, ranks
from icp.steps.neighbors.rows import embeddings, search_of
from icp.steps.neighbors.tasks import load, paths, range_of, save
from icp.texts import id_hashes

SHOWN = 3
SHIFT = 32


def imports(config: Config) -> bool:
    """Whether neighbours are imported."""
    return getattr(config.graph, "import") is not None


def sources(config: Config) -> list[tuple[str, str]]:
    """Path, and size and time, of the files of `graph.import` and of those beside them."""
    pattern = getattr(config.graph, "import")
    files = [one for path in (list_files(pattern) if pattern is not None else []) for one in beside(path)]
    return [(str(path), f"{path.stat().st_size} bytes, {path.stat().st_mtime_ns}") for path in files]


def ids_parts(context: Context) -> list[str]:
    """The one part of *ids*, if there are files."""
    return one_part(context) if imports(context.config) else []


def file_parts(context: Context) -> list[str]:
    """One part a file of `graph.import`."""
    pattern = getattr(context.config.graph, "import")
    return [f"file-{number:05}" for number in range(len(list_files(pattern)))] if pattern is not None else []


def find_ids(context: Context, part: str, output: PartOutput) -> None:
    """Write hashes of ids, sorted; docs int64, what each means, -1 if several; rows int64, -1 of what was removed."""
    hashes, docs = docs_of_ids(context, ("dedup",))
    for name, array in (("hashes", hashes), ("docs", docs), ("id-rows", ranks(docs, survivors(context)))):
        save(output, f"{name}.npy", array)


def read_file(context: Context, part: str, output: PartOutput) -> None:
    """Write given.npy int64 of a file, ``row << 32 | neighbour``, rising, each pair once; count the others."""
    path = list_files(str(getattr(context.config.graph, "import")))[int(part.rpartition("-")[2])]
    hashes, docs, rows = (load(context, name) for name in ("hashes", "docs", "id-rows"))
    found, n_pairs, n_unknown, unknown = [np.zeros(0, np.int64)], 0, 0, list[str]()
    for owners, others in read_lists(path):
        wanted = [id_hashes(ids) for ids in (owners, others)]
        is_known = (np.stack([found_ids(hashes, docs, one) for one in wanted]) >= 0).all(axis=0)
        n_pairs, n_unknown = n_pairs + is_known.size, n_unknown + int((~is_known).sum())
        for at in np.flatnonzero(~is_known)[: SHOWN - len(unknown)].tolist():
            unknown.append(owners[at] if found_ids(hashes, docs, wanted[0][at : at + 1])[0] < 0 else others[at])
        pairs = np.stack([found_ids(hashes, rows, one[is_known]) for one in wanted], axis=1)
        kept = (pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])
        output.count("imported_left_out", int((~kept).sum()))
        found.append((pairs[kept, 0] << SHIFT) | pairs[kept, 1])
    save(output, f"{part}.given.npy", np.unique(np.concatenate(found)))
    output.count("imported_pairs", n_pairs)
    output.count("imported_unknown", n_unknown)
    if not n_pairs:
        output.info["warnings"] = [f"{KEY}: {path}: lists no neighbour"]
    elif n_unknown:
        text = f"{n_unknown:,} of {n_pairs:,} neighbours name an id that no document has, or several have, e.g. "
        output.info["warnings"] = [f"{KEY}: {path}: {text}{', '.join(map(repr, unknown))}"]


def check(context: Context) -> dict[str, Any]:
    """What a record says of the files; raises InputError if they say nothing of these documents."""
    n_given = sum(len(mapped(path)) for path in paths(context, "given"))
    counts = [record.counts for record in context.records("given").values()]
    n_pairs, n_unknown = (sum(one.get(f"imported_{name}", 0) for one in counts) for name in ("pairs", "unknown"))
    if not n_given:
        raise InputError(
            f"{KEY}: none of its {n_pairs:,} pairs joins two documents that are kept ({n_unknown:,} name ids that no "
            "document has, or several have); check that ids are written as in corpus.id"
        )
    return {"method": "imported"}


def search(context: Context, part: str) -> Found:
    """The neighbours of a range of rows that the files give, by the vectors."""
    mine, files = range_of(context, part), [mapped(path) for path in paths(context, "given")]
    starts = np.arange(mine.start, mine.stop + 1, dtype=np.int64) << SHIFT
    spans = [np.array(one[slice(*np.searchsorted(one, starts[[0, -1]]))]) for one in files]
    pairs = np.unique(np.concatenate([np.zeros(0, np.int64), *spans]))
    bounds = np.searchsorted(pairs, starts).astype(np.int64)
    others: NDArray[np.int64] = pairs & ((1 << SHIFT) - 1)
    return score_lists(embeddings(context), starts[:-1] >> SHIFT, bounds, others, keep=search_of(context).keep)
