"""Moments in the query of a list, which are texts alone: a number would be taken for seconds since 1970.

A span of them narrows a table with a partition for each month: PostgreSQL then reads those of the span alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from litestar.params import Parameter
from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from looma_core.problems import FieldError, ValidationProblem

MOMENT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$"
MOMENT_SCHEMA: dict[str, Any] = {"format": "date-time"}
"""What the OpenAPI document says of such a text beside its pattern."""
EntriesSince = Annotated[
    str | None,
    Parameter(pattern=MOMENT_PATTERN, schema_extra=MOMENT_SCHEMA, description="Those of this time or later."),
]
EntriesBefore = Annotated[
    str | None,
    Parameter(pattern=MOMENT_PATTERN, schema_extra=MOMENT_SCHEMA, description="Those before this time."),
]


class Span(NamedTuple):
    """From a moment on, and until before another; None leaves an end open."""

    since: datetime | None = None
    before: datetime | None = None

    def of(
        self, column: InstrumentedAttribute[datetime], *, newest: datetime | None = None
    ) -> list[ColumnElement[bool]]:
        """What says that a column lies in it.

        Args:
            column: with the time of an entry.
            newest: where a page of the newest first goes on: nothing later is on it. The comparison of two columns with
                a cursor leaves no partition out, this one does.
        """
        bounds: list[ColumnElement[bool]] = []
        if self.since is not None:
            bounds.append(column >= self.since)
        if self.before is not None:
            bounds.append(column < self.before)
        if newest is not None:
            bounds.append(column <= newest)
        return bounds


EVER = Span()


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


def span_of(since: str | None, before: str | None) -> Span:
    """The span that a query's `since` and `before` name.

    Raises:
        ValidationProblem: one is no time, or `before` is not after `since`; it names the field.
    """
    span = Span(moment_of("since", since), moment_of("before", before))
    if span.since is not None and span.before is not None and span.before <= span.since:
        message = "is not after `since`: write a later time"
        raise ValidationProblem(errors=[FieldError(field="before", message=message)])
    return span
