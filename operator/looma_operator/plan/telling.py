"""What status and events tell of a service's revisions, its rollout and its rollbacks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ..names import EventReason
from ..render.common import deployment_name
from ..resources import Canary, Json, RequestRecord, RevisionStatus, Rollback, RolloutStatus
from ..resources_analysis import MetricStatus, Verdict
from .author import Author
from .children import DEPLOYMENT, Notice
from .models import ModelsMissing
from .nodes import lack_of_nodes
from .observed import Observed, Pods, StoredRevision
from .rollback import RollbackDecision, by_activity
from .rollout import RolloutDecision
from .room import shortage
from .routes import PathConflict
from .steps import FOR_SOMEBODY


def revision_rows(
    revisions: Sequence[StoredRevision], pods: Mapping[str, Pods], target: str, decision: RolloutDecision
) -> tuple[RevisionStatus, ...]:
    """The kept revisions as status shows them, the latest active first."""

    def state(name: str) -> str:
        if name == decision.stable:
            return "Stable"
        if decision.rollout is not None and decision.rollout.revision == name:
            return "Failed" if decision.rollout.failed else "Progressing"
        return "Progressing" if name == target else "Kept"

    return tuple(
        RevisionStatus(
            name=revision.name,
            hash=revision.hash,
            image=str(revision.content.get("image", "")),
            created_at=revision.created_at,
            activated_at=revision.activated_at,
            changed_by=revision.changed_by,
            reason=revision.reason,
            replicas=pods.get(revision.name, Pods()).spec,
            available_replicas=pods.get(revision.name, Pods()).available,
            state=state(revision.name),
        )
        for revision in by_activity(revisions)
    )


def last_rollback(
    *,
    before: Rollback | None,
    started: RollbackDecision | None,
    decision: RolloutDecision,
    author: Author,
    now: datetime,
) -> Rollback | None:
    """The last return to an earlier revision: one that began with this look, or the one before with its end."""
    if started is not None:
        return Rollback(
            from_=started.from_revision,
            to=started.to_revision,
            reason=author.reason,
            requested_by=author.name,
            started_at=now,
        )
    if (
        before is not None
        and before.completed_at is None
        and decision.completed
        and decision.stable == before.to
    ):
        return msgspec.structs.replace(before, completed_at=now)
    return before


def rollout_notices(
    *,
    target: str,
    created: bool,
    going_back: bool,
    missing: ModelsMissing | None,
    decision: RolloutDecision,
    before: RolloutStatus | None,
    steps: int,
    rollback: Rollback | None,
    request: RequestRecord | None,
    conflicts: Sequence[PathConflict],
) -> list[Notice]:
    """Events of this look: of a rollout or rollback that began, got on or ended, and of what is wrong with the spec."""
    notices: list[Notice] = []
    if created:
        notices.append(Notice(reason=EventReason.REVISION_CREATED, note=f"{target} is new"))
    if going_back and rollback is not None:
        why = f": {rollback.reason}" if rollback.reason else ""
        note = f"Back from {rollback.from_} to {rollback.to}, asked for by {rollback.requested_by or 'unknown'}{why}"
        notices.append(Notice(reason=EventReason.ROLLBACK_STARTED, note=note))
    elif decision.started:
        notices.append(Notice(reason=EventReason.ROLLOUT_STARTED, note=f"{target} is rolled out"))
    if decision.completed:
        back = rollback is not None and rollback.to == decision.stable and rollback.completed_at is not None
        reason = EventReason.ROLLBACK_COMPLETED if back else EventReason.ROLLOUT_COMPLETED
        notices.append(Notice(reason=reason, note=f"{decision.stable} serves with all replicas"))
    rollout = decision.rollout
    if rollout is not None and rollout.aborted and not (before is not None and before.aborted):
        why = f": {request.reason}" if request is not None and request.reason else ""
        who = request.requested_by if request is not None else ""
        note = (
            f"{rollout.revision} was given up, asked for by {who or 'unknown'}{why}; {decision.stable} serves"
        )
        notices.append(Notice(reason=EventReason.ROLLOUT_ABORTED, note=note, warning=True))
    elif rollout is not None and before is not None and rollout.step != before.step:
        where = f"step {rollout.step + 1} of {steps}" if rollout.step < steps else "after its last step"
        note = f"{rollout.revision} is at {where}, with {rollout.weight} % of the requests"
        notices.append(Notice(reason=EventReason.ROLLOUT_STEP, note=note))
    ended = rollout.analysis_failure if rollout is not None else ""
    if ended and rollout is not None and not (before is not None and before.analysis_failure):
        note = f"{rollout.revision} was given up by its analysis; {decision.stable} serves. {ended}"
        notices.append(Notice(reason=EventReason.ROLLOUT_FAILED, note=note, warning=True))
    if decision.failed_now:
        note = f"{target} got no further pod in time; {decision.stable or 'no other revision'} serves"
        notices.append(Notice(reason=EventReason.ROLLOUT_FAILED, note=note, warning=True))
    if missing is not None:
        notices.append(Notice(reason=EventReason.MODEL_MISSING, note=missing.message, warning=True))
    notices.extend(
        Notice(reason=EventReason.PATH_CONFLICT, note=conflict.message, warning=True)
        for conflict in conflicts
    )
    return notices


_ENDED = {
    Verdict.SUCCESSFUL: EventReason.ANALYSIS_SUCCEEDED,
    Verdict.FAILED: EventReason.ANALYSIS_FAILED,
    Verdict.ERROR: EventReason.ANALYSIS_FAILED,
    Verdict.INCONCLUSIVE: EventReason.ANALYSIS_INCONCLUSIVE,
}


def analysis_notices(before: Sequence[MetricStatus], entries: Sequence[MetricStatus]) -> list[Notice]:
    """Events of metrics whose analysis ended with this look."""
    known = {(entry.run, entry.metric, entry.started_at): entry.verdict for entry in before}
    return [
        Notice(
            reason=_ENDED[entry.verdict],
            note=f"{entry.revision}, {entry.run}, {entry.metric}: {entry.verdict}: {entry.message}".rstrip(
                ": "
            ),
            warning=entry.verdict is not Verdict.SUCCESSFUL,
        )
        for entry in entries
        if entry.verdict in _ENDED
        and known.get((entry.run, entry.metric, entry.started_at), Verdict.RUNNING) is Verdict.RUNNING
    ]


def waiting_notices(before: Canary | None, now: Canary | None) -> list[Notice]:
    """The event of a rollout that has begun to wait for a person, once for each step that it does so in."""
    if now is None or not now.waits.startswith(FOR_SOMEBODY):
        return []
    waited = before is not None and before.waits.startswith(FOR_SOMEBODY)
    if waited and before is not None and (before.revision, before.step) == (now.revision, now.step):
        return []
    note = f"{now.revision} waits for {now.waits}, with {now.weight.requested:g} % of the requests"
    return [Notice(reason=EventReason.ROLLOUT_WAITING, note=note)]


def room_notices(observed: Observed, children: Sequence[Json], decision: RolloutDecision) -> list[Notice]:
    """What quotas or nodes lack for a rollout that begins, of all pods that come beside those that serve."""
    rollout, service = decision.rollout, observed.service
    if not decision.started or not decision.stable or rollout is None:
        return []
    name = deployment_name(service.metadata.name, rollout.revision)
    pods = service.spec.replicas - observed.pods.get(rollout.revision, Pods()).spec
    templates = [
        child["spec"]["template"]["spec"]
        for child in children
        if (child["kind"], child["metadata"]["name"]) == (DEPLOYMENT, name)
    ]
    return [
        Notice(reason=EventReason.NO_ROOM, note=f"{rollout.revision}: {lacking}", warning=True)
        for pod in templates
        if (
            lacking := "; ".join(
                lack
                for lack in (
                    shortage(observed.quotas, pod=pod, pods=pods),
                    lack_of_nodes(observed.nodes, pod=pod, pods=pods),
                )
                if lack
            )
        )
    ]
