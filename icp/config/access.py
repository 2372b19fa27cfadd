"""A configuration of which only declared keys can be read, so that what a task reads is what its step names."""

from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel

from icp.config.models import Config


class UndeclaredKeyError(RuntimeError):
    """A task reads a key that its step does not declare: a programming error: the key might change bytes unnoticed."""


class _Declared:
    """A section of a configuration; other keys than the declared ones raise `UndeclaredKeyError`."""

    __slots__ = ("_keys", "_path", "_section", "_step")

    def __init__(self, section: BaseModel, path: str, keys: tuple[str, ...], step: str) -> None:
        self._section, self._path, self._keys, self._step = section, path, keys, step

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = type(self._section)
        if isinstance(computed := getattr(kind, name, None), property):
            return cast(Any, computed.fget)(self)  # what it is computed from must be declared
        key = f"{self._path}{name}"
        value = getattr(self._section, name)
        if name not in kind.model_fields or any(f"{key}.".startswith(f"{one}.") for one in self._keys):
            return value
        if any(one.startswith(f"{key}.") for one in self._keys):
            return _Declared(value, f"{key}.", self._keys, self._step)
        raise UndeclaredKeyError(
            f"step {self._step} reads {key}, which it does not declare; name it in the keys of the step if it changes "
            "bytes, otherwise in its `reads`"
        )

    def __reduce__(self) -> Any:
        return _Declared, (self._section, self._path, self._keys, self._step)


def declared(config: Config, keys: Sequence[str], *, step: str) -> Config:
    """The configuration, of which only `keys` (dotted, whole sections included) can be read.

    Raises: on access, UndeclaredKeyError for any other key.
    """
    return cast(Config, _Declared(config, "", tuple(keys), step))
