"""The pages about what sync jobs brought, before a fake engine over real HTTP."""

from __future__ import annotations

import json
import re
import typing
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.incoming import forms, messages
from looma_console.incoming.links import page_of
from looma_console.web.permissions import Role
from looma_core.api.relation import RelationDraft, RelationKind
from looma_core.api.sync import QualityChange
from looma_core.api.syncjob import Entity

ID = "019a0000-0000-7000-8000-000000000001"
RECORD = "019a0000-0000-7000-8000-000000000002"
NOW = "2026-11-20T10:00:00Z"
ITEM: dict[str, Any] = {
    "id": ID,
    "version": 3,
    "job": "looma/people",
    "epoch": 7,
    "origin": "crm",
    "entity": "talent",
    "key": "p-<1>",
    "position": 12,
    "errors": [{"field": "email", "message": "write an address"}],
    "state": "open",
    "times": 2,
    "created_at": NOW,
    "seen_at": NOW,
    "settled_at": None,
    "settled_by": None,
    "record_id": None,
}
DRAFT = {
    "full_name": "Ada <b>",
    "email": "nobody",
    "skills": ["Go", "SQL"],
    "experience": [],
    "colour": "red",
}
ENTRY = {**ITEM, "raw": json.dumps({"id": "p-1", **DRAFT}), "whole": True, "draft": DRAFT}
CONFLICT: dict[str, Any] = {
    "id": ID,
    "job": "looma/people",
    "epoch": 7,
    "origin": "crm",
    "entity": "talent",
    "key": "p-1",
    "record_id": RECORD,
    "field": "skills",
    "base": ["Go"],
    "source": ["Go", "SQL"],
    "target": None,
    "resolution": "open",
    "reason": "a person decides",
    "created_at": NOW,
    "settled_at": None,
    "settled_by": None,
}
WRITE: dict[str, Any] = {
    "id": ID,
    "job": "looma/people",
    "epoch": 7,
    "origin": "crm",
    "entity": "talent",
    "key": "p-<1>",
    "record_id": RECORD,
    "version": 4,
    "fields": ["email", "headline"],
    "state": "refused",
    "reason": "PostgreSQL refuses it (CheckViolation, <no_chiefs>)",
    "created_at": NOW,
    "settled_at": NOW,
}
RUN: dict[str, Any] = {
    "id": 41,
    "job": "looma/people",
    "epoch": 7,
    "origin": "crm",
    "entity": "talent",
    "shards": 2,
    "ended": 2,
    "counts": {"read": 120, "created": 100, "quarantined": 3, "conflicts": 4, "resolved": 3},
    "quality": 88.5,
    "looked": 120,
    "held": 119,
    "started_at": NOW,
    "updated_at": NOW,
    "ended_at": NOW,
}
AT = {"records": 2, "mean": 75.0, "bands": [{"least": 100, "records": 1}, {"least": 50, "records": 1}]}
REPORT = {
    **RUN,
    "mode": "incremental",
    "since": "2026-11-19T08:07:00Z",
    "watermark_before": "2026-11-19T08:22:00Z",
    "watermark": "2026-11-20T08:33:00Z",
    "full_in": 1,
    "quality_change": {
        "before": AT,
        "after": {
            "records": 3,
            "mean": 96.7,
            "bands": [{"least": 100, "records": 2}, {"least": 90, "records": 1}],
        },
        "rules": [
            {"rule": "talent.email.slip", "before": 4, "after": 2, "broken": 1, "mended": 3},
            {"rule": "talent.<new>", "before": 0, "after": 1, "broken": 1, "mended": 0},
        ],
    },
    "counts": {**RUN["counts"], "repaired": 2},
    "partitions": [
        {"shard": 0, "looked": 60, "held": 60, "source_checksum": "00ab", "stored_checksum": "00ab"},
        {"shard": 1, "looked": 60, "held": 59, "source_checksum": "00cd", "stored_checksum": "00ce"},
    ],
    "faults": [{"name": "email", "number": 3}],
    "resolutions": [{"name": "source", "number": 3}, {"name": "open", "number": 1}],
    "conflict_fields": [{"name": "headline", "number": 4}],
}
REPAIR: dict[str, Any] = {
    "record_id": RECORD,
    "entity": "talent",
    "version": 3,
    "action": "update",
    "fields": ["headline", "<location>"],
    "repaired_at": NOW,
}


