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


def is_view(kind: pa.DataType) -> bool:
    """Whether values are strings or bytes that lie in buffers which several may share."""
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def is_uuid(kind: pa.DataType) -> bool:
    """Whether values are UUIDs, which are read as their text."""
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.uuid"


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a dictionary or an extension; a view's the type with offsets."""
    while _holds_values(kind) or isinstance(kind, pa.BaseExtensionType):
        if is_uuid(kind):
            return pa.string()
        kind = kind.value_type if _holds_values(kind) else kind.storage_type
    return pa.string() if pa.types.is_string_view(kind) else pa.binary() if pa.types.is_binary_view(kind) else kind


def _holds_values(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind))


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
    checks = (types.is_null, types.is_integer, types.is_floating, types.is_temporal, types.is_decimal)
    return (
        is_string(kind)
        or (any(check(kind) for check in (*checks, types.is_fixed_size_binary)) and not types.is_interval(kind))
        or (key == "source" and types.is_boolean(kind))
    )


def serving(path: str, schema: pa.Schema, rules: Rules, findings: Findings, n_rows: int) -> Rules:
    """The rules without a default-named id or source whose type cannot be written as strings.

    Args:
        n_rows: so many values are left out.

    Raises: InputError if the field was asked for.
    """
    for key, name in (("id", rules.id), ("source", rules.source)):
        kind = None if name is None else type_of(schema, name)
        if kind is None or _servable(kind, key):
            continue
        if rules.asked(key):
            raise InputError(
                f"{path}: field {name!r} is of type {kind}, expected strings or numbers; "
                f"set corpus.{key} to another field, or to null"
            )
        findings.leave_out(key, n_rows)
        rules = replace(rules, id=None) if key == "id" else replace(rules, source=None)
    return rules
