"""What counts as a difference between a real answer and the one to its copy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.http.shadow.comparing import MOST_PLACES, MOST_POINTER, Answer, differences

JSON = "application/json"
_LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
DOCUMENTS = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def said(document: Any, *, status: int = 200, content_type: str = JSON) -> Answer:
    return Answer(status=status, content_type=content_type, body=json.dumps(document).encode())


def plain(body: bytes, content_type: str = "text/plain") -> Answer:
    return Answer(status=200, content_type=content_type, body=body)


@pytest.mark.parametrize(
    ("real", "copy", "places"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ()),
        ({"a": 1}, {"a": 1.0}, ()),
        ({"a": 1}, {"a": True}, ("/a",)),
        ({"a": 0}, {"a": None}, ("/a",)),
        ({"a": "1"}, {"a": 1}, ("/a",)),
        ({"a": 1}, {}, ("/a",)),
        ({}, {"a": None}, ("/a",)),
        ({"a": {"b": [1, 2, 3]}}, {"a": {"b": [1, 5, 3]}}, ("/a/b/1",)),
        ([1, 2], [1], ("/1",)),
        ([1], [1, 2, 3], ("/1", "/2")),
        ([1, 2], [2, 1], ("/0", "/1")),
        ({"a/b": 1, "c~d": 1}, {"a/b": 2, "c~d": 2}, ("/a~1b", "/c~0d")),
        ({"a": {}}, {"a": []}, ("/a",)),
        (1, 2, ("",)),
        ({"": 1}, {"": 2}, ("/",)),
    ],
)
def test_json_differs_where_its_values_do(real, copy, places):
    assert differences(said(real), said(copy)) == places


def test_another_status_is_the_one_difference():
    assert differences(said({"a": 1}), said({"a": 2}, status=404)) == ("status",)


def test_what_is_no_json_is_compared_by_its_bytes():
    assert differences(plain(b"a"), plain(b"a")) == ()
    assert differences(plain(b"a"), plain(b"b")) == ("",)
    assert differences(said([1, 2]), plain(b"[1,2]")) == ("",)
    # It says so, and is not.
    assert differences(plain(b"{", JSON), plain(b"{}", JSON)) == ("",)


@pytest.mark.parametrize("content_type", ["application/merge-patch+json", JSON])
def test_json_has_several_names(content_type):
    real, copy = b'{"a":1,"b":2}', b'{"b":2,"a":1}'
    assert differences(plain(real, content_type), plain(copy, content_type)) == ()


def test_the_id_in_a_problem_is_no_difference_but_elsewhere_it_is():
    real, copy = {"instance": "a", "detail": "x"}, {"instance": "a.shadow", "detail": "y"}
    problem = "application/problem+json"
    assert differences(said(real, content_type=problem), said(copy, content_type=problem)) == ("/detail",)
    assert differences(said(real), said(copy)) == ("/instance", "/detail")


@pytest.mark.parametrize(
    ("ignored", "places"),
    [
        ((), ("/id", "/items/0/id", "/items/0/name", "/items/1/id")),
        (("/id",), ("/items/0/id", "/items/0/name", "/items/1/id")),
        (("/id", "/items/*/id"), ("/items/0/name",)),
        (("/items/0",), ("/id", "/items/1/id")),
        (("/items",), ("/id",)),
        (("/*",), ()),
        (("/items/*/id/more", "/i", "/items/*/*/*"), ("/id", "/items/0/id", "/items/0/name", "/items/1/id")),
    ],
)
def test_places_that_are_ignored_count_for_nothing_with_all_within(ignored, places):
    real = {"id": 1, "items": [{"id": 1, "name": "a"}, {"id": 2}]}
    copy = {"id": 9, "items": [{"id": 8, "name": "b"}, {"id": 7}]}
    assert differences(said(real), said(copy), ignored) == places


def test_a_status_and_what_is_no_json_are_never_ignored():
    assert differences(said({}), said({}, status=500), ("/*",)) == ("status",)
    assert differences(plain(b"a"), plain(b"b"), ("/*",)) == ("",)
    assert differences(said(1), said(2), ("/*",)) == ("",)


def test_as_many_places_as_are_useful():
    real, copy = list(range(100)), list(range(1, 101))
    assert len(differences(said(real), said(copy))) == MOST_PLACES
    (place,) = differences(said({"k" * 5000: 1}), said({"k" * 5000: 2}))
    assert len(place) == MOST_POINTER


def test_deep_documents_end_no_process():
    deep = lambda end: plain(b'{"a":' * 100_000 + end + b"}" * 100_000, JSON)  # noqa: E731 - two of a kind
    assert differences(deep(b"1"), deep(b"2")) == ("",)
    nested = lambda end: plain(b'{"a":' * 500 + end + b"}" * 500, JSON)  # noqa: E731 - two of a kind
    assert differences(nested(b"1"), nested(b"2")) == (("/a" * 500)[:MOST_POINTER],)


@given(DOCUMENTS)
def test_a_document_is_the_same_as_itself_in_another_order(document):
    turned = Answer(
        status=200, content_type=JSON, body=json.dumps(document, sort_keys=True, indent=1).encode()
    )
    assert differences(said(document), turned) == ()


@given(DOCUMENTS, DOCUMENTS)
def test_differences_are_there_exactly_where_json_differs(one, other):
    found = differences(said(one), said(other))
    assert (found == ()) is (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))
    assert set(found) == set(differences(said(other), said(one))) or len(found) == MOST_PLACES


@given(st.dictionaries(st.text(max_size=4), st.text(min_size=30, max_size=40), min_size=1, max_size=4))
def test_no_value_is_told(document):
    changed = {key: f"{value}!" for key, value in document.items()}
    told = " ".join(differences(said(document), said(changed)))
    assert not any(value in told for value in (*document.values(), *changed.values()))
