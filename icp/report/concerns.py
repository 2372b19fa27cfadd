"""What somebody should look at before training on a run, in words, the gravest first.

In: manifests, a `Corpus`, the windows shown. Out: `Concern`s.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from icp.report.corpus import Corpus
from icp.report.opening import Partly
from icp.report.viewer import Viewer
from icp.run.names import REJECTED_ROWS
from icp.run.reader import read_columns

GRAVE, NOTABLE, NOTE = 3, 2, 1
WORDS = {GRAVE: "look at this first", NOTABLE: "worth a look", NOTE: "good to know"}
MOST_PADDING, MOST_ALONE, MOST_REJECTED = 0.02, 0.1, 0.001
FEWEST_CHARS = 2.5
"""Characters a token below which a tokenizer takes most texts apart."""
TEMPLATE_SHARE, TEMPLATE_WORDS = 0.3, 5
HUB_SHARE = 0.2
FEW_WINDOWS = 100


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing to look at: `weight` is `GRAVE`, `NOTABLE` or `NOTE`."""

    weight: int
    title: str
    text: str


def concerns(partly: Partly, corpus: Corpus | None, viewer: Viewer | None) -> list[Concern]:
    """All concerns, by weight."""
    found = [*_of_manifests(partly)]
    if corpus is not None:
        found += [*_of_documents(partly, corpus), *_of_windows(partly, corpus)]
    if viewer is not None:
        found += _of_texts(partly, viewer)
    return sorted(found, key=lambda concern: -concern.weight)


def _of_manifests(partly: Partly) -> Iterator[Concern]:
    for step, manifest in partly.run.manifests.items():
        for parts in manifest.info.values():
            for info in parts.values():
                for line in info.get("warnings", ()) if isinstance(info.get("warnings", ()), list) else ():
                    yield Concern(NOTABLE, f"Step {step} warned", str(line))
    searched, graph = partly.run.manifests.get("neighbors"), partly.run.manifests.get("graph")
    if searched is not None and searched.facts.get("target_missed"):
        wanted = partly.run.config.graph.target_recall
        text = (
            f"The search found {searched.facts['recall']:.1%} of the true neighbours; graph.target_recall is "
            f"{wanted:.0%}. Windows are less related than they could be."
        )
        yield Concern(GRAVE, "The search for neighbours missed its target", text)
    if graph is not None and graph.facts.get("hub_share", 0) > HUB_SHARE:
        text = (
            f"{graph.facts['hub_share']:.0%} of all links lead to the 1% of documents with most of them. Look "
            "at what the hubs below say; graph.max_degree limits them."
        )
        yield Concern(NOTABLE, "A few documents are like everything", text)


def _of_documents(partly: Partly, corpus: Corpus) -> Iterator[Concern]:
    manifest = partly.run.manifests["documents"]
    rejected = manifest.counts.get("rejected", 0)
    if rejected:
        reasons = partly.attempt("refused rows", lambda: _reasons(partly)) or []
        share = rejected / max(1, rejected + corpus.n_docs)
        told = "; ".join(f"{count:,} {reason}" for reason, count in reasons)
        text = f"{rejected:,} rows were refused: {told or 'reasons cannot be read'}. They lie in documents/rejected."
        yield Concern(NOTABLE if share > MOST_REJECTED else NOTE, "Some rows could not be used", text)


def _reasons(partly: Partly) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for path in partly.run.paths("documents", REJECTED_ROWS):
        for reason in read_columns(path, ("reason",)).column(0).to_pylist():
            counts[str(reason).partition(":")[0][:120]] += 1
    return counts.most_common(8)


def _of_windows(partly: Partly, corpus: Corpus) -> Iterator[Concern]:
    if not corpus.windows or not corpus.windows["n_docs"].size:
        return
    limit, windows = partly.run.config.graph.duplicate_similarity, corpus.windows
    n_windows = windows["n_docs"].size
    copies = int(((windows["max_pair_similarity"] >= limit) & (windows["n_docs"] > 1)).sum())
    if copies:
        share = copies / n_windows
        text = (
            f"{copies:,} windows ({share:.1%}) hold two documents alike at {limit:g} or more: in one context "
            "the model copies one from the other. See them by sorting for the most coherent windows; "
            "graph.max_similarity or a lower dedup.threshold parts them."
        )
        yield Concern(GRAVE if share > 0.01 else NOTABLE, "Near-copies share a window", text)
    alone = int(corpus.alone.sum())
    share = alone / max(1, corpus.nodes.size)
    if share > MOST_ALONE:
        text = (
            f"{alone:,} of {corpus.nodes.size:,} documents ({share:.0%}) have a window to themselves: they "
            "are as long as a window, or longer. For them this pack does nothing; a larger pack.seq_len "
            "gives them company."
        )
        yield Concern(NOTABLE, "Documents are alone in their window", text)
    padding = float(windows["n_pad"].sum()) / (n_windows * partly.run.config.pack.row_tokens)
    if padding > MOST_PADDING:
        text = (
            f"{padding:.1%} of all tokens are padding. pack.tail: repeat leaves none, a higher pack.min_fill leaves "
            "less."
        )
        yield Concern(GRAVE if padding > 0.2 else NOTABLE, "Tokens are lost to padding", text)
    if n_windows < FEW_WINDOWS:
        text = f"There are {n_windows:,} windows: figures of so few say little."
        yield Concern(NOTE, "This is a small pack", text)


def _of_texts(partly: Partly, viewer: Viewer) -> Iterator[Concern]:
    n_tokens = sum(piece["to"] - piece["from"] for window in viewer.windows for piece in window["pieces"])
    n_chars = sum(len(text) for text in viewer.texts.values())
    if n_tokens and n_chars / n_tokens < FEWEST_CHARS and partly.run.config.tokenizer.name != "bytes":
        text = (
            f"A token stands for {n_chars / n_tokens:.2f} characters in the windows shown; 4 is usual for "
            "English. The tokenizer was made for other text."
        )
        yield Concern(NOTABLE, "The tokenizer takes these texts apart", text)
    templates = [window["window"] for window in viewer.windows if _is_template(viewer, window)]
    if templates:
        shown = ", ".join(str(window) for window in templates[:8])
        text = (
            f"In {len(templates):,} of the {len(viewer.windows):,} windows shown "
            f"({shown}{', ...' if len(templates) > 8 else ''}) a third of the words or more is the same in "
            "most documents: boilerplate, a form, a licence. The model learns the template."
        )
        yield Concern(NOTABLE, "Windows are of one template", text)


def _is_template(viewer: Viewer, window: dict[str, Any]) -> bool:
    """Whether much of a window's text are word sequences that most of its documents have."""
    texts = [viewer.texts[key] for key in viewer.texts if key[0] == window["window"]]
    if len(texts) < 3:
        return False
    shingles = [_shingles(text) for text in texts]
    seen: Counter[tuple[str, ...]] = Counter(shingle for one in shingles for shingle in one)
    common = {shingle for shingle, n in seen.items() if n > len(texts) / 2}
    shares = [len(one & common) / len(one) for one in shingles if one]
    return bool(shares) and float(np.mean(shares)) > TEMPLATE_SHARE


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + TEMPLATE_WORDS]) for at in range(len(words) - TEMPLATE_WORDS + 1)}
