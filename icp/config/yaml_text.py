"""YAML of a configuration as plain values: what YAML allows and a configuration cannot mean is refused by line.

In: text. Out: mappings with text keys, lists, and scalars. A key that stands twice, a tag, a value of another type
than it says, an alias that leads into itself or grows without bound, and nesting without end are refused.
"""

from collections.abc import Hashable
from typing import Any

import yaml

from icp.errors import ConfigError

MOST_BYTES = 1 << 20
"""Bytes of a configuration: a list of a hundred thousand files fits."""
MOST_NODES = 1 << 18
"""Values of a configuration, each counted as often as aliases repeat it."""
MOST_BITS = 1024
"""Bits of a whole number: Python refuses to print one of more than some 14,000."""
DEEPEST = 32
"""Levels of nesting; the models have three."""


def read_yaml(text: str, where: str) -> Any:
    """The values of a YAML text; `where` begins every message.

    Raises: ConfigError for what is not valid YAML, or not to be meant in a configuration.
    """
    if len(text) > MOST_BYTES:
        raise ConfigError(f"{where}: longer than {MOST_BYTES:,} characters, which no configuration is; check the file")
    if "\0" in text:
        raise ConfigError(f"{where}: holds a NUL character, so it is no YAML; check the file")
    try:
        _check_depth(text, where)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count(node, {}, set(), where)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{where}: {line}not valid YAML ({getattr(error, 'problem', None) or error})") from None


def _check_depth(text: str, where: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise ConfigError(
                f"{where}: line {_line(event)}: nested more than {DEEPEST} deep; close the brackets before it"
            )


def _count(node: yaml.Node, known: dict[int, int], above: set[int], where: str) -> int:
    """How many values a node stands for, aliases followed."""
    line = f"{where}: line {_line(node)}: "
    if id(node) in above:
        raise ConfigError(f"{line}an alias leads into what holds it; write the values out")
    if id(node) not in known:
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        children = [child for item in inner for child in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_count(child, known, above | {id(node)}, where) for child in children)
    if known[id(node)] > MOST_NODES:
        raise ConfigError(f"{line}aliases repeat values more than {MOST_NODES:,} times; write the values out")
    return known[id(node)]


def _line(place: yaml.Event | yaml.Node) -> int:
    return place.start_mark.line + 1 if place.start_mark else 1


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with one meaning a key, and an error of its own for every value that is not what it says."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and value.bit_length() > MOST_BITS:
                raise OverflowError("too many digits")
            return value
        except yaml.YAMLError:
            raise
        except (ValueError, LookupError, AttributeError, ArithmeticError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            message = f"{_short(node.value)} is no {kind} ({error}); quote it if it is a text"
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            mark = key_node.start_mark
            if not isinstance(key, str):
                message = f"the key {_short(key)} is no text; quote it"
                raise yaml.constructor.ConstructorError(None, None, message, mark)
            if key in lines:
                message = f"the key {key} stands here and in line {lines[key]}; merge the two"
                raise yaml.constructor.ConstructorError(None, None, message, mark)
            lines[key] = mark.line + 1
        return super().construct_mapping(node, deep)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:30]}... ({len(text):,} characters)"
