"""Some fields of a record alone: `fields=full_name,email`. The id and the version are always there. Pure."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from looma_core.api.page import Page
from looma_core.problems import FieldError, ValidationProblem

ALWAYS = ("id", "version")

SparseT = TypeVar("SparseT")
"""The sparse form of a controller's records, as its handlers' signatures name it."""

Fields = Annotated[
    str | None,
    Parameter(
        max_length=1000,
        description="Names of fields with commas between them: answers have these, `id` and `version` alone.",
    ),
]


@cache
def sparse(record: Any) -> type[msgspec.Struct]:  # noqa: ANN401 - the Struct of any kind
    """The Struct of a record in which every field but the id and the version may be missing."""
    hints = get_type_hints(record, include_extras=True)
    fields: list[Any] = [
        (name, hint) if name in ALWAYS else (name, hint | UnsetType, UNSET) for name, hint in hints.items()
    ]
    return msgspec.defstruct(
        f"Sparse{record.__name__}",
        fields,
        kw_only=True,
        module=record.__module__,
        namespace={"__doc__": f"Fields of a {record.__name__} that were asked for."},
    )


def narrowed(record: Any, fields: str | None) -> Any:  # noqa: ANN401 - of whatever kind
    """The record with the wanted fields alone, or as it is where none are named.

    Raises:
        ValidationProblem: a field is not known.
    """
    if fields is None:
        return record
    kind: Any = type(record)
    return _narrow(record, _names(kind, fields), sparse(kind))


def narrowed_page(page: Page[Any], fields: str | None, record: Any) -> Page[Any]:  # noqa: ANN401 - the Struct of any kind
    """A page of records with the wanted fields alone; raises as `narrowed`, also where the page is empty."""
    if fields is None:
        return page
    names, form = _names(record, fields), sparse(record)
    return Page(items=[_narrow(item, names, form) for item in page.items], next_cursor=page.next_cursor)


def _narrow(record: Any, names: tuple[str, ...], form: type[msgspec.Struct]) -> msgspec.Struct:  # noqa: ANN401 - as above
    return form(**{name: getattr(record, name) for name in names})


def _names(record: Any, fields: str) -> tuple[str, ...]:  # noqa: ANN401 - as above
    known = record.__struct_fields__
    wanted = {name.strip() for name in fields.split(",")} - {""}
    if unknown := sorted(wanted.difference(known)):
        message = f"has no such field: {', '.join(unknown)}; there are {', '.join(known)}"
        raise ValidationProblem(errors=[FieldError(field="fields", message=message)])
    return tuple(name for name in known if name in wanted or name in ALWAYS)
