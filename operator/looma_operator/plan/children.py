"""Writes and events: what a plan consists of, and which writes the children need.

A child is written where it lacks a field that was rendered; it is told as repaired where the rendering is the same as
at the last write, so that somebody else must have changed it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..names import FIELD_MANAGER, LABEL_REVISION, RENDERED, ConditionType, EventReason, Reason
from ..render.common import deployment_name
from ..resources import AIServiceStatus, Json
from .drift import differs, taken_over
from .observed import Observed, StoredRevision

DEPLOYMENT = "Deployment"
PER_REVISION = (DEPLOYMENT, "ControllerRevision")
ROUTE = "HTTPRoute"
SERVICE = "Service"
# Fields of a kind's spec that are lists and one value each: an addition to one is a change of it.
_WHOLE = {ROUTE: ("parentRefs", "rules")}


@dataclass(frozen=True, kw_only=True)
class Apply:
    """A child to write; `resource_version` is the state that was judged, None where there was none.

    `manager` is the field manager, where it is another than that of all of Looma's children.
    """

    manifest: Json
    resource_version: str | None = None
    manager: str = FIELD_MANAGER

    @property
    def kind(self) -> str:
        """Kind of the child."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Name of the child."""
        return str(self.manifest["metadata"]["name"])


@dataclass(frozen=True, kw_only=True)
class Delete:
    """A child to delete, as it was judged."""

    kind: str
    name: str
    uid: str
    resource_version: str


Action = Apply | Delete


@dataclass(frozen=True, kw_only=True)
class Notice:
    """An event to post about the service."""

    reason: EventReason
    note: str
    warning: bool = False


def child_actions(observed: Observed, children: Sequence[Json]) -> tuple[list[Action], list[Notice]]:
    """Writes that bring the children to what was rendered, and what there is to tell about changes by hand."""
    actions: list[Action] = []
    notices: list[Notice] = []
    status = observed.service.status
    settled = status.observed_generation > 0
    # A revision's own children were there before only if status knows the revision.
    service = observed.service.metadata.name
    known = {deployment_name(service, revision.name) for revision in status.revisions}
    if _had_route(status):
        known.add(service)
    for child in children:
        kind, name = child["kind"], child["metadata"]["name"]
        if (kind, name) in observed.foreign:
            continue
        actual = observed.children.get((kind, name))
        if actual is None:
            actions.append(Apply(manifest=child))
            if settled and _was_there(child, known, observed.children.get((ROUTE, service))):
                notices.append(
                    Notice(reason=EventReason.CHILD_REPAIRED, note=f"{kind} {name} was deleted: made again")
                )
            continue
        field = differs(child, actual) or taken_over(actual, _WHOLE.get(kind, ()))
        if field is None:
            continue
        actions.append(Apply(manifest=child, resource_version=actual["metadata"].get("resourceVersion")))
        stamp = actual["metadata"].get("annotations", {}).get(RENDERED)
        if stamp == child["metadata"]["annotations"][RENDERED]:
            note = f"{kind} {name} was changed by hand at {field}: set right"
            notices.append(Notice(reason=EventReason.CHILD_REPAIRED, note=note))
    return actions, notices


def _was_there(child: Json, known: Collection[str], route: Json | None) -> bool:
    """Whether a child that is missing was made before; `known` are names of which status tells."""
    name = child["metadata"]["name"]
    if child["kind"] == SERVICE and LABEL_REVISION in child["metadata"].get("labels", {}):
        # It comes and goes with its revision's requests; while it is there, the route leads to it.
        rules = route["spec"].get("rules") or [] if route is not None else []
        return any(ref["name"] == name for rule in rules for ref in rule.get("backendRefs") or [])
    return child["kind"] not in (*PER_REVISION, ROUTE) or name in known


def _had_route(status: AIServiceStatus) -> bool:
    """Whether an HTTPRoute was there when status was written; not every service has one."""
    without = (Reason.NO_ROUTE, Reason.GATEWAY_API_MISSING)
    return any(
        condition.type == ConditionType.ROUTE_PROGRAMMED and condition.reason not in without
        for condition in status.conditions
    )


def delete_child(child: Json) -> Delete:
    """The deletion of a child, as it was read."""
    meta = child["metadata"]
    return Delete(
        kind=child["kind"],
        name=meta["name"],
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
    )


def route_deletion(observed: Observed, wanted: Json | None) -> list[Action]:
    """Deletion of the service's HTTPRoute where none is wanted any more."""
    child = observed.children.get((ROUTE, observed.service.metadata.name))
    return [delete_child(child)] if child is not None and wanted is None else []


def deletion_actions(
    observed: Observed, doomed: Sequence[StoredRevision]
) -> tuple[list[Action], list[Notice]]:
    """Deletions of the revisions that are kept no longer."""
    actions: list[Action] = []
    notices = [
        Notice(
            reason=EventReason.REVISION_DELETED,
            note=f"{revision.name} is older than revisionHistoryLimit keeps",
        )
        for revision in doomed
    ]
    for revision in doomed:
        name = deployment_name(observed.service.metadata.name, revision.name)
        # The Deployment first: a ControllerRevision without one is found again, the other way round it is not.
        for kind in PER_REVISION:
            child = observed.children.get((kind, name))
            if child is not None:
                actions.append(delete_child(child))
    return actions, notices
