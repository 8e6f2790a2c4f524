"""What is sent to talent-sync for a parsed résumé. Pure.

The talent's rules are stricter than a résumé is: what they would refuse is left out here, so that one odd
date does not keep a person out of the CRM. The résumé itself keeps everything.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

import msgspec

from looma_core.api.person import Education, Experience
from looma_core.api.resume import ParsedResume, ResumeSource
from looma_core.api.talent import Source, TalentDraft

_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().\-/]*")
_EMAIL: Final = re.compile(r"[^\s@,;<>\"()]+@[^\s@,;<>\"().]+(\.[^\s@,;<>\"().]+)+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MAX_JOBS, _MAX_SCHOOLS, _MAX_SKILLS = 100, 50, 300


def talent_draft(
    parsed: ParsedResume, *, resume_id: str, source: ResumeSource, file_name: str
) -> TalentDraft:
    """The talent that a résumé makes.

    Args:
        parsed: what was found in it.
        resume_id: becomes `source.ref`, so that sending the draft twice makes one talent.
        source: becomes `source.type`.
        file_name: names the person where the text did not, so that a recruiter can find and rename it.
    """
    contact = parsed.contact
    return TalentDraft(
        full_name=_line(contact.full_name, 200) or _line(PurePath(file_name).stem, 200) or "?",
        email=contact.email
        if contact.email and len(contact.email) <= 254 and _EMAIL.fullmatch(contact.email)
        else None,
        phone=_phone(contact.phone),
        location=_line(contact.location, 300),
        headline=_line(parsed.headline or (parsed.experience[0].title if parsed.experience else None), 300),
        summary=_text(parsed.summary),
        language=parsed.language,
        skills=[skill.name[:100] for skill in parsed.skills[:_MAX_SKILLS]],
        experience=[_job(job) for job in parsed.experience[:_MAX_JOBS]],
        education=[_school(school) for school in parsed.education[:_MAX_SCHOOLS]],
        source=Source(type=source, ref=resume_id),
    )


def _line(text: str | None, longest: int) -> str | None:
    cleaned = _CONTROL.sub(" ", text or "").strip()[:longest]
    return cleaned if any(char.isalnum() for char in cleaned) else None


def _text(text: str | None) -> str | None:
    return _CONTROL.sub(" ", text or "").strip()[:20_000] or None


def _phone(phone: str | None) -> str | None:
    """The number in plain marks, or None where it would be refused."""
    plain = re.sub(r"[‐-―−]", "-", phone or "").strip()
    digits = sum(char.isdigit() for char in plain)
    plain = plain.lstrip("(") if plain.startswith("(") and ")" not in plain else plain
    candidate = plain if _PHONE.fullmatch(plain) else re.sub(r"[()]", "", plain).strip()
    return candidate if _PHONE.fullmatch(candidate) and 5 <= digits <= 20 and len(candidate) <= 40 else None


def _job(job: Experience) -> Experience:
    start, end = _ordered(job.start, job.end)
    return Experience(
        title=_line(job.title, 300),
        company=_line(job.company, 300),
        location=_line(job.location, 300),
        start=start,
        end=end,
        dates=_line(job.dates, 300),
        description=_text(job.description),
    )


def _school(school: Education) -> Education:
    start, end = _ordered(school.start, school.end)
    return Education(
        institution=_line(school.institution, 300),
        degree=_line(school.degree, 300),
        major=_line(school.major, 300),
        start=start,
        end=end,
        dates=_line(school.dates, 300),
    )


def _ordered(start: str | None, end: str | None) -> tuple[str | None, str | None]:
    """Both dates, or none of them if the end lies before the start."""
    if start and end:
        length = min(len(start), len(end))
        if end[:length] < start[:length]:
            return None, None
    return start, end


def as_json(draft: TalentDraft) -> bytes:
    """The draft as the body of a request."""
    return msgspec.json.encode(draft)
