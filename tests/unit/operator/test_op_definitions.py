"""The definitions as documents: every field described, and every field in the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from looma_engines.gateway.settings import GatewayConfig
from looma_engines.resume.config import ResumeConfig
from looma_engines.talent_sync.config import TalentConfig
from looma_operator import definitions

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "crds").glob("*.yaml"))


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below a schema, as its dotted path."""
    for name, part in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, part
        yield from fields(part, here)
        if "items" in part:
            yield from fields(part["items"], f"{here}[]")


@cache
def schema_of(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


ALL = [
    (path.stem, name, part) for path in FILES for name, part in fields(schema_of(path)) if name != "metadata"
]


def test_there_are_three():
    assert [path.stem for path in FILES] == ["aiservice", "modelversion", "syncjob"]
    assert [item["spec"]["names"]["kind"] for item in definitions.load()] == [
        "AIService",
        "ModelVersion",
        "SyncJob",
    ]


@pytest.mark.parametrize(
    ("resource", "name", "part"), ALL, ids=[f"{resource}.{name}" for resource, name, _ in ALL]
)
def test_a_field_says_what_it_is_for(resource, name, part):
    description = part.get("description", "")
    assert description.rstrip().endswith((".", ":", "…")), f"{resource} {name}: {description!r}"
    assert len(description) >= 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_field_is_in_the_reference(path):
    text = (ROOT / "docs" / "api.md").read_text()
    kind = yaml.safe_load(path.read_text())["spec"]["names"]["kind"]
    section = text.split(f"\n## {kind}\n", 1)[1].split("\n## ", 1)[0]
    listed = set(re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE))
    expected = {name for name, _ in fields(schema_of(path)) if name.split(".")[0] in ("spec", "status")}
    expected -= {"spec", "status"}
    assert listed == expected


def test_rules_have_messages_that_fit_one_line():
    for path in FILES:
        for rule in rules(schema_of(path)):
            assert "message" in rule, rule
            assert "\n" not in rule["message"]


def rules(schema: Any) -> Iterator[dict[str, str]]:
    if isinstance(schema, dict):
        yield from schema.get("x-kubernetes-validations", [])
        for part in schema.values():
            yield from rules(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from rules(part)


@pytest.mark.parametrize(
    ("engine", "settings"),
    [("resume", ResumeConfig), ("talent-sync", TalentConfig), ("gateway", GatewayConfig)],
)
def test_config_is_what_the_engine_reads(engine, settings):
    """Names and limits of the definition are those of the engine: nothing is accepted and ignored, or refused twice."""
    spec = schema_of(ROOT / "crds" / "aiservice.yaml")["properties"]["spec"]
    texts = [rule for rule in spec["x-kubernetes-validations"] if f"'{engine}'" in rule["rule"]]
    names = {field.encode_name: field for field in msgspec.structs.fields(settings)}
    allowed = re.search(r"k in \[([^]]+)\]", texts[0]["rule"])
    assert set(re.findall(r"'([^']+)'", allowed[1])) == set(names)
    described = {field["name"]: field for field in _bounds(settings)}
    for name, bounds in described.items():
        low, high = bounds["minimum"], bounds["maximum"]
        assert re.search(rf"{name} (as a whole number from )?{low} to {high}", texts[1]["message"])


def _bounds(settings):
    schema = msgspec.json.schema(settings)
    properties = next(iter(schema["$defs"].values()))["properties"]
    for name, optional in properties.items():
        part = next((kind for kind in optional.get("anyOf", []) if kind["type"] != "null"), optional)
        # More than nothing, in whole numbers, is 1 or more.
        yield {"name": name, "minimum": part.get("minimum", 1), "maximum": part["maximum"]}
