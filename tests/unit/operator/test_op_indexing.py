"""The index of who has what, against going through all of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from looma_operator.indexing import Index

HOLDERS, THINGS = st.sampled_from("abcd"), st.sets(st.sampled_from("xyz"))


@given(st.lists(st.tuples(HOLDERS, THINGS | st.none()), max_size=30))
def test_it_answers_as_going_through_all_does(changes):
    index: Index[str, str] = Index()
    plain: dict[str, frozenset[str]] = {}
    for holder, things in changes:
        before = index.drop(holder) if things is None else index.put(holder, things)
        assert before == plain.pop(holder, frozenset())
        if things is not None:
            plain[holder] = frozenset(things)
        assert {one for one in "abcd" if one in index} == set(plain)
        for thing in "xyz":
            assert set(index.holders(thing)) == {one for one, theirs in plain.items() if thing in theirs}
