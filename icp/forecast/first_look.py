"""A configuration for data that nobody has described yet: which fields it has, how much of it there is.

In: files, folders, globs, URLs. Out: a YAML file with comments, for somebody to change.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from icp.config import CorpusConfig, parse_config
from icp.config.addresses import expanded
from icp.errors import InputError
from icp.forecast.estimate import amount
from icp.forecast.sizes import HEAD_BYTES, corpus_size, unpacked
from icp.pipeline import context_of
from icp.plurals import counted
from icp.steps.documents.decoded import batch_rows
from icp.steps.documents.input_files import InputFile, corpus_files
from icp.steps.documents.kinds import kind_of
from icp.steps.documents.rows import open_source

ROWS, MOST_SUFFIXES = 200, 20
TEXTS = ("text", "content", "body", "raw_content", "document", "markdown", "abstract", "article")
IDS = ("id", "doc_id", "document_id", "uuid", "_id", "url", "title")
SOURCES = ("source", "dataset", "domain", "subset", "origin", "repo_name", "lang", "language")
KEPT = ("url", "language", "lang", "date", "timestamp", "license", "title")
SCRIPTS = (("Latin", "a", "\u024f"), ("Cyrillic", "\u0400", "\u04ff"), ("Greek", "\u0370", "\u03ff"),
           ("Arabic", "\u0600", "\u06ff"), ("Hebrew", "\u0590", "\u05ff"), ("Indic", "\u0900", "\u0dff"),
           ("Thai", "\u0e00", "\u0e7f"), ("Hangul", "\uac00", "\ud7a3"), ("Japanese kana", "\u3040", "\u30ff"),
           ("Han", "\u4e00", "\u9fff"))  # fmt: skip
_YAML = """# Written by icp init from a look at the data; change what does not fit. All keys: docs/configuration.md
run: {run}
corpus:
  input: {input}
{fields}
tokenizer:
  name: train:16384  # or the tokenizer of the model that you will train: a file or folder
pack:
  seq_len: {seq_len}  # context length of that model
# {size}
# {scripts}
# Next: icp plan -c {out}    what it takes; icp run -c {out}    does it; icp report {run}    shows it
"""


def first_config(inputs: Sequence[str], *, run: str, seq_len: int, out: str) -> str:
    """The text of a configuration for these inputs.

    Raises: InputError if there is nothing to read, or no text in it; ConfigError as `corpus_files` does.
    """
    include = _other_texts(inputs)
    files = corpus_files(CorpusConfig(input=tuple(inputs), include=include))
    rows = next((found for file in files[:8] if (found := _rows(file))), [])
    fields = _fields(files[0], rows)
    known = corpus_size(
        context_of(
            parse_config({"run": run, "corpus": {"input": list(inputs), "text": fields["text"], "include": include}})
        )
    )
    size = counted(len(files), "file")
    size += f", about {counted(known[0], 'document')}, {amount(known[1])} of text" if known else ", of unknown size"
    texts = [str(row.get(fields["text"], "")) for row in rows]
    return _YAML.format(
        run=run, input=json.dumps(list(inputs), ensure_ascii=False), seq_len=seq_len, size=size, out=out,
        scripts=_scripts(texts), fields="\n".join([*_include_line(include), _field_lines(fields, rows)]),
    )  # fmt: skip


def _other_texts(inputs: Sequence[str]) -> tuple[str, ...]:
    """Names to include where folders hold texts of no kind that is read by itself, such as code: ``*.py``, ..."""
    folders = [folder for name in inputs if (folder := Path(expanded(name))).is_dir()]
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix and path.is_file())
    if len(folders) < len(inputs) or any(kind_of(path.name) for path in paths):
        return ()
    counts = Counter(path.suffix for path in paths if not path.name.startswith("."))
    firsts = {path.suffix: path for path in reversed(paths)}
    return tuple(f"*{suffix}" for suffix, _ in counts.most_common(MOST_SUFFIXES) if _is_text(firsts[suffix]))


def _is_text(path: Path) -> bool:
    """Whether the beginning of a file is UTF-8 without zeros."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    try:
        head[:4000].decode("utf-8")
    except UnicodeDecodeError as error:
        return b"\0" not in head and error.start > 3990
    return bool(head) and b"\0" not in head


