"""Windows at equal distances along training, as a file: JSON lines or CSV, for notebooks and spreadsheets."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from icp.errors import ConfigError, InputError
from icp.inspect.lookup import open_pack, readable
from icp.inspect.windows import read_window
from icp.run.names import WINDOWS
from icp.run.reader import WrongForm, parquet_rows

FIGURES = ("window", "mean_similarity", "max_pair_similarity", "n_docs", "n_pad", "path_rank")


def write_sample(run: Path, n: int, out: Path, *, pack: str = "main") -> int:
    """Write `n` windows, or all if there are fewer, and return how many.

    Args:
        out: ends in ``.jsonl`` (a line each, with its pieces) or ``.csv`` (a row each: ids and the text joined).

    Raises: ConfigError for another ending; InputError if the file cannot be written.
    """
    if out.suffix not in (".jsonl", ".csv"):
        raise ConfigError(f"--out {out}: ends in neither .jsonl nor .csv; name one of these, e.g. windows.jsonl")
    opened, reader = open_pack(run, pack=pack)
    try:
        n_windows = sum(parquet_rows(path) for path in opened.paths("shards", WINDOWS))
        chosen = np.unique(np.linspace(0, max(0, n_windows - 1), min(n, n_windows)).astype(np.int64)).tolist()
        rows = [read_window(opened, reader, window) for window in chosen]
    except WrongForm as error:
        raise readable(error, opened.folder) from None
    try:
        with out.open("w", encoding="utf-8", newline="", errors="backslashreplace") as stream:
            if out.suffix == ".jsonl":
                stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            else:
                writer = csv.writer(stream)
                writer.writerow((*FIGURES, "ids", "text"))
                writer.writerows(_flat(row) for row in rows)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror}); name another file") from None
    return len(rows)


def _flat(row: dict[str, Any]) -> tuple[Any, ...]:
    pieces = row["pieces"]
    ids = " ".join(str(piece["id"]) for piece in pieces)
    return (*(row[name] for name in FIGURES), ids, "\n\n".join(piece["text"] for piece in pieces))
