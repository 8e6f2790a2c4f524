"""What the pages of each kind of record show and ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flask_babel import LazyString, lazy_gettext

from looma_console.people.messages import LANGUAGES

Choices = Mapping[str, LazyString | str]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a form. A dot in its name leads into an object: `salary.min`.

    | shape  | a form has                | the document has |
    | ------ | ------------------------- | ---------------- |
    | line   | one line                  | a text           |
    | text   | many lines                | a text           |
    | list   | entries by commas         | a list of texts  |
    | number | digits                    | a number         |
    | date   | a day                     | a text, ISO 8601 |
    | choice | one of `choices`          | its name         |
    | hidden | what the address gave     | a text           |
    """

    name: str
    label: LazyString
    shape: Literal["line", "text", "list", "number", "date", "choice", "hidden"] = "line"
    choices: Choices = field(default_factory=dict)
    required: bool = False
    whole_row: bool = False


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Pages of one kind of record.

    Args:
        name: its part of addresses, here and at the engine.
        record: one of them in the audit.
        title: the field that a record is called by.
        fields: of the form, in their order.
        filters: names of choice fields by which a list can be filtered.
        heading, add, one, nothing: the list's heading, what makes a new one, what one is called, an empty list.
    """

    name: str
    record: str
    title: str
    fields: tuple[Field, ...]
    filters: tuple[str, ...]
    heading: LazyString
    add: LazyString
    one: LazyString
    nothing: LazyString

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(item for item in self.fields if item.name == name)


STATUSES: Choices = {
    "open": lazy_gettext("Open"),
    "draft": lazy_gettext("Draft"),
    "paused": lazy_gettext("Paused"),
    "closed": lazy_gettext("Closed"),
}
STATUS_TONES = {"open": "good", "paused": "busy"}
WORKPLACES: Choices = {
    "on-site": lazy_gettext("On site"),
    "hybrid": lazy_gettext("Hybrid"),
    "remote": lazy_gettext("Remote"),
}
EMPLOYMENTS: Choices = {
    "full-time": lazy_gettext("Full time"),
    "part-time": lazy_gettext("Part time"),
    "contract": lazy_gettext("Contract"),
    "internship": lazy_gettext("Internship"),
}
DEGREES: Choices = {
    "associate": lazy_gettext("Associate degree"),
    "bachelor": lazy_gettext("Bachelor's degree"),
    "master": lazy_gettext("Master's degree"),
    "doctor": lazy_gettext("Doctorate"),
}
PERIODS: Choices = {
    "month": lazy_gettext("a month"),
    "year": lazy_gettext("a year"),
    "day": lazy_gettext("a day"),
    "hour": lazy_gettext("an hour"),
}
CURRENCIES: Choices = {name: name for name in ("CNY", "USD", "EUR", "GBP", "HKD", "SGD", "JPY")}
SIZES: Choices = {name: name for name in ("1-10", "11-50", "51-200", "201-1000", "1001-5000", "5001+")}

JOBS = Kind(
    name="jobs",
    record="job",
    title="title",
    heading=lazy_gettext("Jobs"),
    add=lazy_gettext("New job"),
    one=lazy_gettext("Job"),
    nothing=lazy_gettext("No job is here yet."),
    filters=("status", "workplace", "employment"),
    fields=(
        Field(name="title", label=lazy_gettext("Job title"), required=True),
        Field(name="status", label=lazy_gettext("Status"), shape="choice", choices=STATUSES, required=True),
        Field(name="company_id", label=lazy_gettext("Company"), shape="hidden"),
        Field(name="company_name", label=lazy_gettext("Company")),
        Field(name="location", label=lazy_gettext("Place")),
        Field(name="workplace", label=lazy_gettext("Workplace"), shape="choice", choices=WORKPLACES),
        Field(name="employment", label=lazy_gettext("Employment"), shape="choice", choices=EMPLOYMENTS),
        Field(name="skills", label=lazy_gettext("Skills"), shape="list", whole_row=True),
        Field(name="description", label=lazy_gettext("Description"), shape="text", whole_row=True),
        Field(name="experience_years", label=lazy_gettext("Years of experience"), shape="number"),
        Field(name="degree", label=lazy_gettext("Degree"), shape="choice", choices=DEGREES),
        Field(name="salary.min", label=lazy_gettext("Salary from"), shape="number"),
        Field(name="salary.max", label=lazy_gettext("Salary up to"), shape="number"),
        Field(name="salary.currency", label=lazy_gettext("Currency"), shape="choice", choices=CURRENCIES),
        Field(name="salary.per", label=lazy_gettext("Paid"), shape="choice", choices=PERIODS),
        Field(name="openings", label=lazy_gettext("Openings"), shape="number"),
        Field(name="opens_on", label=lazy_gettext("Opens on"), shape="date"),
        Field(name="closes_on", label=lazy_gettext("Closes on"), shape="date"),
        Field(
            name="language", label=lazy_gettext("Language"), shape="choice", choices=LANGUAGES, required=True
        ),
    ),
)
COMPANIES = Kind(
    name="companies",
    record="company",
    title="name",
    heading=lazy_gettext("Companies"),
    add=lazy_gettext("New company"),
    one=lazy_gettext("Company"),
    nothing=lazy_gettext("No company is here yet."),
    filters=("size",),
    fields=(
        Field(name="name", label=lazy_gettext("Name"), required=True),
        Field(name="aliases", label=lazy_gettext("Other names"), shape="list"),
        Field(name="industry", label=lazy_gettext("Industry")),
        Field(name="size", label=lazy_gettext("People"), shape="choice", choices=SIZES),
        Field(name="location", label=lazy_gettext("Place")),
        Field(name="website", label=lazy_gettext("Website")),
        Field(name="registration_number", label=lazy_gettext("Registration number")),
        Field(
            name="language", label=lazy_gettext("Language"), shape="choice", choices=LANGUAGES, required=True
        ),
        Field(name="description", label=lazy_gettext("Description"), shape="text", whole_row=True),
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (JOBS, COMPANIES)}

QUALITY: Mapping[str, LazyString] = {
    "company.name.plausible": lazy_gettext("The name is an address"),
    "company.aliases.once": lazy_gettext("A name is there twice"),
    "company.aliases.other": lazy_gettext("Another name is the name itself"),
    "company.language.matches": lazy_gettext("The text is in another language"),
    "company.registration_number.required": lazy_gettext("The registration number is missing"),
    "company.website.required": lazy_gettext("The website is missing"),
    "company.industry.required": lazy_gettext("The industry is missing"),
    "company.size.required": lazy_gettext("The number of people is missing"),
    "company.location.required": lazy_gettext("The place is missing"),
    "company.description.required": lazy_gettext("The description is missing"),
    "job.dates.over": lazy_gettext("It is open, and its last day is over"),
    "job.salary.range": lazy_gettext("The salary is very wide"),
    "job.experience_years.range": lazy_gettext("Very much experience is asked for"),
    "job.internship.experience": lazy_gettext("An internship asks for experience"),
    "job.internship.degree": lazy_gettext("An internship asks for a doctorate"),
    "job.skills.names": lazy_gettext("A skill is a sentence"),
    "job.skills.once": lazy_gettext("A skill is there twice"),
    "job.language.matches": lazy_gettext("The text is in another language"),
    "job.company.required": lazy_gettext("The company is missing"),
    "job.location.required": lazy_gettext("The place is missing"),
    "job.description.required": lazy_gettext("The description is missing"),
    "job.description.length": lazy_gettext("The description is short"),
    "job.skills.enough": lazy_gettext("Few skills"),
    "job.salary.required": lazy_gettext("The salary is missing"),
    "job.employment.required": lazy_gettext("The employment is missing"),
    "job.workplace.required": lazy_gettext("The workplace is missing"),
}
"""What a record lost points for, by the id of the rule."""
