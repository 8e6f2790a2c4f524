"""What the annotation `looma.dev/request` of a SyncJob asks for: each id once, with who and when.

| action | what is done |
| ------ | ------------ |
| run    | a run begins now |
| cancel | the run that goes on is given up, and its pods are stopped |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from ..names import REQUEST
from ..resources import RequestRecord
from ..sync_resources import Run
from .requests import RequestText, read_text
from .signatures import signed_by

SyncAction = Literal["run", "cancel"]
SYNC_ACTIONS: tuple[SyncAction, ...] = get_args(SyncAction)


class SyncRequest(RequestText, frozen=True, kw_only=True):
    """A request as the annotation holds it."""

    action: SyncAction


@dataclass(frozen=True, kw_only=True)
class SyncRequestDecision:
    """The record of a request, and what is to be done for it: None where it was refused."""

    record: RequestRecord
    does: SyncAction | None = None


def parse_sync_request(text: str) -> SyncRequest:
    """The request that an annotation holds.

    Raises:
        ValueError: if it is none, with a message that says what to write.
    """
    return read_text(text, SyncRequest, SYNC_ACTIONS)


def decide_sync_request(  # noqa: PLR0911 - one rule a return
    *,
    annotations: Mapping[str, str],
    done: Sequence[RequestRecord],
    active: Run | None,
    suspended: bool,
    obstacle: str,
    now: datetime,
) -> SyncRequestDecision | None:
    """What the annotation asks for, or None if there is none or its id was dealt with.

    `obstacle` says why no run can be made, and is empty if one can.

    | annotation | a run goes on | suspended | obstacle | answer                |
    | ---------- | ------------- | --------- | -------- | --------------------- |
    | none       | any           | any       | any      | None                  |
    | known id   | any           | any       | any      | None                  |
    | not JSON   | any           | any       | any      | None (admission told) |
    | run        | no            | no        | no       | Done, run             |
    | run        | yes           | any       | any      | Refused               |
    | run        | no            | yes       | any      | Refused               |
    | run        | no            | no        | yes      | Refused               |
    | cancel     | yes           | any       | any      | Done, cancel          |
    | cancel     | no            | any       | any      | Refused               |
    """
    try:
        request = parse_sync_request(annotations.get(REQUEST, ""))
    except ValueError:
        return None
    if any(record.id == request.id for record in done):
        return None

    def record(result: str, message: str) -> RequestRecord:
        return RequestRecord(
            id=request.id,
            action=request.action,
            reason=request.reason,
            requested_by=signed_by(annotations) or "unknown",
            result=result,
            message=message,
            at=now,
        )

    def refuse(why: str) -> SyncRequestDecision:
        return SyncRequestDecision(record=record("Refused", why))

    if request.action == "cancel":
        if active is None:
            return refuse("no run goes on, so there is nothing to cancel")
        return SyncRequestDecision(record=record("Done", f"run {active.epoch} is given up"), does="cancel")
    if active is not None:
        return refuse(
            f"run {active.epoch} goes on, and there is only one at a time: wait for it, or cancel it"
        )
    if suspended:
        return refuse("spec.suspend is true: set it to false first")
    if obstacle:
        return refuse(obstacle)
    return SyncRequestDecision(record=record("Done", "a run begins"), does="run")
