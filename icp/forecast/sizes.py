"""How large the corpus at hand is: documents and bytes of text, counted where that is quick, else by a look at some.

In: `corpus.input`, or the finished step documents. Out: (documents, bytes of text).
"""

import csv
import io
import json
import lzma
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from icp.config import CorpusConfig
from icp.errors import InputError
from icp.run.context import Context, document_paths
from icp.run.records import MANIFEST
from icp.steps.documents import contents
from icp.steps.documents.input_files import InputFile, corpus_files
from icp.steps.documents.jsonl_and_text import separator_of
from icp.steps.documents.rows import open_source

LOOKED_AT = 16
"""Files of a kind that are looked at."""
HEAD_BYTES = 1 << 20
"""Of a file of lines that are read."""
UNPACKED_BYTES = 64 << 20
"""Of what they unpack to, at most: a megabyte of zstd may hold gigabytes."""


def corpus_size(context: Context) -> tuple[int, int] | None:
    """Documents and bytes of text; None where nothing can be told before the corpus is read.

    Raises: InputError, ConfigError, as `icp.steps.documents.input_files.corpus_files` does.
    """
    if (context.folder("documents") / MANIFEST).exists():
        sizes = [_table(str(path), "text") for path in document_paths(context)]
        return round(sum(rows for rows, _ in sizes)), round(sum(n_bytes for _, n_bytes in sizes))
    files = corpus_files(context.config.corpus)
    rows = n_bytes = 0.0
    if {file.kind for file in files} - {"text", *_LOOKS}:
        return None
    for kind in ("text", *_LOOKS):
        mine = [file for file in files if file.kind == kind]
        found = _looked_at(mine, context.config.corpus) if mine else (0.0, 0.0)
        if found is None:
            return None
        rows, n_bytes = rows + found[0], n_bytes + found[1]
    return (round(rows), round(n_bytes)) if rows else None


def _looked_at(files: Sequence[InputFile], config: CorpusConfig) -> tuple[float, float] | None:
    """Documents and bytes of text of files of one kind, by those of some."""
    total = sum(max(0, file.size) for file in files)
    kind = files[0].kind
    if kind == "text" and not any(contents.is_packed(file.path) for file in files):
        return float(len(files)), float(total)
    chosen = [files[at] for at in np.unique(np.linspace(0, len(files) - 1, LOOKED_AT).astype(int)).tolist()]
    size = sum(max(0, file.size) for file in chosen)
    try:
        seen = [_LOOKS.get(kind, _whole)(file, config.text) for file in chosen]
    except (OSError, ValueError, KeyError, InputError, pa.ArrowException):  # the step documents says what is wrong
        return None
    scale = total / size if size else 0.0
    rows = len(files) if kind == "text" else scale * sum(rows for rows, _ in seen)
    return float(rows), scale * sum(n_bytes for _, n_bytes in seen)


def _whole(file: InputFile, _: str) -> tuple[float, float]:
    """A file that is one document, and its bytes unpacked, by its beginning."""
    head, plain = _beginning(file)
    return 1.0, max(file.size, len(head)) / max(1, len(head)) * len(plain)


def _table(path: str, text: str) -> tuple[float, float]:
    """Rows of a Parquet file and the bytes of its texts, by its footer."""
    with open_source(path) as stream:
        found = pq.ParquetFile(stream).metadata
    columns = [found.schema.column(at).path for at in range(found.num_columns)]
    at = columns.index(text)
    return float(found.num_rows), float(
        sum(found.row_group(group).column(at).total_uncompressed_size for group in range(found.num_row_groups))
    )


def _lines(file: InputFile, text: str) -> tuple[float, float]:
    """Rows of a file of JSON lines and the bytes of their texts, by its beginning."""
    head, plain = _beginning(file)
    lines = plain.split(b"\n")
    whole = lines if len(head) < HEAD_BYTES else lines[:-1]  # the last one is cut
    texts = [found for line in whole if (found := _text_of(line, text)) is not None]
    scale = max(file.size, len(head)) / max(1, len(head)) * len(plain) / max(1, sum(len(line) + 1 for line in whole))
    return scale * len(texts), scale * sum(len(found.encode()) for found in texts)


def _separated(file: InputFile, text: str) -> tuple[float, float]:
    """Rows of a CSV file and the bytes of their texts, by its beginning; raises ValueError if no row is whole."""
    head, plain = _beginning(file)
    lines = plain.decode("utf-8-sig", "replace").splitlines(keepends=True)
    whole = lines if len(head) < HEAD_BYTES else lines[:-1]
    separator = separator_of(next(iter(whole), ""), file.path, text)
    csv.field_size_limit(UNPACKED_BYTES)
    try:
        rows = list(csv.DictReader(whole, delimiter=separator))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    texts = [row[text] for row in rows if row.get(text)]
    scale = (
        max(file.size, len(head)) / max(1, len(head)) * len(plain) / max(1, sum(len(line.encode()) for line in whole))
    )
    return scale * len(texts), scale * sum(len(found.encode()) for found in texts)


_LOOKS: dict[str, Callable[[InputFile, str], tuple[float, float]]] = {
    "parquet": lambda file, text: _table(file.path, text),
    "jsonl": _lines,
    "csv": _separated,
}
"""By the kind of a file. Of those that are not here nothing is told: they would be read for it."""


def _beginning(file: InputFile) -> tuple[bytes, bytes]:
    """The first bytes of a file, as they are and unpacked."""
    with open_source(file.path) as stream:
        head = stream.read(HEAD_BYTES)
    return head, unpacked(file.path, head)


def unpacked(path: str, head: bytes) -> bytes:
    """The beginning of a file, unpacked as far as it goes."""
    stream = contents.unpacked(path, io.BytesIO(head))
    found, left = [], UNPACKED_BYTES
    try:
        while left > 0 and (block := stream.read(1 << 16)):
            found.append(block)
            left -= len(block)
    except (OSError, EOFError, lzma.LZMAError):  # the file goes on where the head ends
        pass
    return b"".join(found)


def _text_of(line: bytes, text: str) -> str | None:
    """The text of a row; None for one that the step documents would refuse."""
    try:
        value = json.loads(line)
        for name in text.split("."):
            value = value[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return value if isinstance(value, str) else None
