"""What a SyncJob's status says: conditions and phase. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..names import Reason, SyncConditionType, SyncPhase
from ..resources import Condition
from ..sync_resources import CANCELED, RUNNING, SUCCEEDED, Progress, Run, SyncJobSpec
from .conditions import Refusal, timed


def decide_sync_phase(*, spec: SyncJobSpec, runs: Sequence[Run]) -> SyncPhase:
    """The state in one word.

    | suspend | latest run | schedule | phase     |
    | ------- | ---------- | -------- | --------- |
    | yes     | any        | any      | Suspended |
    | no      | goes on    | any      | Running   |
    | no      | Failed     | any      | Failed    |
    | no      | Canceled   | no       | Canceled  |
    | no      | Succeeded  | no       | Succeeded |
    | no      | none       | no       | Pending   |
    | no      | any other  | yes      | Scheduled |
    """
    if spec.suspend:
        return SyncPhase.SUSPENDED
    result = runs[-1].result if runs else ""
    if result == RUNNING:
        return SyncPhase.RUNNING
    if result == SyncPhase.FAILED:
        return SyncPhase.FAILED
    if spec.schedule is not None:
        return SyncPhase.SCHEDULED
    return SyncPhase(result) if result else SyncPhase.PENDING


def _ready(image: str, refusals: Sequence[Refusal]) -> tuple[str, Reason, str]:
    if not image:
        return (
            "False",
            Reason.NO_IMAGE,
            "No image to run: write spec.image, or give the operator one in LOOMA_SYNC_IMAGE",
        )
    if refusals:
        first = refusals[0]
        return "False", first.reason, f"{first.kind} {first.name}: {first.message}"
    return "True", Reason.AS_EXPECTED, "Runs can be made"


def _running(spec: SyncJobSpec, active: Run | None) -> tuple[str, Reason, str]:
    if active is None:
        return "False", Reason.NO_RUN, "No run goes on"
    if spec.suspend:
        return (
            "False",
            Reason.SUSPENDED,
            f"Run {active.epoch} is stopped by spec.suspend and goes on with false",
        )
    return "True", Reason.RUN_ACTIVE, f"Run {active.epoch} goes on in Job {active.job}"


def told(progress: Progress) -> str:
    """How far a run came, in words: what did not happen is not named."""
    parts = [
        f"{progress.read} records read",
        *(
            f"{number} {what}"
            for number, what in (
                (progress.quarantined, "in quarantine"),
                (progress.conflicts - progress.resolved, "conflicts for a person"),
                (progress.repaired, "found altered and put right"),
                (progress.written_back, "written back"),
                (progress.write_refused, "refused by the source"),
            )
            if number
        ),
        f"{progress.failed} failed",
    ]
    return ", ".join(parts)


def _succeeded(runs: Sequence[Run]) -> tuple[str, Reason, str]:
    last = next((run for run in reversed(runs) if run.ended_at is not None), None)
    if last is None:
        return "Unknown", Reason.NEVER_RUN, "No run has ended yet"
    said = f"Run {last.epoch}: {last.message}" if last.message else f"Run {last.epoch}"
    if last.progress is not None and last.worker:
        said += f" (worker {last.worker}; {told(last.progress)})"
    if last.result == SUCCEEDED:
        return "True", Reason.RUN_SUCCEEDED, said
    reason = Reason.RUN_CANCELED if last.result == CANCELED else Reason.RUN_FAILED
    return "False", reason, said


def decide_sync_conditions(
    *,
    spec: SyncJobSpec,
    runs: Sequence[Run],
    image: str,
    refusals: Sequence[Refusal],
    before: Sequence[Condition],
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """Ready (runs can be made), Running, and Succeeded (how the latest ended run ended)."""
    active = next((run for run in runs if run.ended_at is None), None)
    verdicts = {
        SyncConditionType.READY: _ready(image, refusals),
        SyncConditionType.RUNNING: _running(spec, active),
        SyncConditionType.SUCCEEDED: _succeeded(runs),
    }
    return tuple(
        timed(
            before=before,
            kind=kind,
            status=status,
            reason=reason,
            message=message,
            generation=generation,
            now=now,
        )
        for kind, (status, reason, message) in verdicts.items()
    )
