"""Promise 5, of sums: tokens and documents that the manifests and ``stats.json`` count are those that are there.

In: manifests, ``stats.json``, the duplicates; what other checks counted. Out: breaches.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from icp.audit.facts import stated_otherwise
from icp.audit.findings import Breaches
from icp.audit.passes import read_passes
from icp.audit.rows import Tally
from icp.audit.segments import Layout, TokenFiles
from icp.audit.tails import is_reduced, read_tail
from icp.audit.tails import stated as stated_tail
from icp.audit.windows import TOLERANCE, WindowTally
from icp.run import names, records
from icp.run.reader import Run, integers, parquet_rows, read_columns
from icp.run.removed import among, removed_docs


def check_sums(run: Run, layout: Layout, tokens: TokenFiles, tally: Tally, found: Breaches) -> str:
    """Tokens in + specials + padding = written; the shards' manifest says the same, and tells readers the truth."""
    tail, more = read_tail(run, layout, tokens).counts(), read_passes(run, tokens).counts(tokens.packed)
    tail = {name: count + more[name] for name, count in tail.items()}
    n_all = int(tokens.offsets[-1])
    n_in = int(tokens.packed.sum()) - tail["left_out"]
    written = sum(run.path("shards", name).stat().st_size for name in run.names("shards", names.SHARDS))
    written //= layout.dtype.itemsize
    sums = {
        "documents_in": n_in,
        "specials": tally.specials,
        "padding": tally.padding,
        "repeated": tally.of_documents - n_in,
        "written": written,
    }
    if n_in + sums["repeated"] + tally.specials + tally.padding != written:
        text = f"{n_in:,} of documents + {sums['repeated']:,} repeated + {tally.specials:,} specials + "
        found.add("tokens do not add up", f"{text}{tally.padding:,} padding, {written:,} written")
    for name, value in sums.items():
        _compare(f"shards manifest, counts.{name}", run.manifests["shards"].counts.get(name), value, found)
    for name, value in stated_tail(run).items():
        _compare(f"windows manifest, counts.{name}", value, tail[name], found)
    if run.config.pack.tail == "drop" and tally.padding and not is_reduced(run):
        found.add("padding though pack.tail is drop", f"{tally.padding:,} tokens")
    _compare("tokens manifest, counts.tokens", run.manifests["tokens"].counts.get("tokens"), n_all, found)
    for name, stated, fact in stated_otherwise(run, layout):
        _compare(f"shards manifest, {name}", stated, fact, found)
    _compare("shards manifest, windows", run.manifests["shards"].facts.get("windows"), tally.windows, found)
    return (
        f"{n_in:,} of documents + {sums['repeated']:,} repeated + {tally.specials:,} specials + "
        f"{tally.padding:,} padding = {written:,} tokens written"
    )


def _compare(where: str, stated: Any, value: Any, found: Breaches) -> None:
    """Note a figure that is not what was counted; numbers with a fraction may differ by `TOLERANCE`."""
    if isinstance(value, float) and isinstance(stated, float | int):
        agrees = math.isclose(stated, value, abs_tol=TOLERANCE)
    else:
        agrees = stated == value
    if not agrees:
        shown = f"{value:.4f}" if isinstance(value, float) else repr(value)
        found.add("figures that are not what the files give", f"{where} is {stated!r}, counted {shown}")


COUNTED_FORMAT = 4
"""From this format of the step `windows` on, cuts and long documents are counted."""


