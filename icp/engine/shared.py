"""What tasks of one phase share in a process: the first makes it, and it goes when a task of another phase begins."""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")
_forget: list[Callable[[], None]] = []
_phase: list[Hashable] = []


def shared(make: Callable[Given, Made]) -> Callable[Given, Made]:
    """`make`, whose last result is given again to tasks of the same phase; its arguments tell results apart."""
    once = lru_cache(maxsize=1)(make)
    _forget.append(once.cache_clear)
    return once  # type: ignore[return-value]


def begin(phase: Hashable) -> None:
    """A task of this phase begins: what those of another one shared is forgotten."""
    if _phase != [phase]:
        _phase[:] = [phase]
        for forget in _forget:
            forget()
