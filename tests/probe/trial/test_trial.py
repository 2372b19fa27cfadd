"""`icp probe --train` on a small run of real texts: what is held out, what is trained on, what is said."""

import json
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tiny import data_files, make_run, tiny_config

import icp.configs
from icp.cli import main
from icp.errors import ConfigError
from icp.probe import Budget, _context, train_on
from icp.probe.arms import BEST_FIT, OURS, PAPER, RANDOM, SAME_SOURCE
from icp.probe.trial import branches, held_out
from icp.probe.trial.pool import SEPARATOR, open_pool
from icp.run.reader import open_run
from icp.run.texts import TextReader

pytest.importorskip("torch")

N_DOCS = 500
SMALL = Budget(trunk_tokens=6_000, branch_tokens=5_000, trunks=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The first documents of the bundled corpus, their first topic as their source."""
    folder = tmp_path_factory.mktemp("trial")
    table = pq.read_table(Path(icp.configs.__file__).parent / "quickstart.parquet").slice(0, N_DOCS)
    topics = pa.array([(topics or ["none"])[0][:4] for topics in table["topics"].to_pylist()])
    pq.write_table(pa.table({"id": table["id"], "text": table["text"], "source": topics}), folder / "docs.parquet")
    return make_run(tiny_config(folder, corpus={"input": str(folder / "docs.parquet")}, pack={"seq_len": 4096}))


@pytest.fixture(scope="module")
def pool(run):
    opened = open_run(run, pack="main")
    return open_pool(_context(opened, 1), TextReader(opened), vocabulary=2048, seed=0)


@pytest.fixture(scope="module")
def held(pool):
    return held_out.hold_out(pool, 18, seed=0)


@pytest.fixture(scope="module")
def material(pool, held):
    return branches.draw_material(pool, held, (30_000, 20_000), trunk=0, seed=0)


@pytest.fixture(scope="module")
def trial(run):
    return train_on(run, SMALL)


def test_a_document_is_its_beginning_after_a_separator(pool):
    (ids,) = pool.ids(np.array([7]))
    assert ids[0] == SEPARATOR
    text = pool.reader.fetch(pool.nodes[[7]])[int(pool.nodes[7])]
    assert text.startswith(pool.tokenizer.decode(ids[1:].tolist()))


def test_targets_and_contexts_are_held_out_and_of_one_length(pool, held):
    assert len(held.targets) >= 16
    assert held.rows.size <= N_DOCS // held_out.HELD_SHARE
    own = {int(row): ids for row, ids in zip(held.rows, pool.ids(held.rows), strict=True)}
    for target in held.targets:
        assert held_out.LEAST_TOKENS <= target.ids.size <= held_out.TARGET_TOKENS
        assert list(target.contexts) != []
        for name in held_out.CONTEXT_NAMES:
            context = target.contexts[name]
            assert context.size == (0 if name == held_out.NOTHING else held_out.CONTEXT_TOKENS)
            last = context[np.flatnonzero(context == SEPARATOR)[-1] :] if (context == SEPARATOR).any() else context
            if context.size:
                holders = [row for row, ids in own.items() if ends_like(ids, last)]
                assert holders
                assert target.row not in holders
                if name == held_out.OWN_SOURCE:
                    assert target.source in {int(pool.sources[row]) for row in holders}


def ends_like(ids, last):
    return last.size <= ids.size and np.array_equal(ids[-last.size :], last)


def test_the_related_context_is_the_nearest_held_out_document(pool, held):
    vectors = np.asarray(pool.vectors[np.arange(pool.nodes.size)], dtype=np.float32)
    by_context = {name: [] for name in (held_out.RELATED, held_out.ANY)}
    own = {int(row): ids for row, ids in zip(held.rows, pool.ids(held.rows), strict=True)}
    for target in held.targets:
        for name, found in by_context.items():
            last = target.contexts[name]
            last = last[np.flatnonzero(last == SEPARATOR)[-1] :] if (last == SEPARATOR).any() else last
            found.append(max(float(vectors[r] @ vectors[target.row]) for r, ids in own.items() if ends_like(ids, last)))
    assert np.mean(by_context[held_out.RELATED]) > np.mean(by_context[held_out.ANY]) + 0.1
    assert max(by_context[held_out.RELATED]) < held_out.NEAR + 0.01


def test_a_copy_of_a_held_out_document_is_found_and_others_are_not(pool, held):
    others = np.setdiff1d(np.arange(pool.nodes.size), held.rows)
    found = held_out.copies_of(pool, held, np.concatenate((held.rows[:5], others)))
    assert found[:5].all()
    assert found[5:].mean() < 0.1


def test_every_kind_of_windows_holds_the_same_tokens_once(material):
    assert set(material.branches) == {
        *(RANDOM, OURS, PAPER, SAME_SOURCE, BEST_FIT),
        *(branches.AGAIN, branches.OURS_MASKED, branches.PIECES_MASKED, branches.BEST_FIT_MASKED),
    }
    counted = {name: Counter(rows.ids[rows.piece >= 0].tolist()) for name, rows in material.branches.items()}
    assert all(found == counted[RANDOM] for found in counted.values())
    assert material.tokens[1] == sum(counted[RANDOM].values())
    for rows in material.branches.values():
        assert rows.ids.shape[1] == branches.WINDOW
        assert (np.diff(rows.piece.astype(int), axis=1)[rows.piece[:, 1:] >= 0] >= 0).all()


def test_no_held_out_document_is_trained_on(pool, held, material):
    grams = set()
    for rows in (material.trunk, *material.branches.values()):
        for ids in rows.ids:
            grams.update(zip(*(ids[k:].tolist() for k in range(24)), strict=False))
    for target in held.targets:
        own = set(zip(*(target.ids[k:].tolist() for k in range(24)), strict=False))
        assert len(own & grams) < len(own) / 4, target.row


def test_a_short_corpus_is_read_several_times_in_other_orders(pool, held):
    found = branches.draw_material(pool, held, (10**9, 20_000), trunk=0, seed=0)
    n_windows = len(found.trunk.ids)
    assert found.tokens[0] > 3.9 * n_windows / branches.MOST_PASSES * branches.WINDOW * 0.97
    first, second = found.trunk.ids[: n_windows // 4], found.trunk.ids[n_windows // 4 : n_windows // 2]
    assert not np.array_equal(first, second)


def test_a_budget_of_no_documents_is_refused(pool, held):
    with pytest.raises(ConfigError, match="its branches 2, at least 8 are needed; give --trunk-tokens"):
        branches.draw_material(pool, held, (30_000, 900), trunk=0, seed=0)


def test_its_pieces_are_the_same_texts_in_other_windows(material):
    ours, others = (windows_of(material.branches[name]) for name in (OURS, branches.PIECES_MASKED))
    assert sorted(chain.from_iterable(ours)) == sorted(chain.from_iterable(others))
    assert len(set(ours) & set(others)) < len(ours) / 2


def windows_of(rows):
    """The pieces of each window, sorted."""
    pairs = zip(rows.ids, rows.piece, strict=True)
    return [tuple(sorted(ids[piece == n].tobytes() for n in range(piece.max() + 1))) for ids, piece in pairs]


def test_this_pack_is_shuffled_anew_for_its_null(material):
    one, two = material.branches[OURS].ids, material.branches[branches.AGAIN].ids
    assert sorted(map(bytes, one)) == sorted(map(bytes, two))
    assert not np.array_equal(one, two)


@pytest.mark.slow
def test_all_is_reported_and_a_small_budget_is_not_resolved(trial):
    text = "\n".join(trial.lines())
    assert trial.outcome.verdict().startswith("not resolved: a trunk is too young")
    assert text.count("trunk ") >= 2
    tree = json.loads(json.dumps(trial.tree()))
    assert len(tree["trunks"]) == 2
    assert set(tree["trunks"][0]["losses"]) == set(trial.outcome.scores[0])
    assert set(tree["primary"]) == {"gain", "related beyond same source"}
    assert set(tree["less_random"][OURS]["gain"]) == {"all", "copied", "rest", "key"}
    assert tree["intervals_by_source"] is (np.unique([t.source for t in trial.held.targets]).size >= 10)


@pytest.mark.slow
def test_command_finds_the_same_by_other_processes_and_leaves_the_run_alone(run, trial, tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    before = data_files(run)
    command = ["probe", str(run), "--train", "--trunks", "2", "--trunk-tokens", "6000", "--branch-tokens", "5000"]
    found = CliRunner().invoke(main, [*command, "--json", str(tmp_path / "probe.json")])
    assert found.exit_code == 0, found.output
    assert "trained: not resolved" in found.output
    tree = json.loads((tmp_path / "probe.json").read_text())
    assert tree["trained"] == json.loads(json.dumps(trial.tree()))
    assert "saved" in tree
    assert data_files(run) == before


def test_budget_without_training_is_refused(run):
    found = CliRunner().invoke(main, ["probe", str(run), "--trunk-tokens", "5"])
    assert found.exit_code == 2
    assert "--trunk-tokens goes with --train" in found.output


def test_missing_torch_is_one_line_before_anything_is_done(run, monkeypatch):
    monkeypatch.setattr("icp.probe.trial.find_spec", lambda name: None)
    found = CliRunner().invoke(main, ["probe", str(run), "--train"])
    assert found.exit_code == ConfigError.exit_code
    assert "torch, which is not installed: pip install" in found.stderr
    assert "bits a byte" not in found.output


def test_too_few_documents_are_one_line(tiny_run):
    with pytest.raises(ConfigError, match="could be held out, 16 are needed"):
        train_on(tiny_run, SMALL)
