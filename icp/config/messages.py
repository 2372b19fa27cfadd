"""What is wrong with a configuration, in words for the one who wrote it."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from icp.config.models import Config


def message_of(error: Mapping[str, Any], where: str, overridden: Mapping[str, str]) -> str:
    """A line for one of the errors of a `pydantic.ValidationError`.

    Args:
        where: begins it, unless ``--set`` gave the value.
        overridden: dotted key -> the override that set it.
    """
    spelled = ".".join(str(part) for part in error["loc"])
    inside = [key for key in overridden if f"{key}.".startswith(f"{spelled}.") or not spelled]
    for key, override in overridden.items():
        opened = error["type"] == "extra_forbidden" and key in inside
        if f"{spelled}.".startswith(f"{key}.") or opened:
            where = f"--set {_shortened(override)}"
            break
    else:
        if inside:  # values that do not go together: some of them stand in the file, some in overrides
            where = f"{where} with {' '.join(f'--set {_shortened(overridden[key])}' for key in inside)}"
    # pydantic adds the member of a union to the location: only names of fields belong to the key
    names = [str(part) for part in error["loc"]]
    known = _known_keys()
    key = ".".join(names)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key}; {_suggest(key, known)}"
    while names and ".".join(names) not in known:
        names.pop()
    key, value = ".".join(names), error.get("input")
    shown = ".".join((key, *_inside_list(key, error["loc"][len(names) :])))
    if error["type"] == "missing":
        return f"{where}: {'.'.join(str(part) for part in error['loc'])} is missing and has no default"
    if error["type"] == "value_error":
        return f"{where}: " + _of_section(shown, str(error["ctx"]["error"]))
    return f"{where}: {shown} is {_shortened(repr(value))}, {_expected(error, key)}"


def _inside_list(key: str, rest: Sequence[str | int]) -> Iterator[str]:
    """Which of the edges, and which key of it: sections in a list are told apart by their place."""
    return (str(part) for part in (rest if key == "graph.edges" else ()))


def _of_section(key: str, message: str) -> str:
    """A message about a key; that of a section begins with the name of one of its keys."""
    joined = "." if f"{key}.{message.split()[0].partition('.')[0]}" in _known_keys() else " "
    return f"{key}{joined}{message}" if key else message


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]}... ({len(text):,} characters)"


def _known_keys(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        rows.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            rows += _known_keys(field.annotation, f"{prefix}{name}.")
    return rows


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
