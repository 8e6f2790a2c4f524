"""The pages about skills, before a fake engine over real HTTP."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.skills.forms import by_field, patch_of, shown, title, wanted
from looma_console.skills.messages import FIELDS, KINDS, MATCHES, STATUSES
from looma_console.web.permissions import Role
from looma_core.api.skill import SkillFields, SkillKind, SkillMatch, SkillStatus
from looma_core.problems import FieldError

ID = "019a0000-0000-7000-8000-000000000001"
GROUP_ID = "019a0000-0000-7000-8000-000000000002"
BELOW_ID = "019a0000-0000-7000-8000-000000000003"
PERSON_ID = "019a0000-0000-7000-8000-000000000004"
NOW = "2026-11-20T10:00:00Z"
META = {"version": 3, "source": {"type": "manual", "ref": None}, "created_at": NOW, "updated_at": NOW}
SKILL: dict[str, Any] = {
    "id": ID,
    "key": "node-js",
    "name_en": "Node.js <b>",
    "name_zh": "Node后端",
    "aliases": [
        {"language": "zh", "name": "节点"},
        {"language": "en", "name": "Node"},
        {"language": "de", "name": "Knoten"},
    ],
    "kind": "tool",
    "parents": [GROUP_ID],
    "esco_uri": None,
    "status": "active",
    "replaced_by": None,
    **META,
}


def ref(number: str, key: str, name: str, **more: Any) -> dict[str, Any]:
    base = {"id": number, "key": key, "name_en": name, "name_zh": None, "kind": "group", "status": "active"}
    return {**base, **more}


GROUP, BELOW = ref(GROUP_ID, "back-end", "Back-End"), ref(BELOW_ID, "express", "Express", kind="tool")
MATCH = {"skill": GROUP, "name": "backend", "language": "en", "match": "exact"}


@pytest.fixture
def recruiter(signed_in, engine):
    engine.on("GET", "/api/v1/skills", {"items": [SKILL], "next_cursor": "next-page"})
    engine.on("GET", f"/api/v1/skills/{ID}", SKILL)
    engine.on("GET", f"/api/v1/skills/{ID}/ancestors", {"items": [GROUP]})
    engine.on("GET", f"/api/v1/skills/{ID}/children", {"items": [BELOW]})
    engine.on("GET", "/api/v1/skills/lookup", {"items": [MATCH]})
    engine.on("GET", "/api/v1/talents/count", {"count": 41, "exact": True})
    engine.on("GET", "/api/v1/jobs/count", {"count": 3200, "exact": False})
    return signed_in(Role.RECRUITER)


def sent(engine, method: str) -> tuple[Any, Any]:
    """The last request of that method, and its body."""
    request, body = next(item for item in reversed(engine.seen) if item[0].method == method)
    return request, json.loads(body) if body else None


def text(answer: Any) -> str:
    found: str = answer.get_data(as_text=True)
    return found


def noted(parts, action: str) -> AuditEntry:
    with parts.db.transaction() as session:
        return session.scalars(select(AuditEntry).where(AuditEntry.action == action)).one()


def test_the_words_are_those_of_the_api() -> None:
    assert set(KINDS) == set(get_args(SkillKind))
    assert set(STATUSES) == set(get_args(SkillStatus))
    match = get_type_hints(SkillMatch)["match"]
    assert set(MATCHES) == set(get_args(match))
    fields = {name.removesuffix("_en").removesuffix("_zh") for name in FIELDS}
    assert fields == {name.removesuffix("_en").removesuffix("_zh") for name in SkillFields.__struct_fields__}


def test_the_tree_begins_at_its_top(recruiter, engine) -> None:
    page = text(recruiter.get("/skills"))
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"top": "true", "sort": "key", "limit": "50"}
    assert "Node.js &lt;b&gt;" in page
    assert f"/skills/{ID}/below" in page
    assert "cursor=next-page" in page
    assert 'aria-current="page"' in page
    branch = text(recruiter.get(f"/skills/{ID}/below"))
    assert "Express" in branch
    assert "<html" not in branch


def test_what_fits_is_suggested_as_it_is_typed(recruiter, engine) -> None:
    page = text(recruiter.get("/skills?q=backend", headers={"HX-Request": "true"}))
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"text": "backend", "limit": "30"}
    assert "Back-End" in page
    assert "backend" in page
    assert "<html" not in page
    engine.on("GET", "/api/v1/skills/lookup", {"items": []})
    assert "name_en=weaving" in text(recruiter.get("/skills?q=weaving"))


def test_a_skill_is_shown_with_what_is_around_it(recruiter, engine) -> None:
    page = text(recruiter.get(f"/skills/{ID}"))
    for word in ("Node.js &lt;b&gt;", "Node后端", "节点", "Knoten", "Back-End", "Express", "41", "≈ 3200"):
        assert word in page, word
    assert f"/skills/{ID}/people" in page
    assert 'value="Back-End"' in page, "what is above it is named in the form"
    engine.problem("GET", f"/api/v1/skills/{ID}/ancestors", "not-ready", 503)
    assert recruiter.get(f"/skills/{ID}").status_code == 200, "a part that does not answer is left out"
    engine.problem("GET", f"/api/v1/skills/{ID}", "not-found", 404)
    assert recruiter.get(f"/skills/{ID}").status_code == 404


def test_who_has_it_is_listed(recruiter, engine) -> None:
    person = {"id": PERSON_ID, "full_name": "Ada <i>", "headline": "Analyst", "skills": ["nodejs"]}
    engine.on("GET", "/api/v1/talents", {"items": [person], "next_cursor": "more"})
    page = text(recruiter.get(f"/skills/{ID}/people"))
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"skill": ID, "limit": "20"}
    assert f"/people/{PERSON_ID}" in page
    assert "Ada &lt;i&gt;" in page
    assert "cursor=more" in page
    engine.on("GET", "/api/v1/jobs", {"items": [], "next_cursor": None})
    assert recruiter.get(f"/skills/{ID}/jobs").status_code == 200


def test_one_is_made_under_another_that_is_named(recruiter, engine, parts) -> None:
    engine.on("POST", "/api/v1/skills", SKILL, 201)
    form = {
        "name_en": "Deno",
        "parents": "backend",
        "kind": "tool",
        "idempotency": "k1",
        "aliases_en": "a; b",
    }
    answer = recruiter.post("/skills", form, page="/skills/new")
    assert answer.status_code == 303
    request, body = sent(engine, "POST")
    assert request.headers["Idempotency-Key"] == "k1"
    assert body == {
        "name_en": "Deno",
        "kind": "tool",
        "parents": [GROUP_ID],
        "aliases": [{"language": "en", "name": "a"}, {"language": "en", "name": "b"}],
    }
    assert noted(parts, "create-skill").object == f"skill/{ID}"


def test_a_name_that_nobody_has_is_told_at_its_field(recruiter, engine) -> None:
    engine.on("GET", "/api/v1/skills/lookup", {"items": [{**MATCH, "match": "prefix"}]})
    answer = recruiter.post("/skills", {"name_en": "Deno", "parents": "back"}, page="/skills/new")
    page = text(answer)
    assert answer.status_code == 422
    assert 'id="field-parents-errors"' in page
    assert 'value="Deno"' in page
    assert not any(request.method == "POST" for request, _ in engine.seen)


def test_only_what_differs_is_changed(recruiter, engine, parts) -> None:
    engine.on("PATCH", f"/api/v1/skills/{ID}", {**SKILL, "version": 4})
    form = {
        "version": "3",
        "name_en": "Node.js <b>",
        "name_zh": "",
        "aliases_en": "Node",
        "aliases_zh": "节点",
        "kind": "tool",
        "parents": "Back-End",
        "esco_uri": "",
        "status": "active",
        "replaced_by": "",
    }
    answer = recruiter.post(f"/skills/{ID}", form, page=f"/skills/{ID}")
    assert answer.status_code == 303
    request, body = sent(engine, "PATCH")
    assert request.headers["If-Match"] == '"3"'
    assert body == {"name_zh": None}
    assert noted(parts, "change-skill").detail == {"fields": ["name_zh"], "version": 4}


def test_what_the_engine_refuses_is_told_at_its_field(recruiter, engine) -> None:
    errors = [
        {"field": "parents", "message": "closes a circle: a → b → a; nothing is above itself"},
        {"field": "aliases[1].name", "message": "has no letter and no digit: write a name"},
    ]
    engine.problem("PATCH", f"/api/v1/skills/{ID}", "validation", 422, errors=errors)
    form = {"version": "3", "name_en": "X", "aliases_en": "Node", "aliases_zh": "··", "parents": "Back-End"}
    answer = recruiter.post(f"/skills/{ID}", form, page=f"/skills/{ID}")
    page = text(answer)
    assert answer.status_code == 422
    assert 'id="field-parents-errors">closes a circle' in page
    assert 'id="field-aliases_zh-errors">has no letter' in page
    assert 'value="X"' in page


def test_one_that_others_are_below_stays_and_says_why(recruiter, engine) -> None:
    why = "2 skills are below this one, or replaced by it: move them first, or retire this one instead."
    engine.problem("DELETE", f"/api/v1/skills/{ID}", "conflict", 409, detail=why)
    answer = recruiter.post(f"/skills/{ID}/delete", {"version": "3"}, page=f"/skills/{ID}")
    assert answer.status_code == 409
    assert why in text(answer)
    engine.on("DELETE", f"/api/v1/skills/{ID}", None, 204)
    assert recruiter.post(f"/skills/{ID}/delete", {"version": "3"}, page=f"/skills/{ID}").status_code == 303


def test_the_starting_taxonomy_is_loaded(recruiter, engine, parts) -> None:
    counts = {"created": 280, "updated": 2, "unchanged": 0, "kept": 1, "refused": 0}
    engine.on("POST", "/api/v1/skills/starter", counts)
    answer = recruiter.post("/skills/starter", {}, page="/skills")
    assert answer.status_code == 303
    assert "280 skills are new, 2 changed." in text(recruiter.get("/skills"))
    assert noted(parts, "load-skills").detail == {"created": 280, "updated": 2}


def test_a_page_in_chinese_calls_skills_by_their_chinese_names(recruiter) -> None:
    recruiter.post("/language", {"language": "zh-CN", "next": "/skills"}, page="/skills")
    page = text(recruiter.get(f"/skills/{ID}"))
    assert "<h1>Node后端</h1>" in page
    assert "上级" in page


def test_forms_and_skills() -> None:
    assert title(SKILL, "zh_Hans_CN") == "Node后端"
    assert title({"key": "x", "name_en": None, "name_zh": None}, "en") == "x"
    form = shown(SKILL, {GROUP_ID: "Back-End"})
    assert (form["aliases_en"], form["parents"], form["replaced_by"]) == ("Node", "Back-End", "")
    same = wanted(form, {"parents": [GROUP_ID], "replaced_by": []}, SKILL)
    assert patch_of(same, SKILL) == {}, "what a page shows is what is stored"
    found = by_field(
        [FieldError(field="parents[0]", message="m"), FieldError(field="aliases", message="n")], {}
    )
    assert found == {"parents": "m", "aliases_en": "n"}
