"""Relations of a batch beside each other and those that are stored: pure."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.relation import OBJECTS, RelationFields
from looma_engines.talent_sync.quality.chains import find_cycle
from looma_engines.talent_sync.quality.relations import Span, overlapping
from looma_engines.talent_sync.syncing.beside import Beside, Related

FIRST = date(2020, 1, 1)


def values(
    kind: str, one: int, other: int, since: int | None = None, until: int | None = None
) -> dict[str, Any]:
    def day(number: int | None) -> str | None:
        return None if number is None else (FIRST + timedelta(days=number)).isoformat()

    return {
        "kind": kind,
        "talent_id": str(UUID(int=one)),
        OBJECTS[kind]: str(UUID(int=other)),
        "starts_on": day(since),
        "ends_on": day(until),
    }


def stored(number: int, given: dict[str, Any]) -> Related:
    return Related(id=UUID(int=number), relation=msgspec.convert(given, RelationFields))


@pytest.mark.parametrize(
    ("there", "wanted", "field"),
    [
        (values("reports_to", 1, 2), values("reports_to", 2, 3), None),
        (values("reports_to", 1, 2), values("reports_to", 2, 1), "other_talent_id"),
        (values("reports_to", 1, 2), values("referred_by", 2, 1), None),
        (values("reports_to", 1, 2, until=9), values("reports_to", 2, 1, since=10), None),
        (values("referred_by", 1, 2, until=9), values("referred_by", 2, 1, since=10), "other_talent_id"),
        (values("knows", 1, 2), values("knows", 2, 1), "kind"),
        (values("knows", 1, 2), values("knows", 2, 1, since=1), None),
        (values("works_at", 1, 9, 0, 5), values("works_at", 1, 9, 5), "starts_on"),
        (values("works_at", 1, 9, 0, 5), values("works_at", 1, 9, 6), None),
        (values("works_at", 1, 9, 0, 5), values("works_at", 1, 8, 0), None),
        (values("worked_at", 1, 9, 0, 5), values("works_at", 1, 9, 0), None),
    ],
)  # fmt: skip
def test_one_beside_another(there: dict[str, Any], wanted: dict[str, Any], field: str | None) -> None:
    found = Beside([stored(7, there)]).refuses("new", wanted)
    assert [fault.field for fault in found] == ([field] if field else [])
    assert not any(part in fault.message for fault in found for part in (wanted["talent_id"], "2020"))


def test_a_relation_is_not_beside_itself() -> None:
    beside = Beside([stored(7, values("reports_to", 1, 2)), stored(8, values("reports_to", 2, 3))])
    assert beside.refuses(UUID(int=7), values("reports_to", 2, 1)) == ()
    assert beside.refuses(UUID(int=7), values("reports_to", 3, 2)) != ()
    # What it leaves is taken until the batch is written.
    beside.stands(UUID(int=7), values("reports_to", 1, 3))
    assert [fault.field for fault in beside.refuses("new", values("reports_to", 1, 2))] == ["kind"]


KINDS = ("works_at", "reports_to", "referred_by", "knows")
# Few, so that what comes is against what is there more often than not.
PEOPLE = st.integers(1, 3)
DAYS = st.one_of(st.none(), st.integers(0, 2))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    one, other = draw(PEOPLE), draw(PEOPLE)
    since, until = draw(DAYS), draw(DAYS)
    if since is not None and until is not None and until < since:
        since, until = until, since
    kind = draw(st.sampled_from(KINDS))
    return values(kind, one, other if kind == "works_at" or other != one else other + 4, since, until)


@given(
    there=st.lists(rows(), max_size=4),
    batch=st.lists(st.tuples(st.integers(0, 15), rows()), min_size=12, max_size=24),
)
def test_whatever_comes_no_two_that_stand_are_against_each_other(
    there: list[dict[str, Any]], batch: list[tuple[int, dict[str, Any]]]
) -> None:
    first = Beside()
    held: dict[object, dict[str, Any]] = {}
    for number, given_values in enumerate(there):
        name = UUID(int=number)
        if not first.refuses(name, given_values):
            first.stands(name, given_values)
            held[name] = given_values
    beside = Beside(
        stored(name.int, given_values) for name, given_values in held.items() if isinstance(name, UUID)
    )
    for number, given_values in batch:
        # Of a few names, so that rows change what stands as well.
        name = UUID(int=number) if UUID(int=number) in held else f"key {number}"
        if not beside.refuses(name, given_values):
            beside.stands(name, given_values)
            held[name] = given_values
    found = [msgspec.convert(one, RelationFields) for one in held.values()]
    for one, other in combinations(found, 2):
        if (one.kind, one.talent_id, one.company_id) == ("works_at", other.talent_id, other.company_id) and (
            other.kind == "works_at"
        ):
            assert not overlapping(Span(one.starts_on, one.ends_on), Span(other.starts_on, other.ends_on))
        ends = [
            {each.talent_id, each.other_talent_id}
            if each.kind == "knows"
            else (each.talent_id, each.company_id or each.other_talent_id)
            for each in (one, other)
        ]
        assert (one.kind, one.starts_on, ends[0]) != (other.kind, other.starts_on, ends[1])
    referred = [(one.talent_id, one.other_talent_id) for one in found if one.kind == "referred_by"]
    assert all(find_cycle([edge for edge in referred if edge != new], new) is None for new in referred)
    for moment in range(-1, 8):
        day = FIRST + timedelta(days=moment)
        led = [
            (one.talent_id, one.other_talent_id)
            for one in found
            if one.kind == "reports_to" and overlapping(Span(one.starts_on, one.ends_on), Span(day, day))
        ]
        assert all(find_cycle([edge for edge in led if edge != new], new) is None for new in led)
