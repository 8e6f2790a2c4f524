"""The work behind the pages about people: reading from the engines, changing with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError
from looma_console.people.spans import Segment, anchors, kinds_in, marks_of, segments
from looma_core.api.quality import Assessment
from looma_core.api.resume import ResumeRecord, ResumeSummary
from looma_core.api.talent import Talent

EDITABLE = ("full_name", "headline", "email", "phone", "location")
"""Fields that the page's form changes; the rest comes from the résumé."""


@dataclass(frozen=True, kw_only=True)
class PersonView:
    """A person, and the résumé it was read from where there is one.

    `quality` is None where the engine does not tell, as one of an earlier release beside this console.
    """

    talent: Talent
    quality: Assessment | None
    resumes: list[ResumeSummary]
    record: ResumeRecord | None
    pieces: list[Segment]
    anchors: dict[str, str]
    kinds: list[str]
    resume_error: EngineError | None


def view_person(
    engines: EngineClient, caller: Caller, talent_id: UUID, *, resume_id: UUID | None
) -> PersonView:
    """A person beside the text of the newest résumé, or of `resume_id` if it is one of theirs.

    The person is still shown when the résumé engine is away. Raises EngineError if the person is not there.
    """
    talent = engines.talent(caller, talent_id)
    quality: Assessment | None = None
    with suppress(EngineError):
        quality = engines.quality(caller, talent_id)
    resumes: list[ResumeSummary] = []
    found: ResumeRecord | None = None
    problem: EngineError | None = None
    try:
        resumes = sorted(
            engines.resumes_of(caller, talent_id), key=lambda item: item.created_at, reverse=True
        )
        chosen = next((item for item in resumes if item.id == resume_id), resumes[0] if resumes else None)
        found = engines.resume(caller, chosen.id) if chosen else None
    except EngineError as error:
        problem = error
    marks = marks_of(found.parsed) if found else []
    pieces = segments(found.parsed.text, marks) if found else []
    return PersonView(
        talent=talent,
        quality=quality,
        resumes=resumes,
        record=found,
        pieces=pieces,
        anchors=anchors(pieces, marks),
        kinds=kinds_in(pieces),
        resume_error=problem,
    )


def changes(before: Talent, form: Mapping[str, str]) -> dict[str, str | None]:
    """The merge patch that a form means: only what differs; an emptied field is taken away."""
    patch: dict[str, str | None] = {}
    for name in EDITABLE:
        if name not in form:
            continue
        value = form[name].strip() or None
        if value != getattr(before, name):
            patch[name] = value
    return patch


def change_person(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    *,
    talent_id: UUID,
    version: int,
    form: Mapping[str, str],
) -> Talent:
    """Change what the form says, if the person is still at `version`.

    The audit names the fields, not their values: it must not become a second store of personal data.
    Raises EngineError; with 412 if the person was changed in the meantime.
    """
    before = engines.talent(caller, talent_id)
    patch = changes(before, form)
    if not patch:
        return before
    after = engines.change_talent(caller, talent_id, version=version, patch=patch)
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action="change-person",
            object=f"talent/{talent_id}",
            detail={"fields": sorted(patch), "version": after.version},
            request_id=caller.request_id,
        )
    return after
