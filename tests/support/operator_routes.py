"""HTTPRoutes of a contract test's services: as they are, and what a gateway that is not Looma's says of them."""

from __future__ import annotations

from typing import Any

from support.operator_process import Looma

Object = dict[str, Any]
GATEWAY = "gateway.networking.k8s.io/v1"
MERGE = "application/merge-patch+json"


def route(looma: Looma, name: str) -> Object:
    """The HTTPRoute, empty if there is none."""
    code, found = looma.child("httproutes", name, GATEWAY)
    return found if code == 200 else {}


def say(looma: Looma, name: str, *, accepted: str = "True", resolved: str = "True") -> None:
    """Write the route's status as a gateway that is not Looma's, for the route as it is now."""
    found = route(looma, name)
    condition = {
        "reason": "Test",
        "message": "said by the test",
        "observedGeneration": found["metadata"]["generation"],
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    }
    entry = {
        "controllerName": "example.org/other",
        "parentRef": {"name": "looma", "group": "gateway.networking.k8s.io", "kind": "Gateway"},
        "conditions": [
            {"type": "Accepted", "status": accepted, **condition},
            {"type": "ResolvedRefs", "status": resolved, **condition},
        ],
    }
    place = looma.path("httproutes", name, group=GATEWAY) + "/status"
    code, answer = looma.plane.request("PATCH", place, {"status": {"parents": [entry]}}, content_type=MERGE)
    assert code == 200, answer
