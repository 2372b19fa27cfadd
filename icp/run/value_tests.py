"""Tests of single values in the JSON of a run: of the type and range that readers expect.

In: a value that somebody else may have written. Out: whether it will do.
"""

from collections.abc import Callable
from typing import Any

LARGEST = 2**63
LINK_COUNTS = ("links", "unknown", "loops", "edges")


def is_count(value: Any) -> bool:
    """Whether a value is a whole number from 0 on."""
    return type(value) is int and 0 <= value < LARGEST


def is_positive(value: Any) -> bool:
    """Whether a value is a whole number from 1 on, below 2^31."""
    return type(value) is int and 0 < value < 2**31


def is_number(value: Any) -> bool:
    """Whether a value is a number from 0 on."""
    return type(value) in (int, float) and 0 <= value < LARGEST


def is_figure(value: Any) -> bool:
    """Whether a value is a number."""
    return type(value) in (int, float)


def is_text(value: Any) -> bool:
    """Whether a value is a text."""
    return isinstance(value, str)


def is_hash(value: Any) -> bool:
    """Whether a value is a SHA-256 in hexadecimal."""
    return isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef")


def is_mapping(value: Any) -> bool:
    """Whether a value is a mapping."""
    return isinstance(value, dict)


def is_mapping_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A test of mappings whose values all pass `test`."""
    return lambda value: isinstance(value, dict) and all(map(test, value.values()))


def is_policy(value: Any) -> bool:
    """Whether a value says which specials stand where."""
    return is_mapping_of(is_text)(value) and "bos" in value


def is_dtype(value: Any) -> bool:
    """Whether a value is a type of token ids."""
    return value in ("uint16", "uint32")


def is_id(value: Any) -> bool:
    """Whether a value is a token id, or None."""
    return value is None or (type(value) is int and 0 <= value < 2**32)


def are_firsts(value: Any) -> bool:
    """Whether a value lists the first window of each pass, from 0 on."""
    return isinstance(value, list) and all(map(is_count, value)) and value[:1] == [0] and value == sorted(value)


def are_links(value: Any) -> bool:
    """Whether a value says of each entry of `graph.edges` what it is called and how many links and edges it gave."""
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and is_text(entry.get("of"))
        and all(map(is_count, (entry.get(name) for name in LINK_COUNTS)))
        for entry in value
    )
