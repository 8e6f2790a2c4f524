"""The plan for one AIService: from what was read to the writes that bring it nearer to its spec.

`plan` decides; `kube/` carries out and tells which writes were refused; `conclude` then says in status what is so.
Asking again with nothing changed gives no writes: every reconcile may begin from scratch, after any crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from ..names import GATEWAY_ENGINE, REQUEST, ConditionType, EventReason, Reason
from ..render.children import render_children
from ..render.common import selector, stable_service_name
from ..render.route import ParentGateway
from ..resources import BY_WEIGHT, AIServiceStatus, RolloutStatus, format_time
from ..resources_analysis import Verdict
from .analysis import Runs, closed, decide_runs, given_up
from .author import Author
from .canary import decide_canary
from .canary_rollout import Asked, decide_canary_rollout, steps_of, under
from .children import ROUTE, Action, Notice, child_actions, deletion_actions, route_deletion
from .conditions import Facts, Refusal, decide_conditions, decide_phase, find, is_true
from .history import decide_deletions
from .metric import Order
from .models import Fetcher, passed_over, trouble
from .observed import Observed
from .programmed import decide_programmed
from .requests import after_request, decide_request, remember
from .rollout import RolloutDecision, decide_rollout, with_failure
from .routes import find_conflicts, find_missing_targets
from .routing import (
    SETTLED,
    decide_routing,
    decide_shares,
    is_routed,
    is_settled,
    own_paths,
    service_deletions,
)
from .target import Target, decide_target, who_moved
from .telling import (
    analysis_notices,
    last_rollback,
    revision_rows,
    rollout_notices,
    room_notices,
    waiting_notices,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Writes in their order, the status that they lead to, and when to look again (seconds, None for never).

    `orders` are measurements that analyses wait for; `taken` those that status has now, by source and verdict.
    """

    actions: tuple[Action, ...]
    status: AIServiceStatus
    facts: Facts
    notices: tuple[Notice, ...]
    wake_after: float | None
    orders: tuple[Order, ...] = ()
    taken: tuple[tuple[str, Verdict], ...] = ()


def _stable(observed: Observed, target: str) -> str:
    """The revision that serves, from status or, where status was lost, from who has pods that answer."""
    names = {revision.name for revision in observed.revisions}
    recorded = observed.service.status.stable_revision
    if recorded in names:
        return recorded
    if not recorded and observed.service.status.observed_generation > 0:
        # The first rollout goes on.
        return ""
    serving = {name: pods.serving for name, pods in observed.pods.items() if name in names and pods.serving}
    if not serving:
        return ""
    # The target first among equals: nothing has to move then.
    return max(serving, key=lambda name: (serving[name], name == target, name))


def _sooner(*waits: float | None) -> float | None:
    return min((seconds for seconds in waits if seconds is not None), default=None)


def _decide(
    observed: Observed,
    *,
    target: Target,
    stable: str,
    before: RolloutStatus | None,
    asked: Asked,
    runs: Runs,
    routed: bool,
    paused: bool,
    now: datetime,
) -> RolloutDecision:
    """What the rollout does next, by its strategy."""
    spec, conditions = observed.service.spec, observed.service.status.conditions
    deadline = timedelta(seconds=spec.rollout.progress_deadline_seconds)
    resumed = is_true(conditions, ConditionType.PAUSED) and not paused
    direct = target.rollback is not None and target.rollback.direct
    pods = dict(observed.pods)
    if spec.rollout.strategy not in BY_WEIGHT:
        return decide_rollout(
            target=target.name,
            stable=stable,
            replicas=spec.replicas,
            pods=pods,
            before=before,
            paused=paused,
            resumed=resumed,
            direct=direct,
            deadline=deadline,
            now=now,
        )
    unsettled = routed and stable != target.name and not is_settled(observed, target.name, now)
    if unsettled and target.name in pods:
        # It gets nothing before gateways know its Service.
        pods[target.name] = replace(pods[target.name], available=0)
    decision = decide_canary_rollout(
        target=target.name,
        stable=stable,
        replicas=spec.replicas,
        pods=pods,
        before=before,
        spec=spec.rollout,
        shares=decide_shares(observed, routed=routed, now=now),
        retained=observed.service.status.retained,
        routed=routed,
        paused=paused,
        resumed=resumed,
        direct=direct,
        asked=asked,
        now=now,
        analysed=runs.analysed,
    )
    soon = SETTLED.total_seconds() if unsettled else None
    return replace(decision, wake_after=_sooner(decision.wake_after, soon))


