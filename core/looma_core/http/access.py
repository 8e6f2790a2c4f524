"""Who may call a route: declared beside it, enforced in one place.

Each handler carries `opt=allow(Role.RECRUITER, ...)` or `opt=PUBLIC`. `create_app` refuses to start with a
handler that declares neither, and names its file and function; `authorize` is the one guard that reads the
declaration.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec

from looma_core.auth import Principal, Role, TokenVerifier
from looma_core.problems import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler
    from litestar.types import Guard

KEY = "looma_access"
_SCHEME = "bearer "


class Access(msgspec.Struct, frozen=True):
    """The declaration of one route: public, or for tokens with at least one of `roles`."""

    public: bool = False
    roles: frozenset[str] = frozenset()


PUBLIC: dict[str, Any] = {KEY: Access(public=True)}
"""`opt` of a route that needs no token."""


def allow(*roles: Role) -> dict[str, Any]:
    """`opt` of a route for tokens that have at least one of `roles`."""
    if not roles:
        msg = "name at least one role, or say PUBLIC"
        raise ValueError(msg)
    return {KEY: Access(roles=frozenset(roles))}


def authorize(verifier: TokenVerifier) -> Guard:
    """Return the guard that checks token and roles, and leaves the `Principal` as the connection's user."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        access = declared(handler)
        if access is None:
            # Cannot happen after create_app's own check; a gap must still never open a route.
            raise Forbidden("This route declares no access.")
        if access.public:
            return
        principal = await verifier.verify(_token(connection.headers.get("authorization", "")))
        connection.scope["user"] = principal
        if not access.roles & principal.roles:
            raise Forbidden(f"This needs one of the roles: {', '.join(sorted(access.roles))}.")

    return guard


def provide_principal(request: Any) -> Principal:  # noqa: ANN401 - Litestar injects by name; its type is generic
    """Dependency `principal` of handlers: who calls.

    Raises:
        Unauthenticated: the route is public, so that nobody was asked.
    """
    principal = request.scope.get("user")
    if not isinstance(principal, Principal):
        raise Unauthenticated("This route knows no caller.")
    return principal


def declared(handler: BaseRouteHandler) -> Access | None:
    """What a handler declares, or None. Litestar's own OPTIONS answers tell the methods only: public."""
    if getattr(handler, "http_methods", None) == {"OPTIONS"}:
        return Access(public=True)
    access = handler.opt.get(KEY)
    return access if isinstance(access, Access) else None


def undeclared(app: Litestar) -> list[str]:
    """Routes of `app` without a declaration, each as `PATH: FUNCTION in FILE:LINE`."""
    return [
        f"{path}: {where(handler)} declares neither allow(...) nor PUBLIC"
        for path, handler in handlers_of(app)
        if declared(handler) is None
    ]


def handlers_of(app: Litestar) -> Iterator[tuple[str, BaseRouteHandler]]:
    """All handlers of an application, each with its path."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", None) or [route.route_handler]:  # type: ignore[union-attr]
            yield route.path, handler


def where(handler: BaseRouteHandler) -> str:
    """A handler as a person finds it: `FUNCTION in FILE:LINE`."""
    function = inspect.unwrap(handler.fn)
    code = getattr(function, "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}" if code else "?"
    return f"{getattr(function, '__qualname__', function)} in {place}"


def _token(header: str) -> str:
    if not header:
        raise Unauthenticated("Send a token as `Authorization: Bearer ...`.", error="missing_token")
    if not header.lower().startswith(_SCHEME):
        raise Unauthenticated("Only `Authorization: Bearer ...` is understood.", error="invalid_request")
    return header[len(_SCHEME) :].strip()
