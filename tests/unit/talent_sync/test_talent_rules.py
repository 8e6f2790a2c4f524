"""Decisions of talent-sync without a database: merge patches, tidying, cursors, entity tags."""

from __future__ import annotations

import string
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from looma_core.api.person import Experience
from looma_core.api.talent import TalentDraft
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync import cursor
from looma_engines.talent_sync.etag import allows, tag_of, unchanged
from looma_engines.talent_sync.kinds import tidy_talent as tidy
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.quality.talents import RULES
from looma_engines.talent_sync.records.merging import merge_patch

TODAY = date(2026, 11, 27)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.ascii_letters, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("target", "patch", "answer"),
    [
        # The examples of RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, answer: Any) -> None:
    assert merge_patch(target, patch) == answer


@given(JSON, JSON)
def test_a_patch_twice_is_a_patch_once(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(JSON)
def test_patching_changes_nothing_in_place(target: Any) -> None:
    before = msgspec.json.encode(target)
    merge_patch(target, {"a": {"b": 1}, "b": None})
    assert msgspec.json.encode(target) == before


@pytest.mark.parametrize(
    ("start", "end", "fits"),
    [
        ("2020-01", "2020-01", True),
        ("2020-01", "2019-12", False),
        ("2020-05", "2020", True),
        ("2020", "2020-01", True),
        ("2020", "2019", False),
        ("2020-05", None, True),
        (None, "2020-05", True),
        ("1899", None, False),
    ],
)
def test_periods(start: str | None, end: str | None, fits: bool) -> None:
    draft = TalentDraft(full_name="Ada", experience=[Experience(start=start, end=end)])
    assert (refusals(draft, today=TODAY, rules=RULES) == []) is fits


@pytest.mark.parametrize(
    ("phone", "fits"),
    [
        ("+86 138 0013 8000", True),
        ("13800138000", True),
        ("(212) 555-0147", True),
        ("020-7946-0018 ext. 12", True),
        ("010-8888 8888转803", True),
        ("1234", False),
        ("phone: 13800138000", False),
        ("+86 138 0013 8000 0000 0000", False),
        ("٠١٢٣٤٥٦٧", False),
    ],
)
def test_phones(phone: str, fits: bool) -> None:
    assert (refusals(TalentDraft(full_name="Ada", phone=phone), today=TODAY, rules=RULES) == []) is fits


@pytest.mark.parametrize(
    ("email", "fits"),
    [
        ("ada@example.org", True),
        ("ada+crm@mail.example.org", True),
        ("王@例子.公司", True),
        ("ada@localhost", False),
        ("ada@example..org", False),
        ("@example.org", False),
        ("ada@", False),
        ("a b@example.org", False),
        ("a@b@example.org", False),
    ],
)
def test_addresses(email: str, fits: bool) -> None:
    assert (refusals(TalentDraft(full_name="Ada", email=email), today=TODAY, rules=RULES) == []) is fits


def test_tidying_trims_and_empties() -> None:
    neat = tidy(
        TalentDraft(
            full_name="  Ada \n Byron ",
            email=" Ada@EXAMPLE.org ",
            phone=" ",
            headline="",
            skills=["SQL ", " sql", " "],
        )
    )
    assert (neat.full_name, neat.email, neat.phone, neat.headline) == (
        "Ada Byron",
        "Ada@example.org",
        None,
        None,
    )
    assert neat.skills == ["SQL"]


def test_tidying_masks_numbers_of_identity_cards_wherever_they_are() -> None:
    number = "11010519491231002X"
    neat = tidy(
        TalentDraft(
            full_name="Ada",
            summary=f"身份证号：{number}，党员",
            experience=[Experience(title="Analyst", description=f"ID {number}.")],
        )
    )
    assert neat.summary == "身份证号：11****************，党员"
    assert neat.experience[0].description == "ID 11****************."
    assert neat.experience[0].title == "Analyst"
    assert number[2:] not in str(neat)


@given(st.text(max_size=40), st.text(max_size=40))
def test_tidying_twice_is_tidying_once(name: str, skill: str) -> None:
    once = tidy(TalentDraft(full_name=name, headline=skill, skills=[skill, name]))
    assert tidy(once) == once


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_cursors_come_back(at: datetime, row_id: UUID) -> None:
    text = cursor.encode(sort="-created_at", key=at, row_id=row_id)
    position = cursor.decode(text, sort="-created_at")
    assert (position.key, position.id) == (at, row_id)


@given(st.text(max_size=60))
def test_any_other_text_is_a_problem(text: str) -> None:
    assume(not text.startswith("Wy"))  # how a cursor of ours begins
    with pytest.raises(ValidationProblem) as caught:
        cursor.decode(text, sort="full_name")
    assert [error.field for error in caught.value.errors] == ["cursor"]


def test_names_with_any_letters_page() -> None:
    row_id = uuid4()
    text = cursor.encode(sort="full_name", key="王小明 O'Neil", row_id=row_id)
    assert cursor.decode(text, sort="full_name").key == "王小明 O'Neil"


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ('"3"', True),
        ('"2", "3"', True),
        ("*", True),
        ('"2"', False),
        ('W/"3"', False),
        ("3", False),
        ("", False),
    ],
)
def test_if_match(header: str, answer: bool) -> None:
    assert allows(header, 3) is answer


@pytest.mark.parametrize(("header", "answer"), [('W/"3"', True), ('"3"', True), ("*", True), ('"4"', False)])
def test_if_none_match(header: str, answer: bool) -> None:
    assert unchanged(header, 3) is answer
    assert allows(tag_of(3), 3)
