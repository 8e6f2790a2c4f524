"""The last resort: a pod for requests whose backend has none that passes its check. Pure.

A pod that gets no processor time answers its checks too late, as one that hangs does. Of several pods the others take
its requests; where it was the only one, refusing them would make an outage of what a caller would have seen as a late
answer. So while Kubernetes still calls pods of a backend ready, one of them is asked, whatever HAProxy's checks say (as
Envoy does below its panic threshold). A pod that is dead refuses the connection, which is told as before: 503. A rule
with a fallback does not come here: `circuit_breakers.without_pods` led it away.

Which pods there are changes at run time, so they stand in a map: for each backend SLOTS names, of which a request draws
one.
"""

from __future__ import annotations

from looma_engines.gateway.haproxy.text import Lines, server_name
from looma_engines.gateway.model import Backend, DataPlane

MAP = "last_resort.map"
SLOTS = 4
"""Names a backend has in the map: of more pods than this the first are asked."""
NOBODY = "-"
"""No server has this name, so that the request finds none."""

_NONE_PASSES = "{ nbsrv lt 1 }"


def map_key(backend: str, slot: int) -> str:
    """Key of one of a backend's slots."""
    return f"{backend}/{slot}"


def map_entries(plane: DataPlane) -> dict[str, str]:
    """The whole map: for each slot of each backend a server's name, or NOBODY.

    | pods of the backend          | slots                  |
    | ---------------------------- | ---------------------- |
    | none, or all of them drain   | -, -, -, -             |
    | one                          | e-1, e-1, e-1, e-1     |
    | three, of which one drains   | e-1, e-2, e-1, e-2     |
    """
    found: dict[str, str] = {}
    for backend in sorted(plane.backends, key=lambda backend: backend.name):
        names = _names(backend)
        for slot in range(SLOTS):
            found[map_key(backend.name, slot)] = names[slot % len(names)] if names else NOBODY
    return found


def map_file(plane: DataPlane) -> str:
    """Content of the map's file."""
    return "".join(f"{name} {value}\n" for name, value in map_entries(plane).items())


def draw_lines(backend: Backend) -> Lines:
    """Lines of a backend by which a request draws its slot, if no pod passes its check."""
    return [
        f"force-persist if {_NONE_PASSES}",
        f"http-request set-var-fmt(txn.slot) '{backend.name}/%[rand({SLOTS})]' if {_NONE_PASSES}",
    ]


def use_line(*, folder: str) -> str:
    """The line of a backend that leads such a request to its slot's pod; HAProxy wants it after what requests pass."""
    return f"use-server %[var(txn.slot),map_str({folder}/{MAP},{NOBODY})] if {_NONE_PASSES}"


def _names(backend: Backend) -> list[str]:
    draining = {server_name(endpoint) for endpoint in backend.endpoints if endpoint.draining}
    return sorted({server_name(endpoint) for endpoint in backend.endpoints} - draining)
