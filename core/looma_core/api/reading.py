"""Reads plain data into a Struct and names every field that is wrong, not only the first.

msgspec stops at the first error; a person who fills in a form wants all of them at once.
"""

from __future__ import annotations

from typing import Any, TypeVar, get_type_hints

import msgspec
from msgspec.structs import fields

from looma_core.problems import FieldError, ValidationProblem, field_error

StructT = TypeVar("StructT", bound=msgspec.Struct)


def read(value: object, struct: type[StructT]) -> StructT:
    """Convert plain data (dicts, lists, strings, numbers) into `struct`.

    Raises:
        ValidationProblem: with one error for each top-level field that is wrong.
    """
    try:
        return msgspec.convert(value, struct)
    except msgspec.ValidationError as error:
        raise ValidationProblem(errors=errors_of(value, struct) or [field_error(str(error))]) from error


def errors_of(value: object, struct: type[msgspec.Struct]) -> list[FieldError]:
    """What is wrong with `value` as a `struct`; empty if nothing is, or if it is no object at all."""
    if not isinstance(value, dict):
        return []
    hints = get_type_hints(struct, include_extras=True)
    errors = []
    known = set()
    for field in fields(struct):
        known.add(field.encode_name)
        if field.encode_name not in value:
            if field.required:
                errors.append(FieldError(field=field.encode_name, message="is required"))
            continue
        message = _message(value[field.encode_name], hints[field.name])
        if message is not None:
            errors.append(field_error(message, prefix=field.encode_name))
    if struct.__struct_config__.forbid_unknown_fields:
        errors += [
            FieldError(field=str(name), message="is not a known field") for name in value if name not in known
        ]
    return errors


def _message(value: object, hint: Any) -> str | None:  # noqa: ANN401 - any type that msgspec reads
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        return str(error)
    return None
