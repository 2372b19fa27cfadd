"""What a ``tokenizer.json`` may ask for: its largest id, and how much longer than a text what it makes of it may be.

Files of tokenizers come from strangers. A chain of replacements can double a text at every link, and an id asks for a
table as long as itself.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from icp.errors import InputError

LARGEST_ID = (1 << 24) - 1
MOST_GROWTH = 64
"""No more times as long as a text: Unicode's own normal forms stay below 20."""
_MOST_PROBES = 512
_USUAL_ENTRY = 64
"""Bytes: NFKC's longest is 33."""
_MAY_BE_EMPTY = re.compile(r"[*?|^$]|\\[bBAzZG]|\{0?,|\{0\}|\(\)|^$")


def growth(tree: Mapping[str, Any], where: str) -> int:
    """About how many times as long as a text its normalized form, or a decoded text, can be; at least 1.

    Args:
        tree: a ``tokenizer.json``.
        where: what messages call it.

    Raises: InputError if that is more than `MOST_GROWTH`.
    """
    largest = 1
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        times = _growth(list(_links(tree.get(part))))
        if times > MOST_GROWTH:
            raise InputError(
                f"tokenizer.name: the {part} of {where} can make a text more than {MOST_GROWTH} times as long; "
                "it is damaged or made to do harm, so use another tokenizer"
            )
        largest = max(largest, times)
    return largest


def _links(part: Any) -> Iterator[Mapping[str, Any]]:
    """The members of nested sequences one after another."""
    waiting = [part]
    while waiting:
        member = waiting.pop()
        if isinstance(member, Mapping):
            inner = [member.get(name) for name in ("normalizers", "pretokenizers", "decoders")]
            waiting += [child for children in inner if isinstance(children, list) for child in reversed(children)]
            yield member


def _growth(links: list[Mapping[str, Any]]) -> int:
    """Patterns that are strings are tried, one by one; of other patterns, the most that they can insert is counted."""
    contents = (link.get("content") for link in links)
    texts = [text for text in (*map(_string, links), *contents) if isinstance(text, str) and text]
    probes = list(dict.fromkeys([*texts, *"".join(texts)]))[:_MOST_PROBES]
    largest = max((len(_replaced(probe, links)) / len(probe) for probe in probes), default=1)
    for link in links:
        pattern, content = link.get("pattern"), str(link.get("content") or "")
        if isinstance(pattern, Mapping) and "String" not in pattern and content:
            largest *= len(content) + bool(_MAY_BE_EMPTY.search(str(pattern.get("Regex", ""))))
        largest *= max(1, _longest_entry(link.get("precompiled_charsmap")) / _USUAL_ENTRY)
    return math.ceil(min(largest, MOST_GROWTH + 1))


def _replaced(text: str, links: list[Mapping[str, Any]]) -> str:
    """What the replacements of strings make of a text, until it has grown too long."""
    most = (MOST_GROWTH + 1) * len(text)
    for link in links:
        pattern = _string(link)
        if pattern and len(text) <= most:
            text = text.replace(pattern, str(link.get("content") or ""))
    return text


def _string(link: Mapping[str, Any]) -> str | None:
    pattern = link.get("pattern")
    found = pattern.get("String") if isinstance(pattern, Mapping) else None
    return found if isinstance(found, str) else None


def _longest_entry(charsmap: Any) -> int:
    """Bytes of the longest string that a map of SentencePiece can put in place of a character."""
    if not isinstance(charsmap, str):
        return 0
    try:
        raw = base64.b64decode(charsmap)
    except (binascii.Error, ValueError):
        return 0  # the library says what is wrong with it
    trie = int.from_bytes(raw[:4], "little")
    return max(map(len, raw[4 + trie :].split(b"\0")), default=0)
