"""Marks in a text: cut by code points, never overlapping, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_console.people.spans import KINDS, Mark, anchors, kinds_in, segments
from looma_core.api.resume import Entity


def mark(start: int, end: int, label: str = "ORG", name: str = "") -> Mark:
    return Mark(start=start, end=end, label=label, name=name)


@pytest.mark.parametrize(
    ("text", "marks", "answer"),
    [
        ("abcdef", [(1, 3)], [("a", False), ("bc", True), ("def", False)]),
        ("abcdef", [(0, 4), (3, 6)], [("abcd", True), ("ef", False)]),
        ("abcdef", [(3, 6), (2, 6)], [("ab", False), ("cdef", True)]),
        ("abcdef", [(2, 2), (4, 9), (-1, 2)], [("abcdef", False)]),
        ("a😀b", [(2, 3)], [("a😀", False), ("b", True)]),
        ("", [], []),
    ],
)
def test_segments(text: str, marks: list[tuple[int, int]], answer: list[tuple[str, bool]]) -> None:
    pieces = segments(text, [mark(*item) for item in marks])
    assert [(piece.text, piece.mark is not None) for piece in pieces] == answer


def test_of_the_same_span_the_one_that_says_more_stays() -> None:
    marks = [mark(0, 2, "SKILL"), mark(0, 2, "SKILL", "Go"), mark(0, 2, "PRO")]
    assert segments("Go", marks)[0].mark == marks[2]
    assert segments("Go", marks[:2])[0].mark == marks[1]


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(-3, 70), st.integers(-3, 70)), max_size=12))
def test_nothing_is_lost_whatever_the_marks(text: str, marks: list[tuple[int, int]]) -> None:
    pieces = segments(text, [mark(*item) for item in marks])
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)
    for piece in pieces:
        if piece.mark is not None:
            assert text[piece.mark.start : piece.mark.end] == piece.text


def test_every_label_of_the_api_has_a_kind() -> None:
    from typing import get_args, get_type_hints

    labels = get_args(get_type_hints(Entity)["label"])
    assert set(labels) == set(KINDS)


def test_anchors_by_value_by_skill_and_by_label() -> None:
    text = "x K8s 13800138000 Kubernetes Law"
    marks = [
        mark(2, 5, "SKILL", "Kubernetes"),
        mark(6, 17, "PHONE"),
        mark(18, 32, "PRO"),
        mark(29, 32, "SKILL", "Law"),
    ]
    pieces = segments(text, marks)
    found = anchors(pieces, marks)
    assert found["k8s"] == found["kubernetes"] == "at-2"
    assert found["#PHONE"] == "at-6"
    # The skill gave way to the major around it, and is found there.
    assert found["law"] == "at-18"
    assert kinds_in(pieces) == ["contact", "school", "skill"]
