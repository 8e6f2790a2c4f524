"""Taxonomies as files: what a row says, and what becomes of it; without a database."""

from __future__ import annotations

import json
from datetime import date
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looma_core.api.skill import SkillAlias, SkillDraft
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.quality.assessing import assess, refusals
from looma_engines.talent_sync.quality.skills import RULES, Beside
from looma_engines.talent_sync.skills.command import format_of
from looma_engines.talent_sync.skills.drafts import key_of, tidy
from looma_engines.talent_sync.skills.files import Given, Incoming, read_broader, read_skills
from looma_engines.talent_sync.skills.importing import starter_rows
from looma_engines.talent_sync.skills.planning import Planned, Stored, plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TODAY = date(2026, 11, 27)
ONE, OTHER = UUID(int=1), UUID(int=2)
CONCEPT = "http://data.europa.eu/esco/skill/made-up-1"
ABOVE = "http://data.europa.eu/esco/skill/S1.0"


def numbers():
    """Ids one after the other, far from those that tests name."""
    after = count(1000)
    return lambda: UUID(int=next(after))


def planned(rows: Iterable[Incoming], stored: list[Stored] | None = None) -> list[Planned]:
    given_rows = [Given(line=number, skill=row) for number, row in enumerate(rows, start=2)]
    return plan(given_rows, stored or [], new_id=numbers(), today=TODAY)


def csv_of(*lines: str) -> list[bytes]:
    return ["\n".join(lines).encode()]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Machine Learning", "machine-learning"),
        ("C++", "c-plus-plus"),
        ("C#", "c-sharp"),
        ("Node.js", "node-js"),
        ("  R&D  ", "r-and-d"),
        ("项目管理", None),
        ("---", None),
        ("a" * 99 + " b", "a" * 99),
    ],
)
def test_a_key_is_made_of_the_english_name(name: str, key: str | None) -> None:
    assert key_of(name) == key


def test_what_is_stored_of_a_draft() -> None:
    draft = SkillDraft(
        name_en="  Node.js ",
        name_zh=" ",
        aliases=[
            SkillAlias(language="en", name="Node.js"),
            SkillAlias(language="zh", name="Node.js"),
            SkillAlias(language="en", name=" Node   JS "),
            SkillAlias(language="en", name="Node JS"),
            SkillAlias(language="en", name="  "),
        ],
        parents=[ONE, OTHER, ONE],
    )
    neat = tidy(draft)
    assert (neat.key, neat.name_en, neat.name_zh) == ("node-js", "Node.js", None)
    assert [(alias.language, alias.name) for alias in neat.aliases] == [("zh", "Node.js"), ("en", "Node JS")]
    assert neat.parents == [ONE, OTHER]
    assert tidy(neat) == neat


@pytest.mark.parametrize(
    ("draft", "beside", "fields"),
    [
        (SkillDraft(key="a", name_en="A"), None, []),
        (SkillDraft(name_zh="甲"), None, ["key"]),
        (SkillDraft(key="a"), None, ["name_en"]),
        (SkillDraft(key="a", name_en="--"), None, ["name_en"]),
        (SkillDraft(key="a", name_en="A", esco_uri="https://example.org/1"), None, ["esco_uri"]),
        (SkillDraft(key="a", name_en="A", esco_uri=CONCEPT), None, []),
        (SkillDraft(key="a", name_en="A", replaced_by=ONE), None, ["replaced_by"]),
        (SkillDraft(key="a", name_en="A", replaced_by=ONE, status="retired"), None, []),
        (SkillDraft(key="a", name_en="A"), Beside(key="b"), ["key"]),
        (SkillDraft(key="a", name_en="A"), Beside(missing=(ONE,)), ["parents"]),
        (SkillDraft(key="a", name_en="A"), Beside(circle=("a", "b", "a")), ["parents"]),
        (
            SkillDraft(key="a", name_en="A"),
            Beside(circle=("a", "b", "a"), closed_by="replaced_by"),
            ["replaced_by"],
        ),
        (
            SkillDraft(key="a", name_en="A", aliases=[SkillAlias(language="zh", name="··")]),
            None,
            ["aliases[0].name"],
        ),
    ],
)
def test_what_a_skill_is_refused_for(draft: SkillDraft, beside: Beside | None, fields: list[str]) -> None:
    found = refusals(draft, today=TODAY, rules=RULES, beside=beside)
    assert [error.field for error in found] == fields


