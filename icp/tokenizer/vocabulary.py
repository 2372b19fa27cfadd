"""The files of a tokenizer: where they are found, and which special tokens they name.

In: `tokenizer.name` of the configuration. Out: the text of ``tokenizer.json``, what ``tokenizer_config.json`` and
``special_tokens_map.json`` beside it say. Nothing here encodes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icp.config.addresses import expanded
from icp.errors import InputError

JSON_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
MAP_NAME = "special_tokens_map.json"
_NAMED_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
_MODEL_SUFFIXES = (".model", ".tiktoken")
_MOST_BYTES = 1 << 29
"""No file of a tokenizer is larger; the largest that are known take a twentieth of it."""


_SAVE = (
    f"save the tokenizer there as {JSON_NAME}, the format of Hugging Face tokenizers "
    "(`AutoTokenizer.from_pretrained(...).save_pretrained(folder)`)"
)
_OFFLINE = 'these need no download: "train:16384", "bytes", a tokenizer.json, a folder that holds one'


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A tokenizer as it lies on disk.

    Attributes:
        text: the content of ``tokenizer.json``.
        config_text: the content of ``tokenizer_config.json``, with the roles that only ``special_tokens_map.json``
            names; None where there is neither.
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
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.where}: {CONFIG_NAME} is not valid JSON ({error})") from None
        if not isinstance(tree, dict):
            raise InputError(f"{self.where}: {CONFIG_NAME} holds {type(tree).__name__}, expected a mapping")
        return tree

    def named(self, role: str) -> str | None:
        """The token that ``tokenizer_config.json`` gives a role, e.g. ``eos_token``; None where it gives none."""
        return _content(self.config.get(role))

    def named_tokens(self) -> set[str]:
        """Every token that ``tokenizer_config.json`` gives a role or flags special, known to the tokenizer or not."""
        config = self.config
        lists = (config.get(name) for name in ("additional_special_tokens", "extra_special_tokens"))
        entries = [config.get(role) for role in _NAMED_ROLES]
        entries += [entry for listed in lists if isinstance(listed, list) for entry in listed]
        entries += [entry for entry in self._declared().values() if isinstance(entry, dict) and entry.get("special")]
        return {token for token in map(_content, entries) if token}

    def declared_ids(self) -> dict[str, int]:
        """Tokens to ids as ``added_tokens_decoder`` of ``tokenizer_config.json`` lists them."""
        listed = self._declared()
        return {_content(entry) or "": int(number) for number, entry in listed.items() if str(number).isdecimal()}

    def _declared(self) -> dict[str, Any]:
        listed = self.config.get("added_tokens_decoder")
        return listed if isinstance(listed, dict) else {}


def find_files(name: str) -> TokenizerFiles:
    """The files of the tokenizer `name`: a ``tokenizer.json``, a folder that holds one, or a name on the hub.

    Raises: InputError if there are none, they are of another kind, not readable, or the hub cannot be asked.
    """
    path = Path(expanded(name))
    if path.is_dir():
        if not (path / JSON_NAME).is_file():
            others = sorted(other.name for other in path.iterdir() if other.suffix in _MODEL_SUFFIXES)
            raise InputError(
                f"tokenizer.name: the folder {name} holds {others[0] + ' but ' if others else ''}no {JSON_NAME}; "
                + _SAVE
            )
        path = path / JSON_NAME
    if path.suffix in _MODEL_SUFFIXES and path.exists():
        raise InputError(
            f"tokenizer.name: {name} is a vocabulary of SentencePiece or tiktoken, which does not say how texts are "
            f"prepared; {_SAVE}"
        )
    if path.is_file():
        return read_files(path, where=name)
    if path.suffix == ".json" or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(f"tokenizer.name: no such file or folder: {name}; {_OFFLINE}")
    return _fetch(name)


def read_files(path: Path, *, where: str | None = None) -> TokenizerFiles:
    """A ``tokenizer.json`` and, if they are there, the files beside it that name special tokens.

    Raises: InputError if one cannot be read as UTF-8 text, or is larger than any that is known.
    """
    beside = {name: path.with_name(name) for name in (CONFIG_NAME, MAP_NAME)}
    text = _read(path)
    found = {name: _read(other) for name, other in beside.items() if other.is_file()}
    return _with_map(TokenizerFiles(text, found.get(CONFIG_NAME), where or str(path)), found.get(MAP_NAME))


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise InputError(f"tokenizer.name: {path} takes {size:,} bytes, at most {_MOST_BYTES:,} are read")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"tokenizer.name: cannot read {path} ({reason})") from None


def _with_map(files: TokenizerFiles, map_text: str | None) -> TokenizerFiles:
    """The roles of a ``special_tokens_map.json`` where ``tokenizer_config.json`` names none."""
    if map_text is None:
        return files
    try:
        named = json.loads(map_text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{files.where}: {MAP_NAME} is not valid JSON ({error})") from None
    if not isinstance(named, dict):
        raise InputError(f"{files.where}: {MAP_NAME} holds {type(named).__name__}, expected a mapping")
    config = files.config
    added = {role: entry for role, entry in named.items() if config.get(role) is None}
    if not added:
        return files
    return replace(files, config_text=json.dumps({**config, **added}, ensure_ascii=False, indent=2))


def _fetch(name: str) -> TokenizerFiles:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def optional(file: str) -> str | None:
        try:
            return _read(Path(hf_hub_download(name, file)))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            return None

    def in_cache(file: str) -> str | None:
        try:
            return optional(file)
        except LocalEntryNotFoundError:  # without a network, what was fetched before has to do
            return None

    try:
        text = _read(Path(hf_hub_download(name, JSON_NAME)))
        return _with_map(TokenizerFiles(text, optional(CONFIG_NAME), name), in_cache(MAP_NAME))
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
