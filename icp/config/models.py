"""The sections of a configuration and all their keys; every default lives here."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from icp.config.addresses import expanded, refuse_credentials
from icp.config.apart_models import DecontaminateConfig, HoldoutConfig
from icp.config.graph_models import PLAIN_COLUMNS, GraphConfig
from icp.config.pack_models import ExportConfig, MixConfig, PackConfig
from icp.config.section import Imports, Section, named_sections

__all__ = [
    "Config", "CorpusConfig", "DecontaminateConfig", "DedupConfig", "EmbedConfig", "ExportConfig", "GraphConfig",
    "HoldoutConfig", "MixConfig", "OrderConfig", "PackConfig", "TokenizerConfig",
]  # fmt: skip


class CorpusConfig(Section):
    """Where the documents are and which of their fields matter."""

    input: tuple[str, ...] = Field(min_length=1)
    text: str = "text"
    include: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    id: str | None = "id"
    source: str | None = "source"
    keep: tuple[str, ...] = ()
    derive: Mapping[str, str] = Field(default_factory=dict)
    strip_repeated: int = Field(0, ge=0)
    exclude: str | None = None
    min_chars: int = Field(1, ge=0)
    max_chars: int = Field(20_000_000, ge=1)
    max_rejected: float = Field(0.01, ge=0, le=1)
    part_mib: float = Field(256, gt=0)

    @field_validator("input", "include", "ignore", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _derived_fields_are_new(self) -> "CorpusConfig":
        for name, what in self.derive.items():
            method, _, field = what.partition(":")
            if method not in ("language", "extension") or (field and method == "language"):
                raise ValueError(
                    f"derive.{name} is {what!r}; it must be language, extension (of the file) or extension:<kept field>"
                )
            if field and field not in self.keep:
                raise ValueError(f"derive.{name} is made of {field!r}, which keep does not name; add it to keep")
            if name in ("doc", "key", "id", "text", "file", "row", *self.keep):
                raise ValueError(f"derive.{name}: there is a column of that name already; choose another name")
        return self

    @field_validator("input", "exclude")
    @classmethod
    def _without_credentials(cls, value: Any) -> Any:
        for address in value if isinstance(value, tuple) else (value or "",):
            refuse_credentials(address)
            expanded(address)
        return value


class DedupConfig(Imports):
    """Which documents count as copies of one another."""

    near: bool = True
    ngram: int = Field(5, ge=1, le=16)
    bands: int = Field(20, ge=1)
    rows: int = Field(6, ge=1)
    threshold: float = Field(0.8, gt=0, le=1)
    verify: Literal["exact", "estimate", "none"] = "exact"
    keep: str = Field("longest", pattern=r"^(longest|first|(max|newest):.+)$")
    import_share: float = Field(0.8, ge=0, le=1)

    @property
    def num_perm(self) -> int:
        """Number of permutations, and so of values in a signature."""
        return self.bands * self.rows


class EmbedConfig(Section):
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


class OrderConfig(Section):
    """In which order the documents are visited."""

    method: Literal["matching", "algorithm1", "random", "source"] = "matching"
    improve: bool = True
    partitions: int = Field(1, ge=1)
    recompute_degree: bool = False


class TokenizerConfig(Imports):
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

    @model_validator(mode="after")
    def _tokens_have_a_tokenizer(self) -> "TokenizerConfig":
        if getattr(self, "import") is not None and self.name.startswith("train:"):
            raise ValueError("import needs the tokenizer that made these tokens: give its file or folder as name")
        return self


class Config(Section):
    """All of it."""

    run: str = Field(min_length=1)
    extends: str | None = Field(None, min_length=1)
    seed: int = Field(0, ge=0, lt=2**63)
    corpus: CorpusConfig
    holdout: HoldoutConfig = HoldoutConfig()
    decontaminate: DecontaminateConfig = DecontaminateConfig()
    dedup: DedupConfig = DedupConfig()
    embed: EmbedConfig = EmbedConfig()
    graph: GraphConfig = GraphConfig()
    order: OrderConfig = OrderConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    pack: PackConfig = PackConfig()
    export: tuple[ExportConfig, ...] = ()

    @field_validator("run", "extends")
    @classmethod
    def _without_credentials(cls, value: str | None) -> str | None:
        if value is None:
            return None
        refuse_credentials(value)
        return expanded(value)  # the others are expanded where they are used: their steps know them as written

    @field_validator("export", mode="before")
    @classmethod
    def _names_or_sections(cls, value: Any) -> Any:
        return named_sections(value, "format")

    @model_validator(mode="after")
    def _groups_are_kept(self) -> "Config":
        for name in self.pack.group_by:
            if name not in ("source", *self.corpus.keep, *self.corpus.derive):
                raise ValueError(
                    f"pack.group_by names {name!r}, which the documents of a run do not hold: "
                    "use source, or a field that corpus.keep or corpus.derive names"
                )
        return self

    @model_validator(mode="after")
    def _edges_are_kept(self) -> "Config":
        known = (*PLAIN_COLUMNS, *self.corpus.keep, *self.corpus.derive)
        for entry in self.graph.edges:
            if entry.field is not None and entry.field not in known:
                raise ValueError(
                    f"graph.edges: kind {entry.kind} goes by {entry.field!r}, which the documents of a run do not "
                    f"hold: add it to corpus.keep, or use one of {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _passes_differ(self) -> "Config":
        if self.pack.epochs > 1 and self.order.method == "source":
            raise ValueError(
                "pack.epochs is above 1, but order.method source gives the same path in each pass; use matching, "
                "algorithm1 or random"
            )
        if self.pack.sources and self.corpus.source is None:
            raise ValueError("pack.sources is set, but corpus.source is null; name the field that holds the source")
        return self

    @property
    def capacity(self) -> int:
        """Tokens that a window has for documents: its row less a bos of its own."""
        return self.pack.row_tokens - (self.tokenizer.bos == "window")

    @property
    def holds_apart(self) -> bool:
        """Whether any document is to be kept out of training."""
        return self.holdout.is_set or self.decontaminate.is_set

    def values(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values under dotted `keys`, flattened: ``{"dedup.near": True, ...}``, sorted by key."""
        flat = dict(_flatten(self.model_dump(mode="json")))
        wanted = {name: flat[name] for name in sorted(flat) for key in keys if (name + ".").startswith(key + ".")}
        assert all(any((name + ".").startswith(key + ".") for name in wanted) for key in keys), keys
        return wanted


def _flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        rows += _flatten(item, f"{prefix}{key}.") if isinstance(item, Mapping) and item else [(prefix + key, item)]
    return rows
