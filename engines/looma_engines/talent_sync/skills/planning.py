"""What becomes of each row of a taxonomy's file, from what is stored. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

from looma_core.api.reading import read
from looma_core.api.skill import SkillDraft
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.quality.skills import RULES
from looma_engines.talent_sync.skills.drafts import key_of, tidy
from looma_engines.talent_sync.skills.files import Given, Incoming

Outcome = Literal["created", "updated", "unchanged", "kept", "refused"]
FIELDS = tuple(field.name for field in msgspec.structs.fields(SkillDraft) if field.name != "source")


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A skill as it is, also one that is deleted. `by_people`: changed since an import wrote it, or never by one."""

    id: UUID
    version: int
    draft: SkillDraft
    deleted: bool = False
    by_people: bool = False


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what becomes of it. `draft` is what is written, where something is."""

    line: int
    key: str
    outcome: Outcome
    id: UUID | None = None
    version: int = 0
    draft: SkillDraft | None = None
    errors: tuple[FieldError, ...] = ()


class _Row(msgspec.Struct, kw_only=True):
    """A row under way: its skill's id is known before those of its parents are looked up."""

    line: int
    key: str
    id: UUID
    said: Incoming
    stored: Stored | None
    errors: list[FieldError]
    draft: SkillDraft | None = None


def plan(
    given: Iterable[Given], stored: Sequence[Stored], *, new_id: Callable[[], UUID], today: date
) -> list[Planned]:
    """What becomes of the rows, in their order.

    | the skill                            | answer    |
    | ------------------------------------ | --------- |
    | is not there                         | created   |
    | is as the row says                   | unchanged |
    | is as an import wrote it             | updated   |
    | was made or changed here, or deleted | kept      |
    | would not fit, or closes a circle    | refused   |

    A row whose parent is refused is refused as well; what is refused leaves the skill as it is.
    """
    by_key = {one.draft.key: one for one in stored if one.draft.key}
    by_concept = {one.draft.esco_uri: one for one in stored if one.draft.esco_uri and not one.deleted}
    rows = list(_rows(given, by_key, by_concept, new_id))
    names = {one.draft.key: one.id for one in stored if one.draft.key and not one.deleted}
    names |= {uri: one.id for uri, one in by_concept.items()}
    while True:
        taken = [row for row in rows if not row.errors]
        there = [row for row in taken if row.stored is None or not row.stored.deleted]
        known = names | {row.key: row.id for row in there}
        known |= {row.said.esco_uri: row.id for row in there if row.said.esco_uri}
        for row in taken:
            _draft(row, known, today)
        _break_circles(rows, stored)
        if all(not row.errors for row in taken):
            break
    return [_planned(row) for row in rows]


def _rows(
    given: Iterable[Given],
    by_key: Mapping[str, Stored],
    by_concept: Mapping[str, Stored],
    new_id: Callable[[], UUID],
) -> Iterable[_Row]:
    lines: dict[str, int] = {}
    for one in given:
        said = one.skill or Incoming()
        key = said.key or (key_of(said.name_en) if said.name_en else None) or ""
        found = (by_concept.get(said.esco_uri) if said.esco_uri else None) or by_key.get(key)
        if found is not None and found.draft.key:
            key = found.draft.key
        row = _Row(
            line=one.line,
            key=key,
            id=found.id if found else new_id(),
            said=said,
            stored=found,
            errors=list(one.errors),
        )
        if key and not row.errors:
            if key in lines:
                row.errors.append(FieldError(field="key", message=f"is in line {lines[key]} already"))
            lines.setdefault(key, one.line)
        yield row


def _draft(row: _Row, known: Mapping[str, UUID], today: date) -> None:
    if row.stored is not None and (row.stored.by_people or row.stored.deleted):
        return
    before = row.stored.draft if row.stored is not None else SkillDraft()
    plain = {name: getattr(before, name) for name in FIELDS}
    plain |= {"key": row.key or None}
    said = row.said
    for name in ("name_en", "name_zh", "kind", "esco_uri", "status"):
        if getattr(said, name) is not None:
            plain[name] = getattr(said, name)
    if said.aliases is not None:
        others = [alias for alias in before.aliases if said.language and alias.language != said.language]
        plain["aliases"] = [*others, *said.aliases]
    for field, wanted in (
        ("parents", said.parents),
        ("replaced_by", [said.replaced_by] if said.replaced_by else None),
    ):
        if wanted is None:
            continue
        if missing := [name for name in wanted if name not in known]:
            row.errors.append(FieldError(field=field, message=f"there is no skill {missing[0]}"))
            return
        ids = [known[name] for name in wanted]
        plain[field] = ids if field == "parents" else ids[0]
    try:
        row.draft = tidy(read(msgspec.to_builtins(plain), SkillDraft))
    except ValidationProblem as problem:
        row.errors += problem.errors
        return
    row.errors += refusals(row.draft, today=today, rules=RULES)


def _break_circles(rows: Sequence[_Row], stored: Sequence[Stored]) -> None:
    """Refuse rows that close a circle with those before them, and with what stays as it is."""
    written = {row.id for row in rows if row.draft is not None and not row.errors}
    above = {one.id: _above(one.draft) for one in stored if not one.deleted and one.id not in written}
    for row in rows:
        if row.draft is None or row.errors:
            continue
        wanted = _above(row.draft)
        if _leads_to(above, wanted, row.id):
            row.errors.append(FieldError(field="parents", message="closes a circle: nothing is above itself"))
            if row.stored is not None:
                above[row.id] = _above(row.stored.draft)
        else:
            above[row.id] = wanted


def _above(draft: SkillDraft) -> tuple[UUID, ...]:
    return (*draft.parents, *((draft.replaced_by,) if draft.replaced_by else ()))


def _leads_to(above: Mapping[UUID, tuple[UUID, ...]], first: Iterable[UUID], wanted: UUID) -> bool:
    waiting, seen = deque(first), set()
    while waiting:
        here = waiting.popleft()
        if here == wanted:
            return True
        if here not in seen:
            seen.add(here)
            waiting.extend(above.get(here, ()))
    return False


def _planned(row: _Row) -> Planned:
    if row.errors:
        return Planned(line=row.line, key=row.key, outcome="refused", errors=tuple(row.errors))
    if row.draft is None:
        return Planned(line=row.line, key=row.key, outcome="kept", id=row.id)
    if row.stored is None:
        return Planned(line=row.line, key=row.key, outcome="created", id=row.id, version=1, draft=row.draft)
    if all(getattr(row.draft, name) == getattr(row.stored.draft, name) for name in FIELDS):
        return Planned(line=row.line, key=row.key, outcome="unchanged", id=row.id)
    version = row.stored.version + 1
    return Planned(line=row.line, key=row.key, outcome="updated", id=row.id, version=version, draft=row.draft)
