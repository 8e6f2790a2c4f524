"""JSON merge patches (RFC 7396), and what a record becomes by one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looma_core.problems import FieldError, ValidationProblem

_FIXED = frozenset({"id", "version", "source", "created_at", "updated_at"})


def merge_patch(target: object, patch: object) -> Any:  # noqa: ANN401 - any JSON value
    """RFC 7396: objects are merged, null removes a member, anything else replaces.

    | target            | patch             | answer            |
    | ----------------- | ----------------- | ----------------- |
    | {"a": 1}          | {"b": 2}          | {"a": 1, "b": 2}  |
    | {"a": 1}          | {"a": null}       | {}                |
    | {"a": {"b": 1}}   | {"a": {"c": 2}}   | {"a": {"b": 1, "c": 2}} |
    | {"a": [1]}        | {"a": [2]}        | {"a": [2]}        |
    | [1]               | {"a": 1}          | {"a": 1}          |
    | {"a": 1}          | 7                 | 7                 |
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def check_patch(patch: object, settable: Sequence[str]) -> dict[str, Any]:
    """The patch as an object of fields that may be changed.

    Raises:
        ValidationProblem: it is no object, or touches what cannot change.
    """
    if not isinstance(patch, dict):
        raise ValidationProblem(
            errors=[FieldError(field="body", message="write an object with the fields to change")]
        )
    if wrong := [FieldError(field=name, message=_refusal(name)) for name in patch if name not in settable]:
        raise ValidationProblem(errors=wrong)
    return patch


def _refusal(name: str) -> str:
    return "cannot be changed" if name in _FIXED else "is not a known field"
