"""The OpenAPI document of one engine: Litestar's, with our errors and with what each route declares."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from looma_core.http.access import declared
from looma_core.http.idempotency import repetition
from looma_core.idempotency import HEADER, MAX_KEY_LENGTH, REPLAYED_HEADER, KeyReused, KeyUnderWay
from looma_core.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.handlers import BaseRouteHandler
    from litestar.types import ControllerRouterHandler

SCHEME = "bearer"


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
    _, schemas = msgspec.json.schema_components((Problem,), ref_template="#/components/schemas/{name}")
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    problem = {
        "description": "A problem; the types are in docs/problems.md.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            # Litestar adds its own shape of a 400, which `errors` never sends.
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = problem
            operation["security"] = [] if (path, method) in public else [{SCHEME: []}]
            if (path, method) in keyed:
                _add_key(operation, problem)
    return document


def _add_key(operation: dict[str, Any], problem: dict[str, Any]) -> None:
    """Tell of `Idempotency-Key`: the header, and the answers that only a request with it can get."""
    text = "Sent again with the same key, the request is not carried out again and gets the same answer."
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH}
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
    return {
        (route.path_format, method.lower())
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if wanted(handler)
        for method in handler.http_methods
    }
