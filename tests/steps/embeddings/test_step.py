import json
from pathlib import Path

import numpy as np
import pytest

from icp.config import parse_config
from icp.embed import embed_documents, hybrid, transformer
from icp.embed import two_pass as passes
from icp.engine import basis_of, run_step
from icp.engine.executor import ProcessExecutor, SerialExecutor
from icp.engine.step import Phase, Step, one_part
from icp.errors import ConfigError, InputError, PartsFailedError
from icp.pipeline import context_of
from icp.run.records import read_manifest
from icp.steps.documents import step as documents
from icp.steps.embeddings import by_id, survivors, two_pass
from icp.steps.embeddings import step as embeddings

N_DOCS = 260
DROPPED = {3, 4, 100, 259}


def quiet(label, done, total):
    """Progress that nobody watches."""


def corpus_texts():
    generator = np.random.default_rng(1)
    texts = [
        " ".join(f"t{row % 4}w{word}" for word in generator.integers(0, 50, 5 + row % 40)) for row in range(N_DOCS)
    ]
    texts[10] = "..."  # neither has a word that some others hold, but not all
    texts[20] = "hapax legomenon"
    return texts


def keep_most(context, part, output):
    """Stands in for dedup."""
    n_docs = int(context.doc_bounds()[-1])
    survivors = np.array([doc for doc in range(n_docs) if doc not in DROPPED], dtype=np.int64)
    np.save(output.path("survivors.npy"), survivors, allow_pickle=False)


DEDUP = Step("dedup", 1, ("documents",), lambda config: (), (Phase("merge", one_part, keep_most),))


def make_run(folder, texts, *, executor=None, part_mib=256, **embed):
    """Documents, the stand-in for dedup, then the step itself; returns its folder and context."""
    folder.mkdir(exist_ok=True)
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    tree = {
        "run": str(folder / "run"),
        "corpus": {"input": str(corpus), "part_mib": part_mib},
        "embed": {"model": "lexical"} | embed,
    }
    context = context_of(parse_config(tree))
    for step in (documents.STEP, DEDUP):
        run_step(step, context, SerialExecutor(), quiet)
    run_step(embeddings.STEP, context, executor or SerialExecutor(), quiet)
    return context.folder("embeddings"), context


def lexical(texts):
    return embed_documents(texts, model="lexical")


