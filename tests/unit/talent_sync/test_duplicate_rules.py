"""Names, keys, weights and choices: what is decided of people who may be there twice, without a database."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looma_core.api.person import Education, Experience
from looma_core.api.talent import TalentDraft
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.duplicates.choosing import joined, merged_values, put_back
from looma_engines.talent_sync.duplicates.features import address, features_of, number, organisation, place
from looma_engines.talent_sync.duplicates.keys import keys_of, secret_of
from looma_engines.talent_sync.duplicates.naming import Likeness, forms, likeness
from looma_engines.talent_sync.duplicates.review import SAYS
from looma_engines.talent_sync.duplicates.scanning import status_after
from looma_engines.talent_sync.duplicates.scoring import CHANCES, judge
from support.labelled_duplicates import STRANGERS, VARIATIONS, pairs, rates

TODAY = date(2026, 11, 27)
SECRET = secret_of("a-key,another")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Jane Smith", "SMITH, Jane", "same"),
        ("José Núñez", "Jose Nunez", "same"),
        ("Xiaoming Wang", "Wang Xiao-Ming", "same"),
        ("张伟", "Zhang Wei", "transliterated"),
        ("欧阳娜娜", "Nana Ouyang", "transliterated"),
        ("王小明", "Wang Xiao Ming", "transliterated"),
        ("曾小明", "Zeng Xiaoming", "transliterated"),
        ("吕布", "Lü Bu", "transliterated"),
        ("Jane Smith", "Jane Smyth", "close"),
        ("Jane Smith", "Jane Ann Smith", "close"),
        ("张伟", "张玮", "close"),
        ("Jane Smith", "J. Smith", "initials"),
        ("Jane Smith", "John Smith", "part"),
        ("张伟", "张敏", "part"),
        ("张伟", "David Zhang", "part"),
        ("Jane Smith", "Ann Miller", "different"),
        ("张伟", "Ann Miller", "different"),
        ("Li Na", "Li Ma", "part"),
        ("", "Ann Miller", "different"),
    ],
)
def test_how_alike_names_are(one: str, other: str, expected: str) -> None:
    assert likeness(one, other) == likeness(other, one) == expected


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_two_texts_have_a_likeness_whichever_comes_first(one: str, other: str) -> None:
    assert likeness(one, other) is likeness(other, one)
    assert (likeness(one, one) is Likeness.SAME) == bool(forms(one))


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        (lambda text: number(text, "zh"), "139 1111 2222", "+86 139-1111-2222"),
        (lambda text: number(text, "en"), "(020) 7946 0018", "+44 20 7946 0018"),
        (address, "Ada+jobs@Mail.example", "ada@mail.example"),
        (organisation, "Harbour Payments Ltd.", "Harbour payments"),
        (organisation, "港湾支付有限公司", "港湾支付"),
        (place, "上海市", "Shanghai, China"),
    ],
)
def test_one_value_has_one_spelling(field: Any, one: str, other: str) -> None:
    assert field(one) == field(other) is not None


def test_a_tenant_and_a_secret_have_keys_of_their_own() -> None:
    who = features_of(TalentDraft(full_name="Ada Lovelace", email="ada@mail.example"))
    mine = keys_of(who, secret=SECRET, tenant="one")
    assert {key.kind for key in mine} == {"email", "name"}
    assert not mine & keys_of(who, secret=SECRET, tenant="two")
    assert not mine & keys_of(who, secret=secret_of("another"), tenant="one")
    assert mine == keys_of(who, secret=secret_of("a-key"), tenant="one")


def judged(one: TalentDraft, other: TalentDraft) -> str:
    return judge(features_of(one), features_of(other), today=TODAY).verdict


PHONE = {"phone": "+86 139 1111 2222"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (
            TalentDraft(full_name="Jane Smith", **PHONE),
            TalentDraft(full_name="Peter Smith", **PHONE),
            "unlikely",
        ),
        (
            TalentDraft(full_name="Jane Smith", **PHONE),
            TalentDraft(full_name="Jane Smith", **PHONE),
            "certain",
        ),
        (TalentDraft(full_name="Jane Smith", **PHONE), TalentDraft(full_name="J. Smith", **PHONE), "likely"),
        (
            TalentDraft(full_name="Jane Smith", email="desk@mail.example", **PHONE),
            TalentDraft(full_name="Li Na", email="desk@mail.example", **PHONE),
            "unlikely",
        ),
        (TalentDraft(full_name="Jane Smith"), TalentDraft(full_name="Jane Smith"), "unlikely"),
        (
            TalentDraft(full_name="Jane Smith", email="a@mail.example"),
            TalentDraft(full_name="Jane Smith", email="b@mail.example"),
            "unlikely",
        ),
    ],
)
def test_what_follows_of_what(one: TalentDraft, other: TalentDraft, expected: str) -> None:
    assert judged(one, other) == judged(other, one) == expected


def test_the_sum_has_a_reason_for_each_field_that_both_have() -> None:
    job = Experience(company="Harbour", start="2019-01", end="2021-03")
    later = Experience(company="Harbour Ltd", start="2020", end=None)
    one = TalentDraft(full_name="Jane Smith", experience=[job], education=[Education(institution="Leeds")])
    other = TalentDraft(full_name="Jane Smith", experience=[later], **PHONE)
    found = judge(features_of(one), features_of(other), today=TODAY)
    assert [(reason.field, reason.outcome) for reason in found.reasons] == [
        ("name", "same"),
        ("experience", "together"),
    ]
    assert found.weight == round(-5 + sum(reason.weight for reason in found.reasons), 2)


def test_every_outcome_has_chances_that_add_up_and_a_sentence() -> None:
    for field, outcomes in CHANCES.items():
        for of_whom in (0, 1):
            assert sum(chances[of_whom] for chances in outcomes.values()) == pytest.approx(1, abs=0.001), (
                field
            )
    assert {(field, str(outcome)) for field, outcomes in CHANCES.items() for outcome in outcomes} == set(SAYS)


def test_precision_and_recall_keep_their_floor() -> None:
    found = []
    for pair in pairs(60, seed=20261127):
        one, other = features_of(pair.one), features_of(pair.other)
        keys = [keys_of(who, secret=SECRET, tenant="t") for who in (one, other)]
        verdict = judge(one, other, today=TODAY).verdict if keys[0] & keys[1] else "unlikely"
        found.append((pair, verdict))
    certain = rates([(verdict == "certain", pair.same) for pair, verdict in found])
    shown = rates([(verdict != "unlikely", pair.same) for pair, verdict in found])
    assert certain.precision >= 0.99, certain
    assert certain.recall >= 0.6, certain
    assert shown.precision >= 0.9, shown
    assert shown.recall >= 0.88, shown
    assert {pair.how for pair, _ in found} == {*VARIATIONS, *STRANGERS}
    couples = [verdict for pair, verdict in found if pair.how == "a couple with one number"]
    assert "certain" not in couples


@pytest.mark.parametrize(
    ("status", "changed", "expected"),
    [
        ("open", False, "open"),
        ("dismissed", False, "dismissed"),
        ("dismissed", True, "open"),
        ("gone", False, "open"),
        ("merged", True, "merged"),
    ],
)
def test_whether_a_pair_waits(status: str, changed: bool, expected: str) -> None:
    assert status_after(status, changed=changed) == expected


KEPT = {"full_name": "Ada", "email": None, "phone": "1", "skills": ["Go", "SQL"]}
OTHER = {"full_name": "Ada L", "email": "a@mail.example", "phone": "2", "skills": ["sql", "C"]}


@pytest.mark.parametrize(
    ("takes", "field", "expected"),
    [
        ({}, "full_name", "Ada"),
        ({}, "email", "a@mail.example"),
        ({"email": "keep"}, "email", None),
        ({"phone": "other"}, "phone", "2"),
        ({}, "skills", ["Go", "SQL", "C"]),
        ({"skills": "other"}, "skills", ["sql", "C"]),
        ({"skills": "keep"}, "skills", ["Go", "SQL"]),
    ],
)
def test_what_a_merged_record_has(takes: dict[str, str], field: str, expected: object) -> None:
    assert merged_values(KEPT, OTHER, takes)[field] == expected


def test_both_is_for_lists() -> None:
    with pytest.raises(ValidationProblem) as refused:
        merged_values(KEPT, OTHER, {"email": "both"})
    assert [error.field for error in refused.value.errors] == ["fields.email"]


def test_a_job_that_is_in_both_is_there_once_and_whole() -> None:
    mine = [{"company": "Harbour", "title": "Engineer", "start": "2020", "end": None}]
    theirs = [
        {"company": "harbour ", "title": "Engineer", "start": "2020", "end": "2022"},
        {"company": "Northwind", "title": "Engineer", "start": "2020", "end": None},
    ]
    assert joined("experience", mine, theirs) == [{**mine[0], "end": "2022"}, theirs[1]]


FIELDS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), min_size=3)


@given(FIELDS, FIELDS)
def test_undoing_puts_back_just_what_was_changed(before: dict[str, int], after: dict[str, int]) -> None:
    changed = [name for name in before if before[name] != after[name]]
    found = put_back(
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        now=after,
    )
    assert found.values == before
    assert found.changed_since == ()


@given(FIELDS, FIELDS, FIELDS)
def test_undoing_names_what_it_would_lose(
    before: dict[str, int], after: dict[str, int], now: dict[str, int]
) -> None:
    changed = [name for name in before if before[name] != after[name]]
    found = put_back(
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        now=now,
    )
    for name, was in before.items():
        lost = name in changed and now[name] not in (was, after[name])
        assert (name in found.changed_since) == lost
        assert found.values[name] == (was if name in changed else now[name])
