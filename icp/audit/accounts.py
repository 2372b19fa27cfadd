"""Promise 5: the sums are right, and every file is the one that its manifest names.

In: all files of a run and a pack, their manifests, ``stats.json``; what other checks counted. Out: breaches.
"""

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.audit.rows import Tally
from icp.audit.segments import Layout, TokenFiles
from icp.audit.windows import TOLERANCE, WindowTally
from icp.config import Config
from icp.errors import ArtifactError
from icp.run import records
from icp.run.names import (
    BUILD_STEPS,
    CONFLICTS,
    DUPLICATES,
    INDICES,
    INDPTR,
    NEIGHBORS,
    NODES,
    OFFSETS,
    ORDER,
    PACK_FOLDERS,
    PATH_STARTS,
    REJECTED,
    SHARDS,
    SIMILARITIES,
    STATS,
    STEPS,
    SURVIVORS,
    VECTORS,
    WEIGHTS,
)  # fmt: skip
from icp.run.reader import Run, WrongForm, integers, parquet_rows, read_array, read_columns
from icp.run.records import MANIFEST, RECORDS, TEMPORARY, FileRecord, hash_file, hash_json

FORMS = {
    f"dedup/{SURVIVORS}": ("int64", 1),
    f"embeddings/{VECTORS}": ("float16", 2),
    f"neighbors/{NEIGHBORS}": ("int32 int64", 2),
    f"neighbors/{SIMILARITIES}": ("float16", 2),
    f"graph/{CONFLICTS}": ("int64", 2),
    f"graph/{NODES}": ("int64", 1),
    f"graph/{INDPTR}": ("int64", 1),
    f"graph/{INDICES}": ("int32 int64", 1),
    f"graph/{WEIGHTS}": ("float16", 1),
    f"tokens/{OFFSETS}": ("int64", 1),
    f"order/{ORDER}": ("int32 int64", 1),
    f"order/{PATH_STARTS}": ("bool", 1),
    "windows/*.npy": ("int64", 1),
}
"""Type and dimensions of arrays: DESIGN.md section 4. A step's name stands for its folder."""


def check_files(run: Run, layout: Layout, found: Breaches) -> str:
    """Sizes, hashes, rows and types of all files; none without a record; each step made of the others as they are."""
    n_files = n_bytes = 0
    for step in STEPS:
        manifest, folder = run.manifests[step], run.folders[step]
        for name, record in manifest.files.items():
            _check_file(run, step, name, record, found)
            _check_form(run, step, name, (record.rows, layout), found)
            n_files, n_bytes = n_files + 1, n_bytes + record.bytes
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            known = name in manifest.files or name == MANIFEST or name.startswith(f"{RECORDS}/")
            if path.is_file() and not known and not path.name.startswith(TEMPORARY):
                found.add("files that no manifest names", run.shown(path))
        _check_basis(run, step, found)
    return f"{n_files:,} files ({n_bytes / 2**20:,.1f} MiB) as their manifests say"


def check_present(run: Run) -> None:
    """Raise ArtifactError for the first file of a manifest that is not there."""
    for step in STEPS:
        for name in run.manifests[step].files:
            if not run.path(step, name).is_file():
                raise ArtifactError(f"{run.path(step, name)}: missing; restore it or redo the step with --fresh")


def _check_file(run: Run, step: str, name: str, record: FileRecord, found: Breaches) -> None:
    path = run.path(step, name)
    try:
        size = path.stat().st_size
        digest = hash_file(path) if size == record.bytes else ""
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; restore it or redo the step with --fresh") from None
    if size != record.bytes:
        found.add("files of another size", f"{run.shown(path)}: {size:,} bytes, the manifest says {record.bytes:,}")
    elif digest != record.sha256:
        found.add("files of another hash", run.shown(path))


