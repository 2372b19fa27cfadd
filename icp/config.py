"""The configuration of a run: one YAML file, checked; every default lives here."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from icp.addresses import refuse_credentials
from icp.errors import ConfigError, InputError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class CorpusConfig(_Section):
    """Where the documents are and which of their fields matter."""

    input: tuple[str, ...] = Field(min_length=1)
    text: str = "text"
    id: str = "id"
    source: str = "source"
    keep: tuple[str, ...] = ()
    exclude: str | None = None
    min_chars: int = Field(1, ge=0)
    max_chars: int = Field(20_000_000, ge=1)
    max_rejected: float = Field(0.01, ge=0, le=1)
    part_mib: float = Field(256, gt=0)

    @field_validator("input", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("input", "exclude")
    @classmethod
    def _without_credentials(cls, value: Any) -> Any:
        for address in value if isinstance(value, tuple) else (value or "",):
            refuse_credentials(address)
        return value


class DedupConfig(_Section):
    """Which documents count as copies of one another."""

    near: bool = True
    ngram: int = Field(5, ge=1, le=16)
    bands: int = Field(20, ge=1)
    rows: int = Field(6, ge=1)
    threshold: float = Field(0.8, gt=0, le=1)
    verify: Literal["exact", "estimate", "none"] = "exact"
    keep: str = Field("longest", pattern=r"^(longest|first|max:.+)$")

    @property
    def num_perm(self) -> int:
        """Number of permutations, and so of values in a signature."""
        return self.bands * self.rows


class EmbedConfig(_Section):
    """What turns a document into a vector."""

    model: str = Field("hybrid", min_length=1)
    max_tokens: int = Field(128, ge=8)
    chunks: int = Field(1, ge=1)
    batch_size: int = Field(256, ge=1)
    device: str = "auto"


class GraphConfig(_Section):
    """Which documents are neighbours."""

    k: int = Field(10, ge=1)
    method: Literal["auto", "exact", "cells", "ivf"] = "auto"
    target_recall: float = Field(0.95, gt=0, le=1)
    min_similarity: Literal["auto"] | float = "auto"
    max_similarity: float | None = None
    same_source: Literal["any", "across", "within"] = "any"
    max_degree: int | None = Field(None, ge=1)
    duplicate_similarity: float = Field(0.97, ge=-1)
    duplicate_jaccard: float = Field(0.7, ge=0, le=1)


class OrderConfig(_Section):
    """In which order the documents are visited."""

    method: Literal["matching", "algorithm1", "random", "source"] = "matching"
    improve: bool = True
    partitions: int = Field(1, ge=1)
    recompute_degree: bool = False


class TokenizerConfig(_Section):
    """How text becomes token ids, and which specials stand around documents."""

    name: str = Field("train:16384", min_length=1)
    bos: Literal["none", "document", "window"] = "none"
    eos: str = "auto"
    pad: str = "auto"


class MixConfig(_Section):
    """The share of windows packed at random: a number, or a ramp ``{from, to, over}`` along training order."""

    begin: float = Field(ge=0, le=1, alias="from")
    end: float = Field(ge=0, le=1, alias="to")
    over: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _constant(cls, value: Any) -> Any:
        return {"from": value, "to": value} if isinstance(value, int | float) else value

    @model_serializer
    def _as_written(self) -> float | dict[str, float]:
        return self.begin if self.begin == self.end else {"from": self.begin, "to": self.end, "over": self.over}


class PackConfig(_Section):
    """How windows are made of documents and written."""

    seq_len: int = Field(8192)
    stride: Literal["seq_len", "seq_len+1"] = "seq_len"
    method: Literal["windows", "path-cut", "path-fit", "best-fit", "random", "source", "knn"] = "windows"
    min_fill: float = Field(0.995, gt=0, le=1)
    split: Literal["minimal", "free", "never"] = "minimal"
    group_by: tuple[str, ...] = ()
    inside: Literal["path", "reverse", "random"] = "path"
    mix_random: MixConfig = Field(0.0, validate_default=True)
    shuffle: Literal["spread", "random", "none"] | Annotated[str, Field(pattern=r"^lanes:[1-9][0-9]*$")] = "spread"
    shard_mib: float = Field(256, gt=0)

    @field_validator("seq_len")
    @classmethod
    def _at_least_two(cls, value: int) -> int:
        if value < 2:
            raise ValueError(f"is {value}, must be at least 2; set it to your model's context length, e.g. 8192")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "PackConfig":
        if self.split == "never" and self.method in ("path-cut", "random", "source", "knn"):
            raise ValueError(f"split is never, which pack.method {self.method} cannot do; use windows or path-fit")
        if self.group_by and self.method == "knn":
            raise ValueError("group_by is set, but pack.method knn is a baseline that knows no groups; leave it empty")
        if (self.mix_random.begin or self.mix_random.end) and (
            self.method == "knn" or self.shuffle.startswith("lanes")
        ):
            raise ValueError(
                f"mix_random is set, which pack.method {self.method} with pack.shuffle {self.shuffle} cannot do: "
                "random windows would break the lanes, and knn is a baseline of its own; leave it at 0"
            )
        return self

    @property
    def capacity(self) -> int:
        """Tokens of one row: the stride as a number."""
        return self.seq_len + (self.stride == "seq_len+1")


class ExportConfig(_Section):
    """A format that `icp pack` writes itself; a bare name stands for its defaults."""

    format: Literal["megatron", "olmo", "datatrove", "parquet", "mds", "litdata"]
    allow_reshuffle: bool = False
    allow_padding: bool = False


class Config(_Section):
    """All of it."""

    run: str = Field(min_length=1)
    seed: int = Field(0, ge=0, lt=2**63)
    corpus: CorpusConfig
    dedup: DedupConfig = DedupConfig()
    embed: EmbedConfig = EmbedConfig()
    graph: GraphConfig = GraphConfig()
    order: OrderConfig = OrderConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    pack: PackConfig = PackConfig()
    export: tuple[ExportConfig, ...] = ()

    @field_validator("run")
    @classmethod
    def _without_credentials(cls, value: str) -> str:
        refuse_credentials(value)
        return value

    @field_validator("export", mode="before")
    @classmethod
    def _names_or_sections(cls, value: Any) -> Any:
        listed = (value,) if isinstance(value, str | Mapping) else value
        if not isinstance(listed, tuple):
            return listed
        return tuple({"format": item} if isinstance(item, str) else item for item in listed)

    @model_validator(mode="after")
    def _groups_are_kept(self) -> "Config":
        for name in self.pack.group_by:
            if name not in ("source", *self.corpus.keep):
                raise ValueError(
                    f"pack.group_by names {name!r}, which the documents of a run do not hold: "
                    "use source, or a field that corpus.keep names"
                )
        return self

    def values(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values under dotted `keys`, flattened: ``{"dedup.near": True, ...}``, sorted by key."""
        flat = dict(_flatten(self.model_dump(mode="json")))
        wanted = {name: flat[name] for name in sorted(flat) for key in keys if (name + ".").startswith(key + ".")}
        assert all(any((name + ".").startswith(key + ".") for name in wanted) for key in keys), keys
        return wanted


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
        lines = list(dict.fromkeys(_message(item, where) for item in error.errors(include_url=False)))
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


