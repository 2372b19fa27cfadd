"""Types of the fields of a table: which there are, and which can be written as strings."""

from dataclasses import replace

import pyarrow as pa

from icp.errors import InputError
from icp.steps.documents.rows import Findings, Rules


def missing_text(path: str, text: str, names: list[str]) -> str:
    """The message for a file whose rows have no text field."""
    shown = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "") if names else "none"
    shown = shown.encode(errors="backslashreplace").decode()  # a JSON name may hold half of a surrogate pair
    return f"{path}: no field {text!r}; its fields are: {shown}; set corpus.text to the one that holds the text"


def is_string(kind: pa.DataType) -> bool:
    """Whether values are strings or bytes."""
    types = pa.types
    checks = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(check(kind) for check in checks)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a dictionary or an extension; a view's the type with offsets."""
    while pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind.storage_type
    return pa.string() if pa.types.is_string_view(kind) else pa.binary() if pa.types.is_binary_view(kind) else kind


def type_of(schema: pa.Schema, name: str) -> pa.DataType | None:
    """The type of a field by its name or dotted path, None if the schema has none."""
    if schema.get_field_index(name) >= 0:
        return _plain(schema.field(name).type)
    head, *steps = name.split(".")
    if schema.get_field_index(head) < 0:
        return None
    kind = schema.field(head).type
    for step in steps:
        if not pa.types.is_struct(kind) or kind.get_field_index(step) < 0:
            return None
        kind = kind.field(step).type
    return _plain(kind)


def leaf_names(schema: pa.Schema) -> list[str]:
    """Names of the fields, those in structs with their path."""
    names = []
    for field in schema:
        inner = [child.name for child in field.type] if pa.types.is_struct(field.type) else []
        names += [f"{field.name}.{child}" for child in inner] or [field.name]
    return names


def _servable(kind: pa.DataType, key: str) -> bool:
    types = pa.types
    dated = types.is_temporal(kind) or types.is_decimal(kind)
    return (
        is_string(kind)
        or types.is_null(kind)
        or types.is_integer(kind)
        or dated
        or (key == "source" and types.is_boolean(kind))
    )


def serving(path: str, schema: pa.Schema, rules: Rules, findings: Findings) -> Rules:
    """The rules without a default-named id or source whose type cannot be written as strings.

    Raises: InputError if the field was asked for.
    """
    for key, name in (("id", rules.id), ("source", rules.source)):
        kind = None if name is None else type_of(schema, name)
        if kind is None or _servable(kind, key):
            continue
        if name != key:
            raise InputError(
                f"{path}: field {name!r} is of type {kind}, expected strings or integers; "
                f"set corpus.{key} to another field, or to null"
            )
        findings.leave_out(key)
        rules = replace(rules, id=None) if key == "id" else replace(rules, source=None)
    return rules
