"""Every engine gives the ids of the reference library, or is not used."""

import json

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, trainers

from icp.config import TokenizerConfig
from icp.tokenizer import engines
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.engines import FAST, FastEngine, ReferenceEngine, UnsupportedError, choose_engine, encoder_of
from icp.tokenizer.tokenizer import load_tokenizer
from icp.warm import tiny_rows

pytest.importorskip("gigatoken")
ODD = [
    "",
    " ",
    "naïve café 12,345 don't",
    "今天天气很好。",
    "हिन्दी दिन",
    "a<|endoftext|>b <|begin_of_text|>",
    "x" * 300,
]
TEXTS = [*(row["text"] for row in tiny_rows()), *ODD, "🙂🙂 ok\n\n\tend "]


def load(folder, text):
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    return load_tokenizer(TokenizerConfig(name=str(folder), eos="<|endoftext|>"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return load(tmp_path_factory.mktemp("trained"), train_tokenizer(TEXTS, 600))


def assert_equal(tokenizer, texts):
    ids, offsets = FastEngine(tokenizer).encode(pa.array(texts, pa.string()))
    expected, bounds = ReferenceEngine(tokenizer).encode(pa.array(texts, pa.string()))
    assert offsets.tolist() == bounds.tolist()
    assert ids.tolist() == expected.tolist()
    assert (ids.dtype, offsets.dtype) == (tokenizer.dtype, np.int64)


def test_ids_are_those_of_the_reference(trained):
    assert_equal(trained, TEXTS)
    assert_equal(trained, [])
    assert_equal(trained, [""])


@settings(max_examples=60)
@given(st.lists(st.text(max_size=40) | st.sampled_from(TEXTS), max_size=6))
def test_any_texts_give_the_ids_of_the_reference(trained, texts):
    assert_equal(trained, texts)


def test_slices_and_large_arrays_are_read_where_they_lie(trained):
    whole = pa.array(TEXTS, pa.large_string())
    ids, offsets = FastEngine(trained).encode(whole[3:9])
    expected, bounds = trained.encode_batch(TEXTS[3:9])
    assert ids.tolist() == expected.tolist()
    assert offsets.tolist() == bounds.tolist()


def test_long_texts_are_cut_as_the_reference_cuts_them(trained, monkeypatch):
    monkeypatch.setattr(engines, "LONG_BYTES", 1 << 12)
    words = " ".join(TEXTS[:160])
    assert_equal(trained, [words * 8, "short", words])


def test_small_blocks_and_a_fresh_start_change_nothing(trained, monkeypatch):
    monkeypatch.setattr(engines, "BLOCK_BYTES", 50)
    monkeypatch.setattr(engines, "GROWTH_BYTES", -1)  # anew after every block
    assert_equal(trained, TEXTS)


def test_added_tokens_in_texts_mean_what_the_reference_says(tmp_path):
    tree = json.loads(train_tokenizer(TEXTS, 400))
    last = max(tree["model"]["vocab"].values())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tree["added_tokens"] += [{"id": last + 1, "content": "<b>", "special": False, **flags}]
    tokenizer = load(tmp_path, json.dumps(tree))
    assert last + 1 in tokenizer.encode_batch(["is <b>bold"])[0]
    assert_equal(tokenizer, ["is <b>bold", "plain", "<b><b>", "a < b", "<|endoftext|><b>"])


def test_the_sample_proves_the_engine(trained):
    choice = choose_engine(trained, pa.array(TEXTS, pa.string()))
    assert choice.is_fast
    assert f"{len(TEXTS):,} documents" in choice.reason
    assert isinstance(encoder_of(trained, choice.engine), FastEngine)


def test_an_engine_that_differs_on_the_sample_is_not_used(trained, monkeypatch):
    encode = FastEngine.encode

    def wrong(self, texts):
        ids, offsets = encode(self, texts)
        ids = ids.copy()
        ids[offsets[4]] ^= 1
        return ids, offsets

    monkeypatch.setattr(FastEngine, "encode", wrong)
    choice = choose_engine(trained, pa.array(TEXTS, pa.string()))
    assert not choice.is_fast
    assert f"other ids for 1 of {len(TEXTS):,} documents" in choice.reason
    assert isinstance(encoder_of(trained, choice.engine), ReferenceEngine)


def test_a_missing_engine_is_no_error(trained, monkeypatch):
    def missing(name):
        if name == FAST:
            raise engines.PackageNotFoundError(name)
        return "0"

    monkeypatch.setattr(engines, "version", missing)
    assert not choose_engine(trained, pa.array(TEXTS, pa.string())).is_fast


def other_models():
    wordpiece = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.pre_tokenizer = pre_tokenizers.Whitespace()
    wordpiece.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "<|endoftext|>"])
    )
    unigram = tokenizers.Tokenizer(models.Unigram())
    unigram.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=200, special_tokens=["<unk>", "<|endoftext|>"], unk_token="<unk>")
    )
    lower = tokenizers.Tokenizer.from_str(train_tokenizer(TEXTS, 400))
    lower.normalizer = normalizers.Lowercase()
    lower.add_tokens([tokenizers.AddedToken("word", normalized=True)])
    return {"WordPiece": wordpiece, "Unigram": unigram, "normalized added tokens": lower}


@pytest.mark.parametrize("name", ["WordPiece", "Unigram", "normalized added tokens"])
def test_tokenizers_that_the_engine_does_not_know_go_to_the_reference(tmp_path, name):
    tokenizer = load(tmp_path, other_models()[name].to_str())
    with pytest.raises(UnsupportedError):
        FastEngine(tokenizer)
    choice = choose_engine(tokenizer, pa.array(TEXTS, pa.string()))
    assert not choice.is_fast
    assert "does not know this tokenizer" in choice.reason
