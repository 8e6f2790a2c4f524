"""What may become of an application, and where a stage stands among others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from looma_core.api.pipeline import MoveAction, StageKind
from looma_core.problems import FieldError, ValidationProblem

OPEN: Final = "open"
KINDS: tuple[StageKind, ...] = ("open", "hired", "rejected", "withdrawn")
DEFAULTS: tuple[tuple[str, str, str, StageKind], ...] = (
    ("applied", "已申请", "Applied", "open"),
    ("screening", "初筛", "Screening", "open"),
    ("interview", "面试", "Interview", "open"),
    ("offer", "录用意向", "Offer", "open"),
    ("hired", "已录用", "Hired", "hired"),
    ("rejected", "未通过", "Rejected", "rejected"),
    ("withdrawn", "已退出", "Withdrawn", "withdrawn"),
)
"""Stages of a tenant that made none: key, names, kind."""

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an application is: its stage, since when, when anything of it was changed last, who looks after it."""

    stage: str
    kind: StageKind
    since: datetime
    changed: datetime
    owner: str | None = None


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The stage that it is to go to; `retired` takes nobody in."""

    stage: str
    kind: StageKind
    retired: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is done, at `place.changed`."""

    action: MoveAction
    place: Place
    reason: str | None


def decide(here: Place, goal: Goal | None, *, reason: str | None, owner: str | None, now: datetime) -> Step:
    """What a move comes to.

    | from   | to                      | needs         | answer    |
    | ------ | ----------------------- | ------------- | --------- |
    | any    | no stage, a retired one | -             | refused   |
    | any    | the same                | another owner | hand-over |
    | open   | another open one        | -             | move      |
    | open   | hired, withdrawn        | -             | move      |
    | open   | rejected                | a reason      | move      |
    | closed | open                    | a reason      | reopen    |
    | closed | another closed one      | -             | refused   |

    Args:
        here: where the application is.
        goal: where it is to go; None is a stage that is not there.
        reason: what somebody says of it.
        owner: who is to look after it; None leaves that as it is.
        now: by our clock. Where another one was ahead of it, the move is as late as the change before.

    Raises:
        ValidationProblem: it is refused; the field says what to write instead.
    """
    if goal is None:
        raise _wrong("to", "there is no such stage: GET /api/v1/stages has them all")
    at, reason = max(now, here.changed), (reason or "").strip() or None
    owner = owner or here.owner
    if goal.stage == here.stage:
        if owner == here.owner:
            raise _wrong("to", "it is in this stage already: name another, or another `owner`")
        place = Place(stage=here.stage, kind=here.kind, since=here.since, changed=at, owner=owner)
        return Step(action="hand-over", place=place, reason=reason)
    if goal.retired:
        raise _wrong("to", "this stage is retired: name one that is in use")
    # What was told to somebody is not changed into something else by a slip.
    if OPEN not in (here.kind, goal.kind):
        raise _wrong("to", f"it is closed as {here.kind}: open it again first, by a move to an open stage")
    if reason is None and goal.kind == "rejected":
        raise _wrong("reason", "say why it is rejected")
    if reason is None and here.kind != OPEN:
        raise _wrong("reason", f"say why it is opened again: it was closed as {here.kind}")
    place = Place(stage=goal.stage, kind=goal.kind, since=at, changed=at, owner=owner)
    return Step(action="reopen" if here.kind != OPEN else "move", place=place, reason=reason)


def begin(goal: Goal | None, *, owner: str | None, now: datetime) -> Step:
    """How an application begins.

    Raises:
        ValidationProblem: the stage is none that one begins in.
    """
    if goal is None or goal.retired:
        raise _wrong("stage", "there is no such stage in use: GET /api/v1/stages has them all")
    if goal.kind != OPEN:
        raise _wrong("stage", f"an application begins in an open stage; this one is {goal.kind}")
    place = Place(stage=goal.stage, kind=goal.kind, since=now, changed=now, owner=owner)
    return Step(action="create", place=place, reason=None)


def with_one_more(order: Iterable[tuple[KeyT, StageKind]], new: KeyT, kind: StageKind) -> list[KeyT]:
    """The order with a new stage after the last one of its kind, or of the kind before it.

    | order           | new      | answer    |
    | --------------- | -------- | --------- |
    | a open, z hired | open     | a, new, z |
    | a open, z hired | hired    | a, z, new |
    | a open          | rejected | a, new    |
    | none            | open     | new       |
    """
    known = list(order)
    before = KINDS[: KINDS.index(kind) + 1]
    place = max((number for number, (_, its) in enumerate(known, 1) if its in before), default=0)
    keys = [key for key, _ in known]
    return [*keys[:place], new, *keys[place:]]


def check_order(wanted: Sequence[str], known: Iterable[str]) -> None:
    """Raise ValidationProblem where an order does not name each stage once."""
    there = set(known)
    if unknown := sorted(set(wanted) - there):
        raise _wrong("order", f"there is no such stage in use: {', '.join(unknown)}")
    if missing := sorted(there.difference(wanted)):
        raise _wrong("order", f"name all stages that are in use; missing: {', '.join(missing)}")
    if len(wanted) != len(there):
        raise _wrong("order", "name each stage once")


def check_retirement(
    stage: Goal, target: Goal | None, *, asked: bool, held: int, kinds: Mapping[str, StageKind]
) -> None:
    """Whether a stage may be retired.

    Args:
        stage: which one.
        target: where its applications go; None where there is none of that name.
        asked: whether a target was named.
        held: how many applications are in it.
        kinds: all stages that are in use, each with its kind.

    Raises:
        ValidationProblem: it may not; the field says why.
    """
    if stage.retired:
        raise _wrong("stage_id", "this stage is retired already")
    if all(key == stage.stage for key, kind in kinds.items() if kind == stage.kind):
        raise _wrong("stage_id", f"it is the last stage of the kind {stage.kind}: add another one first")
    if asked and (target is None or target.retired or target.stage == stage.stage):
        raise _wrong("target", "name another stage that is in use")
    if target is not None and target.kind != stage.kind:
        raise _wrong("target", f"is {target.kind}: what is {stage.kind} can only go to a stage of that kind")
    if held and not asked:
        raise _wrong("target", f"say where its applications go: {held} are in it")


def _wrong(field: str, message: str) -> ValidationProblem:
    return ValidationProblem(errors=[FieldError(field=field, message=message)])
