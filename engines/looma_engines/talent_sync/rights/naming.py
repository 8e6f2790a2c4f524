"""Whether what a source had of a relation names a record. Pure.

A relation that could not be taken waits in the quarantine as its source had it. It names its ends as the source does:
by ids of here, or by keys of whatever source has them. Of which one is said by the SyncJob alone, so a key is looked
for whatever source it is of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final
from uuid import UUID

import msgspec

RELATION: Final = "relation"
ENDS: Mapping[str, tuple[str, ...]] = {
    "talent": ("talent_id", "other_talent_id"),
    "company": ("company_id",),
    "job": ("job_id",),
}
"""Fields of a relation that name a record, by the record's kind."""


class Naming(Enum):
    """How a relation names a record."""

    NOT = "not"
    PERHAPS = "perhaps"
    """It has the record's key where that may mean something else."""
    BY_KEY = "by key"
    BY_ID = "by id"


def values_of(raw: str) -> dict[str, str] | None:
    """The texts and numbers of an object's own members, as texts by their names; None where it is no JSON object.

    A number is what the source wrote: the key 17 is the text 17, however a database would count it.
    """
    found: dict[str, str] = {}
    try:
        for name, member in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
            text = bytes(member).decode()
            if text.startswith('"'):
                found[name] = msgspec.json.decode(text, type=str).strip()
            elif text[:1] in "-0123456789":
                found[name] = text
    except msgspec.MsgspecError:
        return None
    return found


def read_id(value: str) -> UUID | None:
    """The id that a text is, however it is written; None for another text."""
    try:
        return UUID(value)
    except ValueError:
        return None


def may_name(entity: str, field: str) -> bool:
    """Whether a field may hold the key of a record of a kind: one that names another kind of record does not."""
    return all(field not in fields for kind, fields in ENDS.items() if kind != entity)


def naming(raw: str, entity: str, record_id: UUID, keys: Collection[str]) -> Naming:
    """How what a source had of a relation names a record.

    | where                                    | the record's id | one of its keys |
    | ---------------------------------------- | --------------- | --------------- |
    | in a field that names its kind           | by id           | by key          |
    | in a field that names another kind       | by id           | not             |
    | in a field of any other name             | by id           | perhaps         |
    | a word of what is no JSON object         | by id           | perhaps         |

    Args:
        raw: what the source had.
        entity: the record's kind; of one that no relation is about, as a relation, nothing is named.
        record_id: its id.
        keys: the keys under which sources have it.
    """
    if entity not in ENDS:
        return Naming.NOT
    values = values_of(raw)
    if values is None:
        # Cut off, or a broken line: nobody can say what stands where.
        if str(record_id) in raw.lower():
            return Naming.BY_ID
        return Naming.PERHAPS if any(_is_word(key, raw) for key in keys) else Naming.NOT
    if any(read_id(value) == record_id for value in values.values()):
        return Naming.BY_ID
    fields = {field for field, value in values.items() if value in keys and may_name(entity, field)}
    if fields.intersection(ENDS[entity]):
        return Naming.BY_KEY
    return Naming.PERHAPS if fields else Naming.NOT


def _is_word(key: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", text) is not None