def window_figures(
    tokens: TokenFiles, tally: Tally, windows: WindowTally, layout: Layout, *, has_tail: bool
) -> dict[str, Any]:
    """Figures of docs/design.md, *Figures*, made again; `has_tail`: see `icp.config` (`lists_tail`)."""
    packed = tokens.packed
    whole = packed + sum(layout.document_specials)
    subject = (packed > 0) & (whole <= layout.capacity)
    n_subjects: float = max(1, int(np.count_nonzero(subject & (windows.appearances > 0))))
    # documents that come again, or are there in part, count as often, as `icp.pack.similarity` says
    if has_tail or windows.weight > n_subjects + 0.5:
        n_subjects = max(1.0, windows.weight)
    return {
        "count": tally.windows,
        "fill": (tally.of_documents + tally.specials) / max(1, tally.written),
        "split_documents": int(np.count_nonzero(subject & (windows.appearances > 1))),
        "cuts": int(np.maximum(windows.appearances[subject] - 1, 0).sum()),
        "long_documents": int(np.count_nonzero((whole > layout.capacity) & (windows.appearances > 0))),
        "mean_similarity": windows.weighted / n_subjects,
        "below_least_fill": windows.below,
    }


def check_stats(run: Run, figures: Mapping[str, Any], found: Breaches) -> None:
    """``stats.json`` says what the files give; `figures` are those of the windows."""
    if run.manifests["windows"].format < COUNTED_FORMAT:
        figures = {name: value for name, value in figures.items() if name not in ("cuts", "long_documents")}
    if "below_least_fill" not in run.manifests["windows"].facts and not run.config.pack.least_fill:
        figures = {name: value for name, value in figures.items() if name != "below_least_fill"}
    stated = _flat_json(records.read_mapping(run.folder / names.STATS, what="figures of the run"))
    pack = f"packs.{run.pack}."
    made: dict[str, Any] = {f"documents.{name}": value for name, value in _document_figures(run).items()}
    made["graph.conflicts"] = len(run.array("graph", names.CONFLICTS, ndim=2))
    made["graph.edges"] = run.array("graph", names.INDICES).size // 2
    made |= {f"{pack}windows.{name}": value for name, value in figures.items()}
    counts = run.manifests["shards"].counts
    made |= {f"{pack}tokens.{name}": counts.get(name, 0) for name in ("documents_in", "specials", "padding", "written")}
    made |= {f"seconds.{step}": run.manifests[step].seconds for step in names.BUILD_STEPS}
    made |= {f"{pack}seconds.{step}": run.manifests[step].seconds for step in names.PACK_FOLDERS}
    for name, value in made.items():
        _compare(f"{names.STATS}, {name}", stated.get(name), value, found)
    for name, value in figures.items():
        _compare(f"windows manifest, {name}", run.manifests["windows"].facts.get(name), value, found)


def _document_figures(run: Run) -> dict[str, int]:
    """Counts of documents, from the files themselves."""
    kinds = [
        kind
        for name in run.names("dedup", names.DUPLICATES)
        for kind in read_columns(run.path("dedup", name), ("kind",)).column(0).to_pylist()
    ]
    semantic = [
        integers(read_columns(run.path("graph", name), ("doc",)), "doc").size
        for name in run.names("graph", names.DUPLICATES)
    ]
    refused = [parquet_rows(run.path("documents", name)) for name in run.names("documents", names.REJECTED_ROWS)]
    held = sum(parquet_rows(run.path("documents", name)) for name in run.names("documents", names.HOLDOUT))
    figures = {"held_out": held} if run.config.holds_apart else {}
    nodes, n_gone = run.array("graph", names.NODES), 0
    if "removed" in run.manifests["graph"].counts:
        n_gone = int(among(nodes, removed_docs(run.folders["documents"])).sum())
        figures["removed"] = n_gone
    near = run.names("graph", names.NEAR_HELD)
    if near:
        figures["near_held"] = sum(parquet_rows(run.path("graph", name)) for name in near)
    return figures | {
        "read": int(run.doc_bounds()[-1]) + sum(refused) + held,
        "rejected": sum(refused),
        "exact_duplicates": kinds.count("exact"),
        "near_duplicates": kinds.count("near"),
        **({"imported_duplicates": kinds.count("imported")} if "imported" in kinds else {}),
        "semantic_duplicates": sum(semantic),
        "kept": int(nodes.size) - n_gone,
    }


def _flat_json(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for key, value in tree.items():
        rows |= _flat_json(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return rows
