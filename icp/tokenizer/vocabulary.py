"""The files of a tokenizer: where they are found, which special tokens they name, and which of those are bos, eos, pad.

In: `tokenizer.name` of the configuration. Out: the text of ``tokenizer.json``, what ``tokenizer_config.json`` beside
it says, and the roles. Nothing here encodes.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icp.config.addresses import expanded
from icp.errors import ConfigError, InputError

JSON_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
END_TOKENS = ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>")
BEGIN_TOKENS = ("<|begin_of_text|>", "<s>", "<bos>")
PAD_TOKENS = ("<pad>", "<|pad|>", "[PAD]")
_NAMED_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A tokenizer as it lies on disk.

    Attributes:
        text: the content of ``tokenizer.json``.
        config_text: the content of ``tokenizer_config.json``, None where there is none.
        where: what messages call it.
    """

    text: str
    config_text: str | None
    where: str

    @property
    def config(self) -> dict[str, Any]:
        """``tokenizer_config.json`` as a mapping, empty where there is none.

        Raises: InputError if it is not a JSON mapping.
        """
        if self.config_text is None:
            return {}
        try:
            tree = json.loads(self.config_text)
        except ValueError as error:
            raise InputError(f"{self.where}: {CONFIG_NAME} is not valid JSON ({error})") from None
        if not isinstance(tree, dict):
            raise InputError(f"{self.where}: {CONFIG_NAME} holds {type(tree).__name__}, expected a mapping")
        return tree

    def named(self, role: str) -> str | None:
        """The token that ``tokenizer_config.json`` gives a role, e.g. ``eos_token``; None where it gives none."""
        return _content(self.config.get(role))

    def named_tokens(self) -> set[str]:
        """Every token that has a role by its name or by ``tokenizer_config.json``, known or not."""
        config = self.config
        extra = config.get("additional_special_tokens") or config.get("extra_special_tokens") or ()
        entries = [*(config.get(role) for role in _NAMED_ROLES), *(extra if isinstance(extra, list) else ())]
        return {token for token in map(_content, entries) if token}.union(END_TOKENS, BEGIN_TOKENS, PAD_TOKENS)

    def declared_ids(self) -> dict[str, int]:
        """Tokens to ids as ``added_tokens_decoder`` of ``tokenizer_config.json`` lists them."""
        listed = self.config.get("added_tokens_decoder")
        if not isinstance(listed, dict):
            return {}
        return {_content(entry) or "": int(number) for number, entry in listed.items() if str(number).isdecimal()}

    def unknown_ids(self, ids: Mapping[str, int]) -> list[int]:
        """The id that the model gives what it does not know: a list of one or none."""
        model = json.loads(self.text)["model"]
        number = model.get("unk_id", ids.get(str(model.get("unk_token"))))
        return [] if number is None else [int(number)]


@dataclass(frozen=True, slots=True)
class Roles:
    """Ids of the tokens that stand around documents; None where the policy sets none."""

    bos_id: int | None
    eos_id: int | None
    pad_id: int


def find_files(name: str) -> TokenizerFiles:
    """The files of the tokenizer `name`: a ``tokenizer.json``, a folder that holds one, or a name on the hub.

    Raises: InputError if there are none, they are not readable, or the hub cannot be asked.
    """
    path = Path(expanded(name))
    if path.is_dir():
        if not (path / JSON_NAME).is_file():
            raise InputError(
                f"tokenizer.name: the folder {name} holds no {JSON_NAME}; save the tokenizer there in the format of "
                "Hugging Face tokenizers (`AutoTokenizer.from_pretrained(...).save_pretrained(folder)`)"
            )
        path = path / JSON_NAME
    if path.is_file():
        return read_files(path, where=name)
    if path.suffix == ".json" or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(f"tokenizer.name: no such file or folder: {name}; {_OFFLINE}")
    return _fetch(name)


def read_files(path: Path, *, where: str | None = None) -> TokenizerFiles:
    """A ``tokenizer.json`` and, if it is there, the ``tokenizer_config.json`` beside it.

    Raises: InputError if one cannot be read as UTF-8 text.
    """
    beside = path.with_name(CONFIG_NAME)
    try:
        text = path.read_text(encoding="utf-8")
        config_text = beside.read_text(encoding="utf-8") if beside.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"tokenizer.name: cannot read {path} ({reason})") from None
    return TokenizerFiles(text, config_text, where or str(path))


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
                f"{self._choices()}"
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
        found = [token for token in usual if token in self.ids]
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


_OFFLINE = 'these need no download: "train:16384", "bytes", a tokenizer.json, a folder that holds one'


def _fetch(name: str) -> TokenizerFiles:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        path = Path(hf_hub_download(name, JSON_NAME))
        try:
            config_text = Path(hf_hub_download(name, CONFIG_NAME)).read_text(encoding="utf-8")
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            config_text = None
        return TokenizerFiles(path.read_text(encoding="utf-8"), config_text, name)
    except (OSError, ValueError, RuntimeError, EntryNotFoundError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"tokenizer.name: {name} is no file or folder here and cannot be fetched from the hub ({reason}); "
            f"{_OFFLINE}"
        ) from None


def _content(entry: Any) -> str | None:
    if isinstance(entry, Mapping):
        entry = entry.get("content")
    return entry if isinstance(entry, str) and entry else None