PAGES: dict[Entity, str] = {
    "talent": f"/people/{RECORD}",
    "company": f"/companies/{RECORD}",
    "job": f"/jobs/{RECORD}",
    "relation": f"/relations/{RECORD}",
}
"""Where each kind of record is shown."""
RELATION = {
    "kind": "works_at",
    "talent_id": "p-7",
    "company_id": "c-<3>",
    "talent_name": "Ada",
    "title": None,
    "starts_on": "2020-03-01",
    "ends_on": 20211231,
    "note": "By phone\nand <letter>",
}
REFUSED_RELATION: dict[str, Any] = {
    **ENTRY,
    "entity": "relation",
    "key": "r-1",
    "errors": [
        {"field": "talent_id", "message": "crm-people has brought no record with the key p-7"},
        {"field": "ends_on", "message": "write a day"},
    ],
    "raw": json.dumps({"id": "r-1", **RELATION}),
    "draft": RELATION,
}


@pytest.fixture
def recruiter(signed_in, engine):
    engine.on("GET", "/api/v1/quarantine", {"items": [ITEM], "next_cursor": "next-page"})
    engine.on("GET", f"/api/v1/quarantine/{ID}", ENTRY)
    engine.on("GET", "/api/v1/sync-conflicts", {"items": [CONFLICT], "next_cursor": None})
    engine.on("GET", "/api/v1/sync-writes", {"items": [WRITE], "next_cursor": "next-page"})
    engine.on("GET", "/api/v1/sync-runs", {"items": [RUN], "next_cursor": None})
    engine.on("GET", "/api/v1/sync-runs/41", REPORT)
    engine.on("GET", "/api/v1/sync-runs/41/repairs", {"items": [REPAIR], "next_cursor": "next-page"})
    return signed_in(Role.RECRUITER)


def sent(engine, method: str) -> tuple[Any, Any]:
    """The last request of that method, and its body."""
    request, body = next(item for item in reversed(engine.seen) if item[0].method == method)
    return request, json.loads(body) if body else None


def text(answer: Any) -> str:
    found: str = answer.get_data(as_text=True)
    return found


def test_what_waits_is_listed_first(recruiter, engine) -> None:
    page = text(recruiter.get("/incoming/quarantine"))
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"state": "open", "limit": "20"}
    assert "p-&lt;1&gt;" in page
    assert "write an address" in page
    assert "cursor=next-page" in page
    recruiter.get("/incoming/quarantine?state=all&entity=job")
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"entity": "job", "limit": "20"}


def test_what_a_source_refused_is_listed_first_with_its_reason(recruiter, engine) -> None:
    page = text(recruiter.get("/incoming/writes"))
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"state": "refused", "limit": "20"}
    for words in (
        "p-&lt;1&gt;",
        "<code>email</code>",
        "&lt;no_chiefs&gt;",
        "cursor=next-page",
        f"/people/{RECORD}",
    ):
        assert words in page
    recruiter.get("/incoming/writes?state=all&entity=job")
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"entity": "job", "limit": "20"}


def test_each_kind_of_write_is_named_and_one_without_a_key_too(recruiter, engine) -> None:
    kinds = {"change": "Changed here", "create": "Made here", "delete": "Deleted here"}
    items = [{**WRITE, "kind": kind, "key": "" if kind == "create" else "p-1"} for kind in kinds]
    engine.on("GET", "/api/v1/sync-writes", {"items": items, "next_cursor": None})
    page = text(recruiter.get("/incoming/writes"))
    assert [page.count(f">{words}</td>") for words in kinds.values()] == [1, 1, 1]


def test_what_a_source_refused_has_the_same_form_and_says_so(recruiter, engine) -> None:
    back = {"direction": "back", "position": 0, "key": "", "record_id": RECORD}
    engine.on("GET", "/api/v1/quarantine", {"items": [{**ITEM, **back}], "next_cursor": None})
    engine.on("GET", f"/api/v1/quarantine/{ID}", {**ENTRY, **back})
    page = text(recruiter.get("/incoming/quarantine"))
    assert "refused by the source" in page
    assert "line 0" not in page
    page = text(recruiter.get(f"/incoming/quarantine/{ID}"))
    for words in (
        "What the source was to get",
        f"/people/{RECORD}",
        "The record as it is here",
        "stays as it is here",
    ):
        assert words in page
    assert f'action="/incoming/quarantine/{ID}/replay"' in page


