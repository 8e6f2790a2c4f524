"""The shapes of bodies in the OpenAPI document, as msgspec reads and writes them.

Litestar's own lose what a list's items must be, least values of 0, and that unknown fields are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

from looma_core.http.access import handlers_of
from looma_core.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from litestar import Litestar
    from litestar.handlers import BaseRouteHandler

REFERENCE = "#/components/schemas/{name}"


def schemas_of(app: Litestar) -> dict[str, Any]:
    """Schemas of all structs that the routes of `app` take and answer, by their names."""
    wanted = {Problem, *(struct for _, handler in handlers_of(app) for struct in _structs_of(handler))}
    _, schemas = msgspec.json.schema_components(wanted, ref_template=REFERENCE)
    return schemas


def patch_schema(draft: dict[str, Any], *, fixed: Iterable[str]) -> dict[str, Any]:
    """Schema of a merge patch (RFC 7396) of `draft`: any of its fields, of which null empties those that may be.

    Args:
        draft: the struct's own schema.
        fixed: fields that no patch changes.
    """
    needed = draft.get("required", [])
    left_out = frozenset(fixed)
    return {
        "type": "object",
        "properties": {
            name: _without_default(schema) if name in needed else _or_null(_without_default(schema))
            for name, schema in draft["properties"].items()
            if name not in left_out
        },
        "additionalProperties": False,
    }


def _without_default(schema: dict[str, Any]) -> dict[str, Any]:
    """What a patch does not name stays as it is."""
    return {key: value for key, value in schema.items() if key != "default"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    return schema if null in schema.get("anyOf", ()) else {"anyOf": [schema, null]}


def _structs_of(handler: BaseRouteHandler) -> Iterator[type[msgspec.Struct]]:
    data = handler.parsed_data_field
    for annotation in (data.annotation if data else None, handler.parsed_return_field.annotation):
        yield from _structs_in(annotation)


def _structs_in(annotation: object) -> Iterator[type[msgspec.Struct]]:
    # A generic struct keeps the name that Litestar gave it: only what it is made of is looked for.
    if (
        get_origin(annotation) is None
        and isinstance(annotation, type)
        and issubclass(annotation, msgspec.Struct)
    ):
        yield annotation
    for argument in get_args(annotation):
        yield from _structs_in(argument)
