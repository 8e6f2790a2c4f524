"""What a talent may look like, beyond lengths and shapes. Pure: no clock, no database.

`check` returns everything that is wrong; `tidy` what is stored. A change is a JSON merge patch (RFC 7396), which
`patched` applies before the result is checked like a new draft.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from looma_core.api.reading import read
from looma_core.api.talent import TalentDraft, TalentFields
from looma_core.problems import FieldError, ValidationProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from looma_core.api.person import Education, Experience

FIRST_YEAR = 1900

# Good enough to catch a slip; only a mail that arrives proves an address.
_EMAIL = re.compile(r"[^\s@,;<>\"()]+@[^\s@,;<>\"().]+(\.[^\s@,;<>\"().]+)+")
_PHONE = re.compile(r"\+?[0-9(][0-9 ().\-/]*(\s*(ext\.?|x|#|转)\s*[0-9]{1,6})?", re.IGNORECASE)
_PHONE_DIGITS = range(5, 21)
# PostgreSQL's text cannot hold NUL, and no name has a control character; lines of paragraphs may.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check(draft: TalentDraft) -> list[FieldError]:
    """All that is wrong with a draft whose types and lengths already fit.

    | field             | rule                                                              |
    | ----------------- | ----------------------------------------------------------------- |
    | full_name         | has a letter                                                      |
    | email             | something@host.domain                                             |
    | phone             | 5 to 20 digits, with a plus, brackets, spaces, dots or hyphens    |
    | experience[].end  | not before its start; years from 1900                             |
    | education[].end   | as above                                                          |
    | any text          | no control characters                                             |
    """
    return [
        *_check_contact(draft),
        *_check_periods("experience", draft.experience),
        *_check_periods("education", draft.education),
        *_check_controls(msgspec.to_builtins(draft), ""),
    ]


def accepted(draft: TalentDraft) -> TalentDraft:
    """Return the tidied draft.

    Raises:
        ValidationProblem: with all that `check` finds.
    """
    neat = tidy(draft)
    if errors := check(neat):
        raise ValidationProblem(errors=errors)
    return neat


def tidy(draft: TalentDraft) -> TalentDraft:
    """Trim texts, turn empty ones into null, lower the host of the address, drop repeated skills."""
    email = _trimmed(draft.email)
    if email and "@" in email:
        local, host = email.rsplit("@", 1)
        email = f"{local}@{host.lower()}"
    return msgspec.structs.replace(
        draft,
        full_name=" ".join(draft.full_name.split()),
        email=email,
        phone=_trimmed(draft.phone),
        location=_trimmed(draft.location),
        headline=_trimmed(draft.headline),
        summary=_trimmed(draft.summary),
        skills=_without_repeats(draft.skills),
    )


def patched(current: TalentFields, patch: object) -> TalentDraft:
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
    return accepted(read(merge_patch(before, patch), TalentDraft))


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


def _check_contact(draft: TalentDraft) -> Iterator[FieldError]:
    if not any(letter.isalpha() for letter in draft.full_name):
        yield FieldError(field="full_name", message="write the person's name")
    if draft.email is not None and not _EMAIL.fullmatch(draft.email):
        yield FieldError(field="email", message="write an address such as ada@example.org")
    if draft.phone is not None:
        digits = sum(sign.isdigit() for sign in draft.phone)
        if not _PHONE.fullmatch(draft.phone) or digits not in _PHONE_DIGITS:
            yield FieldError(field="phone", message="write a number such as +86 138 0013 8000")


def _check_periods(name: str, periods: Sequence[Experience | Education]) -> Iterator[FieldError]:
    for index, period in enumerate(periods):
        for edge in ("start", "end"):
            value = getattr(period, edge)
            if value is not None and int(value[:4]) < FIRST_YEAR:
                yield FieldError(field=f"{name}[{index}].{edge}", message=f"write a year from {FIRST_YEAR}")
        # A year alone is compared as a year: 2020 does not end before 2020-05 begins.
        if period.start and period.end:
            length = min(len(period.start), len(period.end))
            if period.end[:length] < period.start[:length]:
                yield FieldError(
                    field=f"{name}[{index}].end", message=f"lies before the start, {period.start}"
                )


def _check_controls(value: object, path: str) -> Iterator[FieldError]:
    if isinstance(value, str):
        if _CONTROL.search(value):
            yield FieldError(field=path, message="has a control character")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _check_controls(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check_controls(item, f"{path}[{index}]")


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