def test_what_was_refused_is_tried_again_by_a_button(recruiter, engine, parts) -> None:
    assert f'action="/incoming/writes/{ID}/again"' in text(recruiter.get("/incoming/writes"))
    engine.on("POST", f"/api/v1/sync-writes/{ID}/again", {**WRITE, "state": "dropped"})
    answer = recruiter.post(f"/incoming/writes/{ID}/again", {})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/incoming/writes")
    engine.problem("POST", f"/api/v1/sync-writes/{ID}/again", "conflict", 409)
    assert recruiter.post(f"/incoming/writes/{ID}/again", {}).status_code == 409


def test_an_entry_is_a_form_with_what_the_source_had(recruiter) -> None:
    page = text(recruiter.get(f"/incoming/quarantine/{ID}"))
    assert 'value="Ada &lt;b&gt;"' in page
    assert ">Go\nSQL</textarea>" in page
    assert "colour" in page, "what no field holds is said"
    assert 'id="field-email-errors"' in page


def test_a_form_becomes_a_record(recruiter, engine, parts) -> None:
    engine.on("POST", f"/api/v1/quarantine/{ID}/replay", {**ENTRY, "state": "replayed", "record_id": RECORD})
    form = {"version": "3", "full_name": "Ada", "skills": "Go\r\n SQL ", "experience": '[{"title": "x"}]'}
    answer = recruiter.post(f"/incoming/quarantine/{ID}/replay", form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/incoming/quarantine")
    request, body = sent(engine, "POST")
    assert request.headers["If-Match"] == '"3"'
    assert body == {"draft": {"full_name": "Ada", "skills": ["Go", "SQL"], "experience": [{"title": "x"}]}}
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "replay-record")).one()
        assert (entry.object, entry.detail) == (f"quarantine/{ID}", {"record": RECORD})


def test_a_record_that_is_still_wrong_keeps_what_was_written(recruiter, engine) -> None:
    errors = [{"field": "draft.experience[0].end", "message": "is before the start"}]
    engine.problem("POST", f"/api/v1/quarantine/{ID}/replay", "validation", 422, errors=errors)
    answer = recruiter.post(f"/incoming/quarantine/{ID}/replay", {"version": "3", "full_name": "Mine"})
    page = text(answer)
    assert answer.status_code == 422
    assert 'value="Mine"' in page
    assert 'id="field-experience-errors">is before the start' in page


def test_an_entry_is_thrown_away(recruiter, engine, parts) -> None:
    engine.on("POST", f"/api/v1/quarantine/{ID}/discard", {**ENTRY, "state": "discarded"})
    assert recruiter.post(f"/incoming/quarantine/{ID}/discard", {"version": "3"}).status_code == 303
    with parts.db.transaction() as session:
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "discard-record")).one()


def field(page: str, name: str) -> str:
    """What the form has for a field, with what is wrong with it."""
    found = re.search(rf'<div class="field[^>]*><label for="field-{name}">.*?</div>', page, flags=re.DOTALL)
    assert found, name
    return found[0]


def test_a_refused_relation_is_a_form_with_its_ends_and_days(recruiter, engine) -> None:
    engine.on("GET", f"/api/v1/quarantine/{ID}", REFUSED_RELATION)
    page = text(recruiter.get(f"/incoming/quarantine/{ID}"))
    assert "<h1>Relation r-1</h1>" in page
    for name, value in (
        ("kind", "works_at"),
        ("talent_id", "p-7"),
        ("company_id", "c-&lt;3&gt;"),
        ("job_id", ""),
        ("other_talent_id", ""),
        ("title", ""),
        ("starts_on", "2020-03-01"),
        ("ends_on", "20211231"),
    ):
        assert f'value="{value}"' in field(page, name), name
    assert ">By phone\nand &lt;letter&gt;</textarea>" in field(page, "note")
    assert "crm-people has brought no record with the key p-7" in field(page, "talent_id")
    assert "write a day" in field(page, "ends_on")
    assert "no such fields: talent_name<" in page


def test_the_form_of_a_relation_becomes_one(recruiter, engine) -> None:
    engine.on("GET", f"/api/v1/quarantine/{ID}", REFUSED_RELATION)
    done = {**REFUSED_RELATION, "state": "replayed", "record_id": RECORD}
    engine.on("POST", f"/api/v1/quarantine/{ID}/replay", done)
    draft = {
        "kind": "works_at",
        "talent_id": ID,
        "company_id": RECORD,
        "starts_on": "2020-03-01",
        "ends_on": "2021-12-31",
        "note": "By phone\nand letter",
    }
    form = {**draft, "version": "3", "job_id": " ", "title": "", "note": "By phone\r\nand letter"}
    assert recruiter.post(f"/incoming/quarantine/{ID}/replay", form).status_code == 303
    _, body = sent(engine, "POST")
    assert body == {"draft": draft}
    msgspec.convert(body["draft"], RelationDraft)


