"""What the annotation `looma.dev/request` asks for: each id once, with who and when.

The annotation is a JSON object {id, action, reason?}. Actions of this release:

| action  | what is done |
| ------- | ------------ |
| restart | the target's pods are replaced, a quarter at a time, without a new revision |
| retry   | a rollout that was given up is tried again |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from ..resources import RequestRecord, RolloutStatus

KEPT = 20
Action = Literal["restart", "retry"]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request as the annotation holds it."""

    id: str
    action: Action
    reason: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.id) <= 63:
            raise ValueError("id must have 1 to 63 characters")


@dataclass(frozen=True, kw_only=True)
class RequestDecision:
    """What to do about a request, and the record of it."""

    record: RequestRecord
    restart: bool = False
    retry: bool = False


def parse_request(text: str) -> Request:
    """The request that an annotation holds.

    Raises:
        ValueError: if it is none, with a message that says what to write.
    """
    try:
        return msgspec.json.decode(text, type=Request)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise ValueError(
            f"annotation looma.dev/request: {error}; write "
            '{"id": "ANY-NEW-TEXT", "action": "restart" or "retry", "reason": "WHY"}'
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

    | annotation | rollout | answer                 |
    | ---------- | ------- | ---------------------- |
    | none       | any     | None                   |
    | known id   | any     | None                   |
    | restart    | any     | Done, restart          |
    | retry      | failed  | Done, retry            |
    | retry      | other   | Refused                |
    | not JSON   | any     | None (admission told)  |
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

    if not target:
        return RequestDecision(record=record("Refused", "the service has no revision yet"))
    if request.action == "restart":
        return RequestDecision(record=record("Done", f"the pods of {target} are replaced"), restart=True)
    if rollout is None or not rollout.failed:
        return RequestDecision(
            record=record("Refused", "no rollout was given up, so there is nothing to retry")
        )
    return RequestDecision(record=record("Done", f"the rollout of {target} is tried again"), retry=True)


def remember(done: Sequence[RequestRecord], record: RequestRecord) -> tuple[RequestRecord, ...]:
    """The records with one more, the last `KEPT` of them."""
    return (*done, record)[-KEPT:]
