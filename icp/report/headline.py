"""The figures at the head of a report: large ones as cards, all others as rows of tables.

In: manifests. Out: plain values; what is not known yet is left out.
"""

from collections.abc import Mapping
from typing import Any

from icp.plurals import counted
from icp.report.corpus import FATES, Corpus
from icp.report.opening import Partly
from icp.run.names import STEPS


def cards(partly: Partly, corpus: Corpus | None) -> list[dict[str, str]]:
    """Large figures: name, value, and a line below."""
    found = _document_cards(partly, corpus) if corpus is not None else []
    facts, counts = _facts(partly, "windows"), _counts(partly, "shards")
    if corpus is not None and corpus.n_tokens.size:
        mean = int(corpus.n_tokens.sum()) / max(1, corpus.n_tokens.size)
        found.append(_card("tokens", short(int(corpus.n_tokens.sum())), f"{mean:,.0f} a document on average"))
    if facts.get("count"):
        found.append(_card("windows", f"{facts['count']:,}", f"of {facts['seq_len']:,} tokens"))
        written = counts.get("written", 0)
        padding = f"; {counts.get('padding', 0) / written:.2%} padding" if written else ""
        least = _least_fill(corpus)
        found.append(_card("fill", f"{facts['fill']:.2%}", f"least {least}{padding}"))
        found.append(_similarity_card(facts))
        share = facts["split_documents"] / max(1, corpus.nodes.size if corpus is not None else 1)
        found.append(_card("documents cut", f"{facts['split_documents']:,}", f"{share:.1%} of those kept"))
    return found


def _document_cards(partly: Partly, corpus: Corpus) -> list[dict[str, str]]:
    counts = _counts(partly, "documents")
    rejected, held = counts.get("rejected", 0), counts.get("held_out", 0)
    told = f"{rejected:,} of them refused" + (f", {held:,} held out" if held else "")
    found = [_card("documents in", f"{corpus.n_docs + rejected + held:,}", told)]
    if partly.has("dedup"):
        n_removed = int((corpus.fate > 0).sum())
        kinds = {name: int((corpus.fate == at).sum()) for at, name in enumerate(FATES)}
        told = ", ".join(f"{kinds[name]:,} {name}" for name in FATES[1:] if kinds[name])
        found.append(_card("duplicates removed", f"{n_removed:,}", told or "no copies found"))
        others = _counts(partly, "graph")
        left_out = {"near to held-out ones": others.get("near_held", 0), "on request": others.get("removed", 0)}
        n_kept = corpus.n_docs - n_removed - sum(left_out.values())
        told = "".join(f"; {n:,} left out, {why}" for why, n in left_out.items() if n)
        found.append(_card("documents kept", f"{n_kept:,}", _how_often(partly) + told))
    return found


def _how_often(partly: Partly) -> str:
    """How often each kept document stands in the windows of the pack."""
    pack = partly.run.config.pack
    told = f"each stands once in each of {pack.epochs} passes" if pack.epochs > 1 else "each stands in the windows once"
    if pack.documents == "new":
        told += f"; those before stand in the shards of {partly.run.config.extends}"
    if pack.sources:
        told += "; of sources as often as asked"
    left_out = _counts(partly, "shards").get("left_out_documents", 0)
    return told + (f"; {left_out:,} are left out" if left_out else "")


def _similarity_card(facts: Mapping[str, Any]) -> dict[str, str]:
    mean, random = facts["mean_similarity"], facts["random_mean_similarity"]
    paper = facts["algorithm1_mean_similarity"]
    gain = f"{mean / paper:.2f}x the paper's {paper:.3f}, " if paper > 0 else ""
    return _card("similarity in a window", f"{mean:.3f}", f"{gain}random windows {max(0.0, random):.3f}")


