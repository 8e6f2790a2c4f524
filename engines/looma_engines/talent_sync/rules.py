"""What becomes of a draft before it is stored. Pure: no clock, no database.

`tidy` is what is stored, `accepted` refuses what the rules of `quality` do not take. A change is a JSON merge patch
(RFC 7396), which `patched` applies before the result is checked like a new draft.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from looma_core.api.reading import read
from looma_core.api.talent import TalentDraft, TalentFields
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.quality.identity_numbers import masked

if TYPE_CHECKING:
    from datetime import date


def accepted(draft: TalentDraft, *, today: date) -> TalentDraft:
    """Return the tidied draft.

    Raises:
        ValidationProblem: with all that it is refused for.
    """
    neat = tidy(draft)
    if errors := refusals(neat, today=today):
        raise ValidationProblem(errors=errors)
    return neat


def tidy(draft: TalentDraft) -> TalentDraft:
    """Trim texts, turn empty ones into null, lower the host of the address, drop repeated skills, mask numbers of
    identity cards wherever they are.
    """
    email = _trimmed(draft.email)
    if email and "@" in email:
        local, host = email.rsplit("@", 1)
        email = f"{local}@{host.lower()}"
    neat = msgspec.structs.replace(
        draft,
        full_name=" ".join(draft.full_name.split()),
        email=email,
        phone=_trimmed(draft.phone),
        location=_trimmed(draft.location),
        headline=_trimmed(draft.headline),
        summary=_trimmed(draft.summary),
        skills=_without_repeats(draft.skills),
    )
    plain = msgspec.to_builtins(neat)
    hidden = _masked(plain)
    return neat if hidden == plain else msgspec.convert(hidden, TalentDraft)


def _masked(value: object) -> object:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def patched(current: TalentFields, patch: object, *, today: date) -> TalentDraft:
    """Apply a merge patch to what is stored.

    Raises:
        ValidationProblem: the patch is no object, touches what cannot change, or its result does not fit.
    """
    if not isinstance(patch, dict):
        raise ValidationProblem(
            errors=[FieldError(field="body", message="write an object with the fields to change")]
        )
    settable = {field.encode_name for field in msgspec.structs.fields(TalentFields)}
    if wrong := [FieldError(field=name, message=_refusal(name)) for name in patch if name not in settable]:
        raise ValidationProblem(errors=wrong)
    before = {name: value for name, value in msgspec.to_builtins(current).items() if name in settable}
    return accepted(read(merge_patch(before, patch), TalentDraft), today=today)


def merge_patch(target: object, patch: object) -> Any:  # noqa: ANN401 - any JSON value
    """RFC 7396: objects are merged, null removes a member, anything else replaces.

    | target            | patch             | answer            |
    | ----------------- | ----------------- | ----------------- |
    | {"a": 1}          | {"b": 2}          | {"a": 1, "b": 2}  |
    | {"a": 1}          | {"a": null}       | {}                |
    | {"a": {"b": 1}}   | {"a": {"c": 2}}   | {"a": {"b": 1, "c": 2}} |
    | {"a": [1]}        | {"a": [2]}        | {"a": [2]}        |
    | [1]               | {"a": 1}          | {"a": 1}          |
    | {"a": 1}          | 7                 | 7                 |
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def same(one: TalentFields, other: TalentFields) -> bool:
    """Whether two talents have the same settable fields, so that a patch changes nothing."""
    names = [field.name for field in msgspec.structs.fields(TalentFields)]
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _refusal(name: str) -> str:
    fixed = {"id", "version", "source", "created_at", "updated_at"}
    return "cannot be changed" if name in fixed else "is not a known field"


def _trimmed(text: str | None) -> str | None:
    return (text or "").strip() or None


def _without_repeats(skills: list[str]) -> list[str]:
    """Trimmed skills, the first of each spelling; `SQL` and `sql` are one."""
    kept: dict[str, str] = {}
    for skill in skills:
        if neat := " ".join(skill.split()):
            kept.setdefault(neat.casefold(), neat)
    return list(kept.values())
