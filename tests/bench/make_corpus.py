"""A corpus of any size out of real paragraphs: ``python tests/bench/make_corpus.py DATA OUT --docs 100000``.

DATA is the folder of development corpora (``../shared/data``). Their distinct paragraphs, joined or cut to some 300 to
700 characters, are laid out topic by topic and document by document; a made document is three of them from nearby. No
two share more than one paragraph (eighteen distances between paragraphs, no two alike), so none is a near-duplicate of
another but those planted: a share of the documents repeats another one, a fifth of them word for word, the others with
one to three words left out. Column ``copy_of`` names what a row repeats. The same options give the same bytes.

Rows go to ``OUT/part-*.parquet`` as they are made: memory holds the paragraphs and a permutation, not the corpus.
"""

import argparse
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CORPORA = ("linked-docs", "arxiv-abstracts", "versioned-docs", "quickstart")
LEAST, MOST = 300, 700
"""Characters of a paragraph as it is used."""
ROUNDS = ((1, 3), (4, 9), (6, 13), (8, 18), (11, 23), (14, 29))
"""Distances from a document's first paragraph to its second and third."""
DOCS_PER_PARAGRAPH = 4.0
"""Held at every size, so that documents are as alike in a small corpus as in a large one."""
EXACT = 0.2
"""Share of the planted duplicates that repeat every word."""
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("source", pa.string()), ("copy_of", pa.string())])
GROUP = 5000


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a document is made of.

    Attributes:
        paragraphs: texts, those of one source document side by side.
        sources: corpus of each.
        n_docs, n_distinct: documents in all; those that repeat no other.
        seed: of everything drawn.
    """

    paragraphs: list[str]
    sources: list[str]
    n_docs: int
    n_distinct: int
    seed: int


def paragraphs_of(text: str) -> Iterator[str]:
    """Paragraphs joined until they have `LEAST` characters, cut between words where they have more than `MOST`."""
    held = ""
    for block in re.split(r"\n\s*\n", text):
        held = f"{held}\n\n{block.strip()}" if held else block.strip()
        while len(held) > MOST:
            at = held.rfind(" ", LEAST, MOST)
            at = MOST if at < 0 else at
            yield held[:at]
            held = held[at:].strip()
        if len(held) >= LEAST:
            yield held
            held = ""


def read_paragraphs(data: Path, wanted: int) -> tuple[list[str], list[str]]:
    """`wanted` distinct paragraphs of source documents taken by the hash of their id, those of a topic side by side."""
    rows = []
    for name in CORPORA:
        columns = pq.read_table(data / f"{name}.parquet", columns=["id", "text", "topics"]).to_pydict()
        for key, text, topics in zip(*columns.values(), strict=True):
            topic = (name, *(topics or ())[:1])
            rows.append((hashlib.sha256(f"{name}/{key}".encode()).digest(), topic, text))
    seen: set[bytes] = set()
    chosen: list[tuple[tuple[str, ...], str]] = []
    for _, topic, text in sorted(rows):
        for paragraph in paragraphs_of(text):
            key = hashlib.blake2b(" ".join(re.findall(r"\w+", paragraph.lower())).encode(), digest_size=12).digest()
            if key not in seen:
                seen.add(key)
                chosen.append((topic, paragraph))
        if len(chosen) >= wanted:
            break
    chosen = sorted(chosen[:wanted], key=lambda row: row[0])  # stable: a document's paragraphs stay together
    return [paragraph for _, paragraph in chosen], [topic[0] for topic, _ in chosen]


def make_corpus(data: Path, *, n_docs: int, duplicates: float, seed: int) -> Corpus:
    """Paragraphs for `n_docs` documents, of which a share `duplicates` repeats another."""
    n_distinct = n_docs - round(n_docs * duplicates)
    paragraphs, sources = read_paragraphs(data, int(np.ceil(n_distinct / DOCS_PER_PARAGRAPH)) + ROUNDS[-1][-1] + 8)
    most = len(paragraphs) * len(ROUNDS)
    if n_distinct > most:
        raise SystemExit(f"{data}: {len(paragraphs):,} paragraphs make {most:,} documents at most; ask for fewer")
    return Corpus(paragraphs, sources, n_docs, n_distinct, seed)


def distinct_document(corpus: Corpus, number: int) -> tuple[str, str]:
    """Text and source of one of the documents that repeat no other."""
    round_, first = divmod(number, len(corpus.paragraphs))
    chosen = [first, *((first + step) % len(corpus.paragraphs) for step in ROUNDS[round_])]
    return "\n\n".join(corpus.paragraphs[at] for at in chosen), corpus.sources[first]


def document(corpus: Corpus, number: int) -> tuple[str, str, str | None]:
    """Text, source, and the id of what it repeats, of any document."""
    if number < corpus.n_distinct:
        return (*distinct_document(corpus, number), None)
    rng = np.random.default_rng((corpus.seed, number))
    original = int(rng.integers(corpus.n_distinct))
    text, source = distinct_document(corpus, original)
    if rng.random() >= EXACT:
        words = list(re.finditer(r"\w+", text))
        for at in sorted(rng.choice(len(words), int(rng.integers(1, 4)), replace=False).tolist(), reverse=True):
            text = text[: words[at].start()] + text[words[at].end() :]
    return text, source, f"d{original}"


def write_corpus(corpus: Corpus, out: Path, *, docs_per_file: int) -> None:
    """All documents, in an order that says nothing, into ``OUT/part-*.parquet``."""
    out.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(corpus.seed).permutation(corpus.n_docs)
    for part, begin in enumerate(range(0, corpus.n_docs, docs_per_file)):
        with pq.ParquetWriter(out / f"part-{part:05}.parquet", SCHEMA, compression="zstd") as writer:
            stop = min(begin + docs_per_file, corpus.n_docs)
            for first in range(begin, stop, GROUP):
                mine = numbers[first : min(first + GROUP, stop)].tolist()
                texts, sources, copies = zip(*(document(corpus, number) for number in mine), strict=True)
                writer.write_table(pa.table([[f"d{number}" for number in mine], texts, sources, copies], SCHEMA))


def main() -> None:
    """Write a corpus and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--docs", type=int, required=True)
    parser.add_argument("--duplicates", type=float, default=0.05, help="share of documents that repeat another")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs-per-file", type=int, default=100_000)
    options = parser.parse_args()
    corpus = make_corpus(options.data, n_docs=options.docs, duplicates=options.duplicates, seed=options.seed)
    write_corpus(corpus, options.out, docs_per_file=options.docs_per_file)
    print(
        f"{options.out}: {corpus.n_docs:,} documents of {len(corpus.paragraphs):,} paragraphs, "
        f"{corpus.n_docs - corpus.n_distinct:,} of them repeat another"
    )


if __name__ == "__main__":
    main()
