"""What is written back, and where: properties of the decision, and of putting a field into what a source has."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.reading import read
from looma_engines.talent_sync.syncing.back.offering import offer, without_own
from looma_engines.talent_sync.syncing.back.putting import field_of, put, top_of
from looma_engines.talent_sync.syncing.back.to_mongodb import _own_ids
from looma_engines.talent_sync.syncing.judging import plain_values
from looma_engines.talent_sync.syncing.putting_right import put_right
from looma_engines.talent_sync.syncing.source_row import own_keys
from looma_engines.talent_sync.syncing.sources.mapping import DriftError, picked
from looma_engines.talent_sync.syncing.three_way import Policy, Times, merge
from looma_engines.talent_sync.talents import TALENTS

NAMES = ("a", "b", "c")
NOW = datetime(2026, 11, 27, tzinfo=UTC)
values = st.one_of(
    st.none(), st.sampled_from(["x", "y", "z"]), st.lists(st.sampled_from("pqrs"), unique=True)
)
sides = st.fixed_dictionaries(dict.fromkeys(NAMES, values))
some = st.sets(st.sampled_from(NAMES))
policies = st.sampled_from([Policy.SOURCE, Policy.TARGET, Policy.NEWEST, Policy.FIELD_MERGE])


@given(sides, sides, some, some)
def test_just_what_differs_has_a_place_and_is_decided_is_written(base, ours, undecided, places) -> None:
    found = offer(base=base, ours=ours, undecided=undecided, places=places)
    for name in NAMES:
        differs = base[name] != ours[name] and name in places
        assert (name in found.changes) == (differs and name not in undecided)
    assert all(found.changes[name] == ours[name] for name in found.changes)
    assert found.waits == any(base[n] != ours[n] and n in places and n in undecided for n in NAMES)


@given(sides)
def test_nothing_is_written_over_what_nobody_read(ours) -> None:
    assert offer(base=None, ours=ours, undecided=(), places=NAMES).changes == {}


@given(sides, sides, sides, policies)
def test_both_sides_are_the_same_after_one_round(base, theirs, ours, policy) -> None:
    """A run reads, merges and writes: then both have the same, and the next run finds nothing to do on either."""
    merged = merge(base=base, source=theirs, target=ours, policy=policy, by_field={}, times=times_of())
    found = offer(base=theirs, ours=merged.values, undecided=(), places=NAMES)
    there = {**theirs, **found.changes}
    assert there == merged.values
    again = merge(
        base=there, source=there, target=merged.values, policy=policy, by_field={}, times=times_of()
    )
    assert (again.values, again.conflicts) == (merged.values, ())
    assert offer(base=there, ours=again.values, undecided=(), places=NAMES).changes == {}


@given(sides, sides, sides)
def test_an_echo_of_what_was_written_is_no_change_of_the_source(base, written, ours) -> None:
    """The worker was killed after its write; then somebody changed the record here again, and no conflict comes."""
    meant = {name: value for name, value in written.items() if value != base[name]}
    source = {**base, **meant}
    merged = merge(
        base=without_own(base, source, [meant]),
        source=source,
        target=ours,
        policy=Policy.MANUAL,
        by_field={},
        times=times_of(),
    )
    assert merged.conflicts == ()
    # What is here stands: all that the source has of its own is what was there before.
    assert merged.values == ours


@given(sides, sides, sides)
def test_a_change_of_the_sources_own_is_seen_beside_an_echo(base, written, theirs) -> None:
    meant = {name: value for name, value in written.items() if value != base[name]}
    known = without_own(base, theirs, [meant])
    assert known is not None
    for name in NAMES:
        own = name in meant and theirs[name] == meant[name]
        assert known[name] == (theirs[name] if own else base[name])


def times_of() -> Times:
    return Times(source=NOW, target=NOW)


FIELDS = {
    "full_name": "name",
    "email": "contact.email",
    "phone": "phones[0]",
    "skills": "tags[*].label",
    "salary.min": "pay.from",
    "experience[].company": "posts[*].employer",
    "experience[].title": "posts[*].role",
}
words = st.sampled_from(["alpha", "beta", "gamma", "delta"])
documents = st.fixed_dictionaries(
    {
        "name": words,
        "contact": st.one_of(st.none(), st.fixed_dictionaries({"email": words, "fax": words})),
        "phones": st.lists(words, max_size=3),
        "tags": st.lists(st.fixed_dictionaries({"label": words, "since": st.integers(0, 9)}), max_size=4),
        "pay": st.fixed_dictionaries({"from": st.integers(1, 9), "to": st.integers(10, 19)}),
        "posts": st.lists(
            st.fixed_dictionaries({"employer": words, "role": words, "note": words}), max_size=4
        ),
        "secret": words,
    }
)
changes_here = st.fixed_dictionaries(
    {},
    optional={
        "full_name": words,
        "email": words,
        "phone": words,
        "skills": st.lists(words, unique=True, max_size=4),
        "salary": st.fixed_dictionaries({"min": st.integers(1, 9)}),
        "experience": st.lists(st.fixed_dictionaries({"company": words, "title": words}), max_size=4),
    },
)


@given(documents, changes_here)
def test_what_was_put_is_what_is_read_and_all_else_stays(document, changes) -> None:
    before = copy.deepcopy(document)
    base = picked(document, FIELDS).values
    found = put(document, FIELDS, changes, base)
    assert document == before, "what was read is not touched"
    after = {**document, **found}
    read = picked(after, FIELDS)
    assert read.faults == ()
    assert read.values == {**base, **changes} or _without_empty(read.values) == _without_empty(
        {**base, **changes}
    )
    assert after["secret"] == document["secret"]
    assert after["pay"]["to"] == document["pay"]["to"]
    if document["contact"]:
        assert after["contact"]["fax"] == document["contact"]["fax"]
    assert after["phones"][1:] == document["phones"][1:]
    for label in changes.get("skills", ()):
        known = [tag for tag in document["tags"] if tag["label"] == label]
        assert not known or any(tag in known for tag in after["tags"])
    for at, post in enumerate(changes.get("experience", ())):
        old = document["posts"][at] if at < len(document["posts"]) else None
        if old is not None and (old["employer"], old["role"]) == (post["company"], post["title"]):
            assert after["posts"][at] == old


def _without_empty(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def test_without_a_map_names_are_the_same() -> None:
    assert put({"a": 1, "b": 2}, {}, {"a": 3, "c": None}, {}) == {"a": 3, "c": None}


def test_an_item_that_moves_keeps_what_nobody_here_knows_of_it() -> None:
    document = {
        "posts": [{"employer": "A", "role": "x", "note": 1}, {"employer": "B", "role": "y", "note": 2}]
    }
    base = picked(document, FIELDS).values
    turned = [{"company": "B", "title": "y"}, {"company": "A", "title": "z"}, {"company": "C", "title": "w"}]
    found = put(document, FIELDS, {"experience": turned}, base)
    assert found["posts"][0] == {"employer": "B", "role": "y", "note": 2}
    assert [(post["employer"], post["role"]) for post in found["posts"]] == [
        ("B", "y"),
        ("A", "z"),
        ("C", "w"),
    ]


@pytest.mark.parametrize(
    ("document", "changes"),
    [
        ({"contact": "a text"}, {"email": "x"}),
        ({"phones": "a text"}, {"phone": "x"}),
        ({"tags": "a text"}, {"skills": ["x"]}),
        ({"posts": {"employer": "A"}}, {"experience": [{"company": "B"}]}),
    ],
)
def test_a_source_that_has_something_else_there_is_left_alone(document, changes) -> None:
    with pytest.raises(DriftError):
        put(document, FIELDS, changes, {})


@pytest.mark.parametrize(
    ("target", "path", "field", "top"),
    [
        ("email", "contact.email", "email", "contact"),
        ("salary.min", "pay[0].from", "salary", "pay"),
        ("experience[].title", "posts[*].role", "experience", "posts"),
    ],
)
def test_names_of_a_map(target: str, path: str, field: str, top: str) -> None:
    assert (field_of(target), top_of(path)) == (field, top)


@given(sides, some, some)
def test_what_was_put_right_is_written_where_it_has_a_place(ours, right, places) -> None:
    found = offer(base=ours, ours=ours, undecided=(), places=places, put_right=right)
    assert set(found.changes) == right & places


def test_what_a_source_makes_of_our_id_is_a_key_that_an_erasure_knows() -> None:
    record = UUID("01a21e8f-a0a8-74f1-812b-616d55b697b0")
    assert set(own_keys(record)) == {str(made) for made in _own_ids(record).values()}


RIGHT = {"full_name": "Ada Byron", "email": "ada@mail.example", "skills": ["SQL"]}


@pytest.mark.parametrize(
    ("given_there", "fields"),
    [
        (dict(RIGHT), set()),
        ({**RIGHT, "full_name": "  Ada Byron "}, set()),
        ({**RIGHT, "email": "nobody"}, {"email"}),
        ({**RIGHT, "email": 7, "skills": "SQL"}, {"email", "skills"}),
        ({"full_name": "Ada Byron"}, {"email", "skills"}),
        ({**RIGHT, "headline": "Chief"}, {"headline"}),
        (None, set(TALENTS.settable)),
    ],
)
def test_a_field_was_put_right_where_the_source_has_it_otherwise(
    given_there: dict[str, Any] | None, fields: set[str]
) -> None:
    draft = read({**RIGHT, "source": {"type": "sync", "ref": "people:1"}}, TALENTS.draft)
    values = plain_values(TALENTS, TALENTS.tidy(draft))
    assert set(put_right(TALENTS, given_there, values)) == fields
