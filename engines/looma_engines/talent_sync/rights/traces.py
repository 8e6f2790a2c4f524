"""Values that tell of one person, and whether a text holds one of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import msgspec

Kind = Literal["id", "email", "phone", "source", "name"]
FIELDS: Mapping[str, Kind] = {"full_name": "name", "email": "email", "phone": "phone"}
SHORTEST: Mapping[Kind, int] = {"id": 36, "email": 6, "phone": 6, "source": 6, "name": 2}
"""Shorter ones are in so many texts that finding one says nothing."""
_NOT_DIGITS = re.compile(r"\D+")
_BETWEEN = r"[\s().\-/]*"


@dataclass(kw_only=True)
class Traces:
    """What is known of a person before the erasure."""

    values: dict[Kind, set[str]] = field(default_factory=dict)

    def add(self, kind: Kind, value: object) -> None:
        """Keep a value, unless it is none or too short."""
        if isinstance(value, str) and len(value.strip()) >= SHORTEST[kind]:
            self.values.setdefault(kind, set()).add(value.strip().lower())

    def add_fields(self, fields: Mapping[str, Any] | None) -> None:
        """Keep what a record's fields say: as they are, or each with what it was `before` and `after`."""
        for name, kind in FIELDS.items():
            value = (fields or {}).get(name)
            if isinstance(value, dict):
                self.add(kind, value.get("before"))
                self.add(kind, value.get("after"))
            else:
                self.add(kind, value)

    def add_id(self, record_id: UUID) -> None:
        """Keep the record's id."""
        self.add("id", str(record_id))

    def with_those_of(self, others: Iterable[Traces]) -> Traces:
        """These and the others' together."""
        whole = Traces(values={kind: set(values) for kind, values in self.values.items()})
        for other in others:
            for kind, values in other.values.items():
                whole.values.setdefault(kind, set()).update(values)
        return whole

    def of(self, *kinds: Kind) -> Iterator[tuple[Kind, str]]:
        """The values of some kinds, in order."""
        for kind in kinds:
            for value in sorted(self.values.get(kind, ())):
                yield kind, value

    def is_contact_in(self, text: str) -> bool:
        """Whether a text has the person's e-mail or phone; the digits of a phone in whatever way they are grouped."""
        low = text.lower()
        if any(value in low or escaped(value) in low for _, value in self.of("email")):
            return True
        return any(re.search(pattern, low) for _, value in self.of("phone") if (pattern := digits_of(value)))


def escaped(value: str) -> str:
    """A text as JSON has it inside its quotation marks."""
    return msgspec.json.encode(value).decode()[1:-1]


def digits_of(phone: str) -> str | None:
    """A pattern of a phone's digits with what people write between them; None where they are too few.

    | phone             | matches           | does not match |
    | ----------------- | ----------------- | -------------- |
    | +44 20 7946 0958  | +44 (20)79460958  | 442079460959   |
    | 138 0013 8000     | 13800138000       | 1138001380001  |
    | 12-34             | (none)            |                |
    """
    digits = _NOT_DIGITS.sub("", phone)
    if len(digits) < SHORTEST["phone"]:
        return None
    return rf"(?<!\d){_BETWEEN.join(digits)}(?!\d)"


def patterns(values: Iterable[tuple[Kind, str]]) -> dict[Kind, list[str]]:
    """By kind, what a lower-case text of the database is searched for: as written, and as JSON writes it."""
    found: dict[Kind, list[str]] = {}
    for kind, value in values:
        forms = {value, escaped(value)}
        found.setdefault(kind, []).extend(sorted(forms))
    return found
