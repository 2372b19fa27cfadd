"""Which special tokens of a tokenizer are bos, eos and pad.

In: the files of a tokenizer, its ids, and what the configuration wants. Out: `Roles`.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from icp.errors import ConfigError
from icp.tokenizer.vocabulary import CONFIG_NAME, TokenizerFiles

END_TOKENS = ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>")
BEGIN_TOKENS = ("<|begin_of_text|>", "<s>", "<bos>")
PAD_TOKENS = ("<pad>", "<|pad|>", "[PAD]")


@dataclass(frozen=True, slots=True)
class Roles:
    """Ids of the tokens that stand around documents; None where the policy sets none."""

    bos_id: int | None
    eos_id: int | None
    pad_id: int


def resolve_roles(
    files: TokenizerFiles, ids: Mapping[str, int], *, specials: Sequence[str], bos: str, eos: str, pad: str
) -> Roles:
    """The ids of bos, eos and pad.

    Args:
        files: what the tokenizer itself says.
        ids: every token and its id.
        specials: the tokens that no text can produce.
        bos: none | document | window.
        eos: auto | none | a special token.
        pad: auto (the tokenizer's own, else eos) | none (eos) | a token.

    Raises: ConfigError if a token is unknown, ordinary, ambiguous, or missing, saying what to set.
    """
    finder = _Finder(files, ids, specials)
    eos_id = None if eos == "none" else finder.role("eos", eos, END_TOKENS)
    bos_id = None if bos == "none" else finder.role("bos", "auto", BEGIN_TOKENS)
    pad_id = eos_id
    if pad not in ("auto", "none"):
        pad_id = finder.known("pad", pad)
    elif pad == "auto":
        own = (files.named("pad_token") or "", *PAD_TOKENS)
        pad_id = next((ids[token] for token in own if token in ids), eos_id)
    if pad_id is None:
        raise ConfigError(
            f"tokenizer.pad is {pad!r} and tokenizer.eos is 'none', so nothing can fill up the last window of "
            f"{files.where}; set tokenizer.pad to one of its tokens"
        )
    return Roles(bos_id, eos_id, pad_id)


@dataclass(frozen=True, slots=True)
class _Finder:
    files: TokenizerFiles
    ids: Mapping[str, int]
    specials: Sequence[str]

    def role(self, role: str, wanted: str, usual: Sequence[str]) -> int:
        token = self._auto(role, usual) if wanted == "auto" else wanted
        found = self.known(role, token)
        if token not in self.specials:
            raise ConfigError(
                f"tokenizer.{role} is {token!r}, an ordinary token of {self.files.where} that text can hold too; "
                f"{self._choices()}; or name it as {role}_token in a {CONFIG_NAME} beside it"
            )
        return found

    def known(self, role: str, token: str) -> int:
        if token in self.ids:
            return self.ids[token]
        near = difflib.get_close_matches(token, self.specials, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else self._choices()
        raise ConfigError(f"tokenizer.{role} is {token!r}, which {self.files.where} does not know; {hint}")

    def _auto(self, role: str, usual: Sequence[str]) -> str:
        named = self.files.named(f"{role}_token")
        if named:
            return named
        found = [token for token in usual if token in self.specials]  # <s> may be a tag of HTML
        found = found or [token for token in usual if token in self.ids]
        if len(found) == 1:
            return found[0]
        what = f"knows {' and '.join(found)}" if found else f"knows none of {' '.join(usual)}"
        if role == "bos":
            raise ConfigError(
                f"tokenizer.bos needs a token, but {self.files.where} names no bos_token and {what}; set tokenizer.bos "
                f"to none, or name one as bos_token in a {CONFIG_NAME} beside it"
            )
        raise ConfigError(
            f"tokenizer.{role} is 'auto', but {self.files.where} names no {role}_token and {what}; "
            f"set tokenizer.{role} to the token that ends a document, or to none ({self._choices()})"
        )

    def _choices(self) -> str:
        shown = " ".join(self.specials[:8]) + (" ..." if len(self.specials) > 8 else "")
        return f"its special tokens are {shown}" if self.specials else "it has no special tokens"
