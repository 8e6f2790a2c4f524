"""Which kinds of body a route reads: one guard for all of them, before anybody looks at the body itself.

A route with a parameter `data` reads JSON unless it says otherwise, one with `patches(...)` a merge patch. Routes that
read a form or the bare request say themselves what they take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.enums import RequestEncodingType

from looma_core.problems import FieldError, UnsupportedMedia

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

PATCHED = "looma_patched"
HEADER = "Content-Type"
JSON_TYPES = ("application/json",)
PATCH_TYPES = ("application/merge-patch+json", "application/json")


def patches(draft: str) -> dict[str, Any]:
    """`opt` of a route whose body is a merge patch of this struct, by its name in the signatures' namespace."""
    return {PATCHED: draft}


def read_types(handler: BaseRouteHandler) -> tuple[str, ...]:
    """Kinds of JSON that a route reads; none where it reads no JSON, or decides by itself.

    | the route has                | answer                                           |
    | ---------------------------- | ------------------------------------------------ |
    | `patches(...)`               | application/merge-patch+json, application/json   |
    | `data`, no other kind named  | application/json                                 |
    | `data` of a form             | none                                             |
    | neither                      | none                                             |
    """
    if PATCHED in handler.opt:
        return PATCH_TYPES
    data = getattr(handler, "parsed_data_field", None)
    if data is None:
        return ()
    said = getattr(data.kwarg_definition, "media_type", RequestEncodingType.JSON)
    return JSON_TYPES if said == RequestEncodingType.JSON else ()


def essence(header: str) -> str:
    """What a `Content-Type` names, without its parameters.

    | header                          | answer           |
    | ------------------------------- | ---------------- |
    | Application/JSON; charset=utf-8 | application/json |
    | (empty)                         | (empty)          |
    """
    return header.split(";", 1)[0].strip().lower()


def unsupported(sent: str, wanted: Sequence[str]) -> UnsupportedMedia:
    """The refusal of a body of another kind: names the header, and what to send."""
    names = " or ".join(wanted)
    said = f"it is `{sent}`" if sent else "it is missing"
    return UnsupportedMedia(
        f"Send the header {HEADER} with {names}: {said}.",
        errors=[FieldError(field=HEADER, message=f"send {names}")],
        headers={"Accept": ", ".join(wanted)},
    )


async def check_media(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of all routes: a body of a kind that the route does not read is refused unread.

    Raises:
        UnsupportedMedia: its `Content-Type` is another one, or missing although there is a body.
    """
    wanted = read_types(handler)
    if not wanted:
        return
    sent = essence(connection.headers.get(HEADER.lower(), ""))
    if sent in wanted:
        return
    # Without a body there is no kind of it: the handler says what it misses.
    if not sent and isinstance(connection, Request) and not await connection.body():
        return
    raise unsupported(sent[:100], wanted)
