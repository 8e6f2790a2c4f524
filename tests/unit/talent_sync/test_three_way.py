"""What becomes of records that both sides changed: properties of the merge, and the table of what is decided."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.syncing.deciding import (
    Known,
    Rules,
    Verdict,
    decide,
    decide_all,
    forgotten,
)
from looma_engines.talent_sync.syncing.judging import plain_values
from looma_engines.talent_sync.syncing.source_row import SourceRow, shard_of
from looma_engines.talent_sync.syncing.sources.making import time_of
from looma_engines.talent_sync.syncing.three_way import Policy, Resolution, Times, merge
from looma_engines.talent_sync.talents import TALENTS

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NAMES = ("a", "b", "c")
values = st.one_of(
    st.none(), st.sampled_from(["x", "y", "z"]), st.lists(st.sampled_from("pqrs"), unique=True)
)
sides = st.fixed_dictionaries(dict.fromkeys(NAMES, values))
times = st.builds(
    Times,
    source=st.one_of(st.none(), st.sampled_from([NOW - timedelta(1), NOW, NOW + timedelta(1)])),
    target=st.just(NOW),
)


@given(st.one_of(st.none(), sides), sides, sides, st.sampled_from(Policy), times)
def test_a_field_that_one_side_alone_changed_is_that_sides(base, source, target, policy, times) -> None:
    merged = merge(base=base, source=source, target=target, policy=policy, by_field={}, times=times)
    conflicts = {conflict.field: conflict for conflict in merged.conflicts}
    for name in NAMES:
        if source[name] == target[name] or (base is not None and source[name] == base[name]):
            assert merged.values[name] == target[name]
            assert name not in conflicts
        elif base is not None and target[name] == base[name]:
            assert merged.values[name] == source[name]
            assert name not in conflicts


@given(st.one_of(st.none(), sides), sides, sides, st.sampled_from(Policy), times)
def test_merging_again_changes_nothing(base, source, target, policy, times) -> None:
    first = merge(base=base, source=source, target=target, policy=policy, by_field={}, times=times)
    again = merge(base=source, source=source, target=first.values, policy=policy, by_field={}, times=times)
    assert (again.values, again.conflicts) == (first.values, ())


@given(sides, sides, sides, times)
def test_policies_say_whose_value_stands(base, source, target, times) -> None:
    for policy, side, resolution in (
        (Policy.SOURCE, source, Resolution.SOURCE),
        (Policy.TARGET, target, Resolution.TARGET),
        (Policy.MANUAL, target, Resolution.OPEN),
    ):
        merged = merge(base=base, source=source, target=target, policy=policy, by_field={}, times=times)
        for conflict in merged.conflicts:
            assert merged.values[conflict.field] == side[conflict.field]
            assert conflict.resolution is resolution


@given(st.data(), st.lists(st.sampled_from("pqrstuv"), unique=True))
def test_lists_lose_nothing_that_was_added_and_keep_nothing_that_was_taken_away(data, before) -> None:
    def changed(label: str) -> list[str]:
        kept = data.draw(st.lists(st.sampled_from(before), unique=True)) if before else []
        return [*kept, *data.draw(st.lists(st.sampled_from([f"{label}1", f"{label}2"]), unique=True))]

    source, target = changed("s"), changed("t")
    merged = merge(
        base={"a": before},
        source={"a": source},
        target={"a": target},
        policy=Policy.FIELD_MERGE,
        by_field={},
        times=Times(source=None, target=NOW),
    ).values["a"]
    if source == target or before in (source, target):
        return  # No conflict: one side alone changed it.
    assert {*source, *target} - set(before) <= set(merged)
    for item in before:
        assert (item in merged) == (item in source and item in target)
    assert len(merged) == len(set(merged))


def rules(**changes: Any) -> Rules:
    return Rules(
        **{
            "generation": 5,
            "entity": TALENTS,
            "policy": Policy.SOURCE,
            "by_field": {},
            "min_quality": 0,
            "today": date(2026, 11, 27),
            "present": {},
            **changes,
        }
    )


def row(number: int = 1, *, key: str = "p-1", **values: Any) -> SourceRow:
    found = {"full_name": "Ada Lovelace", **values}
    return SourceRow(position=number, key=key, values=found, raw=repr(found).encode())


def known(**changes: Any) -> Known:
    draft = TALENTS.draft(full_name="Ada Lovelace")
    plain = {name: getattr(draft, name) for name in TALENTS.settable}
    return Known(
        **{
            "record_id": UUID(int=1),
            "version": 1,
            "deleted": False,
            "updated_at": NOW,
            "values": plain,
            "base": plain,
            "raw_digest": row().digest,
            "seen_generation": 4,
            "seen_position": 1,
            "gone": False,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("given_row", "given_known", "verdict"),
    [
        (row(), None, Verdict.CREATE),
        (row(), known(), Verdict.UNCHANGED),
        (row(), known(deleted=True), Verdict.UNCHANGED),
        (row(), known(deleted=True, gone=True), Verdict.RESTORE),
        (row(headline="New"), known(), Verdict.UPDATE),
        (row(headline="New"), known(deleted=True), Verdict.RESTORE),
        (row(), known(seen_generation=5), Verdict.REFUSED),
        (row(email="nobody"), known(), Verdict.REFUSED),
        (row(), forgotten(known()), Verdict.UNCHANGED),
    ],
)
def test_what_becomes_of_a_record(given_row: SourceRow, given_known: Known | None, verdict: Verdict) -> None:
    assert decide(given_row, given_known, rules()).verdict is verdict


def test_a_merge_of_two_right_records_that_is_wrong_is_refused() -> None:
    """Each side alone has its days in order: theirs closes the job earlier, ours opens it later."""
    days = {"opens_on": "2026-01-01", "closes_on": "2026-02-01"}
    base = plain_values(JOBS, msgspec.convert({"title": "Engineer", **days}, JOBS.draft))
    known_job = known(base=base, values={**base, "opens_on": "2026-01-20"})
    theirs = SourceRow(
        position=1, key="1", values={"title": "Engineer", **days, "closes_on": "2026-01-15"}, raw=b"x"
    )
    decision = decide(theirs, known_job, rules(entity=JOBS))
    assert decision.verdict is Verdict.REFUSED
    (fault,) = decision.faults
    assert fault.message.startswith("after merging: ")
    assert decision.base is None, "nothing is stored, not even what the source gave"


def test_of_two_in_a_batch_the_first_good_one_counts() -> None:
    rows = [row(1, email="nobody"), row(2), row(3, headline="x"), row(4, key="p-2")]
    verdicts = [decision.verdict for decision in decide_all(rows, {}, rules())]
    assert verdicts == [Verdict.REFUSED, Verdict.CREATE, Verdict.REFUSED, Verdict.CREATE]


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T20:00:00+08:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("yesterday", None),
        (17, None),
    ],
)
def test_times_of_a_source(said: object, moment: datetime | None) -> None:
    assert time_of(said) == moment


@given(st.text(min_size=1, max_size=20), st.integers(1, 64))
def test_a_key_has_one_shard(key: str, shards: int) -> None:
    found = {
        shard_of(SourceRow(position=position, key=key, values={}), shards) for position in (1, 7, 1_000_000)
    }
    assert len(found) == 1
    assert found <= set(range(shards))


def test_what_was_erased_is_neither_stored_nor_kept_as_wrong() -> None:
    rows = [row(1), row(2), row(3, key="p-2"), row(4, email=7)]
    decisions = decide_all(rows, {"p-1": known()}, rules(erased={"p-1"}))
    assert [decision.verdict for decision in decisions] == [
        Verdict.ERASED,
        Verdict.ERASED,
        Verdict.CREATE,
        Verdict.ERASED,
    ]
    assert {decision.base for decision in decisions if decision.verdict is Verdict.ERASED} == {None}
