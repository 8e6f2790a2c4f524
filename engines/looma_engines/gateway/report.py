"""Status documents: what each object is told, from what translation found and what HAProxy really runs. Pure.

A document is written only where it differs from the one that is there, so pods with the same view do not take turns;
a condition keeps its time for as long as its status is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from looma_engines.gateway.findings import (
    CONTROLLER,
    GROUP,
    ClassFindings,
    Finding,
    GatewayFindings,
    ListenerFindings,
    ParentFindings,
    Translation,
)
from looma_engines.gateway.objects import Gateway, GatewayClass, HttpRoute, Json, ParentReference, Snapshot

GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
MOST_MESSAGE = 1000


class Applied(msgspec.Struct, frozen=True):
    """Whether HAProxy runs what was asked for; `message` is its own where it does not."""

    holds: bool = True
    message: str = ""


class StatusWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A status that should be there: the object's path and uid, the version that was judged, and the new status."""

    path: str
    uid: str
    resource_version: str
    status: Json


def timestamp(now: datetime) -> str:
    """A moment as conditions have it: whole seconds, UTC."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def conditions(
    current: Iterable[Mapping[str, Any]], wanted: Sequence[Finding], *, generation: int, now: datetime
) -> list[Json]:
    """Conditions in the order of `wanted`; the time is that of the last change of status."""
    before = {item.get("type"): item for item in current}
    made: list[Json] = []
    for finding in wanted:
        status = "True" if finding.holds else "False"
        old = before.get(finding.type, {})
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        made.append(
            {
                "type": finding.type,
                "status": status,
                "reason": finding.reason,
                "message": finding.message[:MOST_MESSAGE],
                "observedGeneration": generation,
                "lastTransitionTime": since or timestamp(now),
            }
        )
    return made


def _programmed(applied: Applied, *, is_open: bool, reason: str) -> Finding:
    """Whether requests are taken: the configuration asks for it, and HAProxy runs the configuration."""
    if not is_open:
        message = "The other conditions say why."
        return Finding("Programmed", holds=False, reason="Invalid", message=message)
    if not applied.holds:
        return Finding(
            "Programmed",
            holds=False,
            reason=reason,
            message=f"HAProxy did not take the configuration: {applied.message}",
        )
    return Finding("Programmed", holds=True, reason="Programmed", message="HAProxy runs the configuration.")


def _listener(found: ListenerFindings, current: Mapping[str, Any], generation: int, **known: Any) -> Json:
    applied, now = known["applied"], known["now"]
    wanted = (*found.findings, _programmed(applied, is_open=found.open, reason="Pending"))
    return {
        "name": found.name,
        "supportedKinds": [{"group": GROUP, "kind": kind} for kind in found.kinds],
        "attachedRoutes": found.attached,
        "conditions": conditions(current.get("conditions") or (), wanted, generation=generation, now=now),
    }


def gateway_status(found: GatewayFindings, current: Json, *, applied: Applied, now: datetime) -> Json:
    """Status of a Gateway; `current` is the one that is there."""
    listeners = {item.get("name"): item for item in current.get("listeners") or ()}
    is_open = any(listener.open for listener in found.listeners)
    wanted = (*found.findings, _programmed(applied, is_open=is_open, reason="Invalid"))
    made = [
        _listener(listener, listeners.get(listener.name, {}), found.generation, applied=applied, now=now)
        for listener in found.listeners
    ]
    status: Json = {
        "conditions": conditions(
            current.get("conditions") or (), wanted, generation=found.generation, now=now
        ),
        "listeners": made,
    }
    if found.addresses:
        status["addresses"] = [{"type": kind, "value": value} for kind, value in found.addresses]
    return status


def _reference(reference: ParentReference) -> Json:
    """The parentRef as it was written, with the defaults that the definition states."""
    made: Json = {
        "group": reference.group if reference.group is not None else GROUP,
        "kind": reference.kind if reference.kind is not None else "Gateway",
        "name": reference.name,
    }
    for name, value in (
        ("namespace", reference.namespace),
        ("sectionName", reference.section_name),
        ("port", reference.port),
    ):
        if value is not None:
            made[name] = value
    return made


def route_parents(
    found: Sequence[ParentFindings], current: Sequence[Json], *, generation: int, now: datetime
) -> list[Json]:
    """`status.parents` of an HTTPRoute: entries of other controllers as they are, then ours."""
    others = [item for item in current if item.get("controllerName") != CONTROLLER]
    ours = {
        msgspec.json.encode(item.get("parentRef"), order="sorted"): item
        for item in current
        if item.get("controllerName") == CONTROLLER
    }
    made: list[Json] = []
    for one in found:
        reference = _reference(one.reference)
        before = ours.get(msgspec.json.encode(reference, order="sorted"), {})
        made.append(
            {
                "parentRef": reference,
                "controllerName": CONTROLLER,
                "conditions": conditions(
                    before.get("conditions") or (), one.findings, generation=generation, now=now
                ),
            }
        )
    return [*others, *made]


def _class_write(found: ClassFindings, item: GatewayClass, now: datetime) -> StatusWrite | None:
    status = dict(item.status or {})
    current = status.get("conditions") or ()
    accepted = any(one.get("type") == "Accepted" and one.get("status") == "True" for one in current)
    # Classes belong to the cluster: what another release's gateway accepted is not refused by this one.
    if accepted and not all(finding.holds for finding in found.findings):
        return None
    made: Json = {"conditions": conditions(current, found.findings, generation=found.generation, now=now)}
    if found.features:
        made["supportedFeatures"] = [{"name": name} for name in found.features]
    if made == {key: value for key, value in status.items() if value not in (None, [])}:
        return None
    return StatusWrite(
        path=f"{GATEWAY_API}/gatewayclasses/{found.name}",
        uid=item.metadata.uid,
        resource_version=item.metadata.resource_version,
        status=made,
    )


def _gateway_write(
    found: GatewayFindings, item: Gateway, applied: Applied, now: datetime
) -> StatusWrite | None:
    current = item.status or {}
    made = gateway_status(found, current, applied=applied, now=now)
    if made == {key: value for key, value in current.items() if value not in (None, [])}:
        return None
    # A merge drops what is null, and addresses that are gone must go.
    if current.get("addresses") and "addresses" not in made:
        made["addresses"] = None
    return StatusWrite(
        path=f"{GATEWAY_API}/namespaces/{found.namespace}/gateways/{found.name}",
        uid=item.metadata.uid,
        resource_version=item.metadata.resource_version,
        status=made,
    )


def _route_write(item: HttpRoute, parents: Sequence[ParentFindings], now: datetime) -> StatusWrite | None:
    meta = item.metadata
    current = list((item.status or {}).get("parents") or ())
    made = route_parents(parents, current, generation=meta.generation, now=now)
    if made == current:
        return None
    return StatusWrite(
        path=f"{GATEWAY_API}/namespaces/{meta.namespace}/httproutes/{meta.name}",
        uid=meta.uid,
        resource_version=meta.resource_version,
        status={"parents": made},
    )


def status_writes(
    translation: Translation, snapshot: Snapshot, *, applied: Applied, now: datetime
) -> list[StatusWrite]:
    """All statuses of GatewayClass, Gateways and HTTPRoutes that are not yet what they should be."""
    writes: list[StatusWrite | None] = []
    classes = {item.metadata.name: item for item in snapshot.gateway_classes}
    writes += [
        _class_write(found, classes[found.name], now)
        for found in translation.gateway_classes
        if found.name in classes
    ]
    gateways = {(item.metadata.namespace, item.metadata.name): item for item in snapshot.gateways}
    writes += [
        _gateway_write(found, gateways[found.namespace, found.name], applied, now)
        for found in translation.gateways
        if (found.namespace, found.name) in gateways
    ]
    parents = {(found.namespace, found.name): found.parents for found in translation.routes}
    # Routes that are at no Gateway of ours any more still carry what was said of them.
    writes += [
        _route_write(item, parents.get((item.metadata.namespace, item.metadata.name), ()), now)
        for item in snapshot.routes
    ]
    return [write for write in writes if write is not None]