def tables(partly: Partly, bits: tuple[float, float] | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titles, and rows of name and value."""
    found = [("Graph", _graph_rows(partly)), ("Windows", _window_rows(partly, bits)), ("Order", _order_rows(partly))]
    return [(title, rows) for title, rows in found if rows]


def _graph_rows(partly: Partly) -> list[tuple[str, str]]:
    searched, graph, counts = _facts(partly, "neighbors"), _facts(partly, "graph"), _counts(partly, "graph")
    rows = []
    if searched.get("recall") is not None:
        interval = ""
        if searched.get("recall_low") is not None:
            interval = f", {searched['recall_low']:.3f} to {searched['recall_high']:.3f} with 95% confidence"
        rows.append(("recall of the search", f"{searched['recall']:.3f}{interval} ({searched.get('method')})"))
    if graph:
        rows += [
            ("links", f"{counts.get('edges', 0):,}, {graph.get('degree_mean', 0):.1f} a document"),
            ("links weaker than this are left out", f"{graph.get('min_similarity', 0):.3f}"),
            ("99% of random pairs are weaker than", f"{graph.get('random_p99', 0):.3f}"),
            ("documents without a link", f"{counts.get('isolated', 0):,}"),
            ("components", f"{graph.get('components', 0):,}, the largest of {graph.get('largest_component', 0):,}"),
            ("look-alikes kept apart", f"{counted(counts.get('conflicts', 0), 'pair')}"),
        ]
    return rows


def _window_rows(partly: Partly, bits: tuple[float, float] | None) -> list[tuple[str, str]]:
    facts = _facts(partly, "windows")
    if not facts.get("count"):
        return []
    rows = [
        ("mean similarity in a window", f"{facts['mean_similarity']:.4f}"),
        ("... our path, cut as the paper does", _figure(facts, "path_cut_mean_similarity")),
        ("... the paper's method", _figure(facts, "algorithm1_mean_similarity")),
        ("... random windows", _figure(facts, "random_mean_similarity")),
        ("documents cut", f"{facts['split_documents']:,}"),
        ("look-alikes that share a window", f"{facts.get('conflicts_broken', 0):,}"),
        ("windows of random documents", f"{facts.get('random_windows', 0):,}"),
    ]
    if "near_copy_windows" in facts:
        rows.append(("windows with two documents of Jaccard .6 or more", f"{facts['near_copy_windows']:,}"))
    if "below_least_fill" in facts:
        rows.append(("windows under pack.least_fill", f"{facts['below_least_fill']:,}"))
    if bits is not None:
        rows.append(
            ("bits a byte that a window's context saves deflate", f"{bits[0]:.3f} ({bits[1]:.3f} in shuffled windows)")
        )
    return rows


def _order_rows(partly: Partly) -> list[tuple[str, str]]:
    facts = _facts(partly, "order")
    if not facts:
        return []
    rows = [("method", f"{facts.get('method')}"), ("similarity along the path", _figure(facts, "similarity", 1))]
    if facts.get("certificate") is not None:
        rows.append(("at least this share of the best path", f"{facts['certificate']:.1%} (by degrees)"))
    if facts.get("dual_certificate") is not None:
        rows.append(("... by the tighter bound", f"{facts['dual_certificate']:.1%}"))
    return rows


def costs(partly: Partly) -> list[dict[str, Any]]:
    """Seconds, processor seconds and MiB of each finished step, in their order."""
    return [
        {
            "step": step,
            "seconds": manifest.seconds,
            "cpu": round(sum(cost["cpu_seconds"] for cost in manifest.costs.values()), 1),
            "mib": manifest.peak_rss_mib,
        }
        for step in STEPS
        if (manifest := partly.run.manifests.get(step)) is not None
    ]


def short(n: int) -> str:
    """A large number with its unit: 45.2 M."""
    for worth, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if n >= worth:
            return f"{n / worth:,.1f} {unit}"
    return f"{n:,}"


def _least_fill(corpus: Corpus | None) -> str:
    if corpus is None or not corpus.windows:
        return "unknown"
    stride = corpus.run.config.pack.row_tokens
    return f"{1 - float(corpus.windows['n_pad'].max()) / stride:.1%}"


def _card(name: str, value: str, below: str) -> dict[str, str]:
    return {"name": name, "value": value, "below": below}


def _figure(facts: Mapping[str, Any], name: str, digits: int = 4) -> str:
    value = facts.get(name)
    return "unknown" if value is None else f"{value:,.{digits}f}"


def _facts(partly: Partly, step: str) -> Mapping[str, Any]:
    manifest = partly.run.manifests.get(step)
    return manifest.facts if manifest is not None else {}


def _counts(partly: Partly, step: str) -> Mapping[str, int]:
    manifest = partly.run.manifests.get(step)
    return manifest.counts if manifest is not None else {}
