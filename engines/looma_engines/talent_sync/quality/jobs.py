"""All rules of jobs, in one table. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from looma_core.api.job import JobDraft
from looma_core.api.quality import Family
from looma_engines.talent_sync.quality import texts
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing, warning

ENOUGH_SKILLS = 3
ENOUGH_DESCRIPTION = 80
"""Characters; a Chinese text says as much in half of them."""
WIDEST_SALARY = 5
"""The most that is paid, in times of the least: beyond it a figure is of another time or currency."""
LONGEST_YEARS = 20
"""Of experience: who asks for more finds nobody."""

_EVERY_TEXT = (
    "title",
    "company_name",
    "location",
    "description",
    "skills[]",
    "salary.currency",
    "source.ref",
)


def _turned_salary(case: Case[JobDraft]) -> Iterator[Fault]:
    salary = case.record.salary
    if salary and salary.min is not None and salary.max is not None and salary.max < salary.min:
        yield Fault("salary.max", f"is less than the least, {salary.min}")


def _turned_dates(case: Case[JobDraft]) -> Iterator[Fault]:
    job = case.record
    if job.opens_on and job.closes_on and job.closes_on < job.opens_on:
        yield Fault("closes_on", f"lies before {job.opens_on.isoformat()}, when it opens")


def _wide_salary(case: Case[JobDraft]) -> Iterator[Fault]:
    salary = case.record.salary
    if salary and salary.min and salary.max and salary.max > WIDEST_SALARY * salary.min:
        yield Fault("salary.max", f"is more than {WIDEST_SALARY} times the least: is it of the same time?")


def _unpaid(case: Case[JobDraft]) -> Iterator[Fault]:
    salary = case.record.salary
    if salary is None or (salary.min is None and salary.max is None):
        yield Fault("salary", "is missing")


def _over(case: Case[JobDraft]) -> Iterator[Fault]:
    job = case.record
    if job.status == "open" and job.closes_on and job.closes_on < case.today:
        yield Fault("closes_on", "is over, and the job is open: close it, or say until when")


def _nowhere(case: Case[JobDraft]) -> Iterator[Fault]:
    if not case.record.location and case.record.workplace != "remote":
        yield Fault("location", "is missing, and the job is not remote")


def _of_nobody(case: Case[JobDraft]) -> Iterator[Fault]:
    if case.record.company_id is None and not case.record.company_name:
        yield Fault("company_name", "name the company, or its id")


def _short(case: Case[JobDraft]) -> Iterator[Fault]:
    text = case.record.description
    least = ENOUGH_DESCRIPTION // 2 if case.record.language == "zh" else ENOUGH_DESCRIPTION
    if text and len(text) < least:
        yield Fault(
            "description", f"has {len(text)} characters, {least} say something", 1 - len(text) / least
        )


def _much_experience(case: Case[JobDraft]) -> Iterator[Fault]:
    years = case.record.experience_years
    if years is not None and years > LONGEST_YEARS:
        yield Fault("experience_years", f"is more than {LONGEST_YEARS}")


def _experienced_intern(case: Case[JobDraft]) -> Iterator[Fault]:
    if case.record.employment == "internship" and (case.record.experience_years or 0) > 1:
        yield Fault("experience_years", "nobody who looks for an internship has it")


def _doctor_as_intern(case: Case[JobDraft]) -> Iterator[Fault]:
    if case.record.employment == "internship" and case.record.degree == "doctor":
        yield Fault("degree", "nobody with it looks for an internship")


RULES: tuple[Rule[JobDraft], ...] = (
    texts.letters("job.title.letters", "title", "write the job's title"),
    texts.control("job.texts.control", *_EVERY_TEXT),
    texts.identity_number("job.texts.identity_number", *_EVERY_TEXT),
    refusing(
        "job.salary.order",
        "salary.min",
        "salary.max",
        family=Family.CROSS_FIELD,
        asks="The most that is paid is not less than the least.",
        faults=_turned_salary,
    ),
    refusing(
        "job.dates.order",
        "opens_on",
        "closes_on",
        family=Family.CROSS_FIELD,
        asks="It does not close before it opens.",
        faults=_turned_dates,
    ),
    warning(
        "job.dates.over",
        "status",
        "closes_on",
        family=Family.CROSS_FIELD,
        points=5,
        asks="A job that is open does not close in the past.",
        faults=_over,
    ),
    warning(
        "job.salary.range",
        "salary.min",
        "salary.max",
        "salary.per",
        family=Family.RANGE,
        points=4,
        asks=f"The most that is paid is at most {WIDEST_SALARY} times the least.",
        faults=_wide_salary,
    ),
    warning(
        "job.experience_years.range",
        "experience_years",
        family=Family.RANGE,
        points=2,
        asks=f"At most {LONGEST_YEARS} years of experience are asked for.",
        faults=_much_experience,
    ),
    warning(
        "job.internship.experience",
        "employment",
        "experience_years",
        family=Family.CROSS_FIELD,
        points=2,
        asks="An internship asks for a year of experience at most.",
        faults=_experienced_intern,
    ),
    warning(
        "job.internship.degree",
        "employment",
        "degree",
        family=Family.CROSS_FIELD,
        points=1,
        asks="An internship asks for no doctor's degree.",
        faults=_doctor_as_intern,
    ),
    texts.skill_names("job.skills.names", points=3),
    texts.once("job.skills.once", "skills", points=1, asks="No skill is there twice, in whatever case."),
    texts.language("job.language.matches", "title", "description", points=4),
    warning(
        "job.company.required",
        "company_id",
        "company_name",
        family=Family.REQUIRED,
        points=12,
        asks="There is a company, by its id or its name.",
        faults=_of_nobody,
    ),
    warning(
        "job.location.required",
        "location",
        "workplace",
        family=Family.REQUIRED,
        points=12,
        asks="There is a place, or the job is remote.",
        faults=_nowhere,
    ),
    texts.present("job.description.required", "description", points=18, asks="There is a description."),
    warning(
        "job.description.length",
        "description",
        family=Family.RANGE,
        points=6,
        asks=f"The description has {ENOUGH_DESCRIPTION} characters, a Chinese one {ENOUGH_DESCRIPTION // 2}.",
        faults=_short,
    ),
    texts.enough(
        "job.skills.enough",
        "skills",
        least=ENOUGH_SKILLS,
        points=12,
        asks=f"There are {ENOUGH_SKILLS} skills or more.",
    ),
    warning(
        "job.salary.required",
        "salary.min",
        "salary.max",
        family=Family.REQUIRED,
        points=8,
        asks="There is a salary.",
        faults=_unpaid,
    ),
    texts.present(
        "job.employment.required", "employment", points=5, asks="It says what kind of employment it is."
    ),
    texts.present("job.workplace.required", "workplace", points=5, asks="It says where the work is done."),
)
