"""The HTTP frame of every engine: one Litestar application with the same edges everywhere.

Map: `app.create_app` puts it together; `frame` is the outermost layer (request id, trace, metrics, access
log); `shadow` sends copies of requests to another service; `access` says who may call a route; `errors` turns
every failure into problem details; `document` is the OpenAPI document; `context` carries the request's ids to
calls of other engines; `serve` runs an application under Granian.
"""

from looma_core.http.access import PUBLIC, Access, allow, undeclared
from looma_core.http.app import create_app
from looma_core.http.context import outgoing_headers
from looma_core.http.serve import serve

__all__ = [
    "PUBLIC",
    "Access",
    "allow",
    "create_app",
    "outgoing_headers",
    "serve",
    "undeclared",
]
