"""Moments in the query of a list, which are texts alone: a number would be taken for seconds since 1970."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from looma_core.problems import FieldError, ValidationProblem

MOMENT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$"
MOMENT_SCHEMA: dict[str, Any] = {"format": "date-time"}
"""What the OpenAPI document says of such a text beside its pattern."""


def moment_of(field: str, text: str | None) -> datetime | None:
    """The moment that a text of the pattern is; None for none.

    Raises:
        ValidationProblem: there is no such day or time; it names the field.
    """
    if text is None:
        return None
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        message = "is no time: write one like 2026-11-20T10:00:00Z"
        raise ValidationProblem(errors=[FieldError(field=field, message=message)]) from error
