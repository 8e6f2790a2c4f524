"""Rules of talents: what each finds, what they leave alone, and the score that they come to."""

from __future__ import annotations

import random
import re
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.person import Education, Experience
from looma_core.api.quality import Assessment, Severity
from looma_core.api.talent import Source, TalentDraft
from looma_core.problems import FieldError
from looma_engines.talent_sync.kinds import tidy_talent as tidy
from looma_engines.talent_sync.quality import contact, periods
from looma_engines.talent_sync.quality.assessing import assess as assess_by
from looma_engines.talent_sync.quality.assessing import refusals as refusals_by
from looma_engines.talent_sync.quality.identity_numbers import is_identity_number, masked
from looma_engines.talent_sync.quality.talent_times import degree_level
from looma_engines.talent_sync.quality.talents import RULES
from support.labelled_talents import DEFECTS, identity_number, labelled

TODAY = date(2026, 11, 27)
SEED = 20261127


def assess(draft: TalentDraft) -> Assessment:
    return assess_by(draft, today=TODAY, rules=RULES)


def refusals(draft: TalentDraft) -> list[FieldError]:
    return refusals_by(draft, today=TODAY, rules=RULES)


@pytest.mark.parametrize("kind", sorted(DEFECTS))
def test_each_kind_of_defect_is_found_where_it_is(kind):
    found = [one for one in labelled(SEED, good=0, bad=4 * len(DEFECTS)) if one.kind == kind]
    seen = [any(finding.field == one.field for finding in assess(one.draft).findings) for one in found]
    assert len(seen) == 4
    # Of hosts that are typed by mistake the list has the frequent ones.
    assert sum(seen) >= (3 if kind == "a slip in the address" else 4)


def test_of_five_hundred_talents_with_a_label_nearly_all_are_judged_rightly():
    records = labelled(SEED)
    assert len(records) == 500
    wrong = [one for one in records if is_objected(one.draft, one.field) is (one.kind == "good")]
    assert len(wrong) <= 10, [(one.kind, one.draft) for one in wrong]


def is_objected(draft: TalentDraft, field: str) -> bool:
    """Whether there is a finding at the field; anywhere if none is named."""
    findings = assess(draft).findings
    return any(not field or finding.field == field for finding in findings)


def test_a_record_without_a_fault_has_all_points():
    for one in labelled(SEED, good=50, bad=0):
        found = assess(one.draft)
        assert (found.score, found.losses, found.accepted) == (100, [], True)


def test_a_score_is_explained():
    draft = TalentDraft(full_name="Ada Byron", email="ada@mail.example", skills=["SQL", "Go"])
    found = assess(draft)
    lost = {loss.rule: loss.points for loss in found.losses}
    assert lost == {
        "talent.experience.required": 10,
        "talent.education.required": 5,
        "talent.skills.enough": 4.8,
        "talent.location.required": 4,
        "talent.headline.required": 4,
        "talent.summary.required": 4,
        "talent.contact.both": 2,
    }
    assert found.score == round(100 - sum(lost.values()))
    assert [loss.points for loss in found.losses] == sorted(lost.values(), reverse=True)


def test_one_of_four_costs_a_quarter():
    jobs = [
        Experience(title="a", company=f"c{year}", start=f"{year}-01", end=f"{year}-11", description="d")
        for year in range(2015, 2019)
    ]
    whole = assess(TalentDraft(full_name="Ada", experience=jobs))
    jobs[2].start = None
    less = assess(TalentDraft(full_name="Ada", experience=jobs))
    assert [loss for loss in less.losses if loss not in whole.losses] == [
        msgspec.convert({"rule": "talent.experience.dates", "points": 0.75, "of": 3}, type(less.losses[0]))
    ]


def test_what_is_refused_is_worth_nothing():
    found = assess(TalentDraft(full_name="1"))
    assert (found.accepted, found.score) == (False, 0)
    assert [error.field for error in refusals(TalentDraft(full_name="1"))] == ["full_name"]


@given(st.randoms(use_true_random=False))
def test_an_identity_number_is_known_by_its_check_digit(draw):
    number = identity_number(draw)
    assert is_identity_number(number)
    assert masked(f"号{number}，") == f"号{number[:2]}{'*' * 16}，"
    # Any one digit that is another: the check digit tells (ISO 7064, MOD 11-2).
    place = draw.randrange(17)
    other = number[:place] + str((int(number[place]) + draw.randint(1, 9)) % 10) + number[place + 1 :]
    assert not is_identity_number(other)
    assert masked(other) == other