def _flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        rows += _flatten(item, f"{prefix}{key}.") if isinstance(item, Mapping) else [(prefix + key, item)]
    return rows


def _known_keys(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        rows.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            rows += _known_keys(field.annotation, f"{prefix}{name}.")
    return rows


def _message(error: Mapping[str, Any], where: str) -> str:
    # pydantic adds the member of a union to the location: only names of fields belong to the key
    names = [str(part) for part in error["loc"]]
    known = _known_keys()
    key = ".".join(names)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key}; {_suggest(key, known)}"
    while names and ".".join(names) not in known:
        names.pop()
    key, value = ".".join(names), error.get("input")
    if error["type"] == "missing":
        return f"{where}: {'.'.join(str(part) for part in error['loc'])} is missing and has no default"
    if error["type"] == "value_error":
        return f"{where}: " + f"{key} {error['ctx']['error']}".strip()
    return f"{where}: {key} is {value!r}, {_expected(error, key)}"


def _expected(error: Mapping[str, Any], key: str) -> str:
    text = str(error["msg"])
    allowed = _allowed(key)
    return f"not possible here: {text[0].lower()}{text[1:]}" + (f"; {allowed}" if allowed else "")


def _allowed(key: str) -> str:
    model: type[BaseModel] = Config
    *sections, name = key.split(".")
    for section in sections:
        model = model.model_fields[section].annotation  # type: ignore[assignment]
    choices = list(_choices(model.model_fields[name].annotation))
    return f"use one of {', '.join(choices)}" if choices else ""


def _choices(annotation: Any) -> Iterator[str]:
    for choice in get_args(annotation):
        if isinstance(choice, str):
            yield choice
        else:
            yield from _choices(choice)


def _suggest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    if not near:
        last = {name.rsplit(".", 1)[-1]: name for name in known}
        near = [last[hit] for hit in difflib.get_close_matches(key.rsplit(".", 1)[-1], list(last), n=1, cutoff=0.4)]
    return f"did you mean {near[0]}?" if near else f"known keys are {', '.join(k for k in known if '.' not in k)}"
