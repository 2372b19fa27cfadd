"""`icp add`: the configuration of a run that extends another one by new documents.

In: a finished run, and a file that says where the new documents are. Out: a `Config` with the settings of that run,
its own corpus, and the key `extends`; all commands take it, and the run that it makes can be extended again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icp.config import Config, parse_config
from icp.config.addresses import expanded, is_url
from icp.config.loading import load_tree
from icp.errors import ConfigError
from icp.run.extended import check_settings
from icp.run.reader import open_run
from icp.run.storage import run_folder

ADDED = "-added"
"""Follows the name of a run in that of the one that extends it, unless another is given."""


def added_config(
    run: str,
    more: str,
    overrides: Sequence[str] = (),
    *,
    to: str | None = None,
    windows: str = "all",
    pack: str = "main",
) -> Config:
    """The configuration of a run with new documents: what `more` does not say is as in the run extended.

    Args:
        run: the run to extend.
        more: a YAML file with the new `corpus`.
        to: the folder of the new run; else the one that `more` names, else that of `run` and ``-added``.
        windows: ``all`` documents are packed anew, or ``new`` ones alone.
        pack: whose settings count.

    Raises: ConfigError, also for a key that differs where it must not; ArtifactError if there is no such run.
    """
    if is_url(run):
        raise ConfigError(f"{run}: a run on a server cannot be extended; copy it to this machine")
    base = open_run(run_folder(run), pack=pack).config
    tree, overridden = load_tree(more, overrides)
    if not isinstance(tree.get("corpus"), Mapping) or not tree["corpus"].get("input"):
        raise ConfigError(f"{more}: names no new documents; give their files in corpus.input")
    merged = _merged(base.model_dump(mode="json"), tree)
    merged["extends"], merged["run"] = run, to or _folder(run, base, tree)
    if isinstance(merged["pack"], Mapping):
        merged["pack"] = {**merged["pack"], "documents": windows}
    config = parse_config(merged, where=more, overridden=overridden)
    check_settings(base, config)
    return config


def _folder(run: str, base: Config, tree: Mapping[str, Any]) -> str:
    """Where the new run lies: the folder that the file names, unless that is the run extended."""
    named = tree.get("run")
    if isinstance(named, str) and named != base.run and Path(expanded(named)).resolve() != Path(run).resolve():
        return named
    return f"{run.rstrip('/')}{ADDED}"


def _merged(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of `old` with the keys that `new` says in place of theirs."""
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
        merged[key] = {**old[key], **value} if both else value
    return merged
