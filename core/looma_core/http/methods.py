"""What a path answers to OPTIONS: all of its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar.routes import HTTPRoute

if TYPE_CHECKING:
    from litestar import Litestar


def tell_all_methods(app: Litestar) -> None:
    """Let each path's answer to OPTIONS name all methods of the path.

    Litestar makes that answer with the first handler of a path, and keeps it when others come.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute) and "OPTIONS" in route.route_handler_map:
            handler, _ = route.route_handler_map["OPTIONS"]
            handler._fn = route.create_options_handler(route.path).fn
