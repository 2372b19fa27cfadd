"""What a ``tokenizer.json`` defines: its tokens, those that are special, and the forms that libraries load.

In: `TokenizerFiles`. Out: `Definition`. No library is asked; that the rest of the file makes sense, the first one that
loads it finds out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from icp.errors import InputError
from icp.tokenizer.continuing import without_prefix
from icp.tokenizer.hiding import byte_pieces, found_by_model, hide, without_bytes
from icp.tokenizer.limits import LARGEST_ID, growth
from icp.tokenizer.vocabulary import TokenizerFiles

_ADDED = re.compile(r'"added_tokens"\s*:\s*')


@dataclass(frozen=True)
class Definition:
    """A tokenizer as its files define it.

    Attributes:
        files: where it comes from.
        ids: every token and its id, added tokens and those of ``tokenizer_config.json`` included.
        specials: the tokens that no text can produce, sorted: those flagged special, and those that have a role.
        unknown_ids: the id that the model gives what it does not know: a list of one or none.
        in_json: the specials that stand in the ``tokenizer.json``.
        hidden: what the model itself would find in texts though it is no text: specials, and the unknown token.
        byte_ids: the ids of the 256 bytes where a Unigram model writes unknown characters as bytes, else None.
        added: its list of added tokens.
        is_plain: nothing in it cuts or fills texts, or draws.
        normalizes: it changes texts before it encodes them.
        growth: about how many times as long as a text what it makes of it can be, at least 1.
    """

    files: TokenizerFiles
    ids: Mapping[str, int]
    specials: list[str]
    unknown_ids: list[int]
    in_json: frozenset[str]
    hidden: frozenset[str]
    byte_ids: list[int] | None
    added: list[dict[str, Any]]
    is_plain: bool
    normalizes: bool
    growth: int

    @cached_property
    def marked_json(self) -> str:
        """The ``tokenizer.json`` with every special marked as such, and nothing that cuts, fills or draws."""
        return self._with_added(self.files.text, self._marked())

    @cached_property
    def encoding_json(self) -> str:
        """The same, but what is `hidden` has names that no text holds; unknown characters are not written as bytes."""
        return self._hidden(self.marked_json)

    @cached_property
    def bytes_json(self) -> str:
        """`encoding_json` where unknown characters are written as bytes: by pieces that a text may hold too."""
        return _dump(hide(json.loads(self.marked_json), without_bytes(self.hidden)))

    @cached_property
    def plain_json(self) -> str:
        """`encoding_json` without the specials, for libraries that would look for them in texts."""
        ordinary = [token for token in self._marked() if not token["special"]]
        return self._hidden(self._with_added(self.files.text, ordinary))

    @cached_property
    def continuing(self) -> "Definition":
        """The tokenizer for a piece that continues a text; itself if it puts nothing before texts."""
        tree = json.loads(self.files.text)
        other = without_prefix(tree)
        return self if other == tree else replace(self, files=replace(self.files, text=_dump(other)))

    def _hidden(self, text: str) -> str:
        return _dump(hide(json.loads(text), self.hidden)) if self.hidden else text

    def _marked(self) -> list[dict[str, Any]]:
        """The added tokens, those with a role by name among them as specials."""
        listed = {token["content"]: token for token in self.added}
        plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for token in self.specials:
            known = listed.get(token, {"id": self.ids[token]} if token in self.in_json else None)
            if known is not None and not known.get("special"):
                listed[token] = {"id": known["id"], "content": token, **plain}
        return sorted(listed.values(), key=lambda token: int(token["id"]))

    def _with_added(self, text: str, tokens: list[dict[str, Any]]) -> str:
        if not self.is_plain:
            tree = json.loads(text)
            model = {**tree["model"], **({"dropout": None} if tree["model"].get("dropout") else {})}
            return _dump({**tree, "added_tokens": tokens, "truncation": None, "padding": None, "model": model})
        if tokens == self.added:
            return text
        # a vocabulary of 128,000 takes a second to read and write: only the list of added tokens is put in anew
        for match in _ADDED.finditer(text):
            value, end = json.JSONDecoder().raw_decode(text, match.end())
            if value == self.added:
                return text[: match.end()] + _dump(tokens) + text[end:]
        return _dump({**json.loads(text), "added_tokens": tokens})


def read_definition(files: TokenizerFiles) -> Definition:
    """What some files define.

    Raises: InputError if the ``tokenizer.json`` is not of Hugging Face tokenizers as far as is read here, or asks for
        more than `icp.tokenizer.limits` allows.
    """
    try:
        tree = json.loads(files.text)
        added, model = tree.get("added_tokens") or [], tree["model"]
        in_json = _model_ids(model) | {str(token["content"]): token["id"] for token in added}
        ids = files.declared_ids() | in_json
        marked = {str(token["content"]) for token in added if token["special"]}
        unknown = model.get("unk_id", ids.get(str(model.get("unk_token"))))
        normalizes = tree.get("normalizer") not in (None, {"type": "Sequence", "normalizers": []})
        is_plain = not (tree.get("truncation") or tree.get("padding") or model.get("dropout"))
        _check_ids(files, ids)
        specials = sorted(marked | (files.named_tokens() & ids.keys()))
        in_text = found_by_model(model, specials)
        as_bytes = byte_pieces(model, ids)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise no_tokenizer(files, error) from None
    return Definition(
        files=files,
        ids=ids,
        specials=specials,
        unknown_ids=[] if unknown is None else [int(unknown)],
        in_json=frozenset(token for token in specials if token in in_json),
        hidden=frozenset(in_text),
        byte_ids=as_bytes,
        added=added,
        is_plain=is_plain,
        normalizes=normalizes,
        growth=growth(tree, files.where),
    )


def _model_ids(model: Mapping[str, Any]) -> dict[str, int]:
    listed = model["vocab"]
    if isinstance(listed, Mapping):
        return dict(listed)
    return {str(piece): number for number, (piece, _) in enumerate(listed)}  # Unigram: pieces with their scores


def _check_ids(files: TokenizerFiles, ids: Mapping[str, Any]) -> None:
    for token, number in ids.items():
        if type(number) is not int or not 0 <= number <= LARGEST_ID:
            raise InputError(
                f"tokenizer.name: {files.where}: the id of {token[:40]!r} is {str(number)[:20]}, expected 0 to "
                f"{LARGEST_ID:,}; mend the file"
            )


def no_tokenizer(files: TokenizerFiles, error: BaseException) -> InputError:
    """What is said of a file that is none."""
    reason = str(error) if not isinstance(error, KeyError) else f"it has no {error}"
    reason = (reason.strip().splitlines() or [type(error).__name__])[0][:200]
    return InputError(f"tokenizer.name: {files.where} is no tokenizer of Hugging Face tokenizers ({reason})")


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
