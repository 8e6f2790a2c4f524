"""How long a rollout took that ended with a look, for the metric of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..resources import AIServiceStatus

Result = Literal["Completed", "RolledBack", "Failed", "Aborted", "Replaced"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A rollout that ended: its strategy, what came of it, and its time from the first look at it, in seconds."""

    strategy: str
    result: Result
    seconds: float


def rollout_ended(before: AIServiceStatus, after: AIServiceStatus, *, now: datetime) -> Ended | None:
    """The rollout of `before` that is over in `after`; none where it goes on, or was over before.

    | then                                                    | result     |
    | ------------------------------------------------------- | ---------- |
    | its revision serves, and a rollback to it ended so      | RolledBack |
    | its revision serves                                     | Completed  |
    | it was given up, asked for by somebody                  | Aborted    |
    | it was given up                                         | Failed     |
    | the spec asks for another revision, or the one before   | Replaced   |

    A rollout that is given up has ended: what is asked for afterwards is another one.
    """
    rollout = before.rollout
    if rollout is None or rollout.failed:
        return None
    then = after.rollout
    goes_on = then is not None and then.revision == rollout.revision and then.started_at == rollout.started_at
    if goes_on and then is not None and not then.failed:
        return None
    return Ended(
        strategy=rollout.strategy,
        result=_result(before, after, goes_on=goes_on),
        seconds=max(0.0, (now - rollout.started_at).total_seconds()),
    )


def _result(before: AIServiceStatus, after: AIServiceStatus, *, goes_on: bool) -> Result:
    if goes_on and after.rollout is not None:
        return "Aborted" if after.rollout.aborted else "Failed"
    if before.rollout is None or after.stable_revision != before.rollout.revision:
        return "Replaced"
    back = after.last_rollback
    # One that ended earlier is told by the status before as well.
    if back is not None and back.completed_at is not None and back != before.last_rollback:
        return "RolledBack"
    return "Completed"
