"""Consents, the export of one person, restoring what was deleted, and the audit of it all, over HTTP."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.crypto import FileCipher, new_key
from looma_engines.talent_sync.rights.consenting import standing_of
from support.database import DatabaseUrls
from support.sync_runs import Runs, person
from support.tokens import bearer

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
AGREED = {"purpose": "matching", "evidence": "form 12, signed"}


@pytest.fixture
def admin(tenant: str) -> Auth:
    return bearer(tenant=tenant, roles=["admin"], subject="officer")


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


@pytest.fixture
def cipher(client: Client) -> FileCipher:
    """What the engine reads names of files with."""
    return FileCipher(client.app.state.settings.file_keys)


def made(client: Client, auth: Auth, kind: str = "talents", /, **draft: Any) -> str:
    body = {
        "talents": {"full_name": "Ada"},
        "companies": {"name": "Harbour"},
        "jobs": {"title": "Clerk"},
    }.get(kind, {})
    answer = client.post(f"/api/v1/{kind}", json={**body, **draft}, headers=auth)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def delete(client: Client, auth: Auth, kind: str, record: str) -> None:
    answer = client.delete(f"/api/v1/{kind}/{record}", headers={**auth, "If-Match": "*"})
    assert answer.status_code == 204, answer.text


# ---- consents ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("withdrawn", "expires", "standing"),
    [
        (None, None, "given"),
        (None, NOW + timedelta(seconds=1), "given"),
        (None, NOW, "expired"),
        (NOW, None, "withdrawn"),
        (NOW, NOW - timedelta(days=1), "withdrawn"),
    ],
)
def test_what_a_basis_is(withdrawn: datetime | None, expires: datetime | None, standing: str) -> None:
    assert standing_of(withdrawn_at=withdrawn, expires_at=expires, now=NOW) == standing


def test_a_consent_is_given_withdrawn_and_stays_to_be_read(client: Client, auth: Auth) -> None:
    talent = made(client, auth)
    url = f"/api/v1/talents/{talent}/consents"
    first = client.post(url, json=AGREED, headers=auth)
    assert first.status_code == 201, first.text
    assert (first.json()["standing"], first.json()["basis"]) == ("given", "consent")
    second = client.post(url, json={"purpose": "matching", "basis": "contract"}, headers=auth).json()
    told = client.get(url, headers=auth).json()
    assert ([item["id"] for item in told["items"]], told["allowed"], told["barred"]) == (
        [second["id"], first.json()["id"]],
        ["matching"],
        [],
    )

    def usable() -> list[str]:
        found = client.get("/api/v1/talents", params={"usable_for": "matching"}, headers=auth)
        assert found.status_code == 200, found.text
        return [item["id"] for item in found.json()["items"]]

    other = made(client, auth)
    assert set(usable()) == {talent, other}
    ended = client.post(f"{url}/{second['id']}/withdraw", headers=auth)
    assert (ended.status_code, ended.json()["standing"], ended.json()["withdrawn_by"]) == (
        200,
        "withdrawn",
        "ada",
    )
    assert set(usable()) == {talent, other}, "another basis is in force"
    client.post(f"{url}/{first.json()['id']}/withdraw", headers=auth)
    assert usable() == [other]
    told = client.get(url, headers=auth).json()
    assert (told["allowed"], told["barred"], len(told["items"])) == ([], ["matching"], 2)
    assert client.post(f"{url}/{second['id']}/withdraw", headers=auth).status_code == 409
    assert client.post(f"{url}/{uuid.uuid4()}/withdraw", headers=auth).status_code == 404
    export = client.get("/api/v1/talents/export?format=jsonl&usable_for=matching", headers=auth)
    assert talent not in export.text
    assert other in export.text
    assert client.post(url, json=AGREED, headers=auth).status_code == 201
    assert set(usable()) == {talent, other}


def test_a_consent_that_has_expired_is_one_no_longer(client: Client, auth: Auth, runs: Runs) -> None:
    talent = made(client, auth)
    url = f"/api/v1/talents/{talent}/consents"
    soon = {**AGREED, "given_at": "2020-01-01T00:00:00Z", "expires_at": "2021-01-01T00:00:00Z"}
    assert client.post(url, json=soon, headers=auth).json()["standing"] == "expired"
    assert client.get(url, headers=auth).json()["barred"] == ["matching"]
    found = client.get("/api/v1/talents?usable_for=matching", headers=auth).json()["items"]
    assert found == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"purpose": "profit", "evidence": "x"}, "purpose"),
        ({"purpose": "matching"}, "evidence"),
        ({**AGREED, "given_at": "2999-01-01T00:00:00Z"}, "given_at"),
        ({**AGREED, "given_at": "1800-01-01T00:00:00Z"}, "given_at"),
        ({**AGREED, "given_at": "2020-01-01T00:00:00Z", "expires_at": "2019-01-01T00:00:00Z"}, "expires_at"),
        ({**AGREED, "expires_at": "2019-01-01T00:00:00Z"}, "expires_at"),
        ({**AGREED, "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({**AGREED, "given_at": "0001-01-01T00:00:00+14:00"}, "given_at"),
        ({**AGREED, "evidence": "a\u0000b"}, "evidence"),
    ],
)
def test_a_consent_that_does_not_fit_is_refused(client: Client, auth: Auth, body: Any, field: str) -> None:
    talent = made(client, auth)
    answer = client.post(f"/api/v1/talents/{talent}/consents", json=body, headers=auth)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_another_tenant_has_no_part_in_consents(client: Client, auth: Auth, other_tenant: Auth) -> None:
    talent = made(client, auth)
    url = f"/api/v1/talents/{talent}/consents"
    consent = client.post(url, json=AGREED, headers=auth).json()["id"]
    assert client.get(url, headers=other_tenant).status_code == 404
    assert client.post(url, json=AGREED, headers=other_tenant).status_code == 404
    assert client.post(f"{url}/{consent}/withdraw", headers=other_tenant).status_code == 404
    assert client.get(url, headers=auth).json()["items"][0]["standing"] == "given"


# ---- export ------------------------------------------------------------------------------------------------


def test_a_person_is_exported_with_all_that_is_held(
    client: Client, auth: Auth, admin: Auth, runs: Runs
) -> None:
    runs.target = {"conflictPolicy": {"default": "manual"}}
    runs.one([person(1, headline="Before"), person(2)])
    talent = str(runs.talents()["p-1"]["id"])
    client.patch(f"/api/v1/talents/{talent}", json={"headline": "Ours"}, headers={**auth, "If-Match": "*"})
    runs.one([person(1, headline="<b>Theirs</b>"), person(2)])
    runs.one([person(1, full_name="x" * 300), person(2)])
    company = made(client, auth, "companies")
    made(client, auth, "relations", kind="works_at", talent_id=talent, company_id=company)
    client.post(f"/api/v1/talents/{talent}/consents", json=AGREED, headers=auth)
    url = f"/api/v1/talents/{talent}/export"
    assert client.get(url, headers=auth).status_code == 403
    assert client.get(url, headers=bearer(tenant="none", roles=["admin"])).status_code == 404
    answer = client.get(url, headers=admin)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert (told["format"], told["deleted"], told["record"]["id"]) == ("looma-person/1", False, talent)
    assert [entry["action"] for entry in told["history"]] == ["update", "create"]
    assert [len(told[name]) for name in ("relations", "consents", "sources", "conflicts", "quarantine")] == [
        1
    ] * 5
    assert [event["action"] for event in told["audit"]] == ["export-person", "give-consent"]
    assert "Ada Number 2" not in answer.text
    page = client.get(url, params={"format": "html"}, headers=admin)
    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;b&gt;Theirs&lt;/b&gt;" in page.text
    assert "<b>" not in page.text
    packed = client.get(url, params={"format": "zip"}, headers=admin)
    assert packed.headers["content-type"] == "application/zip"
    assert packed.headers["content-disposition"] == f'attachment; filename="person-{talent}.zip"'
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("person.json"))["record"] == told["record"]
        assert "&lt;b&gt;Theirs&lt;/b&gt;" in archive.read("person.html").decode()
        assert json.loads(archive.read("files.json")) == []
    delete(client, auth, "talents", talent)
    assert client.get(url, headers=admin).json()["deleted"] is True


def test_the_form_of_an_export_is_chosen_by_its_header(client: Client, auth: Auth, admin: Auth) -> None:
    url = f"/api/v1/talents/{made(client, auth)}/export"
    for accept, kind in (
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/zip", "application/zip"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json;q=0.5, application/zip", "application/zip"),
    ):
        answer = client.get(url, headers={**admin, "Accept": accept})
        assert answer.headers["content-type"].partition(";")[0] == kind, accept
        assert answer.headers["vary"] == "Accept"
    named = client.get(url, params={"format": "json"}, headers={**admin, "Accept": "application/zip"})
    assert named.headers["content-type"] == "application/json", "what is asked for by name is had"
    before = len(events(client, admin))
    refused = client.get(url, headers={**admin, "Accept": "image/png"})
    assert refused.status_code == 406
    assert "application/zip" in refused.json()["detail"]
    assert len(events(client, admin)) == before, "nothing went out"
    assert client.get(url, params={"format": "exe"}, headers=admin).status_code == 422


def test_an_export_lists_files_and_their_names(
    client: Client, auth: Auth, admin: Auth, runs: Runs, cipher: FileCipher
) -> None:
    number = uuid.uuid4()
    talent = made(client, auth, source={"type": "resume", "ref": str(number)})
    stranger, other = made(client, auth), uuid.uuid4()
    keep = (
        "INSERT INTO resume.resumes (id, tenant, talent_id, source, media_type, size, sha256, file_name, content,"
        " parsed) VALUES (%(id)s, %(tenant)s, %(talent)s, 'resume', 'application/pdf', 9, %(sha256)s, %(name)s,"
        " 'x', 'x')"
    )
    lost = FileCipher(new_key()).encrypt(b"gone.pdf")
    for file, whose, name in (
        # The first is found by the source that the person came from.
        (number, None, cipher.encrypt("../简历 =1.pdf".encode())),
        (uuid.uuid4(), talent, lost),
        (other, stranger, cipher.encrypt(b"stranger.pdf")),
    ):
        runs.change(keep, id=file, tenant=runs.tenant, talent=whose, sha256=file.hex * 2, name=name)
    url = f"/api/v1/talents/{talent}/export"
    files = client.get(url, headers=admin).json()["files"]
    assert [file["file_name"] for file in files] == ["../简历 =1.pdf", None]
    assert (files[0]["id"], files[0]["size"]) == (str(number), 9)
    packed = client.get(url, params={"format": "zip"}, headers=admin)
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert archive.namelist() == ["person.json", "person.html", "files.json"]
        assert json.loads(archive.read("files.json")) == files
    # What the list has is what an erasure takes away.
    erased = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin)
    assert erased.json()["counts"]["resume.resumes"] == 2
    assert [row["id"] for row in runs.rows("SELECT id FROM resume.resumes")] == [other]


# ---- restoring ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["talents", "companies", "jobs"])
def test_a_deleted_record_is_restored(client: Client, auth: Auth, kind: str) -> None:
    record = made(client, auth, kind)
    url = f"/api/v1/{kind}/{record}"
    before = client.get(url, headers=auth).json()
    assert client.post(f"{url}/restore", headers={**auth, "If-Match": "*"}).status_code == 409
    delete(client, auth, kind, record)
    assert client.post(f"{url}/restore", headers=auth).status_code == 428
    assert client.post(f"{url}/restore", headers={**auth, "If-Match": '"1"'}).status_code == 412
    stranger = bearer(tenant="stranger")
    assert client.post(f"{url}/restore", headers={**stranger, "If-Match": "*"}).status_code == 404
    back = client.post(f"{url}/restore", headers={**auth, "If-Match": '"2"'})
    assert back.status_code == 200, back.text
    assert back.headers["ETag"] == '"3"'
    same = {"id", "version", "updated_at"}
    assert {name: value for name, value in back.json().items() if name not in same} == {
        name: value for name, value in before.items() if name not in same
    }
    history = client.get(f"{url}/history", headers=auth).json()["items"]
    assert [entry["action"] for entry in history] == ["restore", "delete", "create"]


def test_a_relation_comes_back_after_its_people(client: Client, auth: Auth) -> None:
    talent, company = made(client, auth), made(client, auth, "companies")
    works = {"kind": "works_at", "talent_id": talent, "company_id": company}
    relation = made(client, auth, "relations", **works)
    delete(client, auth, "talents", talent)
    any_version = {**auth, "If-Match": "*"}
    early = client.post(f"/api/v1/relations/{relation}/restore", headers=any_version)
    assert early.status_code == 409
    assert "`talent_id`" in early.json()["detail"]
    assert client.post(f"/api/v1/talents/{talent}/restore", headers=any_version).status_code == 200
    again = made(client, auth, "relations", **works)
    assert client.post(f"/api/v1/relations/{relation}/restore", headers=any_version).status_code == 409
    delete(client, auth, "relations", again)
    assert client.post(f"/api/v1/relations/{relation}/restore", headers=any_version).status_code == 200


def test_one_that_came_again_from_its_source_keeps_its_place(client: Client, auth: Auth) -> None:
    source = {"type": "manual", "ref": uuid.uuid4().hex}
    first = made(client, auth, source=source)
    delete(client, auth, "talents", first)
    made(client, auth, source=source)
    answer = client.post(f"/api/v1/talents/{first}/restore", headers={**auth, "If-Match": "*"})
    assert answer.status_code == 409, answer.text


# ---- audit -------------------------------------------------------------------------------------------------


def events(client: Client, admin: Auth, **asked: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/audit-events", params=asked, headers=admin)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_what_is_done_with_people_is_told_and_nothing_of_them(
    client: Client, auth: Auth, admin: Auth, runs: Runs
) -> None:
    runs.target = {"conflictPolicy": {"default": "manual"}}
    runs.one([person(1, headline="Before"), person(2, email="nobody"), person(3, email="no")])
    runs.change("UPDATE talent_sync.talents SET headline = 'Ours', version = version + 1")
    runs.one([person(1, headline="Theirs"), person(2, email="nobody"), person(3, email="no")])
    talent = str(runs.talents()["p-1"]["id"])
    (conflict,) = client.get("/api/v1/sync-conflicts", headers=auth).json()["items"]
    client.post(f"/api/v1/sync-conflicts/{conflict['id']}/settle", json={"take": "source"}, headers=auth)
    entries = client.get("/api/v1/quarantine", headers=auth).json()["items"]
    any_version = {**auth, "If-Match": "*"}
    put = {"draft": {"full_name": "Ada"}}
    client.post(f"/api/v1/quarantine/{entries[0]['id']}/replay", json=put, headers=any_version)
    client.post(f"/api/v1/quarantine/{entries[1]['id']}/discard", headers=any_version)
    client.get("/api/v1/talents/export?format=csv", headers=auth)
    file = {"file": ("people.jsonl", b'{"full_name": "Imported"}')}
    client.post("/api/v1/talents/import", files=file, data={"dry_run": "true"}, headers=auth)
    client.post("/api/v1/talents/import", files=file, headers=auth)
    consent = client.post(f"/api/v1/talents/{talent}/consents", json=AGREED, headers=auth).json()["id"]
    client.post(f"/api/v1/talents/{talent}/consents/{consent}/withdraw", headers=auth)
    delete(client, auth, "talents", talent)
    client.post(f"/api/v1/talents/{talent}/restore", headers=any_version)
    client.get(f"/api/v1/talents/{talent}/export", headers={**admin, "X-Request-Id": "asked-by-letter"})
    done = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin).json()
    found = events(client, admin)
    assert [event["action"] for event in reversed(found)] == [
        "settle-conflict",
        "replay-quarantine",
        "discard-quarantine",
        "export-records",
        "import-records",
        "give-consent",
        "withdraw-consent",
        "restore",
        "export-person",
        "erase",
    ]
    assert (found[0]["record_id"], found[0]["actor"], found[0]["reason"]) == (
        done["id"],
        "officer",
        "request",
    )
    assert (found[1]["record_id"], found[1]["request_id"]) == (talent, "asked-by-letter")
    assert {event["actor"] for event in found[2:]} == {"ada"}
    for word in ("Number", "mail.example", "Theirs", "Ours", "Imported"):
        assert word not in str(found)
    assert len(events(client, admin, action="erase")) == 1
    assert {event["record_id"] for event in events(client, admin, record_id=talent)} == {talent}
    first = client.get("/api/v1/audit-events?limit=4", headers=admin).json()
    rest = client.get("/api/v1/audit-events", params={"cursor": first["next_cursor"]}, headers=admin).json()
    assert [*first["items"], *rest["items"]] == found
    span = {"since": found[-2]["at"], "before": found[0]["at"]}
    assert events(client, admin, **span) == [
        event for event in found if span["since"] <= event["at"] < span["before"]
    ]
    assert len(events(client, admin, since=span["since"])) > len(events(client, admin, **span)) > 0
    assert client.get("/api/v1/audit-events", headers=auth).status_code == 403
    assert client.get("/api/v1/audit-events?cursor=x", headers=admin).status_code == 422
    assert events(client, bearer(tenant="none", roles=["admin"])) == []


def test_what_is_refused_leaves_no_event(client: Client, auth: Auth, admin: Auth) -> None:
    talent = made(client, auth)
    client.post(f"/api/v1/talents/{talent}/consents", json={"purpose": "matching"}, headers=auth)
    client.get(f"/api/v1/talents/{uuid.uuid4()}/export", headers=admin)
    client.post(f"/api/v1/talents/{uuid.uuid4()}/erasure", json={"reason": "request"}, headers=admin)
    assert events(client, admin) == []


def test_the_audit_is_only_added_to(client: Client, auth: Auth, runs: Runs) -> None:
    talent = made(client, auth)
    client.post(f"/api/v1/talents/{talent}/consents", json=AGREED, headers=auth)
    for statement in (
        "UPDATE talent_sync.audit_events SET actor = 'nobody'",
        "DELETE FROM talent_sync.audit_events",
        "TRUNCATE talent_sync.audit_events",
    ):
        for url in (runs.urls.app_libpq, runs.urls.owner_libpq, runs.urls.admin):
            with psycopg.connect(url) as connection:
                connection.execute("SELECT set_config('looma.tenant', %s, true)", [runs.tenant])
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(statement)  # type: ignore[call-overload]
    with psycopg.connect(runs.urls.admin) as connection:
        placed = connection.execute(
            "SELECT tableoid::regclass::text FROM talent_sync.audit_events WHERE tenant = %s", [runs.tenant]
        ).fetchall()
    assert placed == [(f"talent_sync.audit_events_{datetime.now(UTC):%Y_%m}",)]
