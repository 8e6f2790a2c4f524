"""What the annotation `looma.dev/request` asks for: each id once, with who and when.

The annotation is a JSON object {id, action, reason?}. Actions of this release:

| action       | what is done |
| ------------ | ------------ |
| restart      | the target's pods are replaced, a quarter at a time, without a new revision |
| retry        | a rollout that was given up or aborted is tried again, from its first step |
| promote      | a canary goes on to its next step |
| promote-full | a canary leaves out all further steps |
| pause        | a rollout stays where it is |
| resume       | a rollout that was paused by request goes on |
| abort        | a rollout is given up: the revision before it serves everything |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar, get_args

import msgspec

from ..names import REQUEST
from ..resources import BY_WEIGHT, RequestRecord, RolloutStatus

KEPT = 20
Action = Literal["restart", "retry", "promote", "promote-full", "pause", "resume", "abort"]
ACTIONS: tuple[Action, ...] = get_args(Action)
AnyRequest = TypeVar("AnyRequest", bound="RequestText")


class RequestText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What requests of every kind of resource have in common in their annotation."""

    id: str
    reason: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.id) <= 63:
            raise ValueError("id must have 1 to 63 characters")


class Request(RequestText, frozen=True, kw_only=True):
    """A request as the annotation of an AIService holds it."""

    action: Action


@dataclass(frozen=True, kw_only=True)
class RequestDecision:
    """The record of a request, and what is to be done for it: None where it was refused."""

    record: RequestRecord
    does: Action | None = None


def parse_request(text: str) -> Request:
    """The request that an annotation holds.

    Raises:
        ValueError: if it is none, with a message that says what to write.
    """
    return read_text(text, Request, ACTIONS)


def read_text(text: str, kind: type[AnyRequest], actions: Sequence[str]) -> AnyRequest:
    """The request of that kind that an annotation holds.

    Raises:
        ValueError: if it is none, with a message that says what to write.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(
            f"annotation {REQUEST}: {error}; write "
            f'{{"id": "ANY-NEW-TEXT", "action": one of {", ".join(actions)}, "reason": "WHY"}}'
        ) from error


def _readable(annotation: str) -> Request | None:
    try:
        return parse_request(annotation) if annotation else None
    except ValueError:
        return None


def decide_request(
    *,
    annotation: str,
    requested_by: str,
    done: Sequence[RequestRecord],
    target: str,
    rollout: RolloutStatus | None,
    now: datetime,
) -> RequestDecision | None:
    """What the annotation asks for, or None if there is none or its id was dealt with.

    | annotation   | rollout                    | answer                |
    | ------------ | -------------------------- | --------------------- |
    | none         | any                        | None                  |
    | known id     | any                        | None                  |
    | restart      | any                        | Done, restart         |
    | retry        | failed                     | Done, retry           |
    | retry        | other                      | Refused               |
    | promote      | a canary that goes on      | Done, promote         |
    | promote-full | a canary that goes on      | Done, promote_fully   |
    | promote, …   | other                      | Refused               |
    | pause        | goes on, not paused        | Done, pause           |
    | resume       | paused by request          | Done, resume          |
    | abort        | goes on, from another one  | Done, abort           |
    | pause, …     | other                      | Refused               |
    | abort        | other                      | Refused               |
    | not JSON     | any                        | None (admission told) |
    """
    request = _readable(annotation)
    if request is None or any(record.id == request.id for record in done):
        return None

    def record(result: str, message: str) -> RequestRecord:
        return RequestRecord(
            id=request.id,
            action=request.action,
            revision=target,
            reason=request.reason,
            requested_by=requested_by,
            result=result,
            message=message,
            at=now,
        )

    refusal = _refusal(request.action, target=target, rollout=rollout)
    if refusal:
        return RequestDecision(record=record("Refused", refusal))
    return RequestDecision(record=record("Done", _DONE[request.action].format(target)), does=request.action)


_DONE: dict[Action, str] = {
    "restart": "the pods of {} are replaced",
    "retry": "the rollout of {} is tried again",
    "promote": "{} goes on to its next step",
    "promote-full": "{} leaves out all further steps",
    "pause": "the rollout of {} stays where it is",
    "resume": "the rollout of {} goes on",
    "abort": "the rollout of {} is given up",
}


_NEEDS: dict[Action, str] = {
    "restart": "",
    "retry": "no rollout was given up, so there is nothing to retry",
    "promote": "no canary goes on, so there is nothing to promote",
    "promote-full": "no canary goes on, so there is nothing to promote",
    "pause": "no rollout goes on, so there is nothing to pause",
    "resume": "no rollout was paused by request; a pause of the spec ends with spec.paused: false",
    "abort": "no rollout from another revision goes on, so there is nothing to abort",
}
"""Why an action is refused where there is nothing for it."""


def _refusal(action: Action, *, target: str, rollout: RolloutStatus | None) -> str:
    """Why an action cannot be carried out; empty if it can."""
    if not target:
        return "the service has no revision yet"
    failed = rollout is not None and rollout.failed
    goes_on = rollout is not None and not failed
    paused = goes_on and rollout is not None and rollout.paused
    from_another = goes_on and rollout is not None and bool(rollout.from_)
    by_weight = from_another and rollout is not None and rollout.strategy in BY_WEIGHT
    there_is: dict[Action, bool] = {
        "restart": True,
        "retry": failed,
        "promote": by_weight,
        "promote-full": by_weight,
        "pause": goes_on and not paused,
        "resume": paused,
        "abort": from_another,
    }
    return "" if there_is[action] else _NEEDS[action]


def after_request(rollout: RolloutStatus | None, does: Action | None) -> RolloutStatus | None:
    """The rollout as what was asked for leaves it."""
    if rollout is None or does == "retry":
        return None
    if does == "abort":
        return msgspec.structs.replace(rollout, failed=True, aborted=True)
    if does in ("pause", "resume"):
        return msgspec.structs.replace(rollout, paused=does == "pause")
    return rollout


def remember(done: Sequence[RequestRecord], record: RequestRecord) -> tuple[RequestRecord, ...]:
    """The records with one more, the last `KEPT` of them."""
    return (*done, record)[-KEPT:]
