"""What each page about files is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import LazyString, lazy_gettext

from looma_console.records.kinds import KINDS as RECORD_KINDS


@dataclass(frozen=True, kw_only=True)
class Files:
    """Files of one kind of record.

    Args:
        name: the kind's part of addresses here.
        api: its part of the engine's.
        title: heading of the page.
        back: what the list is called.
        filters: what an export may be narrowed by.
    """

    name: str
    api: str
    title: LazyString
    back: LazyString
    filters: tuple[str, ...]


FILES: Mapping[str, Files] = {
    "people": Files(
        name="people",
        api="talents",
        title=lazy_gettext("Import people"),
        back=lazy_gettext("People"),
        filters=("source",),
    ),
    "jobs": Files(
        name="jobs",
        api="jobs",
        title=lazy_gettext("Import jobs"),
        back=RECORD_KINDS["jobs"].heading,
        filters=RECORD_KINDS["jobs"].filters,
    ),
    "companies": Files(
        name="companies",
        api="companies",
        title=lazy_gettext("Import companies"),
        back=RECORD_KINDS["companies"].heading,
        filters=RECORD_KINDS["companies"].filters,
    ),
}

STATUSES: Mapping[str, LazyString] = {
    "created": lazy_gettext("New"),
    "updated": lazy_gettext("Changed"),
    "unchanged": lazy_gettext("Unchanged"),
    "existing": lazy_gettext("Kept as it is"),
    "refused": lazy_gettext("Refused"),
}
TONES: Mapping[str, str] = {"created": "good", "updated": "good", "refused": "bad"}
