"""What is written as YAML is read as the same by readers of YAML 1.2 too."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from looma_cluster.yaml_text import dump


@pytest.mark.parametrize("tag", ["12345678e901", "036466094123", "1e5", "1.5", ".5", "1."])
def test_a_tag_that_others_take_for_a_number_is_quoted(tag):
    assert dump({"tag": tag}) == f"tag: '{tag}'\n"


def test_other_texts_stay_plain_and_numbers_are_numbers():
    assert dump({"name": "looma", "tag": "0a1b", "replicas": 2, "said": "简历"}) == (
        "name: looma\ntag: 0a1b\nreplicas: 2\nsaid: 简历\n"
    )


@pytest.mark.parametrize("text", ["\x85", "a\u2028b", "a\rb", "\ufeff"])
def test_line_ends_of_other_kinds_are_kept(text):
    assert yaml.safe_load(dump({"a": text})) == {"a": text}


@given(st.dictionaries(st.text("ab", min_size=1), st.text() | st.integers() | st.booleans() | st.none()))
def test_it_reads_back(value):
    assert yaml.safe_load(dump(value)) == value