def vectors_in(folder):
    return np.concatenate([np.load(path, allow_pickle=False) for path in sorted(folder.glob("part-*.npy"))])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The corpus in one part."""
    return make_run(tmp_path_factory.mktemp("whole"), corpus_texts())[0]


def test_rows_are_the_survivors_and_what_embed_documents_gives(whole):
    kept = [text for row, text in enumerate(corpus_texts()) if row not in DROPPED]
    assert np.array_equal(vectors_in(whole), lexical(kept).astype(np.float16))


def test_the_manifest_tells_rows_dimension_and_model(whole):
    manifest = read_manifest(whole)
    assert manifest.counts == {"rows": N_DOCS - len(DROPPED), "zero_rows": 2}
    assert manifest.facts == {"dim": 512, "model": "lexical"}
    assert manifest.files["part-00000.npy"].rows == N_DOCS - len(DROPPED)


def test_scratch_files_are_gone(whole):
    assert sorted(path.name for path in whole.iterdir()) == ["frozen.npz", "manifest.json", "part-00000.npy"]


@pytest.mark.parametrize("workers", [0, 2])
def test_parts_and_workers_do_not_change_the_rows(workers, whole, tmp_path):
    if workers:
        with ProcessExecutor(workers) as executor:
            folder, _ = make_run(tmp_path, corpus_texts(), part_mib=0.01, executor=executor)
    else:
        folder, _ = make_run(tmp_path, corpus_texts(), part_mib=0.01)
    assert len(list(folder.glob("part-*.npy"))) > 2
    assert vectors_in(folder).tobytes() == vectors_in(whole).tobytes()


def test_batches_do_not_change_the_rows(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(survivors, "BATCH_ROWS", 7)
    monkeypatch.setattr(passes, "BLOCK_ROWS", 5)
    monkeypatch.setattr(two_pass, "READ_ROWS", 6)
    folder, _ = make_run(tmp_path, corpus_texts())
    assert (folder / "part-00000.npy").read_bytes() == (whole / "part-00000.npy").read_bytes()


@pytest.mark.parametrize("model", ["lexical", "static", "hybrid", "triple"])
def test_a_run_in_uneven_parts_gives_what_a_corpus_in_memory_does(model, letters, tmp_path, monkeypatch):
    monkeypatch.setattr(hybrid, "load_transformer", lambda settings: Letters())
    monkeypatch.setattr(hybrid, "SAMPLE_ROWS", 100)  # every third row: parts begin anywhere between two of them
    monkeypatch.setattr(two_pass, "READ_ROWS", 7)
    monkeypatch.setattr(passes, "BLOCK_ROWS", 11)
    model = f"hybrid:{letters}" if model == "triple" else model
    texts = corpus_texts()
    texts[:9] = [f"{text} " * 300 for text in texts[:9]]  # the first parts hold a few long documents, the last many
    folder, context = make_run(tmp_path, texts, part_mib=0.008, model=model)
    sizes = np.diff(context.doc_bounds())
    assert sizes.max() > 4 * sizes.min(), f"parts of {sizes} documents: the test shows nothing"
    kept = [text for row, text in enumerate(texts) if row not in DROPPED]
    assert np.array_equal(vectors_in(folder), embed_documents(kept, model=model).astype(np.float16))


@pytest.mark.parametrize("model", ["lexical", "hybrid"])
@pytest.mark.parametrize("texts", [["one document"], ["two", "documents here"], ["...", "!"]])
def test_tiny_corpora(texts, model, tmp_path):
    folder, _ = make_run(tmp_path, texts, model=model)
    assert np.array_equal(vectors_in(folder), embed_documents(texts, model=model).astype(np.float16))


def test_files_are_as_numpy_saves_them(whole, tmp_path):
    np.save(tmp_path / "same.npy", vectors_in(whole), allow_pickle=False)
    assert (tmp_path / "same.npy").read_bytes() == (whole / "part-00000.npy").read_bytes()


def test_a_part_without_survivors_is_an_empty_array(tmp_path, monkeypatch):
    for module in (survivors, two_pass, by_id):
        monkeypatch.setattr(module, "survivors", lambda context: np.zeros(0, dtype=np.int64))
    folder, _ = make_run(tmp_path, ["a", "b"])
    assert np.load(folder / "part-00000.npy").shape == (0, 512)


class Letters:
    """A model of three dimensions; a text with "bad" breaks it."""

    dim = 3

    def embed(self, texts):
        vectors = np.array([[len(text), text.count("w"), 1] for text in texts], dtype=np.float32)
        vectors[["bad" in text for text in texts]] = np.nan
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def letters(monkeypatch, tmp_path):
    """The name of a folder whose model is `Letters`; every load is noted in `letters.settings`."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    Letters.settings = []
    monkeypatch.setattr(embeddings, "load_transformer", lambda settings: Letters.settings.append(settings) or Letters())
    return str(folder)


def test_a_transformer_embeds_survivors_only_and_has_no_other_phase(letters, tmp_path):
    texts = [f"{'w' * (row % 7)} text {row}" for row in range(50)]
    folder, context = make_run(tmp_path, texts, model=letters, max_tokens=64, chunks=2, batch_size=9, device="cpu")
    kept = [text for row, text in enumerate(texts) if row not in DROPPED]
    assert np.array_equal(vectors_in(folder), Letters().embed(kept).astype(np.float16))
    assert read_manifest(folder).facts == {"dim": 3, "model": letters}
    assert Letters.settings[0] == transformer.TransformerSettings(letters, 64, 2, 9, "cpu", 1)
    assert set(basis_of(embeddings.STEP, context)["config"]) == {
        "embed.model",
        "embed.max_tokens",
        "embed.chunks",
        "embed.batch_size",
        "embed.device",
    }


