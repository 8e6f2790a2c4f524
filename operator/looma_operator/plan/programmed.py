"""Whether a Gateway really forwards to the service: what the HTTPRoute's status says, for any implementation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..names import GATEWAY_API, GATEWAY_GROUP, Reason
from ..render.route import ParentGateway
from ..resources import Json
from .drift import differs

MESSAGE_LIMIT = 500  # Characters of a Gateway's own sentence; the Gateway API allows 32768.
INSTALL = (
    f"The cluster does not serve HTTPRoutes of {GATEWAY_API}: install the Gateway API's definitions "
    "(standard channel, v1.4.1 or newer)"
)


@dataclass(frozen=True, kw_only=True)
class Programmed:
    """The condition RouteProgrammed before it has its times; `status` is True, False or Unknown."""

    status: str
    reason: Reason
    message: str


def _mine(entry: Json, gateway: ParentGateway, namespace: str) -> bool:
    """Whether an entry of status.parents is about the parentRef that Looma wrote."""
    parent = entry.get("parentRef") or {}
    return (
        parent.get("group", GATEWAY_GROUP) == GATEWAY_GROUP
        and parent.get("kind", "Gateway") == "Gateway"
        and parent.get("name") == gateway.name
        and (parent.get("namespace") or namespace) == gateway.in_namespace(namespace)
        # Looma names no listener and no port.
        and not parent.get("sectionName")
        and not parent.get("port")
    )


def _judge(entry: Json, generation: int, gateway: str) -> Programmed:
    conditions = {item.get("type"): item for item in entry.get("conditions") or []}
    for kind, reason in (("Accepted", Reason.NOT_ACCEPTED), ("ResolvedRefs", Reason.REFS_NOT_RESOLVED)):
        condition = conditions.get(kind) or {}
        if condition.get("observedGeneration") != generation or condition.get("status") not in (
            "True",
            "False",
        ):
            return Programmed(
                status="Unknown",
                reason=Reason.WAITING_FOR_GATEWAY,
                message=f"{gateway} has not yet said whether the route as it is now is {_SAID[kind]}",
            )
        if condition["status"] == "False":
            text = f"{gateway}: {condition.get('reason', '')}: {condition.get('message', '')}".rstrip(": ")
            return Programmed(status="False", reason=reason, message=text[:MESSAGE_LIMIT])
    controller = entry.get("controllerName", "unknown")
    return Programmed(
        status="True", reason=Reason.PROGRAMMED, message=f"{gateway} forwards to it (controller {controller})"
    )


_SAID = {"Accepted": "accepted", "ResolvedRefs": "resolved"}
_WORST_LAST = ("True", "False", "Unknown")


def decide_programmed(
    *,
    asked: int,
    served: bool,
    wanted: Json | None,
    actual: Json | None,
    gateway: ParentGateway,
    namespace: str,
) -> Programmed:
    """The condition RouteProgrammed.

    Args:
        asked: number of paths that the spec asks for.
        served: whether the cluster serves HTTPRoutes.
        wanted: the HTTPRoute as rendered, None where no path is the service's own.
        actual: the HTTPRoute as read.
        gateway: the parent that Looma writes.
        namespace: where the route is.

    | asked | served | wanted | actual is wanted | of the Gateway, for this generation | answer                     |
    | ----- | ------ | ------ | ---------------- | ----------------------------------- | -------------------------- |
    | 0     | any    | any    | any              | any                                 | Unknown, NoRoute           |
    | some  | no     | any    | any              | any                                 | False, GatewayApiMissing   |
    | some  | yes    | none   | any              | any                                 | False, NoRoute             |
    | some  | yes    | one    | no               | any                                 | Unknown, WaitingForGateway |
    | some  | yes    | one    | yes              | nothing, or not for both conditions | Unknown, WaitingForGateway |
    | some  | yes    | one    | yes              | Accepted is False                   | False, NotAccepted         |
    | some  | yes    | one    | yes              | ResolvedRefs is False               | False, RefsNotResolved     |
    | some  | yes    | one    | yes              | both are True                       | True, Programmed           |

    Where several controllers speak for the parent, the best answer counts: one that forwards is enough.
    """
    where = f"Gateway {gateway.in_namespace(namespace)}/{gateway.name}"
    if not asked:
        return Programmed(status="Unknown", reason=Reason.NO_ROUTE, message="No paths are asked for")
    if not served:
        return Programmed(status="False", reason=Reason.GATEWAY_API_MISSING, message=INSTALL)
    if wanted is None:
        return Programmed(
            status="False",
            reason=Reason.NO_ROUTE,
            message="None of the paths is this service's: see RouteAccepted",
        )
    if actual is None or differs(wanted["spec"], actual.get("spec")) is not None:
        return Programmed(
            status="Unknown", reason=Reason.WAITING_FOR_GATEWAY, message=f"The route is written for {where}"
        )
    verdicts = list(_verdicts(actual, gateway, namespace, where))
    if not verdicts:
        return Programmed(
            status="Unknown",
            reason=Reason.WAITING_FOR_GATEWAY,
            message=f"{where} says nothing about the route: is there such a Gateway, and a controller of its class?",
        )
    return min(verdicts, key=lambda verdict: _WORST_LAST.index(verdict.status))


def _verdicts(actual: Json, gateway: ParentGateway, namespace: str, where: str) -> Iterator[Programmed]:
    generation = actual["metadata"].get("generation", 0)
    for entry in (actual.get("status") or {}).get("parents") or []:
        if _mine(entry, gateway, namespace):
            yield _judge(entry, generation, where)
