"""Rules of relations: what each finds, and what it leaves alone; circles by their definition."""

from __future__ import annotations

import itertools
import uuid
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.relation import OBJECTS, RelationDraft
from looma_engines.talent_sync.kinds import tidy_relation
from looma_engines.talent_sync.quality.assessing import assess, refusals
from looma_engines.talent_sync.quality.chains import find_cycle
from looma_engines.talent_sync.quality.relations import RULES, Beside, Span, overlapping

TODAY = date(2026, 11, 27)
ADA, BEN, FIRM, POST = (uuid.UUID(int=number) for number in range(1, 5))
ENDS = {"company_id": FIRM, "job_id": POST, "other_talent_id": BEN}


def draft(kind: str = "works_at", **changes: Any) -> RelationDraft:
    """A whole relation of a kind."""
    given_ends = {OBJECTS[kind]: ENDS[OBJECTS[kind]]}
    title = {"title": "Engineer"} if kind in ("works_at", "worked_at") else {}
    ended = {"ends_on": date(2024, 1, 31)} if kind == "worked_at" else {}
    whole = {"kind": kind, "talent_id": ADA, "starts_on": date(2020, 1, 1), **given_ends, **title, **ended}
    return RelationDraft(**{**whole, **changes})


def found(record: RelationDraft) -> set[tuple[str, str]]:
    return {(item.rule, item.field) for item in assess(record, today=TODAY, rules=RULES).findings}


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_whole_relation_of_each_kind_is_right(kind) -> None:
    assert found(draft(kind)) == set()


@pytest.mark.parametrize(
    ("kind", "changes", "rule", "field"),
    [
        ("works_at", {"company_id": None}, "relation.object.kind", "company_id"),
        ("works_at", {"job_id": POST}, "relation.object.kind", "job_id"),
        ("knows", {"company_id": FIRM}, "relation.object.kind", "company_id"),
        ("hired_for", {"job_id": None}, "relation.object.kind", "job_id"),
        ("reports_to", {"other_talent_id": ADA}, "relation.object.other", "other_talent_id"),
        ("knows", {"title": "Friend"}, "relation.title.kind", "title"),
        ("reports_to", {"ends_on": date(2019, 12, 31)}, "relation.dates.order", "ends_on"),
        ("knows", {"starts_on": date(1899, 12, 31)}, "relation.dates.range", "starts_on"),
        ("works_at", {"ends_on": date(2037, 1, 1)}, "relation.dates.range", "ends_on"),
        ("works_at", {"ends_on": date(2026, 11, 26)}, "relation.work.over", "kind"),
        ("worked_at", {"ends_on": None}, "relation.work.ended", "ends_on"),
        ("worked_at", {"ends_on": date(2026, 11, 28)}, "relation.work.ended", "ends_on"),
        ("applied_to", {"starts_on": date(2026, 11, 28)}, "relation.dates.future", "starts_on"),
        ("worked_at", {"starts_on": date(1970, 1, 1)}, "relation.work.length", "ends_on"),
        ("works_at", {"starts_on": None}, "relation.starts_on.required", "starts_on"),
        ("works_at", {"title": None}, "relation.title.required", "title"),
        ("knows", {"note": "a\x00b"}, "relation.texts.control", "note"),
        ("knows", {"note": "11010519491231002X"}, "relation.texts.identity_number", "note"),
    ],
)
def test_each_rule_finds_its_fault_and_no_other_does(kind, changes, rule, field) -> None:
    assert found(draft(kind, **changes)) == {(rule, field)}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("works_at", {"ends_on": TODAY}),
        ("worked_at", {"ends_on": TODAY}),
        ("works_at", {"ends_on": date(2020, 1, 1)}),
        ("hired_for", {"starts_on": date(2027, 3, 1)}),
        ("applied_to", {"starts_on": TODAY}),
        ("knows", {"starts_on": date(1900, 1, 1)}),
        ("works_at", {"ends_on": date(2036, 11, 26)}),
    ],
)
def test_what_lies_at_the_edge_is_right(kind, changes) -> None:
    only = {"relation.work.over"} if changes.get("ends_on") == date(2020, 1, 1) else set()
    assert {rule for rule, _ in found(draft(kind, **changes))} == only