@pytest.mark.parametrize("kind", typing.get_args(RelationKind))
def test_each_kind_of_relation_passes_through_the_form_unchanged(kind) -> None:
    (box,) = [box for box in forms.boxes("relation", {"kind": kind}) if box.name == "kind"]
    assert forms.draft_of("relation", {box.name: box.value}) == {"kind": kind}


@pytest.mark.parametrize("entity", PAGES)
def test_each_kind_of_record_leads_to_where_it_is_shown(app, entity) -> None:
    with app.test_request_context():
        assert page_of(entity, UUID(RECORD)) == PAGES[entity]


@pytest.mark.parametrize("entity", PAGES)
@pytest.mark.parametrize(
    "path",
    [
        "/incoming/conflicts",
        "/incoming/writes",
        "/incoming/runs/41",
        f"/incoming/quarantine/{ID}",
    ],
)
def test_what_is_told_of_a_record_leads_to_it_and_names_its_kind(recruiter, engine, path, entity) -> None:
    of_it = {"entity": entity, "record_id": RECORD, "draft": {}}
    engine.on("GET", f"/api/v1/quarantine/{ID}", {**ENTRY, **of_it})
    for name, item in (
        ("sync-conflicts", CONFLICT),
        ("sync-writes", WRITE),
        ("sync-runs/41/repairs", REPAIR),
    ):
        engine.on("GET", f"/api/v1/{name}", {"items": [{**item, **of_it}], "next_cursor": None})
    page = text(recruiter.get(path))
    assert f'<a href="{PAGES[entity]}">' in page
    assert f"{messages.ENTITIES[entity]} " in page


@pytest.mark.parametrize(("path", "kinds"), [("quarantine", set(PAGES)), ("writes", {*PAGES} - {"relation"})])
def test_lists_are_filtered_by_each_kind(recruiter, engine, path, kinds) -> None:
    """Relations come one way: none of them is ever written back."""
    page = text(recruiter.get(f"/incoming/{path}?entity=job"))
    request, _ = sent(engine, "GET")
    assert request.args["entity"] == "job"
    assert '<option value="job" selected>' in page
    assert {entity for entity in PAGES if f'<option value="{entity}"' in page} == kinds


def test_a_run_of_relations_and_its_report(recruiter, engine) -> None:
    rule = {"rule": "relation.title.required", "before": 0, "after": 2, "broken": 2, "mended": 0}
    change = {**REPORT["quality_change"], "rules": [rule]}
    of_them = {"entity": "relation", "job": "looma/relations"}
    engine.on("GET", "/api/v1/sync-runs", {"items": [{**RUN, **of_them}], "next_cursor": None})
    engine.on("GET", "/api/v1/sync-runs/41", {**REPORT, **of_them, "quality_change": change})
    assert '<span class="muted">Relation</span>' in text(recruiter.get("/incoming/runs"))
    for path in ("/incoming/runs/41", "/incoming/runs/41/report.html"):
        told = text(recruiter.get(path))
        assert "<dt>Kind</dt><dd>Relation</dd>" in told
        assert "The work has no job title" in told


def test_relations_are_told_of_in_chinese(recruiter, engine) -> None:
    engine.on("GET", f"/api/v1/quarantine/{ID}", REFUSED_RELATION)
    page = text(recruiter.get(f"/incoming/quarantine/{ID}", headers={"Accept-Language": "zh-CN"}))
    assert "<h1>关系 r-1</h1>" in page


def test_conflicts_show_three_values_and_are_settled(recruiter, engine, parts) -> None:
    page = text(recruiter.get("/incoming/conflicts"))
    assert '["Go", "SQL"]' in page
    engine.on("POST", f"/api/v1/sync-conflicts/{ID}/settle", {**CONFLICT, "resolution": "source"})
    assert recruiter.post(f"/incoming/conflicts/{ID}", {"take": "source"}).status_code == 303
    _, body = sent(engine, "POST")
    assert body == {"take": "source"}
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "settle-conflict")).one()
        assert entry.detail == {"field": "skills", "take": "source", "record": RECORD}