def plan(
    *,
    observed: Observed,
    author: Author,
    now: datetime,
    gateway: ParentGateway,
    fetcher: Fetcher = Fetcher(),  # noqa: B008 - it is frozen
) -> Plan:
    """What to write for one AIService, and what its status becomes.

    Args:
        observed: what was read; every list in it is as new as the service itself or newer.
        author: who changed the spec last, used where the change begins a rollout, and who made the request.
        now: this moment.
        gateway: the parent of the service's HTTPRoute.
        fetcher: what a new revision fetches its models with.
    """
    service, spec, status = observed.service, observed.service.spec, observed.service.status
    deadline = timedelta(seconds=spec.rollout.progress_deadline_seconds)
    mover = who_moved(observed, author)
    target = decide_target(observed, mover, fetcher, now)
    before = under(status.rollout, spec.rollout, now)
    conflicts = find_conflicts(
        name=service.metadata.name,
        created_at=service.metadata.creation_timestamp or now,
        path_prefixes=spec.route.path_prefixes,
        peers=observed.peers,
    )
    paths = own_paths(service, conflicts)
    routed = is_routed(service, paths, gateway_api=observed.gateway_api)
    request = decide_request(
        annotation=service.metadata.annotations.get(REQUEST, ""),
        requested_by=author.asked_by,
        done=status.requests,
        target=target.name,
        rollout=before,
        now=now,
    )
    revisions = target.revisions
    does = request.does if request is not None else None
    before = after_request(before, does)
    paused = spec.paused or (before is not None and before.paused and before.revision == target.name)
    if does == "restart":
        stamp = format_time(now)
        revisions = tuple(
            replace(revision, restarted_at=stamp) if revision.name == target.name else revision
            for revision in revisions
        )

    pods = dict(observed.pods)
    stable = _stable(observed, target.name)
    asked = Asked(promote=does == "promote", promote_fully=does == "promote-full")
    runs = decide_runs(
        service=service,
        rollout=before,
        target=target.name,
        stable=stable,
        pods=pods,
        measured=observed.measured,
        routed=routed,
        paused=paused,
        promoted=asked.promote or asked.promote_fully,
        now=now,
    )
    before = given_up(before, runs)
    if target.name:
        decision = _decide(
            observed,
            target=target,
            stable=stable,
            before=before,
            asked=asked,
            runs=runs,
            routed=routed,
            paused=paused,
            now=now,
        )
    else:
        decision = RolloutDecision(stable=stable, counts={}, rollout=None)
    decision = replace(decision, rollout=with_failure(decision.rollout, pods))
    analysis = closed(runs, decision, now)
    doomed = decide_deletions(
        revisions=revisions,
        in_use={target.name, decision.stable},
        pods=pods,
        limit=spec.revision_history_limit,
    )
    kept = [revision for revision in revisions if revision not in doomed]
    counts = {revision.name: decision.counts.get(revision.name, 0) for revision in kept}
    routing = decide_routing(observed, decision=decision, paths=paths, gateway=gateway, now=now)
    route = routing.route
    children = render_children(
        service=service,
        revisions=kept,
        counts=counts,
        serving=decision.stable,
        route=route,
        only=routing.only,
        with_service=routing.with_service,
    )
    actions, repairs = child_actions(observed, children)
    deletions, deleted = deletion_actions(observed, doomed)
    rollback = last_rollback(
        before=status.last_rollback, started=target.rollback, decision=decision, author=mover, now=now
    )
    told = rollout_notices(
        target=target.name,
        created=target.created,
        going_back=target.rollback is not None,
        missing=target.missing,
        decision=decision,
        before=status.rollout,
        steps=len(steps_of(spec.rollout)),
        rollback=rollback,
        request=request.record if request is not None else None,
        conflicts=conflicts,
    )
    notices = [
        *told,
        *room_notices(observed, children, decision),
        *analysis_notices(status.analysis, analysis),
        *repairs,
        *deleted,
    ]
    if request is not None:
        refused = request.record.result == "Refused"
        reason = EventReason.REQUEST_REFUSED if refused else EventReason.REQUEST_DONE
        notices.append(
            Notice(reason=reason, note=f"{request.record.action}: {request.record.message}", warning=refused)
        )

    canary, canary_holds_for = decide_canary(
        decision=decision,
        pods=pods,
        strategy=spec.rollout.strategy,
        routed=route is not None,
        traffic=status.traffic,
        gateways=observed.gateways,
        now=now,
    )
    programmed = decide_programmed(
        asked=0 if spec.engine == GATEWAY_ENGINE else len(spec.route.path_prefixes),
        served=observed.gateway_api,
        wanted=route,
        actual=observed.children.get((ROUTE, service.metadata.name)),
        gateway=gateway,
        namespace=service.metadata.namespace,
    )
    content = next((item.content for item in target.revisions if item.name == target.name), {})
    model_trouble, model_refused = trouble(content, observed.models)
    facts = Facts(
        generation=service.metadata.generation,
        replicas=spec.replicas,
        serving=sum(state.serving for state in pods.values()),
        target=target.name,
        stable=decision.stable,
        rollout=decision.rollout,
        rolling_back=rollback is not None and rollback.completed_at is None and rollback.to == target.name,
        waits=decision.waits,
        paused=paused,
        paused_by_spec=spec.paused,
        waiting=target.waiting,
        model_count=len(spec.model_refs),
        models_missing=target.missing,
        models_note=passed_over(spec=spec, models=observed.models),
        model_refused=model_trouble if model_refused else "",
        route_count=len(spec.route.path_prefixes),
        conflicts=conflicts,
        target_count=sum(
            target is not None and bool(target.service) for target in (spec.route.fallback, spec.route.shadow)
        ),
        missing_targets=find_missing_targets(
            name=service.metadata.name, route=spec.route, peers=observed.peers
        ),
        programmed=programmed,
        pod_failure=next(
            (state.failure for state in pods.values() if state.failure),
            # What pods that are gone again have said.
            model_trouble if decision.rollout is not None else "",
        ),
        refusals=tuple(
            Refusal(
                kind=kind,
                name=name,
                reason=Reason.NAME_TAKEN,
                message="exists and does not belong to this AIService: delete or rename it, or rename the service",
            )
            for kind, name in sorted(observed.foreign)
        ),
        deadline=deadline,
    )
    outcome = msgspec.structs.replace(
        status,
        observed_generation=service.metadata.generation,
        stable_revision=decision.stable,
        target_revision=target.name,
        rollout=decision.rollout,
        canary=canary,
        analysis=analysis,
        retained=decision.retained,
        revisions=revision_rows(kept, pods, target.name, decision),
        last_rollback=rollback,
        requests=remember(status.requests, request.record) if request else status.requests,
        replicas=sum(state.total for state in pods.values()),
        ready_replicas=sum(state.ready for state in pods.values()),
        selector=",".join(f"{key}={value}" for key, value in sorted(selector(service).items())),
        url=f"http://{stable_service_name(service.metadata.name)}.{service.metadata.namespace}.svc",
    )
    return Plan(
        actions=(
            *actions,
            *route_deletion(observed, route),
            *service_deletions(observed, routing, programmed),
            *deletions,
        ),
        status=outcome,
        facts=facts,
        notices=tuple(notices),
        wake_after=_sooner(decision.wake_after, canary_holds_for, runs.wake_after, routing.wake_after),
        orders=runs.orders,
        taken=runs.taken,
    )


