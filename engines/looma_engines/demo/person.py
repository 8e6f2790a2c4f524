"""What a made-up person's résumé holds, before it is laid out."""

from __future__ import annotations

from typing import Literal

import msgspec

from looma_core.api.person import Language

FileFormat = Literal["txt", "html", "docx"]


class Job(msgspec.Struct, frozen=True):
    """One job with what was done there."""

    title: str
    company: str
    place: str
    dates: str
    done: tuple[str, ...]


class School(msgspec.Struct, frozen=True):
    """One school."""

    institution: str
    degree: str
    major: str
    dates: str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One made-up person and the format of their file.

    `slug` names the file, so that loading again recognises it; it never changes.
    """

    slug: str
    language: Language
    file_format: FileFormat
    name: str
    headline: str
    email: str
    phone: str
    place: str
    summary: str
    jobs: tuple[Job, ...]
    schools: tuple[School, ...]
    skills: tuple[str, ...]
    languages: tuple[str, ...]
    certificates: tuple[str, ...] = ()
    link: str | None = None
