"""The HTTP frame of every engine: one Litestar application with the same edges everywhere.

Map: `app.create_app` puts it together; `frame` is the outermost layer (request id, trace, metrics, access
log); `shadow` sends copies of requests to another service; `access` says who may call a route; `media` which kinds of
body it reads; `idempotency` what becomes of a request that is sent twice; `errors` turns every failure into problem
details; `document` is the OpenAPI document and `shapes` its bodies; `methods` answers OPTIONS; `context` carries the
request's ids to calls of other engines; `serve` runs an application under Granian.
"""

from looma_core.http.access import PUBLIC, Access, allow, undeclared
from looma_core.http.app import create_app
from looma_core.http.context import outgoing_headers
from looma_core.http.document import answers
from looma_core.http.idempotency import (
    WRITES_NOTHING,
    Idempotency,
    idempotent,
    leave_unfinished,
    undeclared_writing,
)
from looma_core.http.media import PATCH_TYPES, essence, patches, unsupported
from looma_core.http.serve import serve

__all__ = [
    "PATCH_TYPES",
    "PUBLIC",
    "WRITES_NOTHING",
    "Access",
    "Idempotency",
    "allow",
    "answers",
    "create_app",
    "essence",
    "idempotent",
    "leave_unfinished",
    "outgoing_headers",
    "patches",
    "serve",
    "undeclared",
    "undeclared_writing",
    "unsupported",
]
