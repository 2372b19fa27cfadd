"""Step `shards`: windows as rows of tokens, in training order, with what stands where in each.

In: packs/<pack>/plan/, tokens/, graph/nodes.npy, embeddings/ (for the windows' similarities), the sources in
documents/. Out: ``shard-*.bin``, raw little-endian rows of `stride` ids; ``segments/part-*.parquet``, a row a piece;
``windows/part-*.parquet``, a row a window; in the manifest what a reader must know.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.data import PackPlan, RowParts
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.errors import ArtifactError, InputError
from icp.kernels.pack_gather import gather_pieces
from icp.pack.row_layout import Segments, Specials, main_source, place_segments, place_specials, row_ends
from icp.pack.similarity import window_similarities
from icp.run.arrays import load_nodes, load_plan, mapped, path_rank, survivor_vectors, survivors, token_offsets
from icp.run.context import Context, document_parts
from icp.run.extended import first_packed
from icp.run.names import PATH_RANK, SEGMENTS, TOKEN_IDS, TOKENIZER, WINDOWS, of_part, part_name, shard_file
from icp.run.nodes import node_batches, node_bounds
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer


def list_sources(context: Context, part: str, output: PartOutput) -> None:
    """The source of each node of a part, as a number and a list of names."""
    chunks = [batch.column("source") for batch in node_batches(context, part, ("source",))]
    found = pa.chunked_array(chunks, type=chunks[0].type if chunks else pa.string()).to_pylist()
    names = sorted({name for name in found if name is not None})
    number = {name: rank for rank, name in enumerate(names)} | {None: -1}
    with output.path(f"sources/{part}.npy").open("wb") as stream:
        np.save(stream, np.array([number[name] for name in found], dtype=np.int32), allow_pickle=False)
    output.path(f"sources/{part}.json").write_text(json.dumps(names), encoding="utf-8")


def write_shard(context: Context, part: str, output: PartOutput) -> None:
    """Write one shard, and the rows of its pieces and windows."""
    shard = int(part.removeprefix("part-"))
    first, stop = (int(edge) for edge in _shard_bounds(context)[shard : shard + 2])
    name, n_tokens = shard_file(shard), (stop - first) * context.config.pack.row_tokens
    segments, ends = write_rows(context, first, stop, output.path(name))
    output.rows(name, stop - first)
    n_pad = context.config.pack.row_tokens - ends
    _write_segments(context, output, part, segments, first)
    _write_windows(context, output, part, segments, first, n_pad)
    of_documents = int((segments.doc_stop - segments.doc_start).sum())
    output.count("documents_in", of_documents)
    output.count("specials", n_tokens - int(n_pad.sum()) - of_documents)
    output.count("padding", int(n_pad.sum()))
    output.count("repeated", 0)
    output.count("written", n_tokens)


def write_rows(context: Context, first: int, stop: int, path: Path) -> tuple[Segments, NDArray[np.int64]]:
    """Write the rows of windows `first` to `stop`; their pieces, and (rows,) int64, where each row's padding begins."""
    specials, tokenizer = _specials(context)
    plan = _plan_of(context, first, stop)
    offsets = token_offsets(context)
    n_tokens = np.asarray(offsets[plan.doc + 1] - offsets[plan.doc], dtype=np.int64)
    segments = place_segments(plan, n_tokens, specials)
    ends = row_ends(segments, stop - first, specials)
    rows = np.full((stop - first, context.config.pack.row_tokens), specials.pad_id, dtype=tokenizer.dtype)
    assert ends.max() <= rows.shape[1], "a window holds more than its row"
    _gather(context, rows, segments, np.asarray(offsets[plan.doc], dtype=np.int64) + segments.doc_start)
    _check_ids(rows, segments, specials, tokenizer)
    place_specials(rows, segments, specials)
    with path.open("wb") as stream:
        rows.tofile(stream)
    return segments, ends


