"""Which kind of file a name stands for, and which files of a folder are none of its documents."""

import fnmatch
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_JSON = (".jsonl", ".ndjson", ".jsonlines", ".jl", ".json")
PACKINGS = (".gz", ".zst", ".bz2", ".xz", ".gzip", ".zstd")
"""Ends of names of files that are packed as a whole; two names each for gzip and zstd."""
_ANY = ("", *PACKINGS)
SUFFIXES = {
    **{end + packed: "jsonl" for end in _JSON for packed in _ANY},
    **{end + packed: "csv" for end in (".csv", ".tsv") for packed in _ANY},
    **{end + packed: "warc" for end in (".warc", ".wet") for packed in _ANY},
    **{".tar" + packed: "tar" for packed in _ANY},
    **dict.fromkeys((".tgz", ".tbz2", ".txz", ".tzst"), "tar"),
    # pandas' manual names the packing of the pages inside
    **dict.fromkeys((".parquet", ".parq", ".pq", ".parquet.gzip", ".parquet.snappy", ".parquet.zstd"), "parquet"),
    **dict.fromkeys((".arrow", ".arrows", ".feather", ".ipc"), "arrow"),
    **{end + packed: "text" for end in (".txt", ".md") for packed in _ANY},
}
SUPPORTED = (
    ".jsonl, .ndjson, .json, .csv, .tsv, .warc, .wet, .tar, .txt and .md (each also .gz, .zst, .bz2, .xz), "
    ".parquet, .arrow and .feather"
)
_ABOUT_THE_DATA = (
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "croissant.json",
    "*.md5", "*.sha256", "*.sha1", "*.crc", "*sums", "*sums.txt",
)  # fmt: skip
_READINGS = ("readme*", "license*", "licence*", "notice*", "copying*", "citation*", "changelog*")
"""Names of files to be read by people; a table of such a name (``license_texts.jsonl``) is data."""
_MOST_SUFFIXES = 8


def kind_of(path: str) -> str | None:
    """The kind of a file by the end of its name, None if it is not one that is read; case does not matter."""
    name = path.partition("?")[0] if path.startswith(("http://", "https://")) else path
    return next((kind for suffix, kind in SUFFIXES.items() if name.lower().endswith(suffix)), None)


def fits(path: str, patterns: Sequence[str], folder: str = "") -> bool:
    """Whether one of the patterns matches the name of a file, its path, or the path of a folder that it lies in.

    Args:
        folder: what the path begins with; patterns may leave it out.
    """
    inside = path.removeprefix(folder)
    ends = [at for at, letter in enumerate(inside) if letter == "/"]
    names = [path, inside, inside.rpartition("/")[2]]
    names += [start + inside[:end] for end in ends for start in ("", path.removesuffix(inside))]
    return any(fnmatch.fnmatchcase(name, pattern.rstrip("/")) for name in names for pattern in patterns)


def is_hidden(path: str, folder: str = "") -> bool:
    """Whether a name, or a folder on the way to it below `folder`, begins with ``.`` or ``_`` (``_SUCCESS``)."""
    return any(part.startswith((".", "_")) for part in path.removeprefix(folder).split("/"))


def is_side_file(path: str) -> bool:
    """Whether a file describes a data set rather than being part of it."""
    name = path.rpartition("/")[2].lower()
    return fits(name, _ABOUT_THE_DATA) or (kind_of(name) in (None, "text") and fits(name, _READINGS))


def suffixes_of(paths: Iterable[str]) -> str:
    """How many files there are of each suffix: ``3 .bin, 1 .pdf, 2 without a suffix``; the rarest together."""
    return listed(Counter(map(suffix_of, paths)))


def listed(counts: Mapping[str, int]) -> str:
    """Counts by suffix, the highest first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{n:,} {suffix or 'without a suffix'}" for suffix, n in ranked[:_MOST_SUFFIXES]]
    rest = sum(n for _, n in ranked[_MOST_SUFFIXES:])
    return ", ".join(shown + ([f"{rest:,} of other suffixes"] if rest else []))


def suffix_of(path: str) -> str:
    """The end of the name of a file, in small letters, with that of a packing: ``.txt.gz``; empty for none."""
    *before, last = path.rpartition("/")[2].lower().lstrip("._").split(".")
    if not before:
        return ""
    return f".{before[-1]}.{last}" if f".{last}" in PACKINGS and len(before) > 1 else f".{last}"
