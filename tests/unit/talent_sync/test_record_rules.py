"""The tables of rules of all kinds of records: whole, counted, written down."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from looma_core.api.quality import Severity
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.quality.rule import infos
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.routes import CompanySort, JobSort, RelationSort, TalentSort
from looma_engines.talent_sync.skills.entity import SKILLS
from looma_engines.talent_sync.skills.routes import SkillSort
from looma_engines.talent_sync.talents import TALENTS

DOCS = Path(__file__).parents[3] / "docs" / "records.md"
ENTITIES = [TALENTS, COMPANIES, JOBS, RELATIONS, SKILLS]
NAMES = [entity.name for entity in ENTITIES]


def paths_of(struct: type[msgspec.Struct], before: str = "") -> set[str]:
    """Every field that a client may set, as the rules name it."""
    found: set[str] = set()
    for field in msgspec.structs.fields(struct):
        found |= _paths(field.type, f"{before}{field.encode_name}")
    return found


def _paths(kind: Any, path: str) -> set[str]:
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return paths_of(kind, f"{path}.")
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is list:
        return _paths(arguments[0], f"{path}[]")
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return {found for one in arguments if one is not type(None) for found in _paths(one, path)}
    return {path}


@pytest.mark.parametrize("entity", ENTITIES, ids=NAMES)
def test_every_field_has_a_rule(entity):
    ruled = {field for rule in entity.rules for field in rule.fields}
    known = paths_of(entity.draft)
    # What only its type limits: any language, status or number that fits is right by itself.
    typed = {"source.type"} | ({"openings"} if entity is JOBS else set())
    assert known - ruled - typed == set()
    assert ruled - known <= {"skills", "experience", "education"}, "a rule looks at a field that there is not"


@pytest.mark.parametrize("entity", ENTITIES, ids=NAMES)
def test_points_come_to_a_hundred(entity):
    assert sum(rule.points for rule in entity.rules) == 100
    for rule in entity.rules:
        assert (rule.points > 0) is (rule.severity is Severity.WARNING), rule.id


@pytest.mark.parametrize("entity", ENTITIES, ids=NAMES)
def test_each_rule_has_a_name_of_its_own_and_its_line_in_the_docs(entity):
    assert len({rule.id for rule in entity.rules}) == len(entity.rules)
    lines = [
        f"| `{rule.id}` | {', '.join(f'`{field}`' for field in rule.fields)} | {rule.family} | "
        f"{rule.points if rule.severity is Severity.WARNING else rule.severity} | {rule.asks} |"
        for rule in infos(entity.rules)
    ]
    listed = re.findall(rf"^\| `{entity.name}\..*$", DOCS.read_text(), flags=re.MULTILINE)
    assert listed == lines


SORTS = [TalentSort, CompanySort, JobSort, RelationSort, SkillSort]


@pytest.mark.parametrize(("entity", "asked"), zip(ENTITIES, SORTS, strict=True), ids=NAMES)
def test_each_order_that_may_be_asked_for_has_its_column(entity, asked):
    assert set(typing.get_args(asked)) == {turned + name for name in entity.sorts for turned in ("", "-")}
