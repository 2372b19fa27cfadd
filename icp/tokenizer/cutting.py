"""Cut very long texts into pieces that encode to the same tokens as the whole.

Libraries need some hundred bytes a character and slow down on long inputs; the pieces bound both. A piece that
continues a text is encoded without what a tokenizer puts before a text. Which cuts are harmless depends on the
tokenizer, so every pattern is tried on a sample before it is used. For a model that takes texts whole, a text can be
cut between two characters that no token holds one after the other. Where a text has no such place for `LONGEST_CHARS`
characters, it is cut all the same: the tokens around that place may then be others.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PIECE_CHARS = 1 << 16
LONGEST_CHARS = 1 << 20

# Each matches between characters that no usual pre-tokenizer joins: GPT-2's pattern and its followers let a word take
# the space before it, never the one after; a line break after a word stands alone; so does a comma or full stop.
_PATTERNS = (
    (re.compile(r"(?<=\w) (?=\w)"), "The quick brown Fox 12 jumps über 7 straße_x y"),
    (re.compile(r"(?<=[^\W\d_])\n(?=[^\W_])"), "one\nTwo\nthree\n4 five\nétude"),
    (re.compile(r"(?<=[^\W\d_])[.,;:!?。，、；：？！](?=[^\W_])"), "今天，天气。很好,yes.No;x:y 第五！他"),  # noqa: RUF001
)


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where texts may be cut.

    Attributes:
        patterns: each matches the one character that begins the next piece.
        joined: pairs of characters that stand one after the other in a token, blanks as U+2581; between two others a
            text may be cut. None: not known, or words matter.
        known: characters of which one must stand at such a place, as unknown ones in a row may be one token; None: any.
        letters_only: the place must be between letters that no normal form and no change of case touches.
    """

    patterns: Sequence[re.Pattern[str]] = ()
    joined: frozenset[str] | None = None
    known: frozenset[str] | None = None
    letters_only: bool = False


def usable_patterns(encode: Callable[[Sequence[str]], list[int]]) -> list[re.Pattern[str]]:
    """The patterns at which pieces of a sample encode to the same ids as the sample.

    Args:
        encode: ids of one text in pieces, without specials.
    """
    kept: list[re.Pattern[str]] = []
    for pattern, sample in _PATTERNS:
        cuts = [match.start() for match in pattern.finditer(sample)]
        whole = encode([sample])
        if all(encode([sample[:cut], sample[cut:]]) == whole for cut in cuts):
            kept.append(pattern)
    return kept


def cut_text(
    text: str, cuts: Cuts, *, piece_chars: int = PIECE_CHARS, longest_chars: int = LONGEST_CHARS
) -> Iterator[str]:
    """Pieces of `text` of about `piece_chars` characters each, which joined give the text.

    Args:
        text: may be empty, which gives no piece.
        cuts: where it may be cut.
        piece_chars: from here on a place is looked for; texts up to twice this stay whole.
        longest_chars: where none is found up to here, the text is cut all the same.
    """
    start = 0
    while len(text) - start > 2 * piece_chars:
        stop = _next_cut(text, cuts, start + piece_chars, start + longest_chars)
        if stop >= len(text):
            break
        yield text[start:stop]
        start = stop
    if start < len(text):
        yield text[start:]


def _next_cut(text: str, cuts: Cuts, first: int, last: int) -> int:
    """Where the next piece begins, looked for between `first` and `last`; `last` where there is no place."""
    near = first + (last - first) // 16
    for stop in (near, last):  # near first: a text without spaces must not be searched to the end for every piece
        for pattern in cuts.patterns:
            match = pattern.search(text, first, stop)
            if match:
                return match.start()
        place = _unjoined(text, cuts, first, min(stop, len(text)))
        if place is not None:
            return place
    return last


def _unjoined(text: str, cuts: Cuts, first: int, last: int) -> int | None:
    if cuts.joined is None:
        return None
    for place in range(first, last):
        pair = text[place - 1 : place + 1].replace(" ", "\u2581")
        is_free = pair not in cuts.joined and (cuts.known is None or not cuts.known.isdisjoint(pair))
        if is_free and not (cuts.letters_only and not _is_plain(pair)):
            return place
    return None


def _is_plain(pair: str) -> bool:
    return pair.isalpha() and pair.lower() == pair and unicodedata.normalize("NFKC", pair) == pair
