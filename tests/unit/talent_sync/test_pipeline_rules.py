"""What may become of an application, and where stages stand. The tables are those of the functions' own words."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.pipeline import StageKind
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.pipeline.deciding import (
    DEFAULTS,
    KINDS,
    OPEN,
    Goal,
    Place,
    Step,
    begin,
    check_order,
    check_retirement,
    decide,
    with_one_more,
)
from looma_engines.talent_sync.pipeline.texts import neat

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STAGES = {key: Goal(stage=key, kind=kind) for key, _, _, kind in DEFAULTS}
LATER = timedelta(hours=1)


def at(stage: str, *, owner: str | None = "ada", since: datetime = NOW) -> Place:
    return Place(stage=stage, kind=STAGES[stage].kind, since=since, changed=since, owner=owner)


def refused(*args: object, **given: object) -> list[str]:
    with pytest.raises(ValidationProblem) as caught:
        decide(*args, **given)  # type: ignore[arg-type]
    return [error.field for error in caught.value.errors]


@pytest.mark.parametrize(
    ("here", "to", "reason", "owner", "action"),
    [
        ("applied", "interview", None, None, "move"),
        ("interview", "applied", None, None, "move"),
        ("offer", "hired", None, None, "move"),
        ("applied", "withdrawn", None, None, "move"),
        ("applied", "rejected", "no visa", None, "move"),
        ("rejected", "interview", "a slip", None, "reopen"),
        ("hired", "offer", "did not come", None, "reopen"),
        ("applied", "applied", None, "ben", "hand-over"),
        ("rejected", "rejected", None, "ben", "hand-over"),
        ("applied", "interview", None, "ben", "move"),
    ],
)
def test_a_move_that_is_allowed(
    here: str, to: str, reason: str | None, owner: str | None, action: str
) -> None:
    step = decide(at(here), STAGES[to], reason=reason, owner=owner, now=NOW + LATER)
    assert (step.action, step.place.stage, step.place.kind) == (action, to, STAGES[to].kind)
    assert (step.reason, step.place.owner) == (reason, owner or "ada")
    assert step.place.changed == NOW + LATER
    assert step.place.since == (NOW if action == "hand-over" else NOW + LATER)


@pytest.mark.parametrize(
    ("here", "to", "reason", "owner", "field"),
    [
        ("applied", None, None, None, "to"),
        ("applied", Goal(stage="phone", kind="open", retired=True), None, None, "to"),
        ("applied", "applied", None, None, "to"),
        ("applied", "applied", None, "ada", "to"),
        ("applied", "rejected", None, None, "reason"),
        ("applied", "rejected", "  ", None, "reason"),
        ("rejected", "applied", None, None, "reason"),
        ("withdrawn", "offer", "", None, "reason"),
        ("rejected", "hired", "a slip", None, "to"),
        ("hired", "withdrawn", "did not come", None, "to"),
    ],
)
def test_a_move_that_is_refused_names_the_field(
    here: str, to: str | Goal | None, reason: str | None, owner: str | None, field: str
) -> None:
    goal = STAGES[to] if isinstance(to, str) else to
    assert refused(at(here), goal, reason=reason, owner=owner, now=NOW) == [field]


def test_who_is_in_a_retired_stage_is_handed_over_and_leaves_it() -> None:
    retired = Goal(stage="applied", kind="open", retired=True)
    assert decide(at("applied"), retired, reason=None, owner="ben", now=NOW).action == "hand-over"
    assert decide(at("applied"), STAGES["offer"], reason=None, owner=None, now=NOW).action == "move"


def test_an_application_begins_in_an_open_stage() -> None:
    step = begin(STAGES["screening"], owner="ada", now=NOW)
    assert (step.action, step.place.stage, step.place.since, step.place.owner) == (
        *("create", "screening"),
        NOW,
        "ada",
    )
    for goal in (None, STAGES["hired"], Goal(stage="phone", kind="open", retired=True)):
        with pytest.raises(ValidationProblem) as caught:
            begin(goal, owner=None, now=NOW)
        assert [error.field for error in caught.value.errors] == ["stage"]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(sorted(STAGES)),
        st.sampled_from([None, "", "because"]),
        st.sampled_from([None, "ada", "ben"]),
        # Clocks of pods are apart, and some go back.
        st.integers(min_value=-3600, max_value=7200),
    ),
    max_size=30,
)


@given(moves=MOVES)
def test_a_history_adds_up_whatever_is_asked(moves: list[tuple[str, str | None, str | None, int]]) -> None:
    done: list[Step] = [begin(STAGES["applied"], owner=None, now=NOW)]
    for to, reason, owner, seconds in moves:
        before = done[-1].place
        try:
            step = decide(
                before, STAGES[to], reason=reason, owner=owner, now=NOW + timedelta(seconds=seconds)
            )
        except ValidationProblem:
            continue  # What is refused leaves no trace.
        done.append(step)
    for one, other in itertools.pairwise(done):
        assert one.place.changed <= other.place.changed, "time does not run backwards"
        assert other.place.since <= other.place.changed
        assert (other.place.stage == one.place.stage) == (other.action == "hand-over")
        assert (other.place.since == one.place.since) or other.action != "hand-over"
        assert OPEN in {one.place.kind, other.place.kind} or other.action == "hand-over"
        assert other.reason or other.place.kind != "rejected" or other.action == "hand-over"
    for step in done:
        assert step.place.kind == STAGES[step.place.stage].kind, "a place is one stage, and of its kind"


@pytest.mark.parametrize(
    ("order", "kind", "answer"),
    [
        ([("a", "open"), ("z", "hired")], "open", ["a", "new", "z"]),
        ([("a", "open"), ("z", "hired")], "hired", ["a", "z", "new"]),
        ([("a", "open")], "rejected", ["a", "new"]),
        ([("z", "withdrawn")], "open", ["new", "z"]),
        ([], "open", ["new"]),
    ],
)
def test_where_a_new_stage_comes(
    order: list[tuple[str, StageKind]], kind: StageKind, answer: list[str]
) -> None:
    assert with_one_more(order, "new", kind) == answer


def test_the_usual_stages_have_one_of_each_kind() -> None:
    assert {kind for _, _, _, kind in DEFAULTS} == set(KINDS) == set(get_args(StageKind))
    assert DEFAULTS[0][3] == OPEN
    assert len({key for key, *_ in DEFAULTS}) == len(DEFAULTS)


@pytest.mark.parametrize("order", [["a"], ["a", "b", "c"], ["a", "a", "b"], ["a", "x"], []])
def test_an_order_names_each_stage_once(order: list[str]) -> None:
    check_order(["b", "a"], ["a", "b"])
    with pytest.raises(ValidationProblem) as caught:
        check_order(order, ["a", "b"])
    assert [error.field for error in caught.value.errors] == ["order"]


ONE, TWO, END = Goal(stage="a", kind="open"), Goal(stage="b", kind="open"), Goal(stage="z", kind="hired")
IN_USE: dict[str, StageKind] = {"a": "open", "b": "open", "z": "hired"}


@pytest.mark.parametrize(
    ("stage", "target", "asked", "held", "field"),
    [
        (ONE, None, False, 0, None),
        (ONE, TWO, True, 3, None),
        (ONE, TWO, True, 0, None),
        (ONE, None, False, 3, "target"),
        (ONE, None, True, 0, "target"),
        (ONE, ONE, True, 1, "target"),
        (ONE, END, True, 1, "target"),
        (ONE, Goal(stage="c", kind="open", retired=True), True, 1, "target"),
        (END, None, False, 0, "stage_id"),
        (Goal(stage="c", kind="open", retired=True), None, False, 0, "stage_id"),
    ],
)
def test_which_stage_may_be_retired(
    *, stage: Goal, target: Goal | None, asked: bool, held: int, field: str | None
) -> None:
    if field is None:
        check_retirement(stage, target, asked=asked, held=held, kinds=IN_USE)
        return
    with pytest.raises(ValidationProblem) as caught:
        check_retirement(stage, target, asked=asked, held=held, kinds=IN_USE)
    assert [error.field for error in caught.value.errors] == [field]


def test_what_is_stored_of_a_text() -> None:
    assert neat({"reason": "  no visa ", "owner": "  "}) == {"reason": "no visa", "owner": None}
    assert neat({"reason": "has 11010519491231002X"}) == {"reason": "has 11****************"}
    for texts, needed in (({"reason": "a\x00b"}, frozenset()), ({"name_en": " "}, frozenset({"name_en"}))):
        with pytest.raises(ValidationProblem) as caught:
            neat(texts, needed=needed)
        assert [error.field for error in caught.value.errors] == list(texts)