def test_a_draft_is_tidied() -> None:
    neat = tidy_relation(draft(title="  Engineer ", note="  "))
    assert (neat.title, neat.note) == ("Engineer", None)


OPEN = Span(None, None)


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        (Span(date(2020, 1, 1), date(2021, 1, 1)), Span(date(2021, 1, 1), date(2022, 1, 1)), True),
        (Span(date(2020, 1, 1), date(2021, 1, 1)), Span(date(2021, 1, 2), None), False),
        (Span(date(2020, 1, 1), None), Span(date(2022, 1, 1), None), True),
        (OPEN, Span(date(2022, 1, 1), date(2023, 1, 1)), True),
        (OPEN, OPEN, True),
    ],
)
def test_spans_overlap_where_they_have_a_day_in_common(one, other, answer) -> None:
    assert overlapping(one, other) is answer
    assert overlapping(other, one) is answer


def refused(record: RelationDraft, beside: Beside) -> dict[str, str]:
    return {error.field: error.message for error in refusals(record, today=TODAY, rules=RULES, beside=beside)}


def test_work_beside_other_work_at_the_company_is_refused_and_says_until_when() -> None:
    earlier = Span(date(2018, 5, 1), date(2020, 6, 30))
    assert refused(draft(), Beside(work=(earlier,))) == {
        "starts_on": "the person works there since 2018-05-01 until 2020-06-30: end that relation before"
    }
    assert refused(draft(starts_on=date(2020, 7, 1)), Beside(work=(earlier,))) == {}
    assert refused(draft("worked_at"), Beside(work=(earlier,))) == {}


def test_a_circle_is_refused_with_its_path() -> None:
    (message,) = refused(draft("reports_to"), Beside(circle=("Ada", "Ben", "Ada"))).values()
    assert message.startswith("closes a circle: Ada → Ben → Ada;")
    assert refused(draft("reports_to"), Beside()) == {}


@pytest.mark.parametrize(
    ("edges", "new", "answer"),
    [
        ("", "ab", None),
        ("", "aa", "aa"),
        ("ba", "ab", "aba"),
        ("bc ca", "ab", "abca"),
        ("bc cb", "ab", None),
        ("bc cd da bd", "ab", "abda"),
        ("ab bc", "cd", None),
    ],
)
def test_the_circle_that_one_more_closes(edges, new, answer) -> None:
    circle = find_cycle([(one, other) for one, other in edges.split()], (new[0], new[1]))
    assert circle == (None if answer is None else tuple(answer))


NODES = st.integers(0, 7)
EDGES = st.lists(st.tuples(NODES, NODES), max_size=20)


def reachable(edges: list[tuple[int, int]], start: int) -> set[int]:
    """By closing the set of edges step by step, without a search."""
    there = {start}
    for _ in range(8):
        there |= {other for one, other in edges if one in there}
    return there


@given(edges=EDGES, new=st.tuples(NODES, NODES))
def test_there_is_a_circle_exactly_where_the_way_leads_back(edges, new) -> None:
    circle = find_cycle(edges, new)
    assert (circle is not None) == (new[0] in reachable(edges, new[1]))
    if circle is not None:
        steps = list(itertools.pairwise(circle))
        assert steps[0] == new
        assert circle[0] == circle[-1]
        assert set(steps[1:]) <= set(edges)
        assert len(set(circle)) == len(circle) - 1, "no person is passed twice"


@given(edges=EDGES)
def test_what_is_added_only_where_it_closes_none_never_has_one(edges) -> None:
    kept: list[tuple[int, int]] = []
    for edge in edges:
        if find_cycle(kept, edge) is None:
            kept.append(edge)
    assert all(find_cycle([other for other in kept if other != edge], edge) is None for edge in kept)
