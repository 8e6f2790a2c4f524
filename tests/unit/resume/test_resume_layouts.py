"""Each of our résumés, in each layout and format: the engine finds what the file was made of."""

from __future__ import annotations

import itertools

import pytest

from looma_core.api.resume import ParsedResume
from looma_engines.resume.documents import read_document
from support.resume_files import LAYOUTS, PERSONS, build, parser

CASES = list(itertools.product(LAYOUTS, PERSONS))


@pytest.fixture(scope="module")
def parsed() -> dict[tuple[str, str], ParsedResume]:
    return {(layout, who): parser().parse(read_document(build(layout, who))) for layout, who in CASES}


@pytest.mark.parametrize(("layout", "who"), CASES)
def test_contact(parsed: dict[tuple[str, str], ParsedResume], layout: str, who: str) -> None:
    person, found = PERSONS[who], parsed[layout, who]
    assert found.language == person.language
    assert found.contact.full_name == person.name
    assert found.contact.email == person.email
    assert (
        "".join(filter(str.isdigit, found.contact.phone or ""))[-11:]
        == "".join(filter(str.isdigit, person.phone))[-11:]
    )
    assert found.contact.location == person.location


@pytest.mark.parametrize(("layout", "who"), CASES)
def test_jobs(parsed: dict[tuple[str, str], ParsedResume], layout: str, who: str) -> None:
    person, found = PERSONS[who], parsed[layout, who]
    assert [(job.title, job.company, job.start, job.end) for job in found.experience] == [
        (job.title, job.company, job.start, job.end) for job in person.jobs
    ]
    for job, true in zip(found.experience, person.jobs, strict=True):
        assert job.dates is not None
        assert job.dates.replace(" ", "") == true.dates.replace(" ", "")
        assert true.lines[0][:20] in (job.description or "")


@pytest.mark.parametrize(("layout", "who"), CASES)
def test_schools(parsed: dict[tuple[str, str], ParsedResume], layout: str, who: str) -> None:
    person, found = PERSONS[who], parsed[layout, who]
    assert [(s.institution, s.degree, s.major, s.end) for s in found.education] == [
        (s.institution, s.degree, s.major, s.end) for s in person.schools
    ]


@pytest.mark.parametrize(("layout", "who"), CASES)
def test_skills_and_summary(parsed: dict[tuple[str, str], ParsedResume], layout: str, who: str) -> None:
    person, found = PERSONS[who], parsed[layout, who]
    assert set(person.skills) <= {skill.name for skill in found.skills}
    assert person.summary.replace(" ", "") == (found.summary or "").replace(" ", "").replace("\n", "")


@pytest.mark.parametrize(("layout", "who"), CASES)
def test_spans_point_into_the_text(
    parsed: dict[tuple[str, str], ParsedResume], layout: str, who: str
) -> None:
    person, found = PERSONS[who], parsed[layout, who]
    by_label = {(entity.label, found.text[entity.start : entity.end]) for entity in found.entities}
    assert all(found.text[entity.start : entity.end] == entity.text for entity in found.entities)
    assert ("NAME", person.name) in by_label
    assert ("EMAIL", person.email) in by_label
    for job in person.jobs:
        assert ("TITLE", job.title) in by_label
        assert ("ORG", job.company) in by_label
    for skill in found.skills:
        if not skill.id.startswith("unlisted:"):
            assert found.text[skill.start : skill.end].strip()
    ends = [entity.end for entity in found.entities]
    assert all(end <= entity.start for end, entity in zip(ends, found.entities[1:], strict=False)), (
        "spans overlap"
    )
