"""What changes when a text does not begin with the piece that is encoded, and where such a piece may begin.

In: the tree of a ``tokenizer.json``. Out: one that puts nothing before a text; pairs of characters inside tokens.
"""

from collections.abc import Mapping
from typing import Any

_BLANK = "\u2581"
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": _BLANK}


def without_prefix(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The same tokenizer, but nothing is put before a text; unchanged where every word gets it."""
    if any(link.get("type") == "WhitespaceSplit" for link in _links(tree.get("pre_tokenizer"), "pretokenizers")):
        return dict(tree)
    changed = {
        "normalizer": _without(tree.get("normalizer"), "normalizers"),
        "pre_tokenizer": _without(tree.get("pre_tokenizer"), "pretokenizers"),
    }
    return {**tree, **changed}


def joined_characters(tree: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]] | None:
    """Pairs of characters that stand one after the other in a token, and all that stand in one; None if words matter.

    Only for models that see a text whole, blanks as U+2581: BPE and Unigram as SentencePiece makes them.
    """
    model, split = tree["model"], _links(tree.get("pre_tokenizer"), "pretokenizers")
    normalizers = _links(tree.get("normalizer"), "normalizers")
    as_pieces = model.get("type") == "Unigram" or "merges" in model
    marks_blanks = all(link.get("type") == "Metaspace" for link in split) and (split or _REPLACE in normalizers)
    if not (as_pieces and marks_blanks):
        return None
    vocabulary = model["vocab"]
    tokens = list(vocabulary) if isinstance(vocabulary, Mapping) else [piece for piece, _ in vocabulary]
    tokens += [token["content"] for token in tree.get("added_tokens") or []]
    pairs = {token[at : at + 2] for token in tokens for at in range(len(token) - 1)}
    return frozenset(pairs), frozenset(letter for token in tokens for letter in token)


def leaves_letters(tree: Mapping[str, Any]) -> bool:
    """Whether all that changes characters before the model are blanks that become U+2581."""
    return all(
        link.get("type") == "Prepend" or link == _REPLACE for link in _links(tree.get("normalizer"), "normalizers")
    )


def _without(part: Any, name: str) -> Any:
    if not isinstance(part, Mapping):
        return part
    if part.get("type") == "Prepend":
        return None
    if part.get("type") == "Sequence":
        kept = [_without(member, name) for member in part[name]]
        return {**part, name: [member for member in kept if member is not None]}
    if part.get("type") == "Metaspace":
        return {**part, "prepend_scheme": "never"} | ({"add_prefix_space": False} if "add_prefix_space" in part else {})
    return {**part, "add_prefix_space": False} if part.get("type") == "ByteLevel" else part


def _links(part: Any, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(part, Mapping):
        return []
    if part.get("type") == "Sequence":
        return [link for member in part[name] for link in _links(member, name)]
    return [part]