@pytest.mark.parametrize(
    "text", ["110105194912310021", "1101051949123100", "x11010519491231002X", "6222021234567890123", ""]
)
def test_other_numbers_stay(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    ("start", "end", "dates", "answer"),
    [
        ("2020-03", "2021-02", None, (2020 * 12 + 2, 2021 * 12 + 1)),
        ("2020", "2022", None, (2020 * 12 + 11, 2022 * 12)),
        ("2020-03", None, "2020 - Present", (2020 * 12 + 2, 2026 * 12 + 10)),
        ("2020-03", None, "2020年3月至今", (2020 * 12 + 2, 2026 * 12 + 10)),
        ("2020-03", None, None, None),
        ("2020-03", None, "2020 - nowhere", None),
        (None, "2020-03", None, None),
    ],
)
def test_what_a_job_holds_for_certain(start, end, dates, answer):
    assert periods.certain(Experience(start=start, end=end, dates=dates), TODAY) == answer


@pytest.mark.parametrize(
    ("number", "language", "answer"),
    [
        ("13800138000", "en", True),
        ("+86 138 0013 8000", "zh", True),
        ("010-8888 8888转803", "zh", True),
        ("(212) 555-0147", "en", True),
        ("+44 20 7946 0142 ext. 12", "en", True),
        ("+852 2345 6789", "zh", True),
        ("12800138000", "zh", False),
        ("12345", "en", False),
        ("+1 012 345 6789", "en", False),
    ],
)
def test_numbers_that_can_be_called(number, language, answer):
    assert contact.can_be_called(number, language) is answer


@pytest.mark.parametrize(
    ("degree", "level"),
    [
        ("博士", 4),
        ("Ph.D.", 4),
        ("Doctor of Philosophy", 4),
        ("硕士研究生", 3),
        ("MSc", 3),
        ("M.Eng.", 3),
        ("MBA", 3),
        ("本科", 2),
        ("B.A.", 2),
        ("Bachelor of Science", 2),
        ("大专", 1),
        ("Certificate", 0),
        ("Embassy course", 0),
        (None, 0),
    ],
)
def test_levels_of_degrees(degree, level):
    assert degree_level(degree) == level


months = st.none() | st.builds(
    lambda year, month: f"{year}-{month:02}", st.integers(1800, 2100), st.integers(1, 12)
)
years = st.none() | st.integers(0, 9999).map(lambda year: f"{year:04}")
texts = (
    st.none()
    | st.text(max_size=30)
    | st.sampled_from(["至今", "Present", "110105194912310029", "PhD", "本科"])
)
drafts = st.builds(
    TalentDraft,
    full_name=st.text(min_size=1, max_size=20),
    email=texts,
    phone=texts | st.sampled_from(["13800138000", "+44 20 7946 0142"]),
    location=texts,
    headline=texts,
    summary=texts,
    language=st.sampled_from(["zh", "en"]),
    skills=st.lists(st.text(min_size=1, max_size=10), max_size=4),
    experience=st.lists(
        st.builds(
            Experience, title=texts, company=texts, start=months | years, end=months | years, dates=texts
        ),
        max_size=4,
    ),
    education=st.lists(
        st.builds(
            Education, institution=texts, degree=texts, start=months | years, end=months | years, dates=texts
        ),
        max_size=3,
    ),
    source=st.builds(Source, type=st.sampled_from(["resume", "manual"]), ref=st.none() | st.just("r")),
)


@given(drafts)
def test_whatever_it_is_it_gets_a_score_that_its_losses_explain(draft):
    found = assess(draft)
    assert found == assess(draft)
    assert found.accepted is (not refusals(draft))
    expected = max(0, round(100 - sum(loss.points for loss in found.losses))) if found.accepted else 0
    assert found.score == expected
    known = {rule.id: rule for rule in RULES}
    for loss in found.losses:
        assert 0 < loss.points <= known[loss.rule].points == loss.of
    for finding in found.findings:
        assert re.sub(r"\[\d+\]", "[]", finding.field).split(".")[0].removesuffix("[]") in {
            field.name for field in msgspec.structs.fields(TalentDraft)
        }


@given(drafts)
def test_what_is_stored_has_nothing_left_to_mask(draft):
    found = assess(tidy(draft))
    assert all(finding.severity is not Severity.MASKED for finding in found.findings)
    assert all(finding.rule != "talent.skills.once" for finding in found.findings)


def test_a_record_that_gets_what_it_lacked_is_not_worse():
    draw = random.Random(SEED)  # noqa: S311 - made-up people
    for one in labelled(SEED, good=40, bad=0):
        poorer = msgspec.structs.replace(one.draft)
        for name in draw.sample(["location", "headline", "summary", "email"], 4):
            setattr(poorer, name, None)
            better = assess(one.draft).score
            assert assess(poorer).score < better
