"""The work behind the pages about applications: asking the engine, changing with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient
from looma_console.pipeline.boards import Column, columns, move_document, new_document
from looma_console.pipeline.calls import change_at, look_at
from looma_core.api.page import Page
from looma_core.api.pipeline import Application, ApplicationMove, Funnel, Stage, Stages

SHOWN = 200
CHOICES = 10
HISTORY = 20


@dataclass(frozen=True, kw_only=True)
class Board:
    """The board of one job; `more` where not all of its applications are shown."""

    job: dict[str, Any]
    stages: Sequence[Stage]
    columns: Sequence[Column]
    funnel: Funnel
    more: bool
    found: Sequence[tuple[str, str]] = ()
    """People who were looked for to be added, each with the name."""


def board_of(engines: EngineClient, caller: Caller, job_id: UUID, *, language: str, q: str = "") -> Board:
    """A job's board: the applications that were moved last. Raises EngineError."""
    job = engines.record(caller, "jobs", job_id)
    stages = look_at(engines, caller, "stages", Stages, {}).items
    funnel = look_at(engines, caller, f"jobs/{job_id}/funnel", Funnel, {})
    query = {"job_id": str(job_id), "sort": "-since", "limit": str(SHOWN)}
    page = look_at(engines, caller, "applications", Page[Application], query)
    people = engines.talents(caller, q=q, limit=CHOICES).items if q else []
    return Board(
        job=job,
        stages=stages,
        columns=columns(funnel, page.items, language),
        funnel=funnel,
        more=page.next_cursor is not None,
        found=[(str(person.id), person.full_name) for person in people],
    )


def of_person(engines: EngineClient, caller: Caller, talent_id: UUID) -> Page[Application]:
    """A person's applications, the newest first. Raises EngineError."""
    query = {"talent_id": str(talent_id), "limit": str(SHOWN)}
    return look_at(engines, caller, "applications", Page[Application], query)


def application(engines: EngineClient, caller: Caller, application_id: UUID) -> Application:
    """One application. Raises EngineError."""
    return look_at(engines, caller, f"applications/{application_id}", Application, {})


def moves_of(
    engines: EngineClient, caller: Caller, application_id: UUID, *, cursor: str
) -> Page[ApplicationMove]:
    """A page of its history. Raises EngineError."""
    query = {"cursor": cursor, "limit": str(HISTORY)}
    return look_at(engines, caller, f"applications/{application_id}/moves", Page[ApplicationMove], query)


def stages_of(engines: EngineClient, caller: Caller) -> Sequence[Stage]:
    """All stages. Raises EngineError."""
    return look_at(engines, caller, "stages", Stages, {}).items


def apply(db: Database, engines: EngineClient, caller: Caller, job_id: UUID, form: Mapping[str, str]) -> None:
    """Let the person apply whom a form names; the same form sent twice makes one. Raises EngineError."""
    made = engines.create_record(caller, "applications", new_document(job_id, form), key=form.get("key", ""))
    note(db, caller, "create-application", f"application/{made['id']}", {"version": made["version"]})


def move(
    db: Database, engines: EngineClient, caller: Caller, application_id: UUID, form: Mapping[str, str]
) -> Application:
    """Move an application as a form says, if it is still at the form's version. Raises EngineError."""
    path = f"applications/{application_id}/moves"
    moved = change_at(engines, caller, path, Application, move_document(form), version=version_in(form))
    detail = {"kind": moved.kind, "version": moved.version}
    note(db, caller, "move-application", f"application/{application_id}", detail)
    return moved


def version_in(form: Mapping[str, str]) -> int:
    """The version that a form was made of; none that there is, where it names none."""
    try:
        return int(form.get("version", "0"))
    except ValueError:
        return 0


def note(db: Database, caller: Caller, action: str, what: str, detail: Mapping[str, Any]) -> None:
    """Add an entry to the audit."""
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=action,
            object=what,
            detail=dict(detail),
            request_id=caller.request_id,
        )