def finish(context: Context, part: str, output: PartOutput) -> None:
    """Check the sums, and leave what readers must know in the manifest."""
    counts = [record.counts for record in context.records("write").values()]
    total = {name: sum(count[name] for count in counts) for name in (counts[0] if counts else ())}
    n_tokens = int(np.diff(token_offsets(context))[first_packed(context, load_nodes(context)) :].sum())
    config, (specials, tokenizer) = context.config, _specials(context)
    planned = context.manifest("windows").counts  # what pack.tail repeated or left out
    repeated = total.get("documents_in", 0) - n_tokens + planned.get("left_out", 0)
    may_repeat = PACK_METHODS[config.pack.method].repeats or repeated == planned.get("repeated", 0)
    assert 0 <= repeated <= repeated * may_repeat, f"the plan does not tile: {total}"
    output.count("repeated", repeated)  # added to the counts of the shards, which cannot tell them
    output.count("documents_in", -repeated)
    output.info.update(
        seq_len=config.pack.seq_len,
        stride=config.pack.row_tokens,
        dtype=tokenizer.dtype.name,
        vocab_size=tokenizer.vocab_size,
        bos_id=specials.bos_id,
        eos_id=specials.eos_id,
        pad_id=specials.pad_id,
        policy={"bos": specials.bos, "eos": "none" if specials.eos_id is None else "document"},
        tokens=context.folders["tokens"],
        tokenizer=tokenizer.name,
        tokenizer_sha256=tokenizer.sha256,
        windows=int(_shard_bounds(context)[-1]),
        shards=len(counts),
        shuffle=config.pack.shuffle,
        **({"spread": context.manifest("windows").facts["spread"]} if config.pack.shuffle == "spread" else {}),
        **({"passes": context.manifest("windows").facts["passes"]} if config.pack.epochs > 1 else {}),
        seed=config.seed,
    )


def docs_of_nodes(context: Context, node: NDArray[np.int64]) -> NDArray[np.int64]:
    """The doc of each node: plans hold nodes, files hold docs."""
    return np.asarray(load_nodes(context)[node], dtype=np.int64)


def _specials(context: Context) -> tuple[Specials, Tokenizer]:
    config = context.config.tokenizer
    tokenizer = load_tokenizer(config, trained=context.path("tokens", TOKENIZER))
    roles = tokenizer.roles()
    return Specials(config.bos, roles.bos_id, roles.eos_id, roles.pad_id), tokenizer


