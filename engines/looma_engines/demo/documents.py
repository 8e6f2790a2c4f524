"""Lays a person out as a résumé file: plain text, HTML or DOCX, in the headings of their language.

The same person gives the same bytes each time, so that loading again finds the résumé that is there.
"""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from functools import cache
from html import escape
from typing import TYPE_CHECKING

import msgspec
from docx import Document
from docx.shared import Pt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looma_engines.demo.person import Job, Person, School

_HEADINGS = {
    "en": ("Summary", "Experience", "Education", "Skills", "Certifications", "Languages"),
    "zh": ("个人简介", "工作经历", "教育背景", "专业技能", "证书", "语言能力"),
}
_MEDIA_TYPES = {
    "txt": "text/plain",
    "html": "text/html",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 - python-docx takes naive times


class ResumeFile(msgspec.Struct, frozen=True):
    """A file as a browser would upload it."""

    name: str
    media_type: str
    data: bytes


class Section(msgspec.Struct, frozen=True):
    """A heading with its lines; a line of `strong` begins a job or school."""

    heading: str
    lines: tuple[Line, ...]


class Line(msgspec.Struct, frozen=True):
    """One line; `kind` is strong, plain or bullet."""

    text: str
    kind: str = "plain"


@cache
def document_of(person: Person) -> ResumeFile:
    """Return the person's résumé in their format."""
    render = {"txt": _text, "html": _html, "docx": _docx}[person.file_format]
    return ResumeFile(
        name=f"{person.slug}.{person.file_format}",
        media_type=_MEDIA_TYPES[person.file_format],
        data=render(person),
    )


def _sections(person: Person) -> Iterator[Section]:
    summary, experience, education, skills, certificates, languages = _HEADINGS[person.language]
    comma = "、" if person.language == "zh" else ", "
    yield Section(summary, (Line(person.summary),))
    yield Section(experience, tuple(line for job in person.jobs for line in _job(job)))
    yield Section(education, tuple(line for school in person.schools for line in _school(school)))
    yield Section(skills, (Line(comma.join(person.skills)),))
    if person.certificates:
        yield Section(certificates, tuple(Line(name, "bullet") for name in person.certificates))
    yield Section(languages, (Line(comma.join(person.languages)),))


def _job(job: Job) -> Iterator[Line]:
    yield Line(f"{job.title} | {job.company} | {job.place}", "strong")
    yield Line(job.dates)
    for done in job.done:
        yield Line(done, "bullet")


def _school(school: School) -> Iterator[Line]:
    yield Line(f"{school.institution} | {school.degree} | {school.major}", "strong")
    yield Line(school.dates)


def _contact(person: Person) -> str:
    return " | ".join(part for part in (person.email, person.phone, person.place, person.link) if part)


def _text(person: Person) -> bytes:
    lines = [person.name, person.headline, _contact(person)]
    for section in _sections(person):
        lines += ["", section.heading if person.language == "zh" else section.heading.upper()]
        lines += [f"- {line.text}" if line.kind == "bullet" else line.text for line in section.lines]
    return ("\n".join(lines) + "\n").encode()


def _html(person: Person) -> bytes:
    parts = [
        f'<!DOCTYPE html>\n<html lang="{person.language}">\n<head><meta charset="utf-8">',
        f"<title>{escape(person.name)}</title>",
        "<style>body{font-family:sans-serif;max-width:44rem;margin:2rem auto}</style></head>\n<body>",
        f"<h1>{escape(person.name)}</h1>\n<p>{escape(person.headline)}</p>\n<p>{escape(_contact(person))}</p>",
    ]
    for section in _sections(person):
        parts.append(f"<h2>{escape(section.heading)}</h2>")
        parts += _html_lines(section.lines)
    parts.append("</body>\n</html>\n")
    return "\n".join(parts).encode()


def _html_lines(lines: tuple[Line, ...]) -> Iterator[str]:
    in_list = False
    for line in lines:
        bullet = line.kind == "bullet"
        if bullet != in_list:
            yield "<ul>" if bullet else "</ul>"
            in_list = bullet
        tag = {"bullet": "li", "strong": "h3"}.get(line.kind, "p")
        yield f"<{tag}>{escape(line.text)}</{tag}>"
    if in_list:
        yield "</ul>"


def _docx(person: Person) -> bytes:
    document = Document()
    document.styles["Normal"].font.size = Pt(10.5)
    document.core_properties.author = person.name
    document.core_properties.created = document.core_properties.modified = _EPOCH
    document.add_heading(person.name, level=0)
    document.add_paragraph(person.headline)
    document.add_paragraph(_contact(person))
    for section in _sections(person):
        document.add_heading(section.heading, level=1)
        for line in section.lines:
            paragraph = document.add_paragraph(style="List Bullet" if line.kind == "bullet" else None)
            paragraph.add_run(line.text).bold = line.kind == "strong"
    buffer = io.BytesIO()
    document.save(buffer)
    return _without_times(buffer.getvalue())


def _without_times(archive: bytes) -> bytes:
    """The same archive without the moment of its making."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as before, zipfile.ZipFile(buffer, "w") as after:
        for name in sorted(before.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            after.writestr(entry, before.read(name), compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
