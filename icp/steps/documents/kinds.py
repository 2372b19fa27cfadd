"""Which kind of file a name stands for, and which files of a folder are none of its documents."""

import fnmatch
from collections import Counter
from collections.abc import Iterable, Sequence

_JSON = (".jsonl", ".ndjson", ".jsonlines", ".jl", ".json")
_PACKED = ("", ".gz", ".zst", ".bz2", ".xz")
SUFFIXES = {
    **{end + packed: "jsonl" for end in _JSON for packed in _PACKED},
    **{end + packed: "csv" for end in (".csv", ".tsv") for packed in _PACKED},
    **{end + packed: "warc" for end in (".warc", ".wet") for packed in _PACKED},
    **{end + packed: "tar" for end in (".tar",) for packed in _PACKED},
    ".tgz": "tar",
    ".parquet": "parquet",
    ".arrow": "arrow",
    **{end + packed: "text" for end in (".txt", ".md") for packed in _PACKED},
}
SUPPORTED = (
    ".jsonl, .ndjson, .json, .csv, .tsv, .warc, .wet, .tar, .txt and .md (each also .gz, .zst, .bz2, .xz), "
    ".parquet and .arrow"
)
_SIDE_FILES = (
    "readme*", "license*", "licence*", "notice*", "copying*", "citation*", "changelog*",
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "croissant.json",
    "*.md5", "*.sha256", "*.sha1", "*.crc", "*sums", "*sums.txt",
)  # fmt: skip


def kind_of(path: str) -> str | None:
    """The kind of a file by the end of its name, None if it is not one that is read; case does not matter."""
    name = path.partition("?")[0] if path.startswith(("http://", "https://")) else path
    return next((kind for suffix, kind in SUFFIXES.items() if name.lower().endswith(suffix)), None)


def fits(path: str, patterns: Sequence[str]) -> bool:
    """Whether the name of a file, or its whole path, matches one of the patterns."""
    name = path.rpartition("/")[2]
    return any(fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(path, p) for p in patterns)


def is_hidden(path: str, folder: str = "") -> bool:
    """Whether a name, or a folder on the way to it below `folder`, begins with ``.`` or ``_`` (``_SUCCESS``)."""
    return any(part.startswith((".", "_")) for part in path.removeprefix(folder).split("/"))


def is_side_file(path: str) -> bool:
    """Whether a file describes a data set rather than being part of it."""
    return fits(path.rpartition("/")[2].lower(), _SIDE_FILES)


def counted(paths: Iterable[str]) -> str:
    """How many files there are of each suffix: ``3 .bin, 1 .pdf``."""
    counts = Counter("." + ".".join(_suffixes(path.rpartition("/")[2])) for path in paths)
    return ", ".join(f"{n:,} {end}" for end, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _suffixes(name: str) -> list[str]:
    *_, last = ["", *name.lower().split(".")]
    before = name.lower().split(".")[-2:-1]
    return [*before, last] if f".{last}" in _PACKED and len(name.split(".")) > 2 else [last]