def _include_line(include: Sequence[str]) -> list[str]:
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in include)
    return [f"  include: [{names}]  # the folder holds no other kind that is read"] if include else []


def _rows(file: InputFile) -> list[dict[str, Any]]:
    """Some rows of a file; none for one that cannot be looked into."""
    if file.kind == "text":
        with open_source(file.path) as stream:
            return [{"text": stream.read(HEAD_BYTES).decode("utf-8", "replace")}]
    try:
        with open_source(file.path) as stream:
            if file.kind == "parquet":
                table = pq.ParquetFile(stream)
                if not table.num_row_groups:
                    return []
                n_rows = min(ROWS, batch_rows(stream, table, 0, table.schema_arrow.names))
                batch = next(table.iter_batches(n_rows, [0]), None)
                return batch.to_pylist() if batch is not None else []
            lines = unpacked(file.path, stream.read(HEAD_BYTES)).split(b"\n")[:ROWS]
    except (OSError, pa.ArrowException):
        return []
    if file.kind == "csv":
        texts = [line.decode("utf-8", "replace") for line in lines]
        separator = "\t" if ".tsv" in file.path.lower() else ","
        return [dict(row) for row in csv.DictReader(texts, delimiter=separator, restkey="") if None not in row.values()]
    found = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            found.append(row)
    return found


def _fields(file: InputFile, rows: list[dict[str, Any]]) -> dict[str, str]:
    """The fields of text, id and source by their names, and the text by its length if no name fits."""
    if file.kind == "text":
        return {"text": "text"}
    lengths: dict[str, int] = defaultdict(int)
    for row in rows:
        for name, value in row.items():
            lengths[name] += len(value) if isinstance(value, str) else 0
    texts = [name for name in TEXTS if lengths.get(name)]
    longest = max(lengths, key=lambda name: lengths[name], default="")
    if not lengths.get(longest):
        raise InputError(f"{file.path}: no field of text is found in its first rows; write corpus.text by hand")
    fields = {"text": texts[0] if texts and lengths[texts[0]] * 4 > lengths[longest] else longest}
    for key, names in (("id", IDS), ("source", SOURCES)):
        there = [name for name in names if name in lengths and name != fields["text"]]
        if key == "id":
            there = [name for name in there if len({str(row.get(name)) for row in rows}) == len(rows)]
        fields |= {key: there[0]} if there else {}
    return fields


def _field_lines(fields: dict[str, str], rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"  text: {_quoted(fields['text'])}"]
    for key, without in (("id", '"<file>:<row>"'), ("source", "none")):
        value = fields.get(key)
        lines.append(f"  {key}: {_quoted(value) if value else 'null'}")
        lines[-1] += "" if value else f"  # no such field was seen: {without}"
    kept = [name for name in KEPT if name in names and name not in fields.values()]
    if kept:
        lines.append(f"  keep: [{', '.join(map(_quoted, kept))}]  # carried along; icp report counts by them")
    if len(names) > 1:
        lines.append(f"  # fields seen: {', '.join(map(_plain, names[:20]))}")
    return "\n".join(lines)


def _quoted(name: str) -> str:
    """A name as YAML reads it back: letters stay as they are, line ends and what is not seen are escaped."""
    return json.dumps(name, ensure_ascii=not name.isprintable())


def _plain(name: str) -> str:
    return name if name.isprintable() else _quoted(name)


def _scripts(texts: Sequence[str]) -> str:
    """Which scripts the letters of some texts are of."""
    sample = [letter.lower() for text in texts for letter in text[:2000] if letter.isalpha()]
    shares = {
        name: sum(low <= letter <= high for letter in sample) / max(1, len(sample)) for name, low, high in SCRIPTS
    }
    told = [f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.01]
    return f"letters of the first documents: {', '.join(told) or 'none'}"
