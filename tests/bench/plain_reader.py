"""What a run holds, read by pyarrow and tokenizers alone: no line of icp takes part.

In: the folder of a run. Out: the text of every document as its shards or exports give it back; whether texts share
words, by words of this file's own: form NFKC without characters of category Cf, lower case, ``\\w+``.
"""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

_WORD = re.compile(r"\w+")
_PLAIN = re.compile(r"[\x00-\x7f]*")
SHINGLE = 5


def words(text: str) -> list[str]:
    """The words of a text."""
    if not _PLAIN.fullmatch(text):
        text = "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")
    return _WORD.findall(text.lower())


def ngrams(text: str, n: int) -> set[int]:
    """Hashes of each n words in a row; of all words, if they are fewer."""
    found = words(text)
    return {hash(tuple(found[at : at + n])) for at in range(max(1, len(found) - n + 1))} if found else set()


class Likes:
    """Texts, among which those are found that are like another text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._sets = {name: ngrams(text, SHINGLE) for name, text in texts.items()}
        self._owners = defaultdict(list)
        for name, shingles in self._sets.items():
            for one in shingles:
                self._owners[one].append(name)

    def nearest(self, text: str) -> tuple[str, float, float]:
        """The text that shares most with another: its name, Jaccard similarity, and containment in the smaller."""
        mine = ngrams(text, SHINGLE)
        shared = Counter(name for one in mine for name in self._owners.get(one, ()))
        best = ("", 0.0, 0.0)
        for name, n in shared.items():
            theirs = len(self._sets[name])
            found = (n / (len(mine) + theirs - n), n / min(len(mine), theirs))
            if max(found[0] / 0.5, found[1] / 0.8) > max(best[1] / 0.5, best[2] / 0.8):
                best = (name, *found)
        return best


class Passages:
    """Texts of evaluation sets: n-grams of `n` words, and whole texts of fewer, down to `least`."""

    def __init__(self, texts: Iterable[tuple[str, str]], *, n: int = 13, least: int = 8) -> None:
        self._known: dict[int, dict[int, str]] = {}
        for name, text in texts:
            size = min(n, len(words(text)))
            if size >= least:
                self._known.setdefault(size, {}).update(dict.fromkeys(ngrams(text, size), name))

    def found_in(self, text: str) -> str:
        """The name of a passage that stands in a text; empty if none does."""
        found = words(text)
        for size, known in self._known.items():
            for at in range(len(found) - size + 1):
                name = known.get(hash(tuple(found[at : at + size])))
                if name is not None:
                    return name
        return ""


def documents_in_shards(run: Path, pack: str) -> dict[int, str]:
    """Number and text of each document that stands in the shards of a pack, its pieces joined."""
    folder = run / "packs" / pack / "shards"
    facts = json.loads((folder / "manifest.json").read_text())["facts"]
    tokenizer = Tokenizer.from_file(str(run / facts["tokens"] / "tokenizer.json"))
    pieces: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for path in sorted(folder.glob("shard-*.bin")):
        rows = np.fromfile(path, facts["dtype"]).reshape(-1, facts["stride"])
        table = pq.read_table(folder / "segments" / f"part-{path.stem.removeprefix('shard-')}.parquet")
        for piece in table.to_pylist():
            tokens = rows[piece["row"], piece["win_start"] : piece["win_stop"]]
            pieces[piece["doc"]].append((piece["doc_start"], tokens))
    docs = sorted(pieces)
    joined = [np.concatenate([one for _, one in sorted(pieces[doc], key=lambda p: p[0])]).tolist() for doc in docs]
    return dict(zip(docs, tokenizer.decode_batch(joined, skip_special_tokens=True), strict=True))


def rows_of_shards(run: Path, pack: str) -> Iterator[list[int]]:
    """The token ids of each row of the shards of a pack."""
    folder = run / "packs" / pack / "shards"
    facts = json.loads((folder / "manifest.json").read_text())["facts"]
    for path in sorted(folder.glob("shard-*.bin")):
        yield from np.fromfile(path, facts["dtype"]).reshape(-1, facts["stride"]).tolist()


def rows_of_export(folder: Path) -> Iterator[list[int]]:
    """The token ids of each row of a Parquet export."""
    for path in sorted(folder.glob("*.parquet")):
        yield from pq.read_table(path)["input_ids"].to_pylist()


def table(run: Path, pattern: str) -> list[dict[str, Any]]:
    """The rows of all Parquet files of a run that match a pattern."""
    found = [pq.read_table(path) for path in sorted(run.glob(pattern))]
    return pa.concat_tables(found, promote_options="permissive").to_pylist() if found else []


def files_with(run: Path, pattern: str, besides: tuple[str, ...]) -> list[str]:
    """The files in which a pattern is found, with each thing found."""
    known = re.compile(pattern)
    found = ((name, known.findall(text)) for name, text in strings_of_files(run) if name not in besides)
    return sorted({f"{name}: {hit}" for name, hits in found for hit in hits})


def strings_of_files(run: Path) -> Iterator[tuple[str, str]]:
    """Name and content of each file that people or programs read as text, and of each string in Parquet files."""
    for path in sorted(path for path in run.rglob("*") if path.is_file()):
        name = path.relative_to(run).as_posix()
        if path.suffix == ".parquet":
            for column in pq.read_table(path).columns:
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                    yield name, "\n".join(value for value in column.to_pylist() if value)
        elif path.suffix not in (".bin", ".npy", ".npz"):
            yield name, path.read_text(encoding="utf-8", errors="replace")
