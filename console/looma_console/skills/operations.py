"""The work behind the pages about skills: asking the engine, changing with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask_babel import gettext

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError
from looma_console.records.forms import with_times
from looma_console.skills.calls import around, load_all, matches_of
from looma_console.skills.forms import Document, named, patch_of, title_of, wanted
from looma_core.api.page import Count
from looma_core.api.skill import SkillImport, SkillRef
from looma_core.problems import FieldError, ValidationProblem

SKILLS = "skills"
HAVING = {"people": "talents", "jobs": "jobs"}
"""Who may have a skill, by the page's word, each with the engine's."""


@dataclass(frozen=True, kw_only=True)
class SkillView:
    """A skill with what is around it; a part that does not answer is left out."""

    document: Document
    ancestors: list[SkillRef]
    children: list[SkillRef]
    titles: dict[str, str]
    counts: dict[str, Count]


def view_skill(engines: EngineClient, caller: Caller, skill_id: UUID, *, language: str) -> SkillView:
    """A skill with all that its page shows. Raises EngineError if the skill itself is not there."""
    document = with_times(engines.record(caller, SKILLS, skill_id))
    ancestors: list[SkillRef] = []
    children: list[SkillRef] = []
    counts: dict[str, Count] = {}
    with suppress(EngineError):
        ancestors = around(engines, caller, skill_id, "ancestors")
        children = around(engines, caller, skill_id, "children")
        for page, kind in HAVING.items():
            counts[page] = engines.count(caller, kind, {"skill": str(skill_id)})
    titles = {str(skill.id): title_of(skill, language) for skill in ancestors}
    if document.get("replaced_by"):
        with suppress(EngineError):
            other = engines.record(caller, SKILLS, UUID(str(document["replaced_by"])))
            name = other.get("name_zh" if language.startswith("zh") else "name_en")
            titles[str(other["id"])] = str(name or other.get("name_en") or other.get("name_zh"))
    return SkillView(document=document, ancestors=ancestors, children=children, titles=titles, counts=counts)


def create_skill(
    db: Database, engines: EngineClient, caller: Caller, *, form: Mapping[str, str], key: str
) -> Document:
    """Make the skill that a form means; the same form with the same `key` makes one. Raises EngineError."""
    document = wanted(form, _ids(engines, caller, form, {}))
    made = engines.create_record(
        caller, SKILLS, {name: value for name, value in document.items() if value is not None}, key=key
    )
    _note(db, caller, "create-skill", made["id"], {"key": made["key"]})
    return made


def change_skill(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    *,
    skill_id: UUID,
    version: int,
    form: Mapping[str, str],
    language: str,
) -> Document:
    """Change what the form says, if the skill is still at `version`. Raises EngineError."""
    view = view_skill(engines, caller, skill_id, language=language)
    known = {name: number for number, name in view.titles.items()}
    patch = patch_of(wanted(form, _ids(engines, caller, form, known), view.document), view.document)
    if not patch:
        return view.document
    after = engines.change_record(caller, SKILLS, skill_id, version=version, patch=patch)
    _note(db, caller, "change-skill", skill_id, {"fields": sorted(patch), "version": after["version"]})
    return after


def delete_skill(
    db: Database, engines: EngineClient, caller: Caller, *, skill_id: UUID, version: int
) -> None:
    """Delete a skill, if it is still at `version`. Raises EngineError."""
    engines.delete_record(caller, SKILLS, skill_id, version=version)
    _note(db, caller, "delete-skill", skill_id, {"version": version})


def load_starter(db: Database, engines: EngineClient, caller: Caller) -> SkillImport:
    """Bring in Looma's own taxonomy. Raises EngineError."""
    loaded = load_all(engines, caller)
    _note(db, caller, "load-skills", "starter", {"created": loaded.created, "updated": loaded.updated})
    return loaded


def _ids(
    engines: EngineClient, caller: Caller, form: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, list[str]]:
    """Ids of the skills that a form names; those that the page knew by a name are meant by it.

    Raises:
        EngineError: a name is nobody's.
    """
    found: dict[str, list[str]] = {}
    errors: list[FieldError] = []
    for field, names in named(form).items():
        found[field] = []
        for name in names:
            number = known.get(name) or _meant(engines, caller, name)
            if number is None:
                said = gettext("There is no skill called %(name)s.", name=name)
                errors.append(FieldError(field=field, message=said))
            else:
                found[field].append(number)
    if errors:
        raise EngineError(ValidationProblem(errors=errors).problem())
    return found


def _meant(engines: EngineClient, caller: Caller, name: str) -> str | None:
    matches = matches_of(engines, caller, name[:200], limit=1)
    return str(matches[0].skill.id) if matches and matches[0].match == "exact" else None


def _note(db: Database, caller: Caller, action: str, what: UUID | str, detail: dict[str, Any]) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=action,
            object=f"skill/{what}",
            detail=detail,
            request_id=caller.request_id,
        )
