"""Rules of what a talent has: what nobody can work without, and what makes a record whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from looma_core.api.quality import Family
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, warning

ENOUGH_SKILLS = 5


def _unreachable(case: Case) -> Iterator[Fault]:
    if not case.record.email and not case.record.phone:
        yield Fault("email", "neither address nor number: nobody can be reached")


def _one_way(case: Case) -> Iterator[Fault]:
    record = case.record
    for name, other in (("email", record.phone), ("phone", record.email)):
        if not getattr(record, name) and other:
            yield Fault(name, "a second way to the person is missing")


def _empty(name: str, message: str) -> Rule:
    def faults(case: Case) -> Iterator[Fault]:
        if not getattr(case.record, name):
            yield Fault(name, message)

    points, words = {
        "location": (4, "place"),
        "headline": (4, "headline"),
        "summary": (4, "summary"),
        "experience": (10, "job"),
        "education": (5, "school"),
    }[name]
    return warning(
        f"talent.{name}.required",
        name,
        family=Family.REQUIRED,
        points=points,
        asks=f"There is a {words}.",
        faults=faults,
    )


def _few_skills(case: Case) -> Iterator[Fault]:
    missing = ENOUGH_SKILLS - len(case.record.skills)
    if missing > 0:
        yield Fault("skills", f"{missing} more would be {ENOUGH_SKILLS}", missing / ENOUGH_SKILLS)


def _nameless_jobs(case: Case) -> Iterator[Fault]:
    jobs = case.record.experience
    for index, job in enumerate(jobs):
        for name, value in (("title", job.title), ("company", job.company)):
            if not value:
                yield Fault(f"experience[{index}].{name}", "is missing", 0.5 / len(jobs))


def _undated_jobs(case: Case) -> Iterator[Fault]:
    jobs = case.record.experience
    for index, job in enumerate(jobs):
        if not job.start:
            yield Fault(f"experience[{index}].start", "is missing", 1 / len(jobs))


def _untold_jobs(case: Case) -> Iterator[Fault]:
    jobs = case.record.experience
    for index, job in enumerate(jobs):
        if not job.description:
            yield Fault(f"experience[{index}].description", "is missing", 1 / len(jobs))


def _nameless_schools(case: Case) -> Iterator[Fault]:
    schools = case.record.education
    for index, school in enumerate(schools):
        for name, value in (
            ("institution", school.institution),
            ("degree", school.degree),
            ("major", school.major),
        ):
            if not value:
                yield Fault(f"education[{index}].{name}", "is missing", 1 / 3 / len(schools))


def _without_reference(case: Case) -> Iterator[Fault]:
    source = case.record.source
    if source.type == "resume" and not source.ref:
        yield Fault("source.ref", "name the résumé that it was read from")


RULES: tuple[Rule, ...] = (
    warning(
        "talent.contact.required",
        "email",
        "phone",
        family=Family.REQUIRED,
        points=10,
        asks="There is an address or a number.",
        faults=_unreachable,
    ),
    warning(
        "talent.contact.both",
        "email",
        "phone",
        family=Family.REQUIRED,
        points=2,
        asks="Where there is an address there is a number as well, and the other way round.",
        faults=_one_way,
    ),
    _empty("location", "is missing: nobody knows where to look for work"),
    _empty("headline", "is missing: lists show nothing but a name"),
    _empty("summary", "is missing"),
    warning(
        "talent.skills.enough",
        "skills",
        family=Family.REQUIRED,
        points=8,
        asks=f"There are {ENOUGH_SKILLS} skills or more.",
        faults=_few_skills,
    ),
    _empty("experience", "is missing"),
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
    _empty("education", "is missing"),
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
