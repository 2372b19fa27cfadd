# ruff: noqa: RUF001 - many alphabets on purpose
"""`words_reference` is the definition of a word in code."""

import random
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_hashes import word_hashes
from words_reference import known, reference_canonical, reference_copy, reference_words

from icp.kernels import text_alphabet, text_canonical, text_utf8
from icp.kernels import text_words as kernels
from icp.texts import text_buffers
from icp.words import alphabet


def copies(texts):
    """What exact copies have in common, of each text."""
    buffers = text_buffers(texts)
    canonical, offsets = kernels.canonical_texts(buffers.data, buffers.offsets, alphabet())
    return [bytes(canonical[start:stop]).decode() for start, stop in pairwise(offsets.tolist())]


def words_of(text):
    data = text_buffers([text]).data
    low, edges = kernels.word_room(np.array([0, data.size]))
    n_words, _ = kernels.split_words(data, alphabet(), low, edges)
    return [bytes(low[edges[2 * w] : edges[2 * w + 1]]).decode() for w in range(n_words)]


def hashed(texts):
    buffers = text_buffers(texts)
    return word_hashes(buffers.data, buffers.offsets)


# letters of many kinds, marks, separators, everything the rules name
ALPHABET = "aZ_09 .'-\n\0éÉßẞ\u0301\u0308\u00ad\u200d\u0345ΣσςΑα'İıI\u212a日本々ーカﾊぁกำ่한ᄒ"
ALPHABET += "Ⅳ²①😀𝔘𠀀𐐀ʰªǅⱥȺЖж\u3000\ufeff\U000e0020\u0323\u0338=<कि़ড়াো\u1161\u11a8각Åᾳ\U0001d160\ufe0f"
KNOWN = st.characters(codec="utf-8").filter(lambda char: known(ord(char)))
TEXTS = st.one_of(st.text(st.sampled_from(ALPHABET), max_size=30), st.text(KNOWN, max_size=20))


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
        ("e\u0301te\u0301", "été"),
        ("x\u0301y", "x\u0301y"),  # a mark belongs to its word, joined or not
        ("q\u0307\u0323 q\u0323\u0307", "q\u0323\u0307 q\u0323\u0307"),
        ("co\u00adop\u200bera\u200dte", "cooperate"),
        ("1 =\u0338 2", "1 2"),
        ("दिन दीन दान", "दिन दीन दान"),
        ("日本語 text", "日 本 語 text"),
        ("abc漢def", "abc 漢 def"),
        ("ภาษา ปีใหม่", "ภ า ษ า ปี ใ ห ม่"),
        ("カタカナとﾊﾝ𠀀", "カ タ カ ナ と ﾊ ﾝ 𠀀"),
        ("か\u3099き", "が き"),
        ("한국어 말 \u1112\u1161\u11ab", "한국어 말 한"),
        ("so 😀good👍🏽 ❤\ufe0f", "so good"),
        ("𝔘nicode 𐐀", "𝔘nicode 𐐨"),
        ("İstanbul", "i\u0307stanbul"),
        ("ΟΔΟΣ ΣΑΣ Σ", "οδος σας σ"),
        ("ΟΔΟΣ' ΑΣ.Α ΑΣ\u0301Α", "οδος ασ α ας\u0301α".replace("ς\u0301", "σ\u0301")),  # marks do not count
    ],
)
def test_words_worked_by_hand(text, words):
    assert " ".join(words_of(text)) == words
    assert " ".join(reference_words(text)) == words


@pytest.mark.parametrize(
    ("text", "copy"),
    [
        (" The\tC \n\n LANGUAGE ", "the c language"),
        ("C++", "c++"),
        ("-5", "-5"),
        ("...", "..."),
        ("  ", ""),
        ("\u200b", ""),
        ("a\u3000\u00a0b", "a b"),
        ("one two three four five.", "one two three four five"),
        ("one two three four five .", "one two three four five ."),
        ("one two three four five..", "one two three four five.."),
        ("one two three four.", "one two three four."),
        ("eins zwei drei vier fünf.\n", "eins zwei drei vier fünf"),
    ],
)
def test_copies_worked_by_hand(text, copy):
    assert copies([text, text + "\u00ad"]) == [copy, copy]
    assert reference_copy(text) == copy


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_words_and_copies_match_reference(texts):
    for form in ("NFC", "NFD"):
        forms = [unicodedata.normalize(form, text) for text in texts]
        assert copies(forms) == [reference_copy(text) for text in texts]
        assert [words_of(text) for text in forms] == [reference_words(text) for text in texts]


def drawn(seed, n):
    """Texts of characters that seldom meet: marks of all classes, all that is decomposed, Hangul letters, others."""
    generator = random.Random(seed)
    chars = [chr(code) for code in range(0x32000) if known(code)]
    pools = [
        [char for char in chars if unicodedata.combining(char)],
        [char for char in chars if unicodedata.decomposition(char)[:1] not in ("", "<")],
        [chr(code) for code in (*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3))],
        "\u00ad\u200b\u200d\ufe0f\u034f",
        "aAbZ .-+_5\n日かกΣσİKÅ\u3000\xa0",
        chars,
    ]
    for _ in range(n):
        few = [generator.choice(pool) for pool in pools]
        yield "".join(generator.choice(few) for _ in range(generator.randint(1, 12)))


def test_characters_that_seldom_meet_match_reference():
    texts = list(drawn(1, 4000))
    expected = [reference_copy(text) for text in texts]
    assert copies(texts) == expected
    assert copies([unicodedata.normalize("NFD", text) for text in texts]) == expected
    assert [words_of(text) for text in texts] == [reference_words(text) for text in texts]


def test_uncompiled_kernels_match_reference(monkeypatch):
    texts = [*drawn(2, 150), "Plain  ASCII. ", "x\u0301 =\u0338 ἀ\u0345\u0301"]
    for module in (text_alphabet, text_utf8, text_canonical, kernels):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
    with np.errstate(over="ignore"):  # numpy warns where compiled arithmetic wraps
        assert [words_of(text) for text in texts] == [reference_words(text) for text in texts]
        assert copies(texts) == [reference_copy(text) for text in texts]


@pytest.mark.parametrize("around", ["{}", "a{}\u0301b", "日{}日", "= {}\u0338"])
def test_every_character_between_others(around):
    texts = [around.format(chr(code)) for code in range(0x110000) if known(code)]
    assert copies(texts) == [reference_canonical(text) for text in texts]


def test_a_hundred_thousand_marks_on_one_letter():
    marks = "\u0315\u0321\u05b0\u0333" * 25_000
    assert words_of("q" + marks) == ["q" + "".join(sorted(marks, key=unicodedata.combining))]


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
    texts = ["left", "right", "", "日", "Σ", "ΑΣ", "\u0301", "end"]
    assert copies(texts) == ["left", "right", "", "日", "σ", "ας", "\u0301", "end"]
    assert hashed(texts) == [hashed([text])[0] for text in texts]


def test_no_texts_give_no_words():
    assert copies([]) == []
    assert hashed([]) == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=12))
def test_bytes_that_are_not_utf8_are_survived(raw):
    data, offsets = np.frombuffer(raw, np.uint8), np.array([0, len(raw)])
    assert len(word_hashes(data, offsets)[0]) <= (len(raw) + 1) // 2
    assert kernels.canonical_texts(data, offsets, alphabet())[1][1] <= text_canonical.GROWTH * len(raw)
