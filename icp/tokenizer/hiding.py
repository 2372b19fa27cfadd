"""Tokens that a model would find in texts though they are no text get names that no text holds.

A Unigram, WordPiece or WordLevel model keeps its specials among its ordinary entries, and so does a BPE model that
looks whole words up or has merges that lead to them. SentencePiece, the models' own library, never finds control
symbols, the unknown symbol or byte pieces in a text.

In: the tree of a ``tokenizer.json``. Out: one with the same ids.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

_HIDDEN = "\U0010fffe\uffff{}\uffff\U0010fffe"  # noncharacters, which are for use inside a program


def hidden_name(token: str) -> str:
    """The name of a hidden token."""
    return _HIDDEN.format(token)


def found_by_model(model: Mapping[str, Any], specials: Collection[str]) -> set[str]:
    """What a model would find in texts of its own accord, and should not.

    Args:
        model: ``model`` of a ``tokenizer.json``.
        specials: the tokens that no text can produce.
    """
    vocabulary = model["vocab"]
    if not isinstance(vocabulary, Mapping):  # Unigram
        pieces = [str(piece) for piece, _ in vocabulary]
        unknown = model.get("unk_id")
        found = set(specials).intersection(pieces)
        found |= {pieces[unknown]} if unknown is not None else set()
        return found | ({_byte_piece(byte) for byte in range(256)}.intersection(pieces) if _by_bytes(model) else set())
    held = {token for token in specials if token in vocabulary}
    if "merges" not in model or model.get("ignore_merges"):
        return held
    alone = {token for token in held if len(token) == 1}
    return alone | held.intersection(_joined(model["merges"])) if held else set()


def byte_pieces(model: Mapping[str, Any], ids: Mapping[str, int]) -> list[int] | None:
    """(256,) the ids of ``<0x00>`` to ``<0xFF>`` if a Unigram model writes unknown characters with them, else None."""
    if isinstance(model["vocab"], Mapping) or not _by_bytes(model) or model.get("unk_id") is None:
        return None
    found = [ids.get(_byte_piece(byte)) for byte in range(256)]
    return [number for number in found if number is not None] if None not in found else None


def without_bytes(tokens: Collection[str]) -> set[str]:
    """Those of some tokens that are no pieces for bytes."""
    return set(tokens).difference(map(_byte_piece, range(256)))


def hide(tree: dict[str, Any], tokens: Collection[str]) -> dict[str, Any]:
    """The same tokenizer with other names for `tokens`.

    A Unigram model whose pieces for bytes are among them does not write unknown characters as bytes.
    """
    model = dict(tree["model"])
    names = {token: hidden_name(token) for token in tokens}
    if isinstance(model["vocab"], Mapping):
        model["vocab"] = {names.get(token, token): number for token, number in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
        model["byte_fallback"] = _by_bytes(model) and _byte_piece(0) not in names
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        pairs = (pair for pair in _pairs(model["merges"]) if not names.keys() & {*pair, "".join(pair)})
        model["merges"] = [list(pair) for pair in pairs]
    added = [{**token, "content": names.get(token["content"], token["content"])} for token in tree["added_tokens"]]
    # what surrounds texts names specials, and is never asked for
    return {**tree, "model": model, "added_tokens": added, "post_processor": None}


def _pairs(merges: list[Any]) -> list[tuple[str, str]]:
    """Merges as pairs: files hold them as lists of two or, older ones, as one string."""
    return [tuple(merge.split(" ", 1) if isinstance(merge, str) else merge) for merge in merges]


def _joined(merges: list[Any]) -> Iterator[str]:
    """What merges lead to; a file has all of one form, and some have 300,000."""
    if merges and isinstance(merges[0], str):
        return (merge.replace(" ", "", 1) for merge in merges)
    return map("".join, merges)


def _by_bytes(model: Mapping[str, Any]) -> bool:
    return bool(model.get("byte_fallback"))


def _byte_piece(byte: int) -> str:
    return f"<0x{byte:02X}>"