def test_what_a_skill_loses_points_for() -> None:
    whole = SkillDraft(key="a", name_en="A", name_zh="甲", parents=[ONE])
    assert assess(whole, today=TODAY, rules=RULES).score == 100
    poor = SkillDraft(key="a", name_en="A", aliases=[SkillAlias(language="en", name="a")])
    lost = {loss.rule: loss.points for loss in assess(poor, today=TODAY, rules=RULES).losses}
    assert lost == {"skill.name_zh.required": 30, "skill.parents.required": 20, "skill.aliases.once": 10}
    group = SkillDraft(key="a", name_en="A", name_zh="甲", kind="group")
    assert assess(group, today=TODAY, rules=RULES).score == 100


def test_rows_of_our_own_csv() -> None:
    header = "key,name_en,name_zh,kind,aliases_en,aliases_zh,parents"
    first, second, third = read_skills(
        csv_of(header, "go,Go,Go语言,tool,Golang; Go lang,,languages", "x,X,,spell,,,", "c,,,,,,"), "csv"
    )
    assert first.skill is not None
    assert (first.line, first.skill.key, first.skill.name_zh) == (2, "go", "Go语言")
    assert [alias.name for alias in first.skill.aliases or ()] == ["Golang", "Go lang"]
    assert (first.skill.parents, first.skill.esco_uri, first.skill.language) == (["languages"], None, None)
    assert [error.field for error in second.errors] == ["kind"]
    assert third.skill == Incoming(key="c", aliases=[], parents=[])


def test_a_column_that_is_not_known_is_told_for_each_row() -> None:
    (row,) = read_skills(csv_of("key,names", "go,Go"), "csv")
    assert [(error.field, "is no column" in error.message) for error in row.errors] == [("names", True)]


def test_rows_of_json_lines() -> None:
    lines = [
        {"key": "go", "name_en": "Go", "aliases": [{"language": "zh", "name": "Go语言"}], "parents": ["x"]},
        {"key": "go", "language": "en"},
        {"key": "go", "aliases": "Golang"},
    ]
    first, second, third = read_skills(["\n".join(map(json.dumps, lines)).encode()], "jsonl")
    assert first.skill is not None
    assert first.skill.parents == ["x"]
    assert [error.field for error in second.errors] == ["language"]
    assert [error.field for error in third.errors] == ["aliases"]


ESCO = (
    "conceptType,conceptUri,skillType,preferredLabel,altLabels,description",
    f'KnowledgeSkillCompetence,{CONCEPT},knowledge,weave rushes,"plait rushes\nbraid rushes",Made up.',
    f"SkillGroup,{ABOVE},,weaving,,Made up.",
    "KnowledgeSkillCompetence,,knowledge,nothing,,",
)
BROADER = ("conceptType,conceptUri,broaderType,broaderUri", f"Knowledge,{CONCEPT},SkillGroup,{ABOVE}")


def test_rows_of_a_file_of_esco() -> None:
    broader = read_broader(csv_of(*BROADER))
    first, second, third = read_skills(csv_of(*ESCO), "esco", language="en", broader=broader)
    assert first.skill is not None
    assert second.skill is not None
    assert (first.skill.key, first.skill.kind) == ("esco-made-up-1", "knowledge")
    assert (first.skill.name_en, first.skill.esco_uri) == ("weave rushes", CONCEPT)
    assert [alias.name for alias in first.skill.aliases or ()] == ["plait rushes", "braid rushes"]
    assert first.skill.parents == [ABOVE]
    assert (second.skill.key, second.skill.kind, second.skill.parents) == ("esco-s1-0", "group", [])
    assert [error.field for error in third.errors] == ["conceptUri"]
    with pytest.raises(ValidationProblem):
        read_broader(csv_of("a,b", "1,2"))


