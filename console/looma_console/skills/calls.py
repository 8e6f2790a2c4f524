"""The engines' calls about skills, beside those that every kind of record has."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from looma_console.engines import Caller, EngineClient
from looma_core.api.skill import SkillImport, SkillMatch, SkillMatches, SkillRef, SkillRefs

PATH = "/api/v1/skills"


def matches_of(engines: EngineClient, caller: Caller, text: str, *, limit: int) -> list[SkillMatch]:
    """Skills that a text may mean, the best first. Raises EngineError."""
    query = {"text": text, "limit": str(limit)}
    return engines.ask(caller, "GET", f"{PATH}/lookup", SkillMatches, params=query).items


def around(
    engines: EngineClient, caller: Caller, skill_id: UUID, where: Literal["ancestors", "children"]
) -> list[SkillRef]:
    """The skills above one, or right below it. Raises EngineError."""
    return engines.ask(caller, "GET", f"{PATH}/{skill_id}/{where}", SkillRefs).items


def load_all(engines: EngineClient, caller: Caller) -> SkillImport:
    """Bring in the starting taxonomy; sending it twice does no harm. Raises EngineError."""
    return engines.ask(caller, "POST", f"{PATH}/starter", SkillImport)
