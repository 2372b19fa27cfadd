"""The configuration of a run: one YAML file, checked; every default lives in `icp.config.models`."""

from icp.config.access import UndeclaredKeyError, declared
from icp.config.loading import dump_config, load_config, parse_config
from icp.config.models import Config, CorpusConfig, DedupConfig, TokenizerConfig

__all__ = [
    "Config", "CorpusConfig", "DedupConfig", "TokenizerConfig", "UndeclaredKeyError",
    "declared", "dump_config", "load_config", "parse_config",
]  # fmt: skip