def _check_form(run: Run, step: str, name: str, expected: tuple[int | None, Layout], found: Breaches) -> None:
    """Rows and type of a file."""
    rows, layout = expected
    path, n_rows = run.path(step, name), None
    if name.endswith(".parquet"):
        n_rows = parquet_rows(path)
    elif name.endswith(".npy"):
        array = _any_array(path)
        n_rows = array.shape[0] if array.ndim else None
        _check_type(f"{step}/{name}", array, run.shown(path), found)
    elif name.endswith(".bin"):
        width = layout.dtype.itemsize * (layout.stride if step == "shards" else 1)
        n_rows = path.stat().st_size // width
    if rows is not None and rows != n_rows:
        found.add("files with other rows", f"{run.shown(path)}: {n_rows} rows, the manifest says {rows}")


def _any_array(path: Any) -> NDArray[Any]:
    for ndim in (1, 2, 0, 3):
        try:
            return read_array(path, ndim=ndim, kinds="biufSU")
        except WrongForm:
            continue
    raise ArtifactError(f"{path}: an array that no step writes; redo the step with --fresh")


def _check_type(name: str, array: NDArray[Any], shown: str, found: Breaches) -> None:
    wanted, ndim = next((form for pattern, form in FORMS.items() if fnmatchcase(name, pattern)), ("", array.ndim))
    if array.ndim != ndim or (wanted and array.dtype.name not in wanted.split()):
        found.add(
            "arrays of another type", f"{shown}: {array.dtype} {array.shape}, expected {wanted} in {ndim} dimensions"
        )


def _check_basis(run: Run, step: str, found: Breaches) -> None:
    """The manifest says of what the step was made: that is the configuration and the other steps as they are now."""
    manifest = run.manifests[step]
    if hash_json(manifest.basis) != manifest.fingerprint:
        found.add("manifests whose fingerprint is not that of what they name", step)
    config = _flat(run.config)
    for key, value in manifest.basis.get("config", {}).items():
        if config.get(key) != value:
            found.add("steps made with another configuration", f"{step}: {key} was {value!r}, is {config.get(key)!r}")
    for name, digest in manifest.basis.get("inputs", {}).items():
        if name in run.manifests and run.manifests[name].digest != digest:
            found.add("steps made of other files than are there", f"{step} of {name}")


