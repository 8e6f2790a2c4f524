"""`kubectl looma status --watch`: how a rollout goes, to its end, with an end that scripts can go by.

| the operator has seen the spec | condition Degraded | rolled out, and Ready | answer  |
| ------------------------------ | ------------------ | --------------------- | ------- |
| no                             | any                | any                   | waits   |
| yes                            | True               | any                   | failed  |
| yes                            | not                | no                    | waits   |
| yes                            | not                | yes                   | done    |

A paused rollout waits, as `kubectl rollout status` does, and a change that a pause or a missing model holds back is not
rolled out. An API server that does not answer for a while is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import typer
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from .names import ConditionType, Reason
from .resources import Json

POLL_SECONDS = 0.5
FOR_EVER = 0.0
"""The time after which nobody gives up."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look says: a line, whether it is over, and why it failed."""

    line: str = ""
    outcome: Literal["waits", "done", "failed"] = "waits"
    why: str = ""


def look_at(service: Json, revision: str) -> Look:
    """How far a service is on its way to `revision`, or, if that is empty, to what its spec asks for."""
    status = service.get("status") or {}
    if status.get("observedGeneration") != service["metadata"]["generation"]:
        return Look()
    line = _line(service, status)
    conditions = {item["type"]: item for item in status.get("conditions") or []}

    def is_true(kind: ConditionType) -> bool:
        return bool(conditions.get(kind, {}).get("status") == "True")

    if is_true(ConditionType.DEGRADED):
        return Look(
            line=line, outcome="failed", why=conditions[ConditionType.DEGRADED].get("message") or "degraded"
        )
    target = status.get("targetRevision")
    rolled_out = (
        target
        and revision in ("", target)
        and status.get("stableRevision") == target
        and "rollout" not in status
        and conditions.get(ConditionType.PROGRESSING, {}).get("reason") == Reason.ROLLED_OUT
    )
    return Look(line=line, outcome="done" if rolled_out and is_true(ConditionType.READY) else "waits")


def _line(service: Json, status: Json) -> str:
    """`Progressing: r1 4/4, r2 1/1; 25 % asked for r2, step 2 of 4, waits for its analysis`."""
    pods = ", ".join(
        f"{row['name']} {row.get('availableReplicas', 0)}/{row.get('replicas', 0)}"
        for row in status.get("revisions") or []
        if row.get("replicas")
    )
    said = [f"{status.get('phase')}: {pods or 'no pods'}"]
    if canary := status.get("canary"):
        steps = len((service["spec"].get("rollout") or {}).get("steps") or [])
        where = [f"{canary['weight']['requested']:g} % asked for {canary['revision']}"]
        if canary.get("step", steps) < steps:
            where.append(f"step {canary['step'] + 1} of {steps}")
        if canary.get("waits"):
            where.append(f"waits for {canary['waits']}")
        said.append(", ".join(where))
    return "; ".join(said)


def follow(read: Callable[[], Json], revision: str, *, timeout: float, to_stderr: bool = False) -> Look:
    """Tell each change until it is over, or for `timeout` seconds; the last look then says that it waits.

    Args:
        read: the service as it is.
        revision: what is waited for; empty for what the spec asks for.
        timeout: in seconds; 0 is without end.
        to_stderr: where a document goes to the standard output.

    Raises:
        ApiException: the API server refuses to say; 404 where the service is gone.
    """
    deadline = time.monotonic() + timeout
    last, said = Look(), ""
    while timeout == FOR_EVER or time.monotonic() < deadline:
        try:
            last = look_at(read(), revision)
        except (ApiException, HTTPError) as error:
            if isinstance(error, ApiException) and error.status < 500 and error.status != 429:
                raise
            last = Look(line=f"the API server does not answer: {_reason(error)}")
        if last.line and last.line != said:
            typer.echo(last.line, err=to_stderr)
            said = last.line
        if last.outcome != "waits":
            return last
        time.sleep(POLL_SECONDS)
    return last


def _reason(error: ApiException | HTTPError) -> str:
    return f"{error.status} {error.reason}" if isinstance(error, ApiException) else type(error).__name__
