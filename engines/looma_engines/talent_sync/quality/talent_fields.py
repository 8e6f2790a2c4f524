"""Rules of what a talent has: what makes a record whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from looma_core.api.quality import Family
from looma_core.api.talent import TalentDraft
from looma_engines.talent_sync.quality import texts
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, warning

ENOUGH_SKILLS = 5


def _nameless_jobs(case: Case[TalentDraft]) -> Iterator[Fault]:
    jobs = case.record.experience
    for index, job in enumerate(jobs):
        for name, value in (("title", job.title), ("company", job.company)):
            if not value:
                yield Fault(f"experience[{index}].{name}", "is missing", 0.5 / len(jobs))


def _undated_jobs(case: Case[TalentDraft]) -> Iterator[Fault]:
    jobs = case.record.experience
    for index, job in enumerate(jobs):
        if not job.start:
            yield Fault(f"experience[{index}].start", "is missing", 1 / len(jobs))


def _untold_jobs(case: Case[TalentDraft]) -> Iterator[Fault]:
    jobs = case.record.experience
    for index, job in enumerate(jobs):
        if not job.description:
            yield Fault(f"experience[{index}].description", "is missing", 1 / len(jobs))


def _nameless_schools(case: Case[TalentDraft]) -> Iterator[Fault]:
    schools = case.record.education
    for index, school in enumerate(schools):
        for name, value in (
            ("institution", school.institution),
            ("degree", school.degree),
            ("major", school.major),
        ):
            if not value:
                yield Fault(f"education[{index}].{name}", "is missing", 1 / 3 / len(schools))


def _without_reference(case: Case[TalentDraft]) -> Iterator[Fault]:
    source = case.record.source
    if source.type == "resume" and not source.ref:
        yield Fault("source.ref", "name the résumé that it was read from")


RULES: tuple[Rule[TalentDraft], ...] = (
    texts.present(
        "talent.location.required",
        "location",
        points=4,
        asks="There is a place.",
        message="is missing: nobody knows where to look for work",
    ),
    texts.present(
        "talent.headline.required",
        "headline",
        points=4,
        asks="There is a headline.",
        message="is missing: lists show nothing but a name",
    ),
    texts.present("talent.summary.required", "summary", points=4, asks="There is a summary."),
    texts.enough(
        "talent.skills.enough",
        "skills",
        least=ENOUGH_SKILLS,
        points=8,
        asks=f"There are {ENOUGH_SKILLS} skills or more.",
    ),
    texts.present("talent.experience.required", "experience", points=10, asks="There is a job."),
    warning(
        "talent.experience.names",
        "experience[].title",
        "experience[].company",
        family=Family.REQUIRED,
        points=3,
        asks="Each job has a title and a company.",
        faults=_nameless_jobs,
    ),
    warning(
        "talent.experience.dates",
        "experience[].start",
        family=Family.REQUIRED,
        points=3,
        asks="Each job has a beginning.",
        faults=_undated_jobs,
    ),
    warning(
        "talent.experience.description",
        "experience[].description",
        family=Family.REQUIRED,
        points=2,
        asks="Each job says what was done there.",
        faults=_untold_jobs,
    ),
    texts.present("talent.education.required", "education", points=5, asks="There is a school."),
    warning(
        "talent.education.names",
        "education[].institution",
        "education[].degree",
        "education[].major",
        family=Family.REQUIRED,
        points=4,
        asks="Each school has a name, a degree and a subject.",
        faults=_nameless_schools,
    ),
    warning(
        "talent.source.reference",
        "source.type",
        "source.ref",
        family=Family.REFERENTIAL,
        points=2,
        asks="What was read from a résumé names it.",
        faults=_without_reference,
    ),
)