def test_a_further_language_adds_its_names_and_takes_none_away() -> None:
    english = list(
        read_skills(csv_of(*ESCO[:3]), "esco", language="en", broader=read_broader(csv_of(*BROADER)))
    )
    made = plan(english, [], new_id=numbers(), today=TODAY)
    assert [one.outcome for one in made] == ["created", "created"]
    assert made[0].draft is not None
    assert made[0].draft.parents == [made[1].id]
    stored = [Stored(id=one.id, version=1, draft=one.draft) for one in made if one.id and one.draft]
    german = csv_of(ESCO[0], f"KnowledgeSkillCompetence,{CONCEPT},knowledge,Binsen flechten,Binsen weben,")
    rows = list(read_skills(german, "esco", language="de"))
    (changed,) = plan(rows, stored, new_id=numbers(), today=TODAY)
    assert changed.outcome == "updated"
    assert changed.draft is not None
    assert (changed.draft.name_en, changed.draft.parents) == ("weave rushes", [made[1].id])
    assert [(alias.language, alias.name) for alias in changed.draft.aliases] == [
        ("en", "plait rushes"),
        ("en", "braid rushes"),
        ("de", "Binsen flechten"),
        ("de", "Binsen weben"),
    ]
    # The same file again says nothing new.
    again = [Stored(id=ONE, version=2, draft=changed.draft)]
    assert [one.outcome for one in plan(rows, again, new_id=numbers(), today=TODAY)] == ["unchanged"]
    # Nobody can call a skill that has a name in German alone.
    (refused,) = plan(rows, [], new_id=numbers(), today=TODAY)
    assert [error.field for error in refused.errors] == ["name_en"]


@pytest.mark.parametrize(
    ("stored", "outcome"),
    [
        (None, "created"),
        (Stored(id=ONE, version=3, draft=SkillDraft(key="go", name_en="Go")), "unchanged"),
        (Stored(id=ONE, version=3, draft=SkillDraft(key="go", name_en="Golang")), "updated"),
        (Stored(id=ONE, version=3, draft=SkillDraft(key="go", name_en="Golang"), by_people=True), "kept"),
        (Stored(id=ONE, version=3, draft=SkillDraft(key="go", name_en="Golang"), deleted=True), "kept"),
    ],
)
def test_what_becomes_of_a_row(stored: Stored | None, outcome: str) -> None:
    (done,) = planned([Incoming(key="go", name_en="Go")], [stored] if stored else [])
    assert done.outcome == outcome
    assert done.version == {"created": 1, "updated": 4}.get(outcome, 0)


def test_a_key_is_in_a_file_once() -> None:
    first, second = planned([Incoming(key="go", name_en="Go"), Incoming(name_en="GO")])
    assert (first.outcome, second.outcome) == ("created", "refused")
    assert "line 2" in second.errors[0].message


def test_what_is_under_a_refused_row_is_refused() -> None:
    done = planned(
        [
            Incoming(key="a", name_en="A", parents=["nowhere"]),
            Incoming(key="b", name_en="B", parents=["a"]),
            Incoming(key="c", name_en="C", parents=["d"]),
            Incoming(key="d", name_en="D"),
        ]
    )
    assert [one.outcome for one in done] == ["refused", "refused", "created", "created"]
    assert "nowhere" in done[0].errors[0].message
    assert done[2].draft is not None
    assert done[2].draft.parents == [done[3].id], "also of a row that comes later"


