"""The OpenAPI document of one engine: Litestar's, with our errors and with what each route declares."""

from __future__ import annotations

import copy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from litestar import Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.status_codes import HTTP_200_OK, HTTP_300_MULTIPLE_CHOICES

from looma_core.http.access import declared
from looma_core.http.idempotency import repetition
from looma_core.http.media import HEADER as TYPE_HEADER
from looma_core.http.media import PATCH_TYPES, PATCHED, read_types
from looma_core.http.shapes import REFERENCE, patch_schema, schemas_of
from looma_core.idempotency import (
    HEADER,
    KEY_PATTERN,
    MAX_KEY_LENGTH,
    REPLAYED_HEADER,
    KeyReused,
    KeyUnderWay,
)
from looma_core.problems import MEDIA_TYPE, UnsupportedMedia

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from litestar import Litestar
    from litestar.handlers import BaseRouteHandler
    from litestar.types import ControllerRouterHandler

SCHEME = "bearer"
ALSO = "looma_also_answers"
FIXED = ("source",)
"""Fields of a draft that no patch changes."""


def answers(also: Mapping[int, str]) -> dict[str, Any]:
    """`opt` of a route with more than one answer that is no problem: statuses, each with what it says.

    Those of 200 to 299 have the body of the first.
    """
    return {ALSO: dict(also)}


class _NoRoutes(Router):
    """Takes Litestar's documentation pages and serves none: they hold inline script, and the document is ours."""

    def register(self, value: ControllerRouterHandler) -> list[Any]:
        """Register nothing."""
        del value
        return []


def openapi_config(*, name: str, description: str | None) -> OpenAPIConfig:
    """Configuration that makes Litestar collect the document without serving it."""
    scheme = SecurityScheme(type="http", scheme=SCHEME, bearer_format="JWT", description="Signed with RS256.")
    return OpenAPIConfig(
        title=f"Looma {name}",
        version=version("looma"),
        description=description,
        use_handler_docstrings=True,
        components=Components(security_schemes={SCHEME: scheme}),
        render_plugins=[JsonRenderPlugin()],
        openapi_router=_NoRoutes("/openapi", route_handlers=[], include_in_schema=False),
    )


def document_of(app: Litestar) -> dict[str, Any]:
    """Return the document: every operation with its security and with problem details as its errors."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    public = _public_operations(app)
    keyed = _keyed_operations(app)
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(schemas_of(app))
    problem = {
        "description": "A problem; the types are in docs/problems.md.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            # Litestar adds its own shape of a 400, which `errors` never sends.
            operation["responses"].pop("400", None)
            _any_of(operation["responses"])
            operation["responses"]["default"] = problem
            operation["security"] = [] if (path, method) in public else [{SCHEME: []}]
            if (path, method) in keyed:
                _add_key(operation, problem)
    for path, method, handler in _documented(app):
        operation = document["paths"][path][method]
        _add_answers(operation["responses"], handler.opt.get(ALSO, {}))
        if types := read_types(handler):
            said = f"{UnsupportedMedia.title}: send the header {TYPE_HEADER} with {' or '.join(types)}."
            operation["responses"][str(UnsupportedMedia.status)] = {**problem, "description": said}
        if PATCHED in handler.opt:
            draft = handler.resolve_signature_namespace()[handler.opt[PATCHED]].__name__
            name = draft.removesuffix("Draft") + "Patch"
            schemas[name] = {"title": name, **patch_schema(schemas[draft], fixed=FIXED)}
            content = {"schema": {"$ref": REFERENCE.format(name=name)}}
            operation["requestBody"] = {"required": True, "content": dict.fromkeys(PATCH_TYPES, content)}
    return document


def _any_of(responses: dict[str, Any]) -> None:
    """Of two forms that an answer may have it may fit both, as all fields of a record are some of its fields."""
    for answer in responses.values():
        for content in (answer.get("content") or {}).values():
            if "oneOf" in content.get("schema", {}):
                content["schema"]["anyOf"] = content["schema"].pop("oneOf")


def _add_answers(responses: dict[str, Any], also: Mapping[int, str]) -> None:
    first = next(answer for status, answer in responses.items() if status.startswith("2"))
    for status, text in also.items():
        has_body = HTTP_200_OK <= status < HTTP_300_MULTIPLE_CHOICES
        responses[str(status)] = {**(copy.deepcopy(first) if has_body else {}), "description": text}


def _add_key(operation: dict[str, Any], problem: dict[str, Any]) -> None:
    """Tell of `Idempotency-Key`: the header, and the answers that only a request with it can get."""
    text = "Sent again with the same key, the request is not carried out again and gets the same answer."
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": KEY_PATTERN}
    operation.setdefault("parameters", []).append(
        {"name": HEADER, "in": "header", "required": False, "description": text, "schema": schema}
    )
    for known in (KeyUnderWay, KeyReused):
        answer = operation["responses"].setdefault(
            str(known.status), {**problem, "description": f"{known.title}."}
        )
        if known is KeyUnderWay:
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            answer.setdefault("headers", {})[REPLAYED_HEADER] = {
                "schema": {"type": "string", "enum": ["true"]},
                "description": "The answer was given before; nothing was done now.",
            }


def _public_operations(app: Litestar) -> set[tuple[str, str]]:
    return _operations(app, lambda handler: (access := declared(handler)) is not None and access.public)


def _keyed_operations(app: Litestar) -> set[tuple[str, str]]:
    return _operations(app, lambda handler: (said := repetition(handler)) is not None and said.honours_key)


def _operations(app: Litestar, wanted: Callable[[BaseRouteHandler], bool]) -> set[tuple[str, str]]:
    """Paths and methods, as the document names them, of the handlers that are wanted."""
    return {(path, method) for path, method, handler in _handlers(app) if wanted(handler)}


def _documented(app: Litestar) -> Iterator[tuple[str, str, BaseRouteHandler]]:
    return ((path, method, handler) for path, method, handler in _handlers(app) if _is_told(handler))


def _is_told(handler: BaseRouteHandler) -> bool:
    return getattr(handler, "include_in_schema", False) is not False


def _handlers(app: Litestar) -> Iterator[tuple[str, str, BaseRouteHandler]]:
    """Paths and methods as the document names them, each with its handler."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods:
                yield route.path_format, method.lower(), handler
