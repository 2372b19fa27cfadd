"""Tokens in + specials + padding = written, at window lengths around powers of two and for documents of all lengths."""

import json
import random

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import do, made_config, make_graph, make_plan

from icp.data import DocGraph
from icp.pack.plan_windows import plan_windows
from icp.pack.training_order import renumber, training_order
from icp.steps.shards import step as shards
from icp.steps.tokens import step as tokens

LENGTHS = [0, 1, 1, 2, 0]


def texts_for(seq_len):
    """Empty and one-token documents, some that fill a window exactly or nearly, some longer than two."""
    lengths = [*LENGTHS, seq_len - 2, seq_len - 1, seq_len, seq_len + 1, 2 * seq_len, 2 * seq_len + 1, 3, 5, 0, 7]
    letters = random.Random(seq_len)
    return ["".join(letters.choices("abcdefgh", k=max(0, length))) for length in lengths]


def plan_for(texts, capacity, bos):
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    specials = (int(bos == "document"), 1)
    lengths = np.where(lengths > 0, lengths + sum(specials), 0)
    n = lengths.size
    graph = DocGraph(np.zeros(n + 1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float16))
    made = plan_windows(
        graph,
        np.zeros((n, 2), dtype=np.float16),
        np.arange(n, dtype=np.int32),
        lengths,
        seq_len=capacity - (bos == "window"),
        method="path-cut",
        split="free",
        specials=specials,
    )
    path_rank = training_order(made.n_windows, shuffle="random", seed=1)
    return renumber(made, path_rank), path_rank


@pytest.mark.parametrize("stride", ["seq_len", "seq_len+1"])
@pytest.mark.parametrize("bos", ["none", "document", "window"])
@pytest.mark.parametrize("seq_len", [7, 8, 9, 63, 64, 65])
def test_every_token_is_written_once(tmp_path, seq_len, bos, stride):
    texts = texts_for(seq_len)
    config = made_config(
        tmp_path,
        tokenizer={"name": "train:258", "bos": bos},
        pack={"seq_len": seq_len, "stride": stride, "shard_mib": 1e-4, "shuffle": "random"},
    )
    make_graph(tmp_path, texts, parts=(3, 9))
    do(tokens.STEP, config)
    made, path_rank = plan_for(texts, config.pack.row_tokens, bos)
    names = ("doc", "start", "stop", "window")
    make_plan(tmp_path, **{name: getattr(made, name) for name in names}, path_rank=path_rank)
    counts = do(shards.STEP, config).counts
    assert sum(counts[name] for name in ("documents_in", "specials", "padding", "repeated")) == counts["written"]
    assert counts["documents_in"] == sum(map(len, texts))
    n_whole = sum(1 for text in texts if text)
    expected = {"none": n_whole, "document": 2 * n_whole, "window": n_whole + path_rank.size}
    assert counts["specials"] == expected[bos]
    assert counts["written"] == path_rank.size * config.pack.row_tokens
    check_texts(tmp_path, texts, config.pack.row_tokens)


def check_texts(run, texts, stride):
    """Every document is read back from its pieces, letter by letter."""
    folder = run / "packs/main/shards"
    rows = np.concatenate([np.fromfile(path, "<u2") for path in sorted(folder.glob("shard-*.bin"))]).reshape(-1, stride)
    model = json.loads((run / "tokens/made/tokenizer.json").read_text())["model"]
    letter = {number: token for token, number in model["vocab"].items()}
    found = [[None] * len(text) for text in texts]
    pieces = [
        row for path in sorted((folder / "segments").glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    for piece in pieces:
        here = rows[piece["window"], piece["win_start"] : piece["win_stop"]].tolist()
        for token, place in zip(here, range(piece["doc_start"], piece["doc_stop"]), strict=True):
            assert found[piece["doc"]][place] is None
            found[piece["doc"]][place] = letter[token]
    assert ["".join(text) for text in found] == texts
