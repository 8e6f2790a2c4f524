"""Whether what a source had of a relation names a record: by its id, or by a key under which a source has it."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_engines.talent_sync.rights.naming import Naming, naming, values_of

RECORD = uuid.UUID("0198f1d2-7a3b-7c4d-8e5f-a6b7c8d9e0f1")
KEYS = {"p-1", "17", "00a"}


@pytest.mark.parametrize(
    ("raw", "how"),
    [
        (f'{{"talent_id": "{RECORD}"}}', Naming.BY_ID),
        (f'{{"other_talent_id": "{RECORD.hex.upper()}"}}', Naming.BY_ID),
        (f'{{"whoever": "{RECORD}"}}', Naming.BY_ID),
        (f'{{"company_id": "{RECORD}"}}', Naming.BY_ID),
        (f'{{"talent_id": "{uuid.UUID(int=1)}"}}', Naming.NOT),
        ('{"talent_id": "p-1"}', Naming.BY_KEY),
        ('{"other_talent_id": " p-1 ", "id": "r-5"}', Naming.BY_KEY),
        ('{"talent_id": "\\u0070-1"}', Naming.BY_KEY),
        ('{"talent_id": "p-11", "title": "p-1 and p-2"}', Naming.NOT),
        ('{"talent_id": "P-1"}', Naming.NOT),
        ('{"talent_id": 17}', Naming.BY_KEY),
        ('{"talent_id": "17"}', Naming.BY_KEY),
        ('{"talent_id": 17.0}', Naming.NOT),
        ('{"talent_id": 170}', Naming.NOT),
        ('{"talent_id": 170000000000000000000000000000000000017}', Naming.NOT),
        ('{"person": "p-1"}', Naming.PERHAPS),
        ('{"id": 17, "talent_id": 4}', Naming.PERHAPS),
        ('{"company_id": 17, "talent_id": 4}', Naming.NOT),
        ('{"talent_id": null, "open": true, "other": ["p-1"]}', Naming.NOT),
        ('{"talent_id": "p-1", "note": "cut o', Naming.PERHAPS),
        (f'{{"talent_id": "{RECORD}", "note": "cut o', Naming.BY_ID),
        ('{"talent_id": "p-11", "note": "cut o', Naming.NOT),
        ('["p-1"]', Naming.PERHAPS),
        ("", Naming.NOT),
    ],
)
def test_a_relation_names_a_person_by_id_or_by_key(raw: str, how: Naming) -> None:
    assert naming(raw, "talent", RECORD, KEYS) is how


@pytest.mark.parametrize(
    ("entity", "raw", "how"),
    [
        ("company", '{"company_id": 17, "talent_id": 4}', Naming.BY_KEY),
        ("company", '{"company_id": 4, "talent_id": 17}', Naming.NOT),
        ("job", '{"job_id": "p-1"}', Naming.BY_KEY),
        ("job", '{"company_id": "p-1"}', Naming.NOT),
        ("relation", f'{{"talent_id": "{RECORD}"}}', Naming.NOT),
    ],
)
def test_a_field_names_one_kind_of_record(entity: str, raw: str, how: Naming) -> None:
    assert naming(raw, entity, RECORD, KEYS) is how


@given(st.text(max_size=60))
def test_whatever_a_source_had_is_read(raw: str) -> None:
    values_of(raw)
    naming(raw, "talent", RECORD, KEYS)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers() | st.none() | st.booleans()))
def test_values_are_told_as_texts(values: dict[str, str | int | bool | None]) -> None:
    import json

    expected = {
        name: str(value).strip()
        for name, value in values.items()
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    }
    assert values_of(json.dumps(values)) == expected
