# ruff: noqa: RUF001 - many alphabets on purpose
import unicodedata

import numpy as np
import regex
from words_reference import known, reference_canonical

from icp.kernels.text_alphabet import (
    CASE_IGNORABLE,
    CASED,
    CODE_POINT,
    IRREGULAR,
    KIND,
    LETTER,
    MARK,
    OWN,
    RANK,
    RANKS,
    SEPARATOR,
)
from icp.kernels.text_canonical import GROWTH
from icp.words import IGNORED, OWN_WORDS, alphabet

IS_IGNORED = {code for first, last in IGNORED for code in range(first, last + 1)}
KNOWN = [code for code in range(0x110000) if known(code)]


def kind_of(char):
    return int(alphabet().entries[ord(char)]) >> KIND


def test_word_characters_are_those_of_uts_18():
    entries, word = alphabet().entries, regex.compile(r"\w")
    for code in KNOWN:
        (char,) = reference_canonical(chr(code))[:1] or " "
        if code not in IS_IGNORED and len(reference_canonical(chr(code))) == 1:
            assert (entries[code] >> KIND != SEPARATOR) == bool(word.match(char)), hex(code)


def test_entries_are_lower_case_in_form_nfc():
    entries = alphabet().entries
    for code in KNOWN:
        expected = unicodedata.normalize("NFC", chr(code).lower())
        if code in IS_IGNORED:
            assert (entries[code] & CODE_POINT, entries[code] & IRREGULAR) == (0, IRREGULAR)
        elif chr(code).isspace():
            assert entries[code] & CODE_POINT == ord(" ")
        elif len(expected) == 1:
            assert chr(entries[code] & CODE_POINT) == expected, hex(code)
        else:
            assert entries[code] & IRREGULAR, hex(code)
            assert entries[code] >> KIND == SEPARATOR, hex(code)
        assert len(expected.encode()) <= GROWTH * len(chr(code).encode())


def test_lower_case_and_canonical_form_may_come_in_either_order():
    normal = unicodedata.normalize
    for code in KNOWN:
        assert normal("NFD", chr(code).lower()) == normal("NFD", normal("NFD", chr(code)).lower()), hex(code)


def test_kinds():
    assert [kind_of(char) for char in "aß_9ⅷⓐ한ㄱ"] == [LETTER] * 8
    assert [kind_of(char) for char in "日カぁกﾊ𠀀豈々ကខລ"] == [OWN] * 11
    assert [kind_of(char) for char in "\u0301\u093fัு\u3099\u20e3"] == [MARK] * 6
    assert [kind_of(char) for char in " .²½①©😀\u200b"] == [SEPARATOR] * 8
    own = np.flatnonzero(alphabet().entries >> KIND == OWN) & CODE_POINT
    lowered = (alphabet().entries[own] & CODE_POINT).tolist()
    assert all(any(first <= code <= last for first, last in OWN_WORDS) for code in lowered)


def test_what_marks_join_stays_of_its_kind():
    tables = alphabet()
    for pair, joined in zip(tables.pairs.tolist(), tables.composed.tolist(), strict=True):
        if pair:
            assert tables.entries[pair >> 21] >> KIND == tables.entries[joined] >> KIND
            assert tables.entries[joined] & CODE_POINT == joined


def test_ranks_order_as_combining_classes_do():
    marks = [chr(code) for code in KNOWN if unicodedata.category(chr(code))[0] == "M" and code not in IS_IGNORED]
    found = {unicodedata.combining(char): int(alphabet().entries[ord(char)]) >> RANK & RANKS for char in marks}
    assert [found[key] for key in sorted(found)] == sorted(found.values())
    assert found[0] == 0
    assert len(set(found.values())) == len(found)


def test_cased_characters_are_known():
    entries = alphabet().entries
    assert all(entries[ord(char)] & CASED for char in "aZσΣǅİ")
    assert not any(entries[ord(char)] & (CASED | CASE_IGNORABLE) for char in " 1日क")
    assert all(entries[ord(char)] & CASE_IGNORABLE for char in "'.^\u0301\u00adʰ")
