"""The sections of a configuration that keep documents out of training: ``holdout`` and ``decontaminate``."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from icp.config.addresses import expanded, refuse_credentials
from icp.config.section import Section


class HoldoutConfig(Section):
    """Documents that are kept out of training for validation, and how near to them a training document may be."""

    fraction: float = Field(0.0, ge=0, le=0.5)
    ids: str | None = None
    ngram: int = Field(5, ge=1, le=16)
    jaccard: float = Field(0.5, gt=0, le=1)
    containment: float = Field(0.8, gt=0, le=1)
    cosine: float | None = Field(None, gt=0, le=1)

    @field_validator("ids")
    @classmethod
    def _without_credentials(cls, value: str | None) -> str | None:
        return value if value is None else _plain(value)

    @property
    def is_set(self) -> bool:
        """Whether any document is to be held out."""
        return self.fraction > 0 or self.ids is not None

    @property
    def compares_vectors(self) -> bool:
        """Whether documents are compared with held-out ones by their vectors too."""
        return self.is_set and self.cosine is not None


class DecontaminateConfig(Section):
    """Evaluation sets whose text no training document may hold."""

    input: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    ngram: int = Field(13, ge=5, le=16)
    least_words: int = Field(8, ge=3, le=16)
    reports: tuple[str, ...] = ()

    @field_validator("input", "fields", "reports", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("input", "reports")
    @classmethod
    def _without_credentials(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_plain(address) for address in value)

    @model_validator(mode="after")
    def _fits_together(self) -> "DecontaminateConfig":
        if self.least_words > self.ngram:
            raise ValueError(f"least_words is {self.least_words}, must be up to ngram, which is {self.ngram}")
        return self

    @property
    def is_set(self) -> bool:
        """Whether there is any evaluation set, or report of another tool."""
        return bool(self.input or self.reports)


def _plain(address: str) -> str:
    refuse_credentials(address)
    expanded(address)
    return address
