"""The HTTPRoute of a service: which paths reach it, at which Gateway, and how they are shared between its Services.

Policy beyond the Gateway API (tokens, limits, circuit breaking) is in the AIService's own `route`, where Looma's
gateway reads it; any other Gateway can serve the HTTPRoute as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..names import GATEWAY_API
from ..resources import AIService, Json
from .common import metadata

SERVICE_PORT = 80
WHOLE = 100
PREVIEW = "true"
"""Value of the header that asks for a new revision: an exact one, which every implementation must know."""


@dataclass(frozen=True, kw_only=True)
class ParentGateway:
    """The Gateway that routes attach to; an empty namespace is the service's own."""

    name: str = "looma"
    namespace: str = ""

    def in_namespace(self, namespace: str) -> str:
        """The Gateway's namespace, as seen by a route in `namespace`."""
        return self.namespace or namespace


def render_route(
    service: AIService,
    *,
    paths: Sequence[str],
    backends: Sequence[tuple[str, int]],
    gateway: ParentGateway,
    preview: tuple[str, str] | None = None,
) -> Json:
    """The HTTPRoute named after the service.

    Args:
        service: whose route it is; requests may take as long as its route says.
        paths: path prefixes, at least one.
        backends: names of Services with their weights; the weights' sum is the whole.
        gateway: the parent.
        preview: a header and the Service to which requests go that have it with the value PREVIEW.
    """
    namespace = service.metadata.namespace
    parent = {"name": gateway.name}
    if gateway.in_namespace(namespace) != namespace:
        parent["namespace"] = gateway.namespace
    matches: list[Json] = [{"path": {"type": "PathPrefix", "value": path}} for path in paths]

    def rule(where: list[Json], to: Sequence[tuple[str, int]]) -> Json:
        return {
            "matches": where,
            "backendRefs": [{"name": name, "port": SERVICE_PORT, "weight": weight} for name, weight in to],
            "timeouts": {"request": f"{service.spec.route.timeout_seconds}s"},
        }

    rules = [rule(matches, backends)]
    if preview is not None:
        header, name = preview
        asked = {"headers": [{"type": "Exact", "name": header, "value": PREVIEW}]}
        rules.append(rule([{**match, **asked} for match in matches], [(name, WHOLE)]))
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": metadata(service, service.metadata.name),
        "spec": {"parentRefs": [parent], "rules": rules},
    }