def test_a_vector_that_is_not_finite_names_its_document(letters, tmp_path):
    with pytest.raises(InputError, match=r"document 'd5': its vector by .* is not finite"):
        make_run(tmp_path, ["good"] * 5 + ["bad one", "good"], model=letters)


def test_changed_model_files_change_the_fingerprint(letters, tmp_path):
    _, context = make_run(tmp_path, ["one", "two"], model=letters)
    before = basis_of(embeddings.STEP, context)["sources"]
    Path(letters, "config.json").write_text("{ }")
    after = basis_of(embeddings.STEP, context)["sources"]
    assert list(before) == [str(Path(letters, "config.json"))]
    assert before != after


def test_lexical_depends_on_model_and_seed_alone(tmp_path):
    _, context = make_run(tmp_path, ["one", "two"])
    assert set(basis_of(embeddings.STEP, context)["config"]) == {"embed.model", "seed"}


def test_a_half_that_is_no_transformer_is_refused_before_any_work(tmp_path):
    with pytest.raises(ConfigError, match=r"after hybrid: stands a transformer"):
        make_run(tmp_path, ["one", "two"], model="hybrid:static")
    assert not (tmp_path / "run/embeddings").exists()


@pytest.mark.parametrize("model", ["hybrid", "static"])
@pytest.mark.parametrize("workers", [0, 2])
def test_parts_and_workers_do_not_change_hybrid_and_static(model, workers, tmp_path):
    texts = [f"{text} about ships, number {row}" for row, text in enumerate(corpus_texts())]
    kept = [text for row, text in enumerate(texts) if row not in DROPPED]
    expected = embed_documents(kept, model=model).astype(np.float16)
    if workers:
        with ProcessExecutor(workers) as executor:
            folder, _ = make_run(tmp_path, texts, part_mib=0.01, executor=executor, model=model)
    else:
        folder, _ = make_run(tmp_path, texts, part_mib=0.01, model=model)
    assert len(list(folder.glob("part-*.npy"))) > 2
    assert vectors_in(folder).tobytes() == expected.tobytes()


def test_the_sample_does_not_depend_on_the_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(hybrid, "SAMPLE_ROWS", 50)
    monkeypatch.setattr(hybrid, "LEXICAL_WIDTH", 128)
    texts = [f"{text} ship {row}" for row, text in enumerate(corpus_texts())]
    whole, _ = make_run(tmp_path / "one", texts, model="hybrid")
    cut, _ = make_run(tmp_path / "many", texts, model="hybrid", part_mib=0.01)
    assert len(list(cut.glob("part-*.npy"))) > 2
    assert vectors_in(whole).tobytes() == vectors_in(cut).tobytes()


def test_words_join_a_transformer(letters, tmp_path, monkeypatch):
    monkeypatch.setattr(hybrid, "load_transformer", lambda settings: Letters())
    folder, context = make_run(tmp_path, corpus_texts(), model=f"hybrid:{letters}", device="cpu")
    vectors = vectors_in(folder).astype(np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-3)
    assert {"seed", "embed.max_tokens"} < set(basis_of(embeddings.STEP, context)["config"])
    assert list(basis_of(embeddings.STEP, context)["sources"]) == [str(Path(letters, "config.json"))]


def test_a_broken_vector_beside_words_names_its_document(letters, tmp_path, monkeypatch):
    monkeypatch.setattr(hybrid, "load_transformer", lambda settings: Letters())
    with pytest.raises(InputError, match=r"document 'd5': its vector by .* is not finite"):
        make_run(tmp_path, ["good"] * 5 + ["bad one", "good"], model=f"hybrid:{letters}")


def own_vectors(folder, ids, name="v"):
    """Vectors (number, 1) of ids d<number>, in ``v.npy`` and ``v.ids.txt``; returns their glob."""
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", np.array([[int(key[1:]), 1] for key in ids], dtype=np.float32))
    (folder / f"{name}.ids.txt").write_text("".join(f"{key}\n" for key in ids))
    return f"files:{folder}/*.npy"


