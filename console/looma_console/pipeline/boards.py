"""Columns and cards of a job's board, and what the forms on it mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from looma_core.api.pipeline import Application, Funnel, FunnelStage, Stage

Document = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A stage of the board with the applications that are shown in it; `now` counts those that are not shown too."""

    stage: FunnelStage
    name: str
    cards: tuple[Application, ...]


def called(stage: Stage | FunnelStage, language: str) -> str:
    """What a stage is called on a page in this language."""
    return stage.name_zh if language == "zh-CN" else stage.name_en


def columns(funnel: Funnel, applications: Iterable[Application], language: str) -> tuple[Column, ...]:
    """The board: one column a stage, in their order; in it whoever waits longest comes first."""
    cards: dict[str, list[Application]] = {}
    for application in sorted(applications, key=lambda one: (one.since, one.id)):
        cards.setdefault(application.stage, []).append(application)
    return tuple(
        Column(stage=stage, name=called(stage, language), cards=tuple(cards.get(stage.stage, ())))
        for stage in funnel.stages
    )


def goals(stages: Sequence[Stage], application: Application) -> tuple[Stage, ...]:
    """Where an application can go, and last where it is: there it is handed over.

    What is closed is opened again before it is closed otherwise.
    """
    others = [
        stage
        for stage in stages
        if stage.retired_at is None
        and stage.key != application.stage
        and "open" in (stage.kind, application.kind)
    ]
    return (*others, *(stage for stage in stages if stage.key == application.stage))


def move_document(form: Mapping[str, str]) -> Document:
    """The move that a form means."""
    return {name: text for name in ("to", "reason", "owner") if (text := form.get(name, "").strip())}


def new_document(job_id: object, form: Mapping[str, str]) -> Document:
    """The application that a form means on the board of a job."""
    given = {name: text for name in ("talent_id", "source") if (text := form.get(name, "").strip())}
    return {"job_id": str(job_id), **given}


def stage_document(form: Mapping[str, str]) -> Document:
    """The new stage that a form means."""
    names = ("key", "name_zh", "name_en", "kind")
    return {name: text for name in names if (text := form.get(name, "").strip())}


def swapped(order: Sequence[str], key: str, *, up: bool) -> list[str]:
    """The order with one key a place up or down; as it is where there is no such place, or no such key."""
    keys = list(order)
    if key in keys:
        here = keys.index(key)
        there = here - 1 if up else here + 1
        if 0 <= there < len(keys):
            keys[here], keys[there] = keys[there], keys[here]
    return keys