def _shard_bounds(context: Context) -> NDArray[np.int64]:
    """First window of each shard, and the number of windows at the end: (n_shards + 1,) int64."""
    n_windows = context.manifest("windows").files[PATH_RANK].rows or 0
    row_bytes = context.config.pack.row_tokens * np.dtype(context.manifest("tokens").facts["dtype"]).itemsize
    per_shard = max(1, int(context.config.pack.shard_mib * 2**20) // row_bytes)
    return np.append(np.arange(0, n_windows, per_shard, dtype=np.int64), n_windows)


def _shard_parts(context: Context) -> list[str]:
    return [part_name(shard) for shard in range(_shard_bounds(context).size - 1)]


def _plan_of(context: Context, first: int, stop: int) -> PackPlan:
    """The pieces of windows `first` to `stop`, with windows numbered from 0."""
    plan = load_plan(context)
    low, high = np.searchsorted(plan.window, (first, stop))
    doc, start, end, window = (np.array(getattr(plan, name)[low:high], dtype=np.int64) for name in PackPlan.__slots__)
    return PackPlan(doc, start, end, window - first)


def _gather(context: Context, rows: NDArray[np.unsignedinteger], segments: Segments, source: NDArray[np.int64]) -> None:
    """Copy the tokens of every piece, file by file; `source` is its first token over all files."""
    files = context.manifest("tokens").files
    names = [of_part(TOKEN_IDS, part) for part in document_parts(context)]
    bounds = np.concatenate(([0], np.cumsum([files[name].rows or 0 for name in names], dtype=np.int64)))
    order = np.argsort(source, kind="stable")
    order = order[segments.doc_stop[order] > segments.doc_start[order]]
    spans = np.searchsorted(source[order], bounds)
    size = rows.itemsize
    for name, begin, low, high in zip(names, bounds, spans, spans[1:], strict=False):
        if low < high:
            here = order[low:high]
            length = segments.doc_stop[here] - segments.doc_start[here]
            tokens = np.asarray(np.memmap(context.path("tokens", name), dtype=np.uint8, mode="c"))
            places = (segments.win_start[here] * size, (source[here] - begin) * size, length * size)
            gather_pieces(rows.view(np.uint8), tokens, segments.row[here], *places)


def _check_ids(rows: NDArray[np.unsignedinteger], segments: Segments, specials: Specials, tokenizer: Tokenizer) -> None:
    """Rows that hold documents and padding only must not hold a special, nor an id outside the vocabulary."""
    padding = rows.size - int((segments.doc_stop - segments.doc_start).sum())
    if rows.size and int(rows.max()) >= tokenizer.vocab_size:
        raise ArtifactError(f"tokens: id {rows.max()} is not below {tokenizer.vocab_size}; redo the step with --fresh")
    for role, number in (("bos", specials.bos_id), ("eos", specials.eos_id)):
        if number is None:
            continue
        found = int(np.count_nonzero(rows == number)) - (padding if number == specials.pad_id else 0)
        if found:
            raise InputError(
                f"tokenizer.{role} is id {number} ({tokenizer.decode([number])!r}), which {tokenizer.name} also gives "
                f"for plain text ({found} times here); set tokenizer.{role} to a token that text cannot produce"
            )


def _write_segments(context: Context, output: PartOutput, part: str, segments: Segments, first: int) -> None:
    names = ("doc_start", "doc_stop", "win_start", "win_stop")
    columns = {
        "window": segments.row + first,
        "shard": np.full(segments.row.size, int(part.removeprefix("part-")), dtype=np.int32),
        "row": segments.row.astype(np.int32),
        "position": segments.position.astype(np.int32),
        "doc": docs_of_nodes(context, segments.node),
        **{name: getattr(segments, name).astype(np.int32) for name in names},
    }
    pq.write_table(pa.table(columns), output.path(of_part(SEGMENTS, part)), compression="zstd")


def _write_windows(
    context: Context, output: PartOutput, part: str, segments: Segments, first: int, n_pad: NDArray[np.int64]
) -> None:
    nodes, local = np.unique(segments.node, return_inverse=True)
    tokens = segments.doc_stop - segments.doc_start
    mean, largest = window_similarities(
        PackPlan(local.astype(np.int64), segments.doc_start, segments.doc_stop, segments.row), _vectors(context, nodes)
    )
    numbers, names = _sources(context, nodes)
    chosen = main_source(segments.row, numbers[local], tokens)
    distinct = np.unique(np.column_stack((segments.row, local)), axis=0)[:, 0]
    columns = {
        "window": np.arange(first, first + n_pad.size, dtype=np.int64),
        "shard": np.full(n_pad.size, int(part.removeprefix("part-")), dtype=np.int32),
        "row": np.arange(n_pad.size, dtype=np.int32),
        "n_docs": np.bincount(distinct, minlength=n_pad.size).astype(np.int32),
        "n_pad": n_pad.astype(np.int32),
        "path_rank": np.array(path_rank(context)[first : first + n_pad.size], dtype=np.int64),
        "mean_similarity": mean,
        "max_pair_similarity": largest,
        "source": pa.array([names[number] if number >= 0 else None for number in chosen], pa.string()),
    }
    pq.write_table(pa.table(columns), output.path(of_part(WINDOWS, part)), compression="zstd")


def _vectors(context: Context, nodes: NDArray[np.int64]) -> RowParts:
    rows = np.searchsorted(survivors(context), docs_of_nodes(context, nodes)).astype(np.int64)
    return survivor_vectors(context, rows)


def _sources(context: Context, nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Number of each node's source (-1: none), and the names, ascending."""
    folder, bounds = context.folder("shards") / "sources", node_bounds(context)
    spans = np.searchsorted(nodes, bounds)
    found: list[str | None] = []
    for part, begin, low, high in zip(document_parts(context), bounds, spans, spans[1:], strict=False):
        numbers = mapped(folder / f"{part}.npy")[nodes[low:high] - begin]
        names = json.loads((folder / f"{part}.json").read_text(encoding="utf-8")) if low < high else []
        found += [names[number] if number >= 0 else None for number in numbers]
    used = sorted({name for name in found if name is not None})
    rank: dict[str | None, int] = {name: number for number, name in enumerate(used)}
    return np.array([rank.get(name, -1) for name in found], dtype=np.int64), used


KEYS = ("pack.seq_len", "pack.stride", "pack.shard_mib", "pack.shuffle", "seed")
STEP = Step(
    name="shards",
    format=1,
    inputs=("documents", "dedup", "embeddings", "graph", "tokens", "windows"),
    keys=lambda config: (*config.tokenizer.keys_but("import", "tokenizer"), *KEYS),
    phases=(
        Phase("sources", document_parts, list_sources, scratch=True),
        Phase("write", _shard_parts, write_shard),
        Phase("facts", one_part, finish),
    ),
    reads=("pack.method", "pack.epochs", "pack.documents", "tokenizer"),  # in the bytes of windows and tokens
)
