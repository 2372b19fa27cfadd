"""The configuration of a run: one YAML file, checked; every default lives in `icp.config.models`.

Names are loaded when first used: `icp --help` needs no models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icp.config.access import UndeclaredKeyError, declared
    from icp.config.loading import dump_config, load_config, parse_config
    from icp.config.models import Config, CorpusConfig, DecontaminateConfig, DedupConfig, TokenizerConfig

_HOME = {
    "UndeclaredKeyError": "access",
    "declared": "access",
    "dump_config": "loading",
    "load_config": "loading",
    "parse_config": "loading",
    "Config": "models",
    "CorpusConfig": "models",
    "DecontaminateConfig": "models",
    "DedupConfig": "models",
    "TokenizerConfig": "models",
}

__all__ = [
    "Config", "CorpusConfig", "DecontaminateConfig", "DedupConfig", "TokenizerConfig", "UndeclaredKeyError", "declared",
    "dump_config", "load_config", "parse_config",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'icp.config' has no attribute {name!r}")
    return getattr(import_module(f"icp.config.{_HOME[name]}"), name)
