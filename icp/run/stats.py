"""The figures of a run, folded from its manifests into ``RUN/stats.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icp.plurals import counted
from icp.run import records
from icp.run.names import BUILD_STEPS, PACK_FOLDERS, PACKS, STATS, pack_folder, subfolders
from icp.run.records import Manifest
from icp.run.seals import sealed
from icp.run.storage import push_small

COSTS = ("seconds", "peak_rss_mib", "cpu_seconds")


def write_stats(run: Path) -> dict[str, Any]:
    """Fold the manifests of the finished steps into ``RUN/stats.json``, and return what it holds."""
    found = {name: records.read_manifest(run / name, check_sizes=False) for name in BUILD_STEPS}
    done = {name: manifest for name, manifest in found.items() if manifest}
    stats: dict[str, Any] = {"documents": _document_figures(done), "steps": list(done)}
    if "graph" in done:
        stats["graph"] = _graph_figures(done)
    packs = {path.name: _pack_figures(run, path.name) for path in subfolders(run, PACKS)}
    stats["packs"] = {name: figures for name, figures in packs.items() if figures}
    stats["seconds"] = {name: manifest.seconds for name, manifest in done.items()}
    stats["peak_rss_mib"] = {name: manifest.peak_rss_mib for name, manifest in done.items()}
    stats["cpu_seconds"] = {name: _cpu_seconds(manifest) for name, manifest in done.items()}
    for figures in stats["packs"].values():
        for key in COSTS:
            stats[key] = {**stats[key], **figures[key]}
    records.write_json(run / STATS, sealed(stats))
    push_small(run, STATS)
    return stats


def _document_figures(done: Mapping[str, Manifest]) -> dict[str, int]:
    counts = {key: value for manifest in done.values() for key, value in manifest.counts.items()}
    names = ("read", "rejected", "exact_duplicates", "near_duplicates", "semantic_duplicates")
    figures = {name: counts.get(name, 0) for name in names}
    if counts.get("imported_duplicates"):
        figures["imported_duplicates"] = counts["imported_duplicates"]
    figures |= {name: counts[name] for name in ("held_out", "near_held") if name in counts}
    if "graph" in done and "removed" in done["graph"].counts:  # copies of them are counted as duplicates
        figures["removed"] = counts["removed"]
    out = sum(figures.values()) - figures["read"]
    return {**figures, "kept": figures["read"] - out}


def _graph_figures(done: Mapping[str, Manifest]) -> dict[str, Any]:
    facts = {**done["neighbors"].facts, **done["graph"].facts}
    config = done["graph"].basis.get("config", {})
    names = ("method", "recall", "recall_low", "recall_high", "target_missed", "random_p99", "min_similarity")
    shape = ("degree_mean", "degree_max", "degree", "hub_share", "components", "largest_component", "edge_similarity")
    counts, searched = done["graph"].counts, done["neighbors"].counts
    of_links = ("edges_of_similarity", "edges_of_links", "links_left_out", "links_beyond_k") if "links" in facts else ()
    return {
        "k": config.get("graph.k"),
        **{name: facts.get(name) for name in (*names, *shape)},
        "edges": counts.get("edges", 0),
        "isolated": counts.get("isolated", 0),
        "conflicts": counts.get("conflicts", 0),
        "below_min_similarity": counts.get("below_min_similarity", 0),
        "cut_at_hubs": counts.get("cut_at_hubs", 0),
        "vector_bytes_read": searched.get("vector_bytes_read", 0),
        "exchanged_bytes": searched.get("exchanged_bytes", 0) + counts.get("exchanged_bytes", 0),
        **{name: counts.get(name, 0) for name in of_links},
        **({"links": facts["links"]} if of_links else {}),
    }


def _pack_figures(run: Path, pack: str) -> dict[str, Any]:
    found = {step: records.read_manifest(run / pack_folder(pack, step), check_sizes=False) for step in PACK_FOLDERS}
    done = {step: manifest for step, manifest in found.items() if manifest}
    if len(done) < len(found):  # removed to be made again, perhaps, when the command was killed
        return {}
    tokens = {name: done["shards"].counts.get(name, 0) for name in ("documents_in", "specials", "padding", "repeated")}
    tokens |= {name: n for name, n in done["windows"].counts.items() if name.startswith("left_out")}
    made = records.read_manifest(run / done["shards"].facts["tokens"], check_sizes=False)
    done |= {"tokens": made} if made else {}
    return {
        "order": done["order"].facts,
        "windows": done["windows"].facts,
        "shards": {name: done["shards"].facts.get(name) for name in ("tokenizer_sha256", "dtype", "stride")},
        "tokens": {**tokens, "written": done["shards"].counts.get("written", 0)},
        "seconds": {step: manifest.seconds for step, manifest in done.items()},
        "peak_rss_mib": {step: manifest.peak_rss_mib for step, manifest in done.items()},
        "cpu_seconds": {step: _cpu_seconds(manifest) for step, manifest in done.items()},
    }


def _cpu_seconds(manifest: Manifest) -> float:
    return round(sum(cost["cpu_seconds"] for cost in manifest.costs.values()), 3)


def read_stats(run: Path) -> dict[str, Any]:
    """The figures of a run; raises ArtifactError if there are none yet."""
    return records.read_mapping(run / STATS, what="figures of the run")


def summary(stats: Mapping[str, Any], run: Path, pack: str | None) -> list[str]:
    """The figures that a command prints when it ends, a line each."""
    documents = stats["documents"]
    n_imported = documents.get("imported_duplicates", 0)
    removed = sum(documents[f"{kind}_duplicates"] for kind in ("exact", "near", "semantic")) + n_imported
    held = f", {documents['held_out']:,} held out" if "held_out" in documents else ""
    lines = [f"documents   {documents['read']:,} read, {documents['rejected']:,} rejected{held}"]
    if "dedup" in stats.get("steps", BUILD_STEPS):
        semantic = f", {documents['semantic_duplicates']:,} semantic" if "graph" in stats else ""
        semantic += f", {n_imported:,} imported" if n_imported else ""
        lines[0] += (
            f", {counted(removed, 'duplicate')} removed ({documents['exact_duplicates']:,} exact, "
            f"{documents['near_duplicates']:,} near{semantic})"
            + (f", {documents['near_held']:,} near to held-out ones" if "near_held" in documents else "")
            + f", {documents['kept']:,} kept"
        )
    if graph := stats.get("graph"):
        recall = f", recall {graph['recall']:.3f}" if graph["recall"] is not None else ""
        if graph.get("target_missed"):
            recall += " (misses graph.target_recall)"
        lines.append(f"graph       {graph['edges']:,} edges, k = {graph['k']}, {graph['method']}{recall}")
        if links := graph.get("links"):
            of = [
                f"{graph['edges_of_similarity']:,} similarity",
                *(f"{entry['edges']:,} {entry['of']}" for entry in links),
            ]
            lines.append(f"            edges of {', '.join(of)}; one may be of several")
    if pack and (figures := stats["packs"].get(pack)):
        lines += _pack_summary(figures, run / pack_folder(pack, "shards"))
    return lines


def _cuts(windows: Mapping[str, Any]) -> str:
    """How often documents are cut, and how many are longer than a window; older packs do not know."""
    if "cuts" not in windows:
        return ""
    longer = f", {windows['long_documents']:,} longer than a window" if windows["long_documents"] else ""
    return f" by {counted(windows['cuts'], 'cut')}{longer}"


def _passes(windows: Mapping[str, Any]) -> str:
    """How many passes there are, and how many neighbours met again."""
    if "passes" not in windows:
        return ""
    again = ", ".join(f"{share:.0%}" for share in windows["met_again"])
    return f", in {len(windows['passes']) - 1} passes ({again} of the neighbours in one window had met)"


def _near_copies(windows: Mapping[str, Any]) -> list[str]:
    """How many windows hold near-copies, where the words of neighbours are compared."""
    if "near_copy_windows" not in windows:
        return []
    n_pairs = counted(windows["near_copies"], "pair")
    return [
        f"near-copies {n_pairs} of a Jaccard of .6 or more; {counted(windows['near_copy_windows'], 'window')} hold one"
    ]


def _below(windows: Mapping[str, Any]) -> str:
    """How many windows are under `pack.least_fill`."""
    return f", {windows['below_least_fill']:,} under pack.least_fill" if windows.get("below_least_fill") else ""


def _pack_summary(figures: Mapping[str, Any], shards: Path) -> list[str]:
    tokens, windows = figures["tokens"], figures["windows"]
    return [
        f"tokens      {tokens['documents_in']:,} of documents{_repeated(tokens)} + {tokens['specials']:,} specials "
        f"+ {tokens['padding']:,} padding = {tokens['written']:,} written{_left_out(tokens)}",
        f"windows     {windows['count']:,} of {windows['seq_len']:,} tokens, fill {windows['fill']:.4f}, "
        f"{counted(windows['split_documents'], 'document')} split"
        + _cuts(windows)
        + _below(windows)
        + _passes(windows),
        *_near_copies(windows),
        f"similarity  {windows['mean_similarity']:.4f} inside a window (random windows "
        f"{windows['random_mean_similarity']:.4f}, the paper's {windows['algorithm1_mean_similarity']:.4f})",
        f"shards      {shards}",
    ]


def _repeated(tokens: Mapping[str, int]) -> str:
    return f" + {tokens['repeated']:,} repeated" if tokens.get("repeated") else ""


def _left_out(tokens: Mapping[str, int]) -> str:
    """What `pack.tail` dropped."""
    if not tokens.get("left_out"):
        return ""
    return f"; {tokens['left_out']:,} of {counted(tokens['left_out_documents'], 'document')} left out"


def step_summary(manifest: Manifest) -> str:
    """What a step gave, in a few figures."""
    counts, facts = manifest.counts, manifest.facts
    n = {name: f"{count:,}" for name, count in counts.items()}
    none = "0"
    told = {
        "documents": f"{n.get('documents', none)} read, {n.get('rejected', none)} rejected"
        + (f", {n['held_out']} held out" if "held_out" in n else ""),
        "dedup": f"{n.get('exact_duplicates', none)} exact and {n.get('near_duplicates', none)} near copies removed"
        + (f", {n['imported_duplicates']} more by dedup.import" if "imported_duplicates" in n else "")
        + (f", {n['imported_unknown']} of whose ids stand in no document" if counts.get("imported_unknown") else ""),
        "embeddings": f"{n.get('rows', none)} vectors of {facts.get('dim')} dimensions, {facts.get('model')}",
        "neighbors": f"{facts.get('method')}"
        + _recall(facts)
        + (f", {n['imported_unknown']} neighbours of unknown ids" if counts.get("imported_unknown") else ""),
        "graph": f"{counted(counts.get('edges', 0), 'edge')} of {counted(counts.get('nodes', 0), 'document')}, "
        f"{counted(counts.get('semantic_duplicates', 0), 'semantic duplicate')} removed"
        + (f", {n['near_held']} near to held-out documents left out" if "near_held" in n else ""),
        "tokens": f"{n.get('tokens', none)} tokens"
        + (f"; {n['imported_missing']} documents are not in tokenizer.import" if "imported_missing" in n else ""),
        "order": f"similarity {facts.get('similarity', 0.0):,.1f} along the path",
        "windows": f"{facts.get('count', 0):,} of {facts.get('seq_len', 0):,} tokens, "
        f"similarity {facts.get('mean_similarity', 0.0):.4f}",
        "shards": f"{n.get('written', none)} tokens written",
    }
    return told.get(manifest.step, "done")


def _recall(facts: Mapping[str, Any]) -> str:
    return "" if facts.get("recall") is None else f", recall {facts['recall']:.3f}"
