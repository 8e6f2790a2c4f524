"""What status says: conditions with a reason and a sentence, and the phase in one word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..names import ConditionType, Phase, Reason
from ..resources import BY_WEIGHT, Condition, RolloutStatus
from .models import ModelsMissing
from .programmed import Programmed
from .routes import MissingTarget, PathConflict


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A child that could not be written: the API server refused it, or its name belongs to somebody else."""

    kind: str
    name: str
    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the conditions of an AIService are judged from. serving counts pods of all revisions."""

    generation: int
    replicas: int
    serving: int
    target: str
    stable: str
    rollout: RolloutStatus | None
    rolling_back: bool
    waits: str
    paused: bool
    paused_by_spec: bool
    waiting: bool
    model_count: int
    models_missing: ModelsMissing | None
    models_note: str
    model_refused: str
    route_count: int
    conflicts: tuple[PathConflict, ...]
    target_count: int
    missing_targets: tuple[MissingTarget, ...]
    programmed: Programmed
    pod_failure: str
    refusals: tuple[Refusal, ...]
    deadline: timedelta


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """A condition before it has its times."""

    status: bool
    reason: Reason
    message: str


def find(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """The condition of that type."""
    return next((condition for condition in conditions if condition.type == kind), None)


def is_true(conditions: Sequence[Condition], kind: str) -> bool:
    """Whether the condition is there and True."""
    condition = find(conditions, kind)
    return condition is not None and condition.status == "True"


def _ready(facts: Facts) -> _Verdict:
    if not facts.target and not facts.stable:
        return _Verdict(status=False, reason=Reason.NO_REVISION, message="No revision runs yet")
    if facts.replicas == 0:
        return _Verdict(status=True, reason=Reason.SCALED_TO_ZERO, message="No pods are asked for")
    counted = f"{facts.serving} of {facts.replicas} pods answer"
    if facts.serving >= facts.replicas:
        return _Verdict(status=True, reason=Reason.AVAILABLE, message=counted)
    return _Verdict(
        status=False,
        reason=Reason.REPLICAS_UNAVAILABLE,
        message=f"{counted}. {facts.pod_failure}".rstrip(". ") if facts.pod_failure else counted,
    )


def _given_up(rollout: RolloutStatus) -> Reason:
    if rollout.aborted:
        return Reason.ABORTED
    return Reason.ANALYSIS_FAILED if rollout.analysis_failure else Reason.PROGRESS_DEADLINE_EXCEEDED


def _progressing(facts: Facts) -> _Verdict:
    rollout = facts.rollout
    if rollout is not None and rollout.failed:
        return _Verdict(
            status=False,
            reason=_given_up(rollout),
            message=f"The rollout of {rollout.revision} was given up",
        )
    if rollout is not None and facts.paused:
        return _Verdict(
            status=False, reason=Reason.REQUESTED, message=f"The rollout of {rollout.revision} is paused"
        )
    if rollout is not None:
        reason = Reason.ROLLING_BACK if facts.rolling_back else Reason.ROLLING_OUT
        start = f"from {rollout.from_} to {rollout.revision}" if rollout.from_ else f"of {rollout.revision}"
        waits = f" It waits for {facts.waits}." if facts.waits else ""
        detail = f" {facts.pod_failure}" if facts.pod_failure else ""
        return _Verdict(
            status=True,
            reason=reason,
            message=f"{'Back ' if facts.rolling_back else 'Rollout '}{start}.{waits}{detail}",
        )
    if facts.models_missing is not None:
        return _Verdict(
            status=False, reason=facts.models_missing.reason, message=facts.models_missing.message
        )
    if facts.waiting:
        return _Verdict(
            status=False, reason=Reason.WAITING, message="A change of the spec waits for the pause to end"
        )
    return _Verdict(
        status=False, reason=Reason.ROLLED_OUT, message=f"{facts.target or 'Nothing'} is rolled out"
    )


def _degraded(facts: Facts, ready_before: Condition | None, now: datetime) -> _Verdict:
    if facts.refusals:
        first = facts.refusals[0]
        return _Verdict(
            status=True, reason=first.reason, message=f"{first.kind} {first.name}: {first.message}"
        )
    rollout = facts.rollout
    if rollout is not None and rollout.failed:
        serves = (
            f"{facts.stable} keeps serving. Apply a spec that differs, roll back, or retry"
            if facts.stable
            else "No earlier revision exists. Apply a spec that differs"
        )
        said = rollout.failure or facts.pod_failure
        detail = f" {said.rstrip('.')}." if said else ""
        if rollout.aborted:
            return _Verdict(
                status=True,
                reason=Reason.ABORTED,
                message=f"The rollout of {rollout.revision} was aborted.{detail} {serves}",
            )
        if rollout.analysis_failure:
            return _Verdict(
                status=True,
                reason=Reason.ANALYSIS_FAILED,
                message=f"The analysis of {rollout.revision} failed: {rollout.analysis_failure}. {serves}",
            )
        got = "got no further" if rollout.strategy in BY_WEIGHT else "got no further pod"
        return _Verdict(
            status=True,
            reason=Reason.PROGRESS_DEADLINE_EXCEEDED,
            message=(
                f"{rollout.revision} {got} within {facts.deadline.total_seconds():g} s.{detail} {serves}"
            ),
        )
    short = facts.serving < facts.replicas and facts.rollout is None and bool(facts.stable)
    if short and ready_before is not None and ready_before.status == "False":
        since = now - ready_before.last_transition_time
        if since >= facts.deadline:
            return _Verdict(
                status=True,
                reason=Reason.REPLICAS_UNAVAILABLE,
                message=f"{facts.serving} of {facts.replicas} pods answer. {facts.pod_failure}".rstrip(". "),
            )
    return _Verdict(status=False, reason=Reason.AS_EXPECTED, message="")


def _paused(facts: Facts) -> _Verdict:
    if not facts.paused:
        return _Verdict(status=False, reason=Reason.NOT_PAUSED, message="")
    waits = ": a change of the spec waits" if facts.waiting else ""
    if not facts.paused_by_spec:
        return _Verdict(
            status=True, reason=Reason.REQUESTED, message="The rollout was paused by request, until resume"
        )
    return _Verdict(status=True, reason=Reason.REQUESTED, message=f"spec.paused is true{waits}")


def _models(facts: Facts) -> _Verdict:
    if facts.models_missing is not None:
        return _Verdict(
            status=False, reason=facts.models_missing.reason, message=facts.models_missing.message
        )
    if not facts.model_count:
        return _Verdict(status=True, reason=Reason.NO_MODELS, message="No models are asked for")
    if facts.model_refused:
        return _Verdict(status=False, reason=Reason.MODEL_REJECTED, message=facts.model_refused)
    found = f"{facts.model_count} found"
    message = f"{found}. {facts.models_note}" if facts.models_note else found
    return _Verdict(status=True, reason=Reason.MODELS_FOUND, message=message)


def _route(facts: Facts) -> _Verdict:
    if facts.conflicts:
        text = "; ".join(conflict.message for conflict in facts.conflicts)
        return _Verdict(status=False, reason=Reason.PATH_CONFLICT, message=text)
    if not facts.route_count:
        return _Verdict(status=True, reason=Reason.NO_ROUTE, message="No paths are asked for")
    return _Verdict(status=True, reason=Reason.ACCEPTED, message=f"{facts.route_count} accepted")


def _targets(facts: Facts) -> _Verdict:
    if facts.missing_targets:
        text = "; ".join(missing.message for missing in facts.missing_targets)
        return _Verdict(status=False, reason=Reason.TARGET_MISSING, message=text)
    if not facts.target_count:
        return _Verdict(
            status=True, reason=Reason.NO_TARGETS, message="Neither a fallback nor a shadow is asked for"
        )
    return _Verdict(status=True, reason=Reason.TARGETS_FOUND, message=f"{facts.target_count} found")


def timed(
    *,
    before: Sequence[Condition],
    kind: str,
    status: str,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> Condition:
    """A condition whose lastTransitionTime is kept as long as its status is."""
    earlier = find(before, kind)
    return Condition(
        type=str(kind),
        status=status,
        reason=str(reason),
        message=message,
        last_transition_time=earlier.last_transition_time if earlier and earlier.status == status else now,
        observed_generation=generation,
    )


def decide_conditions(*, facts: Facts, before: Sequence[Condition], now: datetime) -> tuple[Condition, ...]:
    """All conditions of an AIService, in the order in which a reader asks."""
    verdicts = {
        ConditionType.READY: _ready(facts),
        ConditionType.PROGRESSING: _progressing(facts),
        ConditionType.DEGRADED: _degraded(facts, find(before, ConditionType.READY), now),
        ConditionType.PAUSED: _paused(facts),
        ConditionType.MODELS_READY: _models(facts),
        ConditionType.ROUTE_ACCEPTED: _route(facts),
        ConditionType.ROUTE_TARGETS_FOUND: _targets(facts),
    }
    told = {
        kind: ("True" if verdict.status else "False", verdict.reason, verdict.message)
        for kind, verdict in verdicts.items()
    }
    programmed = facts.programmed
    told[ConditionType.ROUTE_PROGRAMMED] = (programmed.status, programmed.reason, programmed.message)
    return tuple(
        timed(
            before=before,
            kind=kind,
            status=status,
            reason=reason,
            message=message,
            generation=facts.generation,
            now=now,
        )
        for kind, (status, reason, message) in told.items()
    )


def decide_phase(*, facts: Facts, conditions: Sequence[Condition]) -> Phase:
    """The state in one word; the worst that is true, and a pause before a progress that it stops.

    | degraded | paused | rollout       | ready | phase       |
    | -------- | ------ | ------------- | ----- | ----------- |
    | yes      | any    | any           | any   | Degraded    |
    | no       | yes    | any           | any   | Paused      |
    | no       | no     | back          | any   | RollingBack |
    | no       | no     | first         | no    | Pending     |
    | no       | no     | goes on       | any   | Progressing |
    | no       | no     | none          | no    | Progressing |
    | no       | no     | none          | yes   | Ready       |
    """
    ready = is_true(conditions, ConditionType.READY)
    if is_true(conditions, ConditionType.DEGRADED):
        return Phase.DEGRADED
    if facts.paused:
        return Phase.PAUSED
    if facts.rollout is not None and facts.rolling_back:
        return Phase.ROLLING_BACK
    if not facts.stable and not ready:
        return Phase.PENDING
    if facts.rollout is not None or not ready:
        return Phase.PROGRESSING
    return Phase.READY
