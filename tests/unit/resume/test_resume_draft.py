"""What a résumé sends to talent-sync passes talent-sync's own rules, whatever the résumé holds."""

from __future__ import annotations

from datetime import date

import pytest

from looma_core.api.person import Education, Experience
from looma_core.api.resume import Contact, ParsedResume, SkillMention
from looma_core.api.talent import TalentDraft
from looma_engines.resume.documents import read_document, read_text
from looma_engines.resume.draft import talent_draft
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.talents import TALENTS
from support.resume_files import ADA, build, parser


def accepted(draft: TalentDraft) -> TalentDraft:
    """The draft as it is stored; nothing refuses it."""
    neat = TALENTS.tidy(draft)
    assert refusals(neat, today=date(2026, 11, 27), rules=TALENTS.rules) == []
    return neat


def _skill(name: str) -> SkillMention:
    return SkillMention(name=name, id="x", category="x", start=0, end=1)


ODD = {
    "nothing found": ParsedResume(language="en", text=""),
    "an end before its start": ParsedResume(
        language="en",
        text="",
        contact=Contact(full_name="Ada"),
        experience=[Experience(start="2021-05", end="2020-01")],
        education=[Education(start="2020", end="2019-05")],
    ),
    "odd contact": ParsedResume(
        language="zh",
        text="",
        contact=Contact(full_name="...", email="a@b", phone="call (312) 555 – 0123", location="\x00"),
    ),
    "too long": ParsedResume(
        language="en",
        text="",
        contact=Contact(full_name="x" * 500, phone="+1" + "2" * 60),
        summary="s" * 50_000,
        skills=[_skill("k" * 300 + str(n)) for n in range(500)],
        experience=[Experience(title="t" * 500, description="d" * 30_000)] * 200,
        education=[Education(institution="i" * 500)] * 100,
    ),
    "control characters": ParsedResume(
        language="en", text="", contact=Contact(full_name="Ada\x07 Byron"), headline="a\x00b", summary="\x1bx"
    ),
}


@pytest.mark.parametrize("which", ODD)
def test_odd_findings_make_a_talent_that_is_accepted(which: str) -> None:
    draft = talent_draft(ODD[which], resume_id="r1", source="resume", file_name="Ada Byron 2024.pdf")
    accepted(draft)
    assert draft.source.ref == "r1"


def test_a_resume_without_a_name_is_named_after_its_file() -> None:
    draft = talent_draft(ODD["nothing found"], resume_id="r1", source="resume", file_name="Ada Byron.pdf")
    assert draft.full_name == "Ada Byron"


def test_a_phone_number_keeps_its_digits() -> None:
    parsed = parser().parse(
        read_text("Grace Hopper\ngrace@example.org\n(312) 555–0123\nEXPERIENCE\nAdmiral, Navy 1950 - 1980")
    )
    draft = accepted(talent_draft(parsed, resume_id="r", source="demo", file_name="x"))
    assert "".join(filter(str.isdigit, draft.phone or "")) == "3125550123"


@pytest.mark.parametrize("layout", ["pdf-two-columns", "html"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_our_resumes_make_talents(layout: str, language: str) -> None:
    parsed = parser().parse(read_document(build(layout, language)))
    draft = accepted(talent_draft(parsed, resume_id="r", source="resume", file_name="x.pdf"))
    assert draft.language == language
    assert len(draft.experience) == len(ADA.jobs)
