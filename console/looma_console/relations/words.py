"""What relations are called from either end, which of them each page can add, and what they lose points for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import LazyString, lazy_gettext

Words = Mapping[str, LazyString]

OF_PERSON: Words = {
    "works_at": lazy_gettext("Works at"),
    "worked_at": lazy_gettext("Worked at"),
    "applied_to": lazy_gettext("Applied to"),
    "interviewed_for": lazy_gettext("Interviewed for"),
    "hired_for": lazy_gettext("Hired for"),
    "referred_by": lazy_gettext("Referred by"),
    "reports_to": lazy_gettext("Reports to"),
    "knows": lazy_gettext("Knows"),
}
"""As they read from the person whom they are about."""
OF_OTHER: Words = {
    "works_at": lazy_gettext("Works here"),
    "worked_at": lazy_gettext("Worked here"),
    "applied_to": lazy_gettext("Applied"),
    "interviewed_for": lazy_gettext("Interviewed"),
    "hired_for": lazy_gettext("Hired"),
    "referred_by": lazy_gettext("Referred"),
    "reports_to": lazy_gettext("Leads"),
    "knows": lazy_gettext("Knows"),
}
"""As they read from the other end."""

QUALITY: Words = {
    "relation.work.over": lazy_gettext("The work has ended, and is said to go on"),
    "relation.work.ended": lazy_gettext("The work is said to be over, and its last day has not come"),
    "relation.dates.future": lazy_gettext("What is said to have happened lies in the future"),
    "relation.work.length": lazy_gettext("The work lasts very long"),
    "relation.starts_on.required": lazy_gettext("The first day is missing"),
    "relation.title.required": lazy_gettext("The work has no job title"),
}
"""What a relation lost points for, by the id of the rule."""


@dataclass(frozen=True, kw_only=True)
class End:
    """One kind of page that relations lead from and to.

    Args:
        page: its part of the console's addresses.
        records: its part of the engine's.
        title: what one of its records is called by.
        field: the field of a relation that holds its id, where it is the other end.
        name: the field of a relation that says what it is called.
        adds: kinds of relations that its page can add, each with how it reads there.
    """

    page: str
    records: str
    title: str
    field: str
    name: str
    adds: Words


def _some(words: Words, *kinds: str) -> Words:
    return {kind: words[kind] for kind in kinds}


PEOPLE = End(
    page="people",
    records="talents",
    title="full_name",
    field="other_talent_id",
    name="other_talent_name",
    adds=OF_PERSON,
)
COMPANIES = End(
    page="companies",
    records="companies",
    title="name",
    field="company_id",
    name="company_name",
    adds=_some(OF_OTHER, "works_at", "worked_at"),
)
JOBS = End(
    page="jobs",
    records="jobs",
    title="title",
    field="job_id",
    name="job_title",
    adds=_some(OF_OTHER, "applied_to", "interviewed_for", "hired_for"),
)
ENDS: Mapping[str, End] = {end.page: end for end in (PEOPLE, COMPANIES, JOBS)}
BY_FIELD: Mapping[str, End] = {end.field: end for end in ENDS.values()}
