"""What the OpenAPI document says of records is what the engine does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from litestar.testing import TestClient

API = "/api/v1"
KINDS = [("talents", "Talent"), ("companies", "Company"), ("jobs", "Job"), ("skills", "Skill")]


@pytest.fixture
def document(client: TestClient[Any]) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/openapi.json").json()
    return told


def test_a_body_is_told_with_all_its_limits(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["JobDraft"]["properties"]["skills"]["items"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 100,
    }
    assert schemas["Salary"]["properties"]["min"]["anyOf"][0]["minimum"] == 0
    for name in ("JobDraft", "TalentDraft", "CompanyDraft", "Salary", "Source"):
        assert schemas[name]["additionalProperties"] is False, name


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_a_patch_is_told_as_any_fields_of_the_draft(document: dict[str, Any], kind: str, name: str) -> None:
    body = document["paths"][f"{API}/{kind}/{{record_id}}"]["patch"]["requestBody"]
    assert set(body["content"]) == {"application/merge-patch+json", "application/json"}
    assert {told["schema"]["$ref"] for told in body["content"].values()} == {
        f"#/components/schemas/{name}Patch"
    }
    schemas = document["components"]["schemas"]
    draft, patch = schemas[f"{name}Draft"], schemas[f"{name}Patch"]
    assert set(patch["properties"]) == set(draft["properties"]) - {"source"}
    assert "required" not in patch
    assert "default" not in str(patch)
    nullable = {
        field for field, said in patch["properties"].items() if {"type": "null"} in said.get("anyOf", ())
    }
    assert nullable == set(patch["properties"]) - set(draft["required"])


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_every_answer_that_is_no_problem_is_told(document: dict[str, Any], kind: str, name: str) -> None:
    paths = document["paths"]
    made = paths[f"{API}/{kind}"]["post"]["responses"]
    assert made["200"]["content"] == made["201"]["content"]
    assert made["201"]["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{name}"}
    read = paths[f"{API}/{kind}/{{record_id}}"]["get"]["responses"]
    assert "content" not in read["304"]
    whole, some = ({"$ref": f"#/components/schemas/{form}"} for form in (name, f"Sparse{name}"))
    assert read["200"]["content"]["application/json"]["schema"] == {"anyOf": [whole, some]}


@pytest.mark.parametrize(("kind", "_"), KINDS)
def test_a_path_tells_all_its_methods(
    client: TestClient[Any], document: dict[str, Any], kind: str, _: str
) -> None:
    for path in (f"{API}/{kind}", f"{API}/{kind}/{{record_id}}"):
        told = client.options(path.format(record_id="01a21c31-88ef-716a-886f-3d3035b10caf"))
        methods = {method.upper() for method in document["paths"][path]}
        assert set(told.headers["allow"].split(", ")) == {*methods, "OPTIONS"}


@pytest.mark.parametrize("kind", ["companies", "jobs"])
def test_a_text_that_no_database_holds_is_refused(
    client: TestClient[Any], auth: dict[str, str], kind: str
) -> None:
    answer = client.get(f"{API}/{kind}", headers=auth, params={"location": "Lon\x00don"})
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ["location"]