def test_own_vectors_are_found_by_id(tmp_path):
    ids = [f"d{row}" for row in range(N_DOCS)]
    own_vectors(tmp_path / "vectors", ids[::-1][:100], "a")
    model = own_vectors(tmp_path / "vectors", ids[::-1][100:], "b")
    folder, context = make_run(tmp_path, corpus_texts(), part_mib=0.01, model=model)
    rows = np.array([[row, 1] for row in range(N_DOCS) if row not in DROPPED], dtype=np.float64)
    expected = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    assert np.array_equal(vectors_in(folder), expected)
    assert read_manifest(folder).counts == {"missing": 0, "rows": len(rows), "zero_rows": 0}
    assert len(basis_of(embeddings.STEP, context)["sources"]) == 2


def test_a_few_missing_vectors_are_zero_and_counted(tmp_path):
    model = own_vectors(tmp_path / "vectors", [f"d{row}" for row in range(N_DOCS) if row != 7])
    folder, _ = make_run(tmp_path, corpus_texts(), model=model)
    assert read_manifest(folder).counts["missing"] == 1
    assert np.flatnonzero(~vectors_in(folder).any(axis=1)).tolist() == [5]  # two before it were dropped


def test_many_missing_vectors_end_the_run(tmp_path):
    model = own_vectors(tmp_path / "vectors", [f"d{row}" for row in range(200)])
    with pytest.raises(InputError, match=r"59 of 256 documents have no vector, e\.g\. 'd200', .*max_rejected"):
        make_run(tmp_path, corpus_texts(), model=model)


def test_own_vectors_of_two_lengths_are_refused(tmp_path):
    own_vectors(tmp_path / "vectors", ["d0"], "a")
    np.save(tmp_path / "vectors/b.npy", np.ones((1, 3), np.float32))
    (tmp_path / "vectors/b.ids.txt").write_text("d1\n")
    with pytest.raises(InputError, match=r"b\.npy: vectors of 3 dimensions, but .*a\.npy has 2"):
        make_run(tmp_path, ["one", "two"], model=f"files:{tmp_path}/vectors/*.npy")


class PanicError(BaseException):
    """What a library in Rust raises: no Exception."""


class Breaking(Letters):
    """A model that breaks on texts with "crash", and on all if it is broken."""

    broken = False

    def embed(self, texts):
        if self.broken or any("crash" in text for text in texts):
            raise PanicError("index out of bounds\nmore")
        return super().embed(texts) * np.array([[bool(text)] for text in texts])


@pytest.fixture
def breaking(letters, monkeypatch):
    monkeypatch.setattr(embeddings, "load_transformer", lambda settings: Breaking())
    monkeypatch.setattr(hybrid, "load_transformer", lambda settings: Breaking())
    return letters


@pytest.mark.parametrize("model", ["", "hybrid:"])
def test_a_document_that_breaks_the_model_has_no_vector_and_is_counted_and_named(breaking, model, tmp_path, caplog):
    texts = [f"text {row}" for row in range(40)]
    texts[5] = "crash here"
    folder, _ = make_run(tmp_path, texts, model=model + breaking)
    assert read_manifest(folder).counts["failed"] == 1
    assert "failed on 1 documents" in caplog.text
    assert "'d5' (PanicError: index out of bounds)" in caplog.text
    found = vectors_in(folder)
    if not model:
        kept = [row for row in range(40) if row not in DROPPED]
        assert not found[kept.index(5)].any()
        others = [row for row in kept if row != 5]
        expected = Letters().embed([texts[row] for row in others]).astype(np.float16)
        assert np.array_equal(found[[kept.index(row) for row in others]], expected)


def test_a_model_that_breaks_on_too_many_documents_ends_the_run(breaking, tmp_path):
    with pytest.raises(InputError, match=r"fails on \d+ of \d+ documents \(corpus.max_rejected is 0.01\), e.g. 'd1' "):
        make_run(tmp_path, ["text", *["crash"] * 39], model=breaking)


def test_a_broken_model_is_no_fault_of_the_documents(breaking, tmp_path, monkeypatch):
    monkeypatch.setattr(Breaking, "broken", True)
    with pytest.raises(PartsFailedError, match="PanicError: index out of bounds"):
        make_run(tmp_path, ["text", "more"], model=breaking)
