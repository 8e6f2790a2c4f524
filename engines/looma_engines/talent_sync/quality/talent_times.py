"""Rules of a talent's times: jobs and schools, one by one and beside each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

from looma_core.api.person import Education, Experience
from looma_core.api.quality import Family
from looma_core.api.talent import TalentDraft
from looma_engines.talent_sync.quality import periods
from looma_engines.talent_sync.quality.periods import MONTHS
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing, warning

FIRST_YEAR = 1900
MOST_JOB_YEARS, MOST_SCHOOL_YEARS, MOST_CAREER_YEARS = 50, 15, 70
MOST_YEARS_AHEAD = 8
"""How far in the future a school may be said to end."""
OVERLAP_MONTHS = 6
"""Two jobs side by side for as long are worth a question; between two jobs a few months often are."""
MOST_AT_ONCE = 2
"""Jobs that go on at the same time."""

Entries = Sequence[Experience | Education]
_DEGREES = (
    (4, re.compile(r"博士|\bph\.?\s?d|\bd\.?phil|\bdoctor", re.IGNORECASE)),
    (3, re.compile(r"硕士|研究生|\bm\.?(?:sc|a|s|eng|phil|b\.?a)\b|\bmaster|\bmba\b", re.IGNORECASE)),
    (2, re.compile(r"本科|学士|\bb\.?(?:sc|a|s|eng|com|tech)\b|\bbachelor", re.IGNORECASE)),
    (1, re.compile(r"大专|专科|\bassociate|\bdiploma", re.IGNORECASE)),
)


def degree_level(text: str | None) -> int:
    """1 (associate) to 4 (doctor), 0 for what is not known."""
    return next((level for level, words in _DEGREES if text and words.search(text)), 0)


def _parts(case: Case[TalentDraft]) -> tuple[tuple[str, Entries], ...]:
    return ("experience", case.record.experience), ("education", case.record.education)


def _old_years(case: Case[TalentDraft]) -> Iterator[Fault]:
    for name, entries in _parts(case):
        for index, entry in enumerate(entries):
            for edge, value in (("start", entry.start), ("end", entry.end)):
                if value is not None and int(value[:4]) < FIRST_YEAR:
                    yield Fault(f"{name}[{index}].{edge}", f"write a year from {FIRST_YEAR}")


def _backwards(case: Case[TalentDraft]) -> Iterator[Fault]:
    for name, entries in _parts(case):
        for index, entry in enumerate(entries):
            if entry.start and entry.end and periods.latest(entry.end) < periods.earliest(entry.start):
                yield Fault(f"{name}[{index}].end", f"lies before the start, {entry.start}")


def _ahead(case: Case[TalentDraft]) -> Iterator[Fault]:
    now = periods.month_of(case.today)
    for index, job in enumerate(case.record.experience):
        share = 1 / len(case.record.experience)
        for edge, value in (("start", job.start), ("end", job.end)):
            if value is not None and periods.earliest(value) > now:
                yield Fault(f"experience[{index}].{edge}", "lies in the future", share)
    for index, school in enumerate(case.record.education):
        for edge, value, years in (("start", school.start, 1), ("end", school.end, MOST_YEARS_AHEAD)):
            if value is not None and periods.earliest(value) > now + years * MONTHS:
                yield Fault(f"education[{index}].{edge}", "lies too far in the future", 1.0)


def _too_long(case: Case[TalentDraft]) -> Iterator[Fault]:
    for (name, entries), most in zip(_parts(case), (MOST_JOB_YEARS, MOST_SCHOOL_YEARS), strict=True):
        for index, entry in enumerate(entries):
            period = periods.certain(entry, case.today)
            if period is not None and period.months > most * MONTHS:
                yield Fault(f"{name}[{index}]", f"lasts more than {most} years: look at its dates")


def _long_career(case: Case[TalentDraft]) -> Iterator[Fault]:
    starts = [periods.latest(job.start) for job in case.record.experience if job.start]
    if starts and periods.month_of(case.today) - min(starts) > MOST_CAREER_YEARS * MONTHS:
        index = next(
            number
            for number, job in enumerate(case.record.experience)
            if job.start and periods.latest(job.start) == min(starts)
        )
        yield Fault(
            f"experience[{index}].start", f"is more than {MOST_CAREER_YEARS} years ago: look at the year"
        )


def _side_by_side(name: str, entries: Entries, case: Case[TalentDraft]) -> Iterator[Fault]:
    known = [
        (index, entry.start, period)
        for index, entry in enumerate(entries)
        if (period := periods.certain(entry, case.today)) is not None
    ]
    for (one, start, first), (other, begin, second) in combinations(known, 2):
        months = periods.overlap(first, second)
        if months > OVERLAP_MONTHS:
            later, earlier = (one, other) if (start or "") > (begin or "") else (other, one)
            yield Fault(
                f"{name}[{later}].start", f"lies {months} months within {name}[{earlier}]: look at both", 0.5
            )


def _jobs_side_by_side(case: Case[TalentDraft]) -> Iterator[Fault]:
    return _side_by_side("experience", case.record.experience, case)


def _schools_side_by_side(case: Case[TalentDraft]) -> Iterator[Fault]:
    return _side_by_side("education", case.record.education, case)


def _many_now(case: Case[TalentDraft]) -> Iterator[Fault]:
    now = [index for index, job in enumerate(case.record.experience) if periods.goes_on(job)]
    for index in now[MOST_AT_ONCE:]:
        yield Fault(
            f"experience[{index}].end", f"is one more job than {MOST_AT_ONCE} that go on: say when it ended"
        )


def _degrees_turned(case: Case[TalentDraft]) -> Iterator[Fault]:
    schools = [
        (index, degree_level(school.degree), school) for index, school in enumerate(case.record.education)
    ]
    for (one, level, first), (other, beside, second) in combinations(schools, 2):
        if not level or not beside or level == beside:
            continue
        (index, higher), (below, lower) = (
            ((one, first), (other, second)) if level > beside else ((other, second), (one, first))
        )
        if higher.end and lower.start and periods.latest(higher.end) < periods.earliest(lower.start):
            yield Fault(f"education[{index}].end", f"the higher degree ends before education[{below}] begins")


def _twice(name: str, entries: Entries) -> Iterator[Fault]:
    seen: dict[tuple[str, ...], int] = {}
    for index, entry in enumerate(entries):
        words = (
            (entry.title, entry.company)
            if isinstance(entry, Experience)
            else (entry.institution, entry.degree)
        )
        if not any(words) or not entry.start:
            continue
        same = (*(" ".join((word or "").split()).casefold() for word in words), entry.start)
        if same in seen:
            yield Fault(f"{name}[{index}]", f"is {name}[{seen[same]}] once more: take one of them away", 0.5)
        else:
            seen[same] = index


def _jobs_twice(case: Case[TalentDraft]) -> Iterator[Fault]:
    return _twice("experience", case.record.experience)


def _schools_twice(case: Case[TalentDraft]) -> Iterator[Fault]:
    return _twice("education", case.record.education)


_EDGES = ("experience[].start", "experience[].end", "education[].start", "education[].end")

RULES: tuple[Rule[TalentDraft], ...] = (
    refusing(
        "talent.years.from",
        *_EDGES,
        family=Family.RANGE,
        asks=f"Years are {FIRST_YEAR} or later.",
        faults=_old_years,
    ),
    refusing(
        "talent.times.order",
        *_EDGES,
        family=Family.CROSS_FIELD,
        asks="Nothing ends before it begins; a year alone is each of its months.",
        faults=_backwards,
    ),
    warning(
        "talent.times.future",
        *_EDGES,
        family=Family.RANGE,
        points=3,
        asks=f"No job lies in the future; a school begins within a year and ends within {MOST_YEARS_AHEAD}.",
        faults=_ahead,
    ),
    warning(
        "talent.times.length",
        *_EDGES,
        family=Family.RANGE,
        points=2,
        asks=f"A job lasts at most {MOST_JOB_YEARS} years, a school at most {MOST_SCHOOL_YEARS}.",
        faults=_too_long,
    ),
    warning(
        "talent.career.length",
        "experience[].start",
        family=Family.RANGE,
        points=2,
        asks=f"No job began more than {MOST_CAREER_YEARS} years ago.",
        faults=_long_career,
    ),
    warning(
        "talent.experience.overlap",
        "experience[].start",
        "experience[].end",
        "experience[].dates",
        family=Family.CROSS_FIELD,
        points=4,
        asks=f"No two jobs are side by side for more than {OVERLAP_MONTHS} months.",
        faults=_jobs_side_by_side,
    ),
    warning(
        "talent.experience.current",
        "experience[].end",
        "experience[].dates",
        family=Family.CROSS_FIELD,
        points=2,
        asks=f"At most {MOST_AT_ONCE} jobs go on.",
        faults=_many_now,
    ),
    warning(
        "talent.education.overlap",
        "education[].start",
        "education[].end",
        "education[].dates",
        family=Family.CROSS_FIELD,
        points=2,
        asks=f"No two schools are side by side for more than {OVERLAP_MONTHS} months.",
        faults=_schools_side_by_side,
    ),
    warning(
        "talent.education.degrees",
        "education[].degree",
        "education[].start",
        "education[].end",
        family=Family.CROSS_FIELD,
        points=3,
        asks="No higher degree ends before a lower one begins.",
        faults=_degrees_turned,
    ),
    warning(
        "talent.experience.once",
        "experience[].title",
        "experience[].company",
        "experience[].start",
        family=Family.DUPLICATE,
        points=2,
        asks="No job is there twice: title, company and beginning.",
        faults=_jobs_twice,
    ),
    warning(
        "talent.education.once",
        "education[].institution",
        "education[].degree",
        "education[].start",
        family=Family.DUPLICATE,
        points=1,
        asks="No school is there twice: institution, degree and beginning.",
        faults=_schools_twice,
    ),
)