def test_a_run_and_its_report(recruiter) -> None:
    assert 'href="/incoming/runs/41"' in text(recruiter.get("/incoming/runs"))
    page = text(recruiter.get("/incoming/runs/41"))
    assert "119 / 120" in page
    assert "88.5 / 100" in page
    answer = recruiter.get("/incoming/runs/41/report.html")
    for told in (page, text(answer)):
        quality = re.sub(r"\s+", "", told[told.index('id="quality"') :])
        assert "Mean</th><td>75.0</td><td>96.7</td>" in quality
        assert "90–99</th><td>0</td><td>1</td>" in quality
        assert "50–59</th><td>1</td><td>0</td>" in quality
        assert "Theaddresslooksmistyped</th><td>4</td><td>2</td>" in quality
        assert "talent.&lt;new&gt;" in told
        reading = told[told.index('id="mode"') :].split("</dd>")[0]
        for part in ("8:07", "8:22", "8:33", "the next run reads all again"):
            assert part in reading
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sync-run-looma-people-7.html"'
    assert "<code>email</code>" in text(answer)
    assert "<link" not in text(answer), "the file needs nothing else"


def test_what_a_run_put_right_is_listed_page_by_page(recruiter, engine) -> None:
    page = text(recruiter.get("/incoming/runs/41"))
    row = page[page.index('id="repairs"') :]
    for part in (f'href="/people/{RECORD}"', "Changed", "<code>headline</code>", "&lt;location&gt;"):
        assert part in row
    assert 'hx-get="/incoming/runs/41?cursor=next-page"' in row
    more = text(recruiter.get("/incoming/runs/41?cursor=next-page", headers={"HX-Request": "true"}))
    assert "<table" not in more
    assert f'href="/people/{RECORD}"' in more
    assert sent(engine, "GET")[0].args["cursor"] == "next-page"
    shards = re.sub(r"\s+", "", page[page.index('id="partitions"') : page.index('id="quality"')])
    assert "60/60</td><td><code>00ab</code></td><td><code>00ab</code>" in shards
    assert '59/60</td><td><code>00cd</code></td><tdclass="bad"><code>00ce</code>' in shards


def test_a_run_that_put_nothing_right_does_not_ask_for_it(recruiter, engine) -> None:
    engine.on("GET", "/api/v1/sync-runs/41", {**REPORT, "counts": RUN["counts"], "partitions": []})
    page = text(recruiter.get("/incoming/runs/41"))
    assert 'id="repairs"' not in page
    assert 'id="partitions"' not in page
    assert not [item for item, _ in engine.seen if item.path.endswith("/repairs")]


@pytest.mark.parametrize("path", [f"/incoming/quarantine/{RECORD}", "/incoming/runs/9"])
def test_what_is_not_there(recruiter, engine, path: str) -> None:
    engine.problem("GET", f"/api/v1/quarantine/{RECORD}", "not-found", 404)
    engine.problem("GET", "/api/v1/sync-runs/9", "not-found", 404)
    assert recruiter.get(path).status_code == 404


def test_a_source_value_of_another_form_is_shown_as_it_is() -> None:
    shown = {
        box.name: box.value for box in forms.boxes("job", {"title": 7, "skills": "Go", "salary": {"min": 1}})
    }
    assert (shown["title"], shown["skills"], shown["salary"]) == ("7", "Go", '{"min":1}')
    assert forms.boxes("company", None)[0].value == ""
    assert forms.draft_of("job", {"title": "x", "openings": "2", "salary": "{"}) == {
        "title": "x",
        "openings": 2,
        "salary": "{",
    }


def test_bands_of_both_ends_stand_beside_each_other() -> None:
    change = msgspec.convert(REPORT["quality_change"], QualityChange)
    assert messages.bands(change) == [("100", 1, 2), ("90–99", 0, 1), ("50–59", 1, 0)]


def test_every_kind_of_record_has_words_and_a_form() -> None:
    kinds = set(typing.get_args(Entity))
    assert set(messages.ENTITIES) == set(forms.STRUCTS) == set(PAGES) == kinds


def test_every_rule_has_words() -> None:
    from looma_engines.talent_sync.companies import COMPANIES
    from looma_engines.talent_sync.jobs import JOBS
    from looma_engines.talent_sync.relations import RELATIONS
    from looma_engines.talent_sync.talents import TALENTS

    rules = {
        rule.id for entity in (TALENTS, COMPANIES, JOBS, RELATIONS) for rule in entity.rules if rule.points
    }
    assert rules <= messages.RULES.keys()
