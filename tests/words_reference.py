"""What a word and an exact copy are, in code: `regex` and `unicodedata` say what kernels must find."""

import unicodedata

import regex

from icp.words import IGNORED, OWN_WORDS


def class_of(ranges):
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


_IGNORED = regex.compile(f"[{class_of(IGNORED)}]")
_OWN = class_of(OWN_WORDS)
_WORD = regex.compile(rf"(?V1)[[{_OWN}]&&\w--\p{{M}}]\p{{M}}*|[\w--[[{_OWN}]--\p{{M}}]]+")


def reference_canonical(text):
    """Lower case, nothing that is ignored, form NFC, a blank for every run of white space."""
    return " ".join(unicodedata.normalize("NFC", _IGNORED.sub("", text.lower())).split())


def reference_words(text):
    """A character of its own with its marks, or a run of other \\w."""
    return _WORD.findall(reference_canonical(text))


def reference_copy(text):
    """Equal for exact copies: a full stop that closes a text of five words or more does not count."""
    canonical = reference_canonical(text)
    closes = canonical.endswith(".") and canonical[-2:-1] not in (".", " ")
    return canonical[:-1] if closes and len(reference_words(text)) >= 5 else canonical


def reference_shingles(text, ngram):
    """The set of word n-grams; of fewer words, one of all; of none, none."""
    words = reference_words(text)
    n = min(ngram, len(words))
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)} if words else set()


def reference_jaccard(one, other, ngram):
    a, b = reference_shingles(one, ngram), reference_shingles(other, ngram)
    return len(a & b) / max(1, len(a | b))


def known(code):
    """Whether the running interpreter knows a character, and `regex`, which may be newer, speaks of the same."""
    return not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code)) not in ("Cn", "Co")
