"""A run as far as it is there: steps that are finished and can be read, and what is wrong with the others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from icp.config import Config, load_config, parse_config
from icp.errors import ArtifactError, IcpError
from icp.run.names import (
    BUILD_STEPS,
    CONFIG,
    PACK_FOLDERS,
    TOKENS,
    check_pack_name,
    pack_config,
    step_folders,
    subfolders,
)  # fmt: skip
from icp.run.reader import Run, WrongForm, require_run
from icp.run.records import MANIFEST, Manifest, read_manifest

UNREADABLE = (IcpError, WrongForm, OSError, pa.ArrowException, LookupError, ValueError, TypeError, ArithmeticError)
"""What reading damaged files raises."""
Value = TypeVar("Value")


@dataclass(slots=True)
class Partly:
    """A run of which some may be missing.

    Attributes:
        run: its finished steps that can be read.
        problems: what could not be read or made, a sentence each.
    """

    run: Run
    problems: list[str] = field(default_factory=list)

    def has(self, *steps: str) -> bool:
        """Whether these steps are finished and readable."""
        return all(step in self.run.manifests for step in steps)

    def attempt(self, what: str, make: Callable[[], Value]) -> Value | None:
        """What `make` returns; None where files do not allow it, and a problem noted."""
        try:
            return make()
        except UNREADABLE as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            self.problems.append(f"{what}: {reason if isinstance(error, IcpError) else _odd(error, reason)}")
            return None


def _odd(error: Exception, reason: str) -> str:
    return f"files that do not fit together ({type(error).__name__}: {reason}); `icp verify` tells more"


def open_partly(folder: Path, *, pack: str) -> Partly:
    """The run in `folder`; raises ArtifactError only if that is no run at all, or has no pack of another name."""
    check_pack_name(pack)
    require_run(folder)
    if pack != "main" and not (folder / pack_config(pack)).parent.is_dir():
        raise ArtifactError(f"{folder}: has no pack {pack}; `icp status` lists its packs")
    problems: list[str] = []
    own = folder / pack_config(pack)
    config = _config(own if own.is_file() else folder / CONFIG, folder, problems)
    folders = {step: folder / name for step, name in step_folders(pack).items()}
    manifests: dict[str, Manifest] = {}
    partly = Partly(Run(folder, pack, config, folders, manifests), problems)
    for step, path in folders.items():
        _add(partly, step, path)
    for path in _tokens_folders(folder, manifests.get("shards")):
        if (path / MANIFEST).exists() and "tokens" not in manifests:
            folders["tokens"] = path
            _add(partly, "tokens", path)
    for step in (*BUILD_STEPS, "tokens", *PACK_FOLDERS):
        if step not in manifests:
            problems.append(f"step {step} is not finished: what rests on it is not shown")
    return partly


def _config(path: Path, folder: Path, problems: list[str]) -> Config:
    try:
        return load_config(path)
    except UNREADABLE as error:
        problems.append(f"{error}; the report takes defaults for what it says")
        return parse_config({"run": str(folder), "corpus": {"input": str(folder)}})


def _add(partly: Partly, step: str, path: Path) -> None:
    manifest = partly.attempt(f"step {step}", lambda: read_manifest(path, check_sizes=False))
    if manifest is not None:
        partly.run.manifests[step] = manifest  # type: ignore[index]


def _tokens_folders(folder: Path, shards: Manifest | None) -> list[Path]:
    """Where tokens lie: those that the shards were made of, else those of any tokenizer."""
    if shards is not None:
        return [folder / str(shards.facts.get("tokens", TOKENS))]
    return subfolders(folder, TOKENS)
