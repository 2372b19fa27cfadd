"""What all sections of a configuration have in common: known keys, checked values, nothing that changes later."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model, model_validator


def named_sections(value: Any, name: str) -> Any:
    """One or many sections as a tuple of them, a text alone being the key `name` of one; what else there is stays."""
    listed = (value,) if isinstance(value, str | Mapping) else value
    if not isinstance(listed, tuple):
        return listed
    return tuple({name: item} if isinstance(item, str) else item for item in listed)


class Section(BaseModel):
    """A section: frozen, with the keys that it names and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)

    def keys_but(self, left_out: str, section: str) -> tuple[str, ...]:
        """The dotted names of all keys but one, as those of a section of that name."""
        return tuple(f"{section}.{name}" for name in type(self).model_fields if name != left_out)

    @model_validator(mode="before")
    @classmethod
    def _without_nul(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for key, item in value.items():
                texts = item if isinstance(item, tuple | list) else (item,)
                if any(isinstance(text, str) and "\0" in text for text in texts):
                    raise ValueError(f"has a NUL character in {key}, which no name or path may hold; take it out")
        return value


Imports = create_model("Imports", __base__=Section, **{"import": (str | None, None)})  # type: ignore[call-overload]
"""A section whose key ``import``, a word of Python, names files of other tools."""