def test_no_row_is_put_under_what_is_deleted() -> None:
    gone = Stored(id=ONE, version=2, draft=SkillDraft(key="a", name_en="A"), deleted=True)
    done = planned([Incoming(key="b", name_en="B", parents=["a"]), Incoming(key="a", name_en="A")], [gone])
    assert [one.outcome for one in done] == ["refused", "kept"]


def test_a_row_that_closes_a_circle_with_what_is_kept_is_refused() -> None:
    above = Stored(id=ONE, version=2, draft=SkillDraft(key="a", name_en="A", parents=[OTHER]), by_people=True)
    below = Stored(id=OTHER, version=1, draft=SkillDraft(key="b", name_en="B"))
    (done,) = planned([Incoming(key="b", name_en="B", parents=["a"])], [above, below])
    assert (done.outcome, done.errors[0].field) == ("refused", "parents")


KEYS = [f"s{number}" for number in range(8)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.lists(st.sampled_from(KEYS), max_size=3)), max_size=12))
def test_whatever_a_file_says_nothing_is_above_itself(rows: list[tuple[str, list[str]]]) -> None:
    half = len(rows) // 2
    before = planned(Incoming(key=key, name_en=key, parents=above) for key, above in rows[:half])
    stored = [
        Stored(id=one.id, version=1, draft=one.draft, by_people=number % 3 == 0)
        for number, one in enumerate(before)
        if one.outcome == "created" and one.id and one.draft
    ]
    after = planned((Incoming(key=key, name_en=key, parents=above) for key, above in rows[half:]), stored)
    drafts = {one.id: one.draft for one in stored}
    drafts |= {one.id: one.draft for one in after if one.outcome in {"created", "updated"}}  # type: ignore[misc]
    left = {number: set(draft.parents) for number, draft in drafts.items() if draft is not None}
    assert all(above <= set(left) for above in left.values()), "what is above something is there"
    # Taken away from the top, nothing is left over: so there is no circle.
    while top := [number for number, above in left.items() if not above & set(left)]:
        for number in top:
            del left[number]
    assert not left


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(KEYS), max_size=6), st.lists(st.sampled_from(KEYS), max_size=6))
def test_the_same_file_again_changes_nothing(first: list[str], second: list[str]) -> None:
    rows = [Incoming(key=key, name_en=key, parents=second[:2]) for key in first]
    done = planned(rows)
    stored = [Stored(id=one.id, version=1, draft=one.draft) for one in done if one.id and one.draft]
    again = planned(rows, stored)
    assert {one.outcome for one in again} <= {"unchanged", "refused"}
    assert [one.key for one in again if one.outcome == "refused"] == [
        one.key for one in done if one.outcome == "refused"
    ]


def test_the_taxonomy_that_comes_along_is_whole() -> None:
    rows = starter_rows()
    done = plan(rows, [], new_id=numbers(), today=TODAY)
    assert {one.outcome for one in done} == {"created"}
    assert 250 <= len(done) <= 350
    for one in done:
        assert one.draft is not None
        said = assess(one.draft, today=TODAY, rules=RULES)
        assert said.score == 100 or one.draft.kind == "group", (one.key, said.findings)


@pytest.mark.parametrize(
    ("name", "header", "found"),
    [
        ("skills.csv", b"key,name_en", "csv"),
        ("skills_en.csv", b"conceptType,conceptUri", "esco"),
        ("skills.jsonl", b"{}", "jsonl"),
    ],
)
def test_how_a_file_is_written_is_told_from_it(tmp_path: Path, name: str, header: bytes, found: str) -> None:
    assert format_of(tmp_path / name, header=header) == found


def test_a_row_keeps_what_it_does_not_name() -> None:
    before = SkillDraft(key="go", name_en="Go", name_zh="Go语言", kind="tool", esco_uri=CONCEPT)
    (done,) = planned([Incoming(key="go", name_en="Golang")], [Stored(id=ONE, version=1, draft=before)])
    assert done.draft == msgspec.structs.replace(before, name_en="Golang")
