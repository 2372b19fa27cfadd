# ruff: noqa: RUF001 - many alphabets on purpose
"""`reference_words` is the definition of a word in code."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_hashes import word_hashes

from icp import texts
from icp.kernels import text_words as kernels
from icp.texts import OWN_WORDS, text_buffers, word_table

_OWN = "".join(f"{chr(first)}-{chr(last)}" for first, last in OWN_WORDS)
_WORD = re.compile(rf"(?=\w)[{_OWN}]|(?:(?![{_OWN}])\w)+")


def reference_words(text):
    """A word is a run of \\w of the lower-cased text; a character of its own is one word."""
    return _WORD.findall(text.lower())


def normalized(texts, kernel=kernels.normalize_texts):
    buffers = text_buffers(texts)
    normal, offsets = kernel(buffers.data, buffers.offsets, word_table())
    bounds = offsets.tolist()
    return [bytes(normal[start:stop]).decode() for start, stop in pairwise(bounds)]


def hashed(texts):
    buffers = text_buffers(texts)
    return word_hashes(buffers.data, buffers.offsets)


# letters of many kinds, marks, separators, everything the rules name
ALPHABET = "aZ_09 .'-\n\0éÉßẞ\u0301\u0308\u00ad\u200d\u0345ΣσςΑα'İıI\u212a日本々ーカﾊぁกำ่한ᄒ"
ALPHABET += "Ⅳ²①😀𝔘𠀀𐐀ʰªǅⱥȺЖж\u3000\ufeff\U000e0020"
TEXTS = st.one_of(st.text(st.sampled_from(ALPHABET), max_size=30), st.text(max_size=20))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, WORLD!", "hello world"),
        ("", ""),
        (" .,;-\n", ""),
        ("one", "one"),
        ("  two  words  ", "two words"),
        ("snake_case x2 3.14", "snake_case x2 3 14"),
        ("a\0b", "a b"),
        ("ÉCOLE STRASSE straße", "école strasse straße"),
        ("e\u0301t", "e t"),  # a combining mark is no word character
        ("日本語 text", "日 本 語 text"),
        ("abc漢def", "abc 漢 def"),
        ("ภาษา", "ภ า ษ า"),
        ("カタカナとﾊﾝ𠀀", "カ タ カ ナ と ﾊ ﾝ 𠀀"),
        ("한국어 말", "한국어 말"),
        ("so 😀good👍🏽", "so good"),
        ("𝔘nicode 𐐀", "𝔘nicode 𐐨"),
        ("İstanbul", "i stanbul"),  # lower case of U+0130 is i and a combining dot
        ("ΟΔΟΣ ΣΑΣ Σ", "οδος σας σ"),
        ("ΟΔΟΣ' ΑΣ.Α ΑΣ\u0301Α", "οδος ασ α ασ α"),  # quotes, dots and marks do not count
    ],
)
def test_words_worked_by_hand(text, words):
    assert normalized([text]) == [words]
    assert " ".join(reference_words(text)) == words


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_words_match_reference(texts):
    expected = [reference_words(text) for text in texts]
    assert normalized(texts) == [" ".join(words) for words in expected]
    assert [len(hashes) for hashes in hashed(texts)] == [len(words) for words in expected]


@settings(max_examples=20, deadline=None)
@given(TEXTS)
def test_uncompiled_kernels_match_reference(text):
    buffers, table = text_buffers([text]), word_table()
    low, edges = np.zeros(2 * buffers.data.size + kernels.PADDING, np.uint8), np.zeros(buffers.data.size + 2, np.uint32)
    with np.errstate(over="ignore"):  # numpy warns where compiled arithmetic wraps
        if kernels.has_high_byte.py_func(buffers.data):
            size = kernels.lower_utf8.py_func(buffers.data, table, low)
        else:
            size = buffers.data.size
            kernels.lower_ascii.py_func(buffers.data, low)
    assert kernels.find_edges.py_func(low, size, edges) == len(reference_words(text))
    normal = np.zeros(2 * buffers.data.size + 2, np.uint8)
    stop = kernels.join_words.py_func(low, size, normal, 0)
    assert bytes(normal[:stop]).decode() == " ".join(reference_words(text))


def test_every_character_next_to_others():
    chars = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = ["".join(chars), "".join(reversed(chars)), *("A" + c + "Σ" + c + "b" for c in chars[:0x3000])]
    assert normalized(texts) == [" ".join(reference_words(text)) for text in texts]


def test_equal_words_have_equal_hashes_and_others_do_not():
    words = [f"{stem}{number}" for stem in ("a", "word", "eightchr", "seventeencharlong") for number in range(5000)]
    hashes = np.array(hashed([" ".join(words), ", ".join(words).upper()]), np.uint64)
    assert (hashes[0] == hashes[1]).all()
    assert np.unique(hashes[0]).size == len(words)
    assert np.unique(hashes[0] >> np.uint64(32)).size >= len(words) - 2


def test_a_million_equal_words():
    (words,) = hashed(["tick " * 1_000_000])
    assert (len(words), len(set(words))) == (1_000_000, 1)


def test_texts_do_not_touch_each_other():
    texts = ["left", "right", "", "日", "Σ", "ΑΣ", "end"]
    assert normalized(texts) == ["left", "right", "", "日", "σ", "ας", "end"]
    assert hashed(texts) == [hashed([text])[0] for text in texts]


def test_flags_are_those_of_the_table():
    names = ("BREAK_BEFORE", "BREAK_AFTER", "CASED", "CASE_IGNORABLE")
    assert [getattr(kernels, name) for name in names] == [getattr(texts, name) for name in names]
    assert sum(getattr(kernels, name) for name in names) & kernels.CODE_POINT == 0


def test_no_texts_give_no_words():
    assert normalized([]) == []
    assert hashed([]) == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=12))
def test_bytes_that_are_not_utf8_are_survived(raw):
    data, offsets = np.frombuffer(raw, np.uint8), np.array([0, len(raw)])
    assert len(word_hashes(data, offsets)[0]) <= (len(raw) + 1) // 2
    assert kernels.normalize_texts(data, offsets, word_table())[1][1] <= 2 * len(raw)
