"""Figures by source, by language, and by the registered domain of documents' addresses.

In: a `Corpus`. Out: tables, largest first, as plain values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.plurals import counted
from icp.report.corpus import ADDRESSES, LANGUAGES, Corpus, Labels

SHOWN_ROWS = 60
SHOWN_DOMAINS = 500
NO_VALUE = "(none)"
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>\[[^\]]*\]|[^/?#:]+)"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of groups of documents.

    Attributes:
        title: of what.
        rows: name, documents, removed, tokens, similarity of the windows they stand in (None: no pack), alone.
        n_groups: all there are; `rows` are the largest.
        note: a sentence on what is shown, or empty.
    """

    title: str
    rows: list[dict[str, Any]]
    n_groups: int
    note: str = ""


def tables_of(corpus: Corpus) -> list[Table]:
    """A table by source, and by language and domain where the documents carry them."""
    found = [table(corpus, "source", corpus.labels("source"))]
    language = corpus.field_named(LANGUAGES)
    if language is not None:
        found.append(table(corpus, f"language ({language})", corpus.labels(language)))
    address = corpus.field_named(ADDRESSES)
    if address is not None:
        found.append(top_tenth(table(corpus, f"domain ({address})", domains(corpus.labels(address)), most=None)))
    return [one for one in found if one.n_groups > 1 or (one.rows and one.rows[0]["name"] != NO_VALUE)]


def table(corpus: Corpus, title: str, labels: Labels, *, most: int | None = SHOWN_ROWS) -> Table:
    """A row for each value of a column, those with most tokens first."""
    n, codes = len(labels.names) + 1, np.where(labels.codes < 0, len(labels.names), labels.codes)
    documents, removed = np.bincount(codes, minlength=n), np.bincount(codes[corpus.fate > 0], minlength=n)
    alone = np.bincount(codes[corpus.alone], minlength=n)
    tokens = np.zeros(n, np.int64)
    if corpus.n_tokens.size:
        tokens += np.bincount(codes[corpus.nodes], weights=corpus.n_tokens, minlength=n).astype(np.int64)
    similarity = _similarity(corpus, codes, n)
    order = np.lexsort((np.arange(n), -documents, -tokens))
    order = order[documents[order] > 0]
    rows = [
        {
            "name": [*labels.names, NO_VALUE][at][:200],
            "documents": int(documents[at]),
            "removed": int(removed[at]),
            "tokens": int(tokens[at]) if corpus.n_tokens.size else None,
            "similarity": similarity[at],
            "alone": int(alone[at]) if corpus.windows else None,
        }
        for at in order[:most].tolist()
    ]
    return Table(title, rows, int(order.size))


def _similarity(corpus: Corpus, codes: NDArray[np.integer], n: int) -> Sequence[float | None]:
    """Mean similarity of the windows that a group's tokens stand in, a token each one vote."""
    if not corpus.places:
        return [None] * n
    places = corpus.places
    size = places["doc_stop"] - places["doc_start"]
    values = np.nan_to_num(corpus.windows["mean_similarity"][places["window"]])
    group = codes[places["doc"]]
    weight = np.bincount(group, weights=size, minlength=n)
    total = np.bincount(group, weights=size * values, minlength=n)
    return [float(t / w) if w else None for t, w in zip(total.tolist(), weight.tolist(), strict=True)]


def domains(addresses: Labels) -> Labels:
    """Registered domains of addresses: ``https://en.wikipedia.org/wiki/Bee`` is of wikipedia.org."""
    from publicsuffixlist import PublicSuffixList

    suffixes = PublicSuffixList(accept_unknown=True)
    hosts = pc.struct_field(pc.extract_regex(pa.array(addresses.names, pa.string()), HOST), "host")
    encoded = hosts.dictionary_encode()
    known: dict[str, int] = {}
    of_host = np.empty(len(encoded.dictionary) + 1, np.int32)
    of_host[-1] = -1
    for at, host in enumerate(encoded.dictionary.to_pylist()):
        name = host.lower().rstrip(".")
        of_host[at] = known.setdefault(suffixes.privatesuffix(name) or name, len(known))
    rows = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    of_address = np.append(of_host[rows], np.int32(-1)).astype(np.int32)
    return Labels(of_address[addresses.codes], list(known))


def top_tenth(whole: Table) -> Table:
    """The tenth of the domains that gave most tokens, as the EU's template for training content asks for."""
    named = [row for row in whole.rows if row["name"] != NO_VALUE]
    n = max(1, -(-len(named) // 10)) if named else 0
    most = max(n, min(len(named), 10))
    note = (
        f"{counted(len(named), 'registered domain')}; the top tenth by tokens: {n:,}, listed first. The EU's template "
        "for the public summary of training content asks model providers for these."
    )
    return Table(whole.title, named[: min(most, SHOWN_DOMAINS)], len(named), note)
