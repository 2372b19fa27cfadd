"""A configuration from a YAML file and overrides, and as YAML again."""

import difflib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from icp.config.messages import message_of
from icp.config.models import Config
from icp.config.yaml_text import MOST_BYTES, read_yaml
from icp.errors import ConfigError, InputError


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration in the YAML file `path`, with ``key.path=value`` overrides (values are YAML).

    A bare name such as ``quickstart`` means a bundled preset; ``{configs}`` in the file their folder.

    Raises: InputError if the file cannot be read; ConfigError for anything wrong inside, naming the key.
    """
    tree, overridden = load_tree(path, overrides)
    return parse_config(tree, where=str(path), overridden=overridden)


def load_tree(path: str | Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """What a file and overrides say, unchecked, and dotted key -> the override that set it; raises as `load_config`."""
    tree = read_yaml(_text_of(path), str(path))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds no mapping; start with `run:` and `corpus:`, see the README")
    return tree, {_override(tree, override): override for override in overrides}


def parse_config(
    tree: Mapping[str, Any], *, where: str = "configuration", overridden: Mapping[str, str] | None = None
) -> Config:
    """A checked `Config` from plain mappings.

    Args:
        where: begins every message, except for keys in `overridden`: dotted key -> the ``--set`` that set it.

    Raises: ConfigError, one line for the first few things wrong.
    """
    try:
        return Config.model_validate(_tuples(tree))
    except ValidationError as error:
        lines = [message_of(item, where, overridden or {}) for item in error.errors(include_url=False)]
        raise ConfigError("\n".join(list(dict.fromkeys(lines))[:5])) from None


def preset_names() -> list[str]:
    """The bundled configurations that ``-c NAME`` takes."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _bundled().iterdir() if entry.name.endswith(".yaml"))


def preset_lines() -> list[str]:
    """The bundled configurations, each with the first sentence of its comment."""
    rows = []
    for name in preset_names():
        comment = (_bundled() / f"{name}.yaml").read_text(encoding="utf-8").partition("\n\n")[0]
        words = " ".join(line[1:].strip() for line in comment.splitlines() if line.startswith("#"))
        rows.append(f"{name:<12} {words.partition('. ')[0].rstrip('.')}")
    return rows


def _bundled() -> Path:
    return Path(str(files("icp.configs")))


def _text_of(path: str | Path) -> str:
    """The text of a configuration: of a file, or of a preset."""
    bundled = _bundled()
    try:
        chosen = Path(path)
        if not chosen.exists() and (bundled / f"{path}.yaml").is_file():
            chosen = bundled / f"{path}.yaml"
        with chosen.open(encoding="utf-8") as stream:
            return stream.read(MOST_BYTES + 1).replace("{configs}", str(bundled))
    except (OSError, ValueError) as error:  # a NUL in a path, or bytes that are no UTF-8, are ValueErrors
        reason = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8"
        presets = preset_names()
        near = difflib.get_close_matches(str(path), presets, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            f"{path}: cannot read the configuration ({reason}); {hint}give a YAML file with -c, or one of the presets "
            f"{', '.join(presets)}"
        ) from None


def dump_config(config: Config) -> str:
    """The whole configuration, defaults included, as YAML that `load_config` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def _override(tree: dict[str, Any], override: str) -> str:
    """Set a key of the tree; returns the key."""
    key, found, value = override.partition("=")
    if not found or not key:
        raise ConfigError(f"--set {override}: expected key.path=value, e.g. --set pack.seq_len=4096")
    *parents, last = key.strip().split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a section")
    tree[last] = read_yaml(value, f"--set {key}")
    return key.strip()


def _tuples(value: Any) -> Any:
    """YAML lists as tuples, which frozen sections hold."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
