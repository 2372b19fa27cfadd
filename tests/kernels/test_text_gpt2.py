from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.text_gpt2 import LETTER, NUMBER, OTHER, SPACE, bytes_of_words, count_words, texts_with
from icp.texts import text_buffers
from icp.tokenizer.characters import NEWER, character_kinds

# assigned before Unicode 14, so that every library agrees on what they are
ALPHABET = (
    "ab'stmdlrve .,;!-_09²½Ⅷéß\u0301ЖאشहิไカAa龥。「\u00a0\u2003\u3000\u0085\u200b\ufeff\n\r\t\x0b\x00\x1c🙂\U00020000"
)
SCRAPS = [*ALPHABET, "'s", "'ll", "'re", "  ", "\n\n", " \n ", " 12", "don't", "'LL", "' s"]


def words_of(impl, texts):
    """Each distinct word and how often it occurs."""
    buffers = text_buffers(texts)
    starts, lengths, counts = impl(buffers.data, buffers.offsets, character_kinds())
    found = [buffers.data[start : start + length].tobytes() for start, length in zip(starts, lengths, strict=True)]
    assert len(set(found)) == len(found)
    return dict(zip(found, counts.tolist(), strict=True))


@pytest.fixture(scope="module")
def split():
    """GPT-2's words by the library that defines them here."""
    reason = "tokenizers 1.0 does not split into words alone"
    inner = pytest.importorskip("tokenizers.pre_tokenizers", reason=reason).ByteLevel(add_prefix_space=False)
    return lambda text: [text[begin:end].encode() for _, (begin, end) in inner.pre_tokenize_str(text)]


@pytest.mark.parametrize("impl", [count_words, count_words.py_func], ids=["compiled", "python"])
def test_words_by_hand(impl):
    assert words_of(impl, ["it's 12  o'clock,\n\n now", "it's", ""]) == {
        b"it": 2, b"'s": 2, b" 12": 1, b" ": 1, b" o": 1, b"'": 1, b"clock": 1, b",": 1, b"\n\n": 1, b" now": 1,
    }  # fmt: skip
    assert words_of(impl, []) == words_of(impl, [""]) == {}


@settings(max_examples=200)
@given(st.lists(st.lists(st.sampled_from(SCRAPS), max_size=30).map("".join), max_size=4))
def test_words_are_those_of_the_pattern(split, texts):
    assert words_of(count_words, texts) == Counter(word for text in texts for word in split(text))


def test_many_distinct_words_find_room(split):
    texts = [" ".join(f"{number:x}{number * 7919}" for number in range(20_000))]
    assert words_of(count_words, texts) == Counter(split(texts[0]))


@pytest.mark.parametrize("impl", [bytes_of_words, bytes_of_words.py_func], ids=["compiled", "python"])
def test_bytes_of_words_one_after_another(impl):
    data = np.frombuffer(b"xabyc", np.uint8)
    symbols = impl(data, np.array([1, 4]), np.array([0, 2, 3]), np.arange(256, dtype=np.int32) + 5)
    assert symbols.tolist() == [5 + ord(letter) for letter in "abc"]


@pytest.mark.parametrize("impl", [texts_with, texts_with.py_func], ids=["compiled", "python"])
def test_texts_with_characters_of_a_kind(impl):
    buffers = text_buffers(["old", "a\u1c89", "", "é龥", "\u1c89"])
    assert impl(buffers.data, buffers.offsets, character_kinds(), NEWER).tolist() == [False, True, False, False, True]


def test_kinds_of_known_characters():
    kinds = character_kinds() & 3
    for kind, letters in (
        (LETTER, "aéßЖא龥ไ"),
        (NUMBER, "0²½Ⅷ"),
        (SPACE, " \t\n\u00a0\u3000\u0085"),
        (OTHER, "_'。\u0301\u200b"),
    ):
        assert {int(kinds[ord(letter)]) for letter in letters} == {kind}
    assert not character_kinds().flags.writeable
