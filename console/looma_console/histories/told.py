"""Entries of a history as lines that a page shows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_babel import LazyString, lazy_gettext

from looma_console.people.messages import LANGUAGES, SOURCES
from looma_console.records.kinds import COMPANIES, JOBS, Choices, Kind
from looma_core.api.history import FieldChange, HistoryEntry

Labels = Mapping[str, LazyString]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the pages of one kind of record say.

    Args:
        api: the kind's part of the engine's addresses.
        title: the field that a record is called by.
        one: what one is called.
        labels: names of fields.
        choices: names of values, by the field.
    """

    api: str
    title: str
    one: LazyString
    labels: Labels
    choices: Mapping[str, Choices] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One field: what is there no more, and what is there instead."""

    label: LazyString | str
    gone: tuple[str, ...]
    new: tuple[str, ...]


_SOURCE: Labels = {
    "source.type": lazy_gettext("Source"),
    "source.ref": lazy_gettext("Number at the source"),
}
_SOURCES: Mapping[str, Choices] = {"source.type": SOURCES}


def _of(kind: Kind) -> Told:
    return Told(
        api=kind.name,
        title=kind.title,
        one=kind.one,
        labels={**{item.name: item.label for item in kind.fields}, **_SOURCE},
        choices={**{item.name: item.choices for item in kind.fields if item.choices}, **_SOURCES},
    )


PEOPLE = Told(
    api="talents",
    title="full_name",
    one=lazy_gettext("Person"),
    labels={
        "full_name": lazy_gettext("Name"),
        "email": lazy_gettext("Email"),
        "phone": lazy_gettext("Phone"),
        "location": lazy_gettext("Place"),
        "headline": lazy_gettext("Headline"),
        "summary": lazy_gettext("Summary"),
        "language": lazy_gettext("Language"),
        "skills": lazy_gettext("Skills"),
        "experience": lazy_gettext("Jobs"),
        "education": lazy_gettext("Schools"),
        **_SOURCE,
    },
    choices={"language": LANGUAGES, **_SOURCES},
)
TOLD: Mapping[str, Told] = {"people": PEOPLE, JOBS.name: _of(JOBS), COMPANIES.name: _of(COMPANIES)}

ACTIONS: Labels = {
    "create": lazy_gettext("Created"),
    "update": lazy_gettext("Changed"),
    "delete": lazy_gettext("Deleted"),
    "restore": lazy_gettext("Restored"),
}
TONES = {"create": "good", "delete": "bad", "restore": "good"}
ORIGINS: Labels = {
    "sync": lazy_gettext("by a sync"),
    "repair": lazy_gettext("by a sync that found it altered"),
    "migration": lazy_gettext("by an upgrade"),
    "merge": lazy_gettext("by a merge"),
}
"""Ways other than a request, which needs no word."""


def deleted_at(entries: Sequence[HistoryEntry]) -> int | None:
    """The version at which a record was deleted, of its entries, the newest first; None where it is not.

    | newest entry | answer      |
    | ------------ | ----------- |
    | delete, 3    | 3           |
    | restore, 4   | None        |
    | none         | None        |
    """
    newest = next(iter(entries), None)
    return newest.version if newest is not None and newest.action == "delete" else None


def shown(value: object) -> str:
    """A value as a text: parts of an object in their order, with a dot between."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " · ".join(text for item in value.values() if (text := shown(item)))
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value)


def lines(told: Told, change: FieldChange) -> Iterator[Line]:
    """What a change of one field is to a person.

    | before        | after         | gone   | new    |
    | ------------- | ------------- | ------ | ------ |
    | "a"           | "b"           | a      | b      |
    | null          | "b"           |        | b      |
    | ["a", "b"]    | ["b", "c"]    | a      | c      |
    | ["a", "b"]    | ["b", "a"]    | a, b   | b, a   |
    | {"x": 1}      | {"x": 2}      | a line for each part that differs |
    """
    before, after = change.before, change.after
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old, new = (value if isinstance(value, Mapping) else {} for value in (before, after))
        for name in (*old, *(name for name in new if name not in old)):
            if old.get(name) != new.get(name):
                part = f"{change.field}.{name}"
                yield _line(told, part, _texts(told, part, old.get(name)), _texts(told, part, new.get(name)))
        return
    gone, come = before, after
    if isinstance(before, list) and isinstance(after, list):
        gone = [item for item in before if item not in after]
        come = [item for item in after if item not in before]
        if not gone and not come:
            # The same entries: all that there is to see is their order.
            gone, come = [shown(before)], [shown(after)]
    yield _line(told, change.field, _texts(told, change.field, gone), _texts(told, change.field, come))


def _texts(told: Told, name: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401 - any JSON value
    choices = told.choices.get(name, {})
    items = value if isinstance(value, list) else [value]
    texts = (shown(item) for item in items)
    return tuple(str(choices.get(text, text)) for text in texts if text)


def _line(told: Told, name: str, gone: tuple[str, ...], new: tuple[str, ...]) -> Line:
    return Line(label=told.labels.get(name, name), gone=gone, new=new)