def _flat(config: Config) -> dict[str, Any]:
    def rows(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from rows(value, f"{prefix}{key}.")
            else:
                yield prefix + key, value

    return dict(rows(config.model_dump(mode="json"), ""))


def check_sums(run: Run, layout: Layout, tokens: TokenFiles, tally: Tally, found: Breaches) -> str:
    """Tokens in + specials + padding = written; the shards' manifest says the same, and tells readers the truth."""
    n_in = int(tokens.offsets[-1])
    written = sum(run.path("shards", name).stat().st_size for name in run.names("shards", SHARDS))
    written //= layout.dtype.itemsize
    sums = {
        "documents_in": n_in,
        "specials": tally.specials,
        "padding": tally.padding,
        "repeated": tally.of_documents - n_in,
        "written": written,
    }
    if n_in + sums["repeated"] + tally.specials + tally.padding != written:
        text = f"{n_in:,} of documents + {sums['repeated']:,} repeated + {tally.specials:,} specials + "
        found.add("tokens do not add up", f"{text}{tally.padding:,} padding, {written:,} written")
    for name, value in sums.items():
        _compare(f"shards manifest, counts.{name}", run.manifests["shards"].counts.get(name), value, found)
    _compare("tokens manifest, counts.tokens", run.manifests["tokens"].counts.get("tokens"), n_in, found)
    facts = {
        "seq_len": run.config.pack.seq_len,
        "stride": layout.stride,
        "dtype": layout.dtype.name,
        "vocab_size": layout.tokenizer.vocab_size,
        "bos_id": layout.bos_id,
        "eos_id": layout.eos_id,
        "pad_id": layout.pad_id,
        "windows": tally.windows,
        "tokens": run.shown(run.folders["tokens"]),
    }
    stated = records.read_json(run.path("shards", MANIFEST), what="manifest")
    for name, fact in facts.items():
        _compare(f"shards manifest, {name}", stated.get(name), fact, found)
    return (
        f"{n_in:,} of documents + {sums['repeated']:,} repeated + {tally.specials:,} specials + "
        f"{tally.padding:,} padding = {written:,} tokens written"
    )


def _compare(where: str, stated: Any, value: Any, found: Breaches) -> None:
    """Note a figure that is not what was counted; numbers with a fraction may differ by `TOLERANCE`."""
    if isinstance(value, float) and isinstance(stated, float | int):
        agrees = math.isclose(stated, value, abs_tol=TOLERANCE)
    else:
        agrees = stated == value
    if not agrees:
        shown = f"{value:.4f}" if isinstance(value, float) else repr(value)
        found.add("figures that are not what the files give", f"{where} is {stated!r}, counted {shown}")


def window_figures(tokens: TokenFiles, tally: Tally, windows: WindowTally, layout: Layout) -> dict[str, Any]:
    """Figures of DESIGN.md section 5, made again."""
    whole = tokens.lengths + sum(layout.document_specials)
    subject = (tokens.lengths > 0) & (whole <= layout.capacity)
    n_subjects = max(1.0, windows.weight)
    return {
        "count": tally.windows,
        "fill": (tally.of_documents + tally.specials) / max(1, tally.written),
        "split_documents": int(np.count_nonzero(subject & (windows.appearances > 1))),
        "mean_similarity": windows.weighted / n_subjects,
    }


def check_stats(run: Run, figures: Mapping[str, Any], found: Breaches) -> None:
    """``stats.json`` says what the files give; `figures` are those of the windows."""
    stats = records.read_json(run.folder / STATS, what="figures of the run")
    stated = _flat_json(stats if isinstance(stats, dict) else {})
    pack = f"packs.{run.pack}."
    made: dict[str, Any] = {f"documents.{name}": value for name, value in _document_figures(run).items()}
    made["graph.conflicts"] = len(run.array("graph", CONFLICTS, ndim=2))
    made["graph.edges"] = run.array("graph", INDICES).size // 2
    made |= {f"{pack}windows.{name}": value for name, value in figures.items()}
    counts = run.manifests["shards"].counts
    made |= {f"{pack}tokens.{name}": counts.get(name, 0) for name in ("documents_in", "specials", "padding", "written")}
    made |= {f"seconds.{step}": run.manifests[step].seconds for step in BUILD_STEPS}
    made |= {f"{pack}seconds.{step}": run.manifests[step].seconds for step in PACK_FOLDERS}
    for name, value in made.items():
        _compare(f"{STATS}, {name}", stated.get(name), value, found)
    for name, value in figures.items():
        _compare(f"windows manifest, {name}", run.manifests["windows"].facts.get(name), value, found)


def _document_figures(run: Run) -> dict[str, int]:
    """Counts of documents, from the files themselves."""
    kinds = [
        kind
        for name in run.names("dedup", DUPLICATES)
        for kind in read_columns(run.path("dedup", name), ("kind",)).column(0).to_pylist()
    ]
    semantic = [
        integers(read_columns(run.path("graph", name), ("doc",)), "doc").size for name in run.names("graph", DUPLICATES)
    ]
    refused = [parquet_rows(run.path("documents", name)) for name in run.names("documents", REJECTED)]
    return {
        "read": int(run.doc_bounds()[-1]) + sum(refused),
        "rejected": sum(refused),
        "exact_duplicates": kinds.count("exact"),
        "near_duplicates": kinds.count("near"),
        "semantic_duplicates": sum(semantic),
        "kept": int(run.array("graph", NODES).size),
    }


def _flat_json(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for key, value in tree.items():
        rows |= _flat_json(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return rows
