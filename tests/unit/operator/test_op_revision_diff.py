"""Two revisions side by side: every part of their content once, and what differs."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.revision_diff import compare, parts_of
from looma_operator.revision_diff import to_json, to_rows

URI = "oci://registry/models/ner@sha256:"
OLD = {
    "engine": "custom",
    "image": "engine:1",
    "config": {"maxPages": 3, "mode": "fast"},
    "models": [
        {"name": "ner-1.0.0", "model": "ner", "version": "1.0.0", "format": "json", "uri": URI + "a" * 64}
    ],
    "podTemplate": {"spec": {"containers": [{"name": "engine", "args": ["-v"]}]}},
}
NEW = {
    "engine": "custom",
    "image": "engine:2",
    "config": {"maxPages": 5},
    "models": [
        {"name": "ner-2.0.0", "model": "ner", "version": "2.0.0", "format": "json", "uri": URI + "b" * 64}
    ],
    "podTemplate": {"spec": {"containers": [{"name": "engine", "args": ["-v"]}]}},
}


def test_versions_of_a_model_stand_side_by_side_and_what_differs_is_marked():
    found = compare(service="resume", before=("r1", OLD), after=("r2", NEW))
    assert to_rows(found) == [
        ["", "engine", "custom", "custom"],
        ["*", "image", "engine:1", "engine:2"],
        ["*", "model.ner", "1.0.0 ner-1.0.0 sha256:" + "a" * 64, "2.0.0 ner-2.0.0 sha256:" + "b" * 64],
        ["*", "config.maxPages", "3", "5"],
        ["*", "config.mode", "fast", ""],
        ["", "podTemplate.spec.containers[engine].args[0]", "-v", "-v"],
        ["", "podTemplate.spec.containers[engine].name", "engine", "engine"],
    ]
    assert found.differs


def test_a_program_reads_the_same():
    document = json.loads(to_json(compare(service="resume", before=("r1", OLD), after=("r2", NEW))))
    assert (document["service"], document["from"], document["to"], document["differs"]) == (
        "resume",
        "r1",
        "r2",
        True,
    )
    assert {"part": "image", "from": "engine:1", "to": "engine:2", "differs": True} in document["rows"]


def test_two_versions_of_one_model_in_a_revision_are_told_apart():
    twice = {**OLD, "models": [*OLD["models"], *NEW["models"]]}
    assert [part for part in parts_of(twice) if part.startswith("model.")] == [
        "model.ner.ner-1.0.0",
        "model.ner.ner-2.0.0",
    ]


VALUES = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.booleans(), st.none()),
    lambda part: st.one_of(
        st.lists(part, max_size=3), st.dictionaries(st.sampled_from("abc"), part, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_contents_differ_just_if_they_are_not_the_same(one, other):
    left, right = {"config": {"k": one}}, {"config": {"k": other}}
    found = compare(service="s", before=("r1", left), after=("r2", right))
    if left == right and json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True):
        assert not found.differs
    assert not compare(service="s", before=("r1", left), after=("r1", left)).differs


def test_a_value_of_several_lines_is_one_line_of_the_table():
    before, after = {"image": "a", "args": ["one\ntwo"]}, {"image": "a", "args": ["one"]}
    comparison = compare(service="road", before=("r1", before), after=("r2", after))
    assert ["*", "args[0]", "one\\ntwo", "one"] in to_rows(comparison)
