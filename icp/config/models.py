"""The sections of a configuration and all their keys; every default lives here."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from icp.config.addresses import expanded, refuse_credentials


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nul(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for key, item in value.items():
                texts = item if isinstance(item, tuple | list) else (item,)
                if any(isinstance(text, str) and "\0" in text for text in texts):
                    raise ValueError(f"has a NUL character in {key}, which no name or path may hold; take it out")
        return value


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
            expanded(address)
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

    @field_validator("model")
    @classmethod
    def _variables_are_set(cls, value: str) -> str:
        expanded(value.removeprefix("hybrid:").removeprefix("files:"))
        return value


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

    @field_validator("name")
    @classmethod
    def _variables_are_set(cls, value: str) -> str:
        expanded(value)
        return value


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
    def row_tokens(self) -> int:
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
        return expanded(value)  # the others are expanded where they are used: their steps know them as written

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

    @property
    def capacity(self) -> int:
        """Tokens that a window has for documents: its row less a bos of its own."""
        return self.pack.row_tokens - (self.tokenizer.bos == "window")

    def values(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values under dotted `keys`, flattened: ``{"dedup.near": True, ...}``, sorted by key."""
        flat = dict(_flatten(self.model_dump(mode="json")))
        wanted = {name: flat[name] for name in sorted(flat) for key in keys if (name + ".").startswith(key + ".")}
        assert all(any((name + ".").startswith(key + ".") for name in wanted) for key in keys), keys
        return wanted


def _flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        rows += _flatten(item, f"{prefix}{key}.") if isinstance(item, Mapping) else [(prefix + key, item)]
    return rows
