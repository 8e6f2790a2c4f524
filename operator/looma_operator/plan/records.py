"""The status of ModelVersions, from what pods say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from looma_core.api.models import FETCH_FAILED, REFUSED, FetchFailure

from ..names import EventReason, Reason
from ..resources import (
    Condition,
    ModelVersion,
    ModelVersionStatus,
    ServedBy,
)
from .children import Notice
from .conditions import find, timed
from .models import VERIFIED, fails_gates, why_rejected

REJECTED = "Rejected"
GATES_PASSED = "GatesPassed"


@dataclass(frozen=True, kw_only=True)
class ModelUse:
    """A revision of a service whose pods use a model.

    `available` is how many of them answer; `verifies` says whether they fetched it and so checked its digest,
    `fetching` whether some may do so now, and `failure` why they could not.
    """

    service: str
    revision: str
    available: int = 0
    verifies: bool = False
    fetching: bool = False
    failure: FetchFailure | None = None


def _verified(model: ModelVersion, uses: Sequence[ModelUse]) -> tuple[str, str, str]:
    """Status, reason and message of Verified.

    | before    | a pod that fetched it answers | a pod says          | status                       |
    | --------- | ----------------------------- | ------------------- | ---------------------------- |
    | any       | yes                           | any                 | True                         |
    | True      | no                            | any                 | True: the digest says it all |
    | not True  | no                            | it is wrong         | False, with what is wrong    |
    | False     | no                            | nothing, or no word | False                        |
    | Unknown   | no                            | FetchFailed         | Unknown, with why            |
    | Unknown   | no                            | nothing             | Unknown                      |
    """
    before = find(model.status.conditions, VERIFIED)
    was = before.status if before is not None else "Unknown"
    if was == "True" or any(use.verifies and use.available for use in uses):
        return "True", Reason.VERIFIED, "Pods fetched it and checked digest and format"
    failures = [use.failure for use in uses if use.failure is not None]
    for failure in failures:
        if failure.reason in REFUSED:
            return "False", failure.reason, failure.message
    if before is not None and was == "False":
        return was, before.reason, before.message
    for failure in failures:
        return "Unknown", FETCH_FAILED, failure.message
    if before is not None and before.reason == FETCH_FAILED:
        return "Unknown", before.reason, before.message
    return "Unknown", Reason.NOT_FETCHED, "No pod has fetched it yet"


def _gates(model: ModelVersion) -> tuple[str, str, str]:
    if model.spec.gates.min_evaluation is None:
        return "True", Reason.NO_GATES, "No gates are asked for"
    if fails_gates(model.spec):
        return "False", Reason.EVALUATION_TOO_LOW, why_rejected(model)
    return "True", Reason.GATES_PASSED, f"The evaluation is at least {model.spec.gates.min_evaluation:g}"


def decide_model_status(
    *, model: ModelVersion, uses: Sequence[ModelUse], now: datetime
) -> ModelVersionStatus:
    """What a ModelVersion's status says.

    | retire | gates or Verified are False | pods with it answer | Verified | phase    |
    | ------ | --------------------------- | ------------------- | -------- | -------- |
    | true   | any                         | any                 | any      | Retired  |
    | false  | yes                         | any                 | any      | Rejected |
    | false  | no                          | yes                 | any      | Serving  |
    | false  | no                          | no                  | True     | Verified |
    | false  | no                          | no                  | other    | Pending  |
    """
    # Of a service in the middle of a rollout, the revision that has more pods.
    most = {use.service: use.revision for use in sorted(uses, key=lambda use: use.available) if use.available}
    served_by = tuple(ServedBy(name=name, revision=most[name]) for name in sorted(most))
    retire = model.spec.retire
    told = {
        VERIFIED: _verified(model, uses),
        GATES_PASSED: _gates(model),
        "Retired": (
            ("True", Reason.RETIRED, "No new revision of a service may use it")
            if retire
            else ("False", Reason.NOT_RETIRED, "")
        ),
    }
    conditions = tuple(
        timed(
            before=model.status.conditions,
            kind=kind,
            status=status,
            reason=reason,
            message=message,
            generation=model.metadata.generation,
            now=now,
        )
        for kind, (status, reason, message) in told.items()
    )
    return ModelVersionStatus(
        phase=_phase(retire, conditions, serving=bool(served_by)),
        observed_generation=model.metadata.generation,
        conditions=conditions,
        served_by=served_by,
    )


def _phase(retire: bool, conditions: Sequence[Condition], *, serving: bool) -> str:
    status = {condition.type: condition.status for condition in conditions}
    if retire:
        return "Retired"
    if "False" in (status[VERIFIED], status[GATES_PASSED]):
        return REJECTED
    if serving:
        return "Serving"
    return "Verified" if status[VERIFIED] == "True" else "Pending"


def model_notices(before: ModelVersionStatus, now: ModelVersionStatus) -> list[Notice]:
    """The event of a model that no revision may use from now on, since its gates or its artifact are bad."""
    if now.phase != REJECTED or before.phase == REJECTED:
        return []
    bad = [
        item for item in now.conditions if item.status == "False" and item.type in (VERIFIED, GATES_PASSED)
    ]
    why = "; ".join(f"{item.reason}: {item.message}" for item in bad)
    return [Notice(reason=EventReason.MODEL_REJECTED, note=f"It is refused: {why}", warning=True)]
