"""A configuration from a YAML file and overrides, and as YAML again."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from icp.config.messages import message_of
from icp.config.models import Config
from icp.errors import ConfigError, InputError


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration in the YAML file `path`, with ``key.path=value`` overrides (values are YAML).

    A bare name such as ``quickstart`` means a bundled preset; ``{configs}`` in the file their folder.

    Raises: InputError if the file cannot be read; ConfigError for anything wrong inside, naming the key.
    """
    bundled = Path(str(files("icp.configs")))
    if not Path(path).exists() and (bundled / f"{path}.yaml").is_file():
        path = bundled / f"{path}.yaml"
    try:
        text = Path(path).read_text(encoding="utf-8").replace("{configs}", str(bundled))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{path}: cannot read the configuration ({reason}); give a YAML file with -c") from None
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{path}: {where}not valid YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds no mapping; start with `run:` and `corpus:`, see the README")
    for override in overrides:
        _override(tree, override)
    return parse_config(tree, where=str(path))


def parse_config(tree: Mapping[str, Any], *, where: str = "configuration") -> Config:
    """A checked `Config` from plain mappings; `where` begins every message.

    Raises: ConfigError, one line for the first few things wrong.
    """
    try:
        return Config.model_validate(_tuples(tree))
    except ValidationError as error:
        lines = list(dict.fromkeys(message_of(item, where) for item in error.errors(include_url=False)))
        raise ConfigError("\n".join(lines[:5])) from None


def dump_config(config: Config) -> str:
    """The whole configuration, defaults included, as YAML that `load_config` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def _override(tree: dict[str, Any], override: str) -> None:
    key, found, value = override.partition("=")
    if not found or not key:
        raise ConfigError(f"--set {override}: expected key.path=value, e.g. --set pack.seq_len=4096")
    *parents, last = key.strip().split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a section")
    try:
        tree[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override}: {value!r} is not valid YAML") from None


def _tuples(value: Any) -> Any:
    """YAML lists as tuples, which frozen sections hold."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
