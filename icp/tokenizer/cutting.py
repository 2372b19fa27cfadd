"""Cut very long texts into pieces that encode to the same tokens as the whole.

Tokenizers need some hundred bytes a character and slow down on long inputs; the pieces bound both. Which cuts are
harmless depends on the tokenizer, so every rule is tried on a sample before it is used.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PIECE_CHARS = 1 << 16
LONGEST_CHARS = 1 << 20


@dataclass(frozen=True, slots=True)
class CutRule:
    """A place where a text may be cut.

    Attributes:
        pattern: matches the one character that begins the next piece.
        drop: whether that character, a space, is left out, as the tokenizer puts it in itself.
    """

    pattern: re.Pattern[str]
    drop: bool = False


# Each matches between characters that no usual pre-tokenizer joins: GPT-2's pattern and its followers let a word take
# the space before it, never the one after; a line break after a word stands alone; so does a comma or full stop.
_SPACE = re.compile(r"(?<=\w) (?=\w)")
_RULES = (
    (CutRule(_SPACE), "The quick brown Fox 12 jumps über 7 straße_x y"),
    (CutRule(re.compile(r"(?<=[^\W\d_])\n(?=[^\W_])")), "one\nTwo\nthree\n4 five\nétude"),
    (CutRule(re.compile(r"(?<=[^\W\d_])[.,;:!?。，、；：？！](?=[^\W_])")), "今天，天气。很好,yes.No;x:y 第五！他"),  # noqa: RUF001
    (CutRule(_SPACE, drop=True), "The quick brown Fox 12 jumps über 7 straße_x y"),
)


def usable_rules(encode: Callable[[str], list[int]]) -> list[CutRule]:
    """The rules under which pieces of a sample encode to the same ids as the sample.

    Args:
        encode: ids of one text, without specials.
    """
    kept: list[CutRule] = []
    for rule, sample in _RULES:
        if rule.drop and kept:
            break
        whole = encode(sample)
        cuts = [match.start() for match in rule.pattern.finditer(sample)]
        if all(encode(sample[:cut]) + encode(sample[cut + rule.drop :]) == whole for cut in cuts):
            kept.append(rule)
    return kept


def cut_text(
    text: str, rules: Sequence[CutRule], *, piece_chars: int = PIECE_CHARS, longest_chars: int = LONGEST_CHARS
) -> Iterator[str]:
    """Pieces of `text` of about `piece_chars` characters each, cut where a rule allows.

    Args:
        text: may be empty, which gives no piece.
        rules: from `usable_rules`; none: the text stays whole.
        piece_chars: from here on a boundary is looked for; texts up to twice this stay whole.
        longest_chars: where none is found up to here, the text is cut all the same if the tokenizer takes bytes as
            they come, and stays whole otherwise.
    """
    start = 0
    while rules and len(text) - start > 2 * piece_chars:
        found = _next_cut(text, rules, start + piece_chars, start + longest_chars)
        if found is None:
            break
        yield text[start : found[0]]
        start = found[1]
    if start < len(text):
        yield text[start:]


def _next_cut(text: str, rules: Sequence[CutRule], first: int, last: int) -> tuple[int, int] | None:
    """End of one piece and start of the next, looked for between `first` and `last`; None where there is none."""
    near = first + (last - first) // 16
    for stop in (near, last):  # near first: a text without spaces must not be searched to the end for every piece
        for rule in rules:
            match = rule.pattern.search(text, first, stop)
            if match:
                return match.start(), match.start() + rule.drop
    if last >= len(text) or any(rule.drop for rule in rules):
        return None
    return last, last
