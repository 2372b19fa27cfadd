"""The section of a configuration that says which documents are neighbours: ``graph``, and its `edges`."""

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from icp.choices import KNN_METHODS
from icp.config.addresses import expanded, is_url, refuse_credentials
from icp.config.section import Imports, Section, named_sections

if TYPE_CHECKING:
    KnnMethodName = str
else:  # a type checker knows no literals that are computed
    KnnMethodName = Literal[("auto", *KNN_METHODS)]

PLAIN_COLUMNS = ("id", "source", "file")
"""Columns of all documents that an edge may go by, beside those that are kept or derived."""


class EdgeColumns(Section):
    """What the columns of a file of links are called; without a name for weights, `weight` is read where it is."""

    source: str = "source"
    target: str = "target"
    weight: str | None = None


class EdgesConfig(Section):
    """Where some edges come from: a file of links, or a built-in kind; and what they count beside cosines."""

    file: str | None = None
    kind: Literal["directory", "date"] | None = None
    field: str | None = None
    columns: EdgeColumns = EdgeColumns()
    weight: float = Field(0.5, gt=0, le=1)
    max_unknown: float = Field(0.5, ge=0, le=1)

    @field_validator("file")
    @classmethod
    def _is_local(cls, value: str | None) -> str | None:
        if value is not None:
            refuse_credentials(value)
            if is_url(expanded(value)):
                raise ValueError(f"is {value}; a file of links must lie on this machine, fetch it first")
        return value

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "EdgesConfig":
        if (self.file is None) == (self.kind is None):
            raise ValueError("needs a file of links, or kind: directory or date, and not both")
        if self.kind == "date" and self.field is None:
            raise ValueError(
                "is of kind date without field, the kept field that holds dates, e.g. {kind: date, field: date}"
            )
        if self.file is not None and self.field is not None:
            raise ValueError(
                "has a field, which belongs to kind: directory or date; name the columns of a file under columns"
            )
        return self

    @property
    def name(self) -> str:
        """What figures and messages call these edges."""
        if self.file is not None:
            return PurePath(self.file).name
        return f"{self.kind} of {self.field}" if self.field else str(self.kind)


class GraphConfig(Imports):
    """Which documents are neighbours."""

    k: int = Field(10, ge=1)
    method: KnnMethodName = "auto"
    faiss: str = Field("auto", min_length=1, pattern=r"^[A-Za-z0-9_,()]+$")
    target_recall: float = Field(0.95, gt=0, le=1)
    min_similarity: Literal["auto"] | float = "auto"
    max_similarity: float | None = None
    same_source: Literal["any", "across", "within"] = "any"
    max_degree: int | None = Field(None, ge=1)
    duplicate_similarity: float = Field(0.97, ge=-1)
    duplicate_jaccard: float = Field(0.7, ge=0, le=1)
    conflict_jaccard: float | None = Field(None, gt=0, le=1)
    conflict_containment: float | None = Field(None, gt=0, le=1)
    edges: tuple[EdgesConfig, ...] = Field((), max_length=16)
    similarity: bool = True

    @field_validator("edges", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return named_sections(value, "file")

    @model_validator(mode="after")
    def _has_edges(self) -> "GraphConfig":
        if not self.similarity and not self.edges:
            raise ValueError("similarity is false and edges is empty, so there would be no edge; name some in edges")
        if getattr(self, "import") is not None and self.method != "auto":
            raise ValueError(
                f"import gives the neighbours, so nothing is searched, but method is {self.method}; take one out"
            )
        return self

    @property
    def compares_texts(self) -> bool:
        """Whether neighbours that are no look-alikes are kept apart by their words as well."""
        return self.conflict_jaccard is not None or self.conflict_containment is not None
