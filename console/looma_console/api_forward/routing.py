"""Which engine answers a path: pure, from the AIServices' `spec.route`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from looma_console.cluster.model import Service


@dataclass(frozen=True, order=True)
class Route:
    """Requests below `prefix` go to the stable Service of AIService `service`."""

    prefix: str
    service: str
    timeout_seconds: int


def routes_of(services: Iterable[Service]) -> tuple[Route, ...]:
    """All routes, the longest prefix first.

    | two services claim one prefix          | it goes to         |
    | -------------------------------------- | ------------------ |
    | the operator says which is accepted    | that one           |
    | it has said nothing yet                | the first by name  |

    The webhook refuses a second claim, so this is the case of a race that it missed, and must then not flap.
    """
    routes: dict[str, Route] = {}
    for service in sorted(services, key=lambda item: (_refused(item), item.name)):
        for prefix in service.prefixes:
            routes.setdefault(_trim(prefix), Route(_trim(prefix), service.name, service.timeout_seconds))
    return tuple(sorted(routes.values(), key=lambda route: (-len(route.prefix), route.prefix)))


def pick(path: str, routes: Iterable[Route]) -> Route | None:
    """The route of `path`, by whole segments.

    | path                   | prefixes                        | answer             |
    | ---------------------- | ------------------------------- | ------------------ |
    | /api/v1/resumes        | /api/v1/resumes                 | that one           |
    | /api/v1/resumes/7/file | /api/v1/resumes                 | that one           |
    | /api/v1/resumes/parse  | /api/v1, /api/v1/resumes        | /api/v1/resumes    |
    | /api/v1/resumesque     | /api/v1/resumes                 | none               |
    | /api/v1/jobs           | /api/v1/resumes                 | none               |

    `routes` come longest first, as `routes_of` gives them.
    """
    for route in routes:
        if path == route.prefix or path.startswith(route.prefix + "/"):
            return route
    return None


def _refused(service: Service) -> bool:
    return any(c.type == "RouteAccepted" and c.status == "False" for c in service.conditions)


def _trim(prefix: str) -> str:
    return prefix.rstrip("/")