def conclude(
    *, made: Plan, before: AIServiceStatus, refusals: Sequence[Refusal], now: datetime
) -> tuple[AIServiceStatus, tuple[Notice, ...], float | None]:
    """The status after the writes, the events to post, and when to look again in seconds.

    Events about something that lasts (a refused child, a missing model, a path conflict) are posted when it begins,
    not at every look.
    """
    facts = replace(made.facts, refusals=(*made.facts.refusals, *refusals))
    conditions = decide_conditions(facts=facts, before=before.conditions, now=now)
    status = msgspec.structs.replace(
        made.status, conditions=conditions, phase=decide_phase(facts=facts, conditions=conditions)
    )
    notices = [*made.notices, *waiting_notices(before.canary, status.canary)]
    for refusal in facts.refusals:
        reason = EventReason.NAME_TAKEN if refusal.reason is Reason.NAME_TAKEN else EventReason.CHILD_REFUSED
        notices.append(
            Notice(reason=reason, note=f"{refusal.kind} {refusal.name}: {refusal.message}", warning=True)
        )
    lasting = {
        EventReason.MODEL_MISSING: ConditionType.MODELS_READY,
        EventReason.PATH_CONFLICT: ConditionType.ROUTE_ACCEPTED,
        EventReason.NAME_TAKEN: ConditionType.DEGRADED,
        EventReason.CHILD_REFUSED: ConditionType.DEGRADED,
    }

    def is_news(notice: Notice) -> bool:
        kind = lasting.get(notice.reason)
        if kind is None:
            return True
        was, now_is = find(before.conditions, kind), find(conditions, kind)
        return was is None or now_is is None or (was.status, was.message) != (now_is.status, now_is.message)

    wake = made.wake_after
    short = facts.serving < facts.replicas and facts.rollout is None and bool(facts.stable)
    ready = find(conditions, ConditionType.READY)
    if short and ready is not None and not is_true(conditions, ConditionType.DEGRADED):
        left = (ready.last_transition_time + facts.deadline - now).total_seconds()
        wake = _sooner(wake, max(0.0, left) + 0.1)
    return status, tuple(notice for notice in notices if is_news(notice)), wake
