"""Résumé files over HTTP: kept, listed, read, linked, deleted; merged, exported and erased with their person."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient
from sqlalchemy import create_engine

from looma_engines.talent_sync.files.expiring import drop_deleted, drop_unlinked
from looma_engines.talent_sync.files.service import FILE_BYTES
from support.database import DatabaseUrls
from support.dumps import dump_of
from support.sync_runs import Runs
from support.tokens import bearer

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
FILES = "/api/v1/resume-files"
ANY = {"If-Match": "*"}
CV = b"Ada Byron\nada@mail.example\n"


@pytest.fixture
def admin(tenant: str) -> Auth:
    return bearer(tenant=tenant, roles=["admin"], subject="officer")


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


def person(client: Client, auth: Auth, **fields: Any) -> str:
    answer = client.post("/api/v1/talents", json={"full_name": "Ada", **fields}, headers=auth)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def sent(
    client: Client, auth: Auth, talent: str | None, data: bytes = CV, *, name: str = "cv.txt", **form: str
) -> Any:
    url = f"/api/v1/talents/{talent}/resume-files" if talent else FILES
    return client.post(url, files={"file": (name, data)}, data=form, headers=auth)


def kept(client: Client, auth: Auth, talent: str | None, data: bytes = CV, **more: Any) -> dict[str, Any]:
    answer = sent(client, auth, talent, data, **more)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    return file


def listed(client: Client, auth: Auth, **asked: Any) -> list[dict[str, Any]]:
    answer = client.get(FILES, params=asked, headers=auth)
    assert answer.status_code == 200, answer.text
    counted = client.get(f"{FILES}/count", params=asked, headers=auth)
    items: list[dict[str, Any]] = answer.json()["items"]
    assert counted.json() == {"count": len(items), "exact": True}
    return items


def parts_of(runs: Runs) -> int:
    return len(runs.rows("SELECT 1 FROM talent_sync.resume_file_parts"))


def events(client: Client, admin: Auth, **asked: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/api/v1/audit-events", params=asked, headers=admin).json()[
        "items"
    ]
    return items


def test_a_file_is_kept_and_comes_back_as_it_was(client: Client, auth: Auth, admin: Auth, runs: Runs) -> None:
    talent = person(client, auth)
    data = secrets.token_bytes(700_000).replace(b"\0", b"a")
    data = b"%PDF-1.7\n" + data
    answer = sent(client, auth, talent, data, name="简历 '林黛';v=2.docx", language="zh")
    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert answer.headers["Location"] == f"{FILES}/{file['id']}"
    assert {name: file[name] for name in file if name not in ("id", "created_at", "updated_at")} == {
        "version": 1,
        "talent_id": talent,
        "number": 1,
        "file_name": "简历 '林黛';v=2.docx",
        "media_type": "application/pdf",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "language": "zh",
        "state": "stored",
        "reason": None,
        "uploaded_by": "ada",
    }
    assert parts_of(runs) == 2
    one = f"{FILES}/{file['id']}"
    read = client.get(one, headers=auth)
    assert (read.json(), read.headers["ETag"]) == (file, '"1"')
    assert client.get(one, headers={**auth, "If-None-Match": '"1"'}).status_code == 304
    content = client.get(f"{one}/content", headers=auth)
    assert content.status_code == 200
    assert content.content == data
    assert content.headers["content-length"] == str(len(data))
    assert content.headers["content-type"] == "application/pdf"
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''%E7%AE%80%E5%8E%86%20%27%E6%9E%97%E9%BB%9B%27%3Bv%3D2.docx"
    )
    assert content.headers["etag"] == f'"{file["sha256"]}"'
    unsent = client.get(f"{one}/content", headers={**auth, "If-None-Match": content.headers["etag"]})
    assert (unsent.status_code, unsent.content) == (304, b"")
    for asked, wanted in (("bytes=1-9", data[1:10]), ("bytes=524280-524299", data[524280:524300])):
        part = client.get(f"{one}/content", headers={**auth, "Range": asked})
        assert (part.status_code, part.content) == (206, wanted)
        assert part.headers["content-range"] == f"{asked.replace('=', ' ')}/{len(data)}"
        older = client.get(f"{one}/content", headers={**auth, "Range": asked, "If-Range": '"older"'})
        assert (older.status_code, older.content) == (200, data)
    told = events(client, admin, record_id=file["id"])
    assert [(event["action"], event["entity"], event["actor"]) for event in told] == [
        *[("read-file", "resume_file", "ada")] * 5,
        ("store-file", "resume_file", "ada"),
    ]
    assert told[0]["detail"] == {"format": "pdf", "bytes": len(data)}
    assert listed(client, auth, talent_id=talent) == [file]


def test_the_database_alone_tells_nothing_of_a_file(client: Client, auth: Auth, runs: Runs) -> None:
    talent, word = person(client, auth), f"Quill{secrets.token_hex(6)}"
    data = f"{word}\n".encode() * 50
    file = kept(client, auth, talent, data, name=f"{word}.txt")
    with psycopg.connect(runs.urls.admin) as connection:
        (row, stored) = connection.execute(
            "SELECT f::text, p.content FROM talent_sync.resume_files f"
            " JOIN talent_sync.resume_file_parts p ON p.file_id = f.id WHERE f.id = %s",
            [file["id"]],
        ).fetchone()  # type: ignore[misc]
    assert word not in row
    assert file["sha256"] not in row
    assert word.encode() not in stored
    assert len(stored) < len(data), "compressed before it was sealed"
    assert word not in dump_of(runs.urls)


def test_the_same_file_of_a_person_is_one(client: Client, auth: Auth, other_tenant: Auth, runs: Runs) -> None:
    talent, other = person(client, auth), person(client, auth)
    first = kept(client, auth, talent)
    again = sent(client, auth, talent, name="again.txt")
    assert (again.status_code, again.json()) == (200, first)
    assert kept(client, auth, talent, CV + b"More.")["number"] == 2
    assert kept(client, auth, other)["number"] == 1, "another person's own"
    nobodys = kept(client, auth, None)
    assert (nobodys["talent_id"], nobodys["number"]) == (None, None)
    assert sent(client, auth, None).json() == nobodys
    stranger = kept(client, other_tenant, None)
    with psycopg.connect(runs.urls.admin) as connection:
        rows = connection.execute(
            "SELECT sha256, content_hash FROM talent_sync.resume_files WHERE id = ANY (%s::uuid[])",
            [[nobodys["id"], stranger["id"]]],
        ).fetchall()
    assert len({*rows[0], *rows[1]}) == 4
    assert len(listed(client, auth)) == 4


def test_a_key_makes_one_file_of_two_requests(client: Client, auth: Auth) -> None:
    talent, headers = person(client, auth), {**auth, "Idempotency-Key": uuid.uuid4().hex}
    url = f"/api/v1/talents/{talent}/resume-files"
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + CV + b"\r\n--x--"
    headers["Content-Type"] = "multipart/form-data; boundary=x"
    first, again = (client.post(url, content=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


@pytest.mark.parametrize(
    "case",
    [
        ("empty.pdf", b"", 422),
        ("blank.txt", b" \r\n", 422),
        ("cv.pdf", b"MZ\x90\x00\x03\x00\x00\x00" * 40, 415),
        ("cv.docx", b"PK\x03\x04 cut off", 415),
        ("cv.png", b"GIF89a" + b"\0" * 40, 415),
        ("large.txt", b"a" * (FILE_BYTES + 1), 413),
        ("larger.txt", b"a" * (FILE_BYTES + 70_000), 413),
    ],
    ids=lambda case: case[0],
)
def test_a_file_that_does_not_fit_is_refused_by_its_field(
    client: Client, auth: Auth, runs: Runs, case: tuple[str, bytes, int]
) -> None:
    name, data, status = case
    answer = sent(client, auth, person(client, auth), data, name=name)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    # What is beyond the request's own limit is not read as far as its fields.
    if name != "larger.txt":
        assert [error["field"] for error in answer.json()["errors"]] == ["file"]
    assert listed(client, auth) == []
    assert parts_of(runs) == 0


def test_a_file_of_the_largest_size_is_kept(client: Client, auth: Auth, runs: Runs) -> None:
    data = b"0123456789abcde\n" * (FILE_BYTES // 16)
    file = kept(client, auth, person(client, auth), data)
    assert (file["size"], parts_of(runs)) == (FILE_BYTES, 20)
    assert client.get(f"{FILES}/{file['id']}/content", headers=auth).content == data


def test_a_request_without_a_file_says_what_to_send(client: Client, auth: Auth) -> None:
    talent = person(client, auth)
    url = f"/api/v1/talents/{talent}/resume-files"
    assert client.post(url, json={}, headers=auth).status_code == 415
    no_file = client.post(url, data={"language": "en"}, files={"other": b"x"}, headers=auth)
    assert (no_file.status_code, no_file.json()["errors"][0]["field"]) == (422, "file")
    language = sent(client, auth, talent, language="tlh")
    assert (language.status_code, language.json()["errors"][0]["field"]) == (422, "language")
    assert sent(client, auth, str(uuid.uuid4())).status_code == 404


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=y.txt", "..\\..\\a.txt", 'a";x="b.txt'])
def test_a_name_ends_no_header(client: Client, auth: Auth, name: str) -> None:
    file = kept(client, auth, None, CV + name.encode(), name=name)
    answer = client.get(f"{FILES}/{file['id']}/content", headers=auth)
    assert "set-cookie" not in answer.headers
    assert "\\" not in file["file_name"]
    assert answer.headers["content-disposition"].count(";") == 1


def test_a_file_is_linked_to_its_person(client: Client, auth: Auth, admin: Auth) -> None:
    talent, other = person(client, auth), person(client, auth)
    kept(client, auth, talent, b"first")
    file = kept(client, auth, None)
    assert [one["id"] for one in listed(client, auth, unlinked="true")] == [file["id"]]
    url = f"{FILES}/{file['id']}/link"
    assert client.post(url, json={"talent_id": talent}, headers=auth).status_code == 428
    stale = client.post(url, json={"talent_id": talent}, headers={**auth, "If-Match": '"7"'})
    assert stale.status_code == 412
    nobody = client.post(url, json={"talent_id": str(uuid.uuid4())}, headers={**auth, **ANY})
    assert (nobody.status_code, nobody.json()["errors"][0]["field"]) == (422, "talent_id")
    linked = client.post(url, json={"talent_id": talent}, headers={**auth, "If-Match": '"1"'})
    assert linked.status_code == 200, linked.text
    assert (linked.json()["talent_id"], linked.json()["number"], linked.headers["ETag"]) == (talent, 2, '"2"')
    same = client.post(url, json={"talent_id": talent}, headers={**auth, **ANY})
    assert same.json() == linked.json()
    assert listed(client, auth, unlinked="true") == []
    kept(client, auth, other)
    double = client.post(url, json={"talent_id": other}, headers={**auth, **ANY})
    assert double.status_code == 409
    assert [event["action"] for event in events(client, admin, record_id=file["id"])] == [
        "link-file",
        "store-file",
    ]


def test_what_a_reader_said_is_noted(client: Client, auth: Auth) -> None:
    file = kept(client, auth, person(client, auth))
    url = f"{FILES}/{file['id']}/reading"

    def said(**body: Any) -> Any:
        return client.post(url, json=body, headers={**auth, **ANY})

    assert said(state="refused").json()["errors"][0]["field"] == "reason"
    assert said(state="parsed", reason="no-text-in-document").status_code == 422
    assert said(state="refused", reason="Ada's file").status_code == 422
    refused = said(state="refused", reason="no-text-in-document")
    assert (refused.status_code, refused.json()["state"]) == (200, "refused")
    assert [one["id"] for one in listed(client, auth, state="refused")] == [file["id"]]
    parsed = said(state="parsed", language="zh").json()
    assert (parsed["state"], parsed["reason"], parsed["language"], parsed["version"]) == (
        "parsed",
        None,
        "zh",
        3,
    )


def test_a_deleted_file_is_seen_by_nobody_and_goes_when_its_time_is_over(
    client: Client, auth: Auth, admin: Auth, runs: Runs
) -> None:
    talent = person(client, auth)
    file, other = kept(client, auth, talent), kept(client, auth, talent, b"other")
    url = f"{FILES}/{file['id']}"
    assert client.delete(url, headers=auth).status_code == 428
    assert client.delete(url, headers={**auth, **ANY}).status_code == 204
    for path in (url, f"{url}/content"):
        assert client.get(path, headers=auth).status_code == 404
    assert [one["id"] for one in listed(client, auth)] == [other["id"]]
    assert kept(client, auth, talent)["number"] == 3, "the same bytes again are a file of their own"
    owner = create_engine(runs.urls.owner)
    try:
        for later, gone in ((29, 0), (31, 1)):
            with owner.begin() as connection:
                now = datetime.now(UTC) + timedelta(days=later)
                drop_deleted(connection, days=30, now=now)
            assert len(runs.rows("SELECT 1 FROM talent_sync.resume_files")) == 3 - gone
    finally:
        owner.dispose()
    assert parts_of(runs) == 2
    told = events(client, admin, record_id=file["id"])
    assert (told[0]["action"], told[0]["actor"]) == ("delete-file", "upkeep")


def test_a_file_of_nobody_goes_after_a_time_of_its_own(
    client: Client, auth: Auth, runs: Runs, admin: Auth
) -> None:
    nobodys = kept(client, auth, None)
    somebodys = kept(client, auth, person(client, auth), data=b"Grace Hopper")
    owner = create_engine(runs.urls.owner)
    left = []
    try:
        for days, later in ((0, 400), (180, 179), (180, 181)):
            with owner.begin() as connection:
                drop_unlinked(connection, days=days, now=datetime.now(UTC) + timedelta(days=later))
            left.append({str(row["id"]) for row in runs.rows("SELECT id FROM talent_sync.resume_files")})
    finally:
        owner.dispose()
    both = {nobodys["id"], somebodys["id"]}
    assert left == [both, both, {somebodys["id"]}]
    told = events(client, admin, record_id=nobodys["id"])
    assert (told[0]["action"], told[0]["actor"]) == ("delete-file", "upkeep")


def test_the_application_deletes_no_file(client: Client, auth: Auth, runs: Runs) -> None:
    kept(client, auth, None)
    for table in ("resume_files", "resume_file_parts"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            runs.change(f"DELETE FROM talent_sync.{table}")  # noqa: S608
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        runs.change("UPDATE talent_sync.resume_file_parts SET content = ''")


def test_a_deleted_persons_files_are_hidden_until_the_person_is_back(client: Client, auth: Auth) -> None:
    talent = person(client, auth)
    file = kept(client, auth, talent)
    url = f"/api/v1/talents/{talent}"
    assert client.delete(url, headers={**auth, **ANY}).status_code == 204
    assert client.get(f"{FILES}/{file['id']}/content", headers=auth).status_code == 404
    assert listed(client, auth, talent_id=talent) == []
    assert client.post(f"{url}/restore", headers={**auth, **ANY}).status_code == 200
    assert listed(client, auth, talent_id=talent) == [file]


def test_another_tenant_reaches_no_file(client: Client, auth: Auth, other_tenant: Auth) -> None:
    talent = person(client, auth)
    file = kept(client, auth, talent)
    url = f"{FILES}/{file['id']}"
    assert client.get(f"{url}/content", headers=other_tenant).status_code == 404
    assert sent(client, other_tenant, talent).status_code == 404
    assert listed(client, other_tenant, talent_id=talent) == []
    operator = bearer(tenant="x", roles=["operator"])
    assert client.get(f"{url}/content", headers=operator).status_code == 403


def test_pages_of_a_list_go_on_where_the_last_one_ended(client: Client, auth: Auth) -> None:
    talent = person(client, auth)
    made = [kept(client, auth, talent, f"file {number}".encode())["id"] for number in range(5)]
    found, cursor = [], None
    while True:
        query = {"talent_id": talent, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.get(FILES, params=query, headers=auth).json()
        found += [one["id"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == made[::-1]
    assert client.get(FILES, params={"cursor": "x"}, headers=auth).status_code == 422


def merged(client: Client, auth: Auth, keep: str, other: str) -> str:
    for one in (keep, other):
        answer = client.post("/api/v1/duplicates/look", json={"talent_id": one}, headers=auth)
    (pair,) = answer.json()["items"]
    asked = {"keep": keep, "keep_version": 1, "other_version": 1}
    done = client.post(f"/api/v1/duplicates/{pair['id']}/merge", json=asked, headers=auth)
    assert done.status_code == 200, done.text
    return str(done.json()["id"])


def test_files_go_with_a_merge_and_come_back_with_undoing_it(client: Client, auth: Auth) -> None:
    address = f"{secrets.token_hex(4)}@mail.example"
    keep, other = (person(client, auth, email=address) for _ in range(2))
    theirs = kept(client, auth, keep, b"theirs")
    both = [kept(client, auth, one, b"of both") for one in (keep, other)]
    moves = kept(client, auth, other, b"moves")
    deleted = kept(client, auth, other, b"deleted")
    client.delete(f"{FILES}/{deleted['id']}", headers={**auth, **ANY})
    merge = merged(client, auth, keep, other)
    assert [(one["id"], one["number"]) for one in listed(client, auth, talent_id=keep)] == [
        (moves["id"], 3),
        (both[0]["id"], 2),
        (theirs["id"], 1),
    ]
    assert {one["id"] for one in listed(client, auth)} == {theirs["id"], both[0]["id"], moves["id"]}
    after = kept(client, auth, keep, b"after the merge")
    undone = client.post(f"/api/v1/merges/{merge}/undo", json={}, headers=auth)
    assert undone.status_code == 200, undone.text
    assert {one["id"]: one["number"] for one in listed(client, auth, talent_id=other)} == {
        both[1]["id"]: 1,
        moves["id"]: 2,
    }
    assert {one["id"] for one in listed(client, auth, talent_id=keep)} == {
        theirs["id"],
        both[0]["id"],
        after["id"],
    }


def test_an_export_names_each_file_with_what_was_done_with_it(
    client: Client, auth: Auth, admin: Auth
) -> None:
    address = f"{secrets.token_hex(4)}@mail.example"
    talent, other = (person(client, auth, email=address) for _ in range(2))
    file, gone = kept(client, auth, talent, name="<b>cv.txt"), kept(client, auth, talent, b"gone")
    client.delete(f"{FILES}/{gone['id']}", headers={**auth, **ANY})
    hidden = kept(client, auth, other)
    client.get(f"{FILES}/{file['id']}/content", headers=auth)
    merged(client, auth, talent, other)
    url = f"/api/v1/talents/{talent}/export"
    told = client.get(url, headers=admin).json()
    assert [(one["file"]["id"], one["deleted_at"] is None) for one in told["resume_files"]] == [
        (file["id"], True),
        (gone["id"], False),
    ]
    assert client.get(told["resume_files"][0]["content"], headers=admin).content == CV
    assert [event["action"] for event in told["audit"]].count("read-file") == 1
    assert [one["file"]["id"] for one in told["merged"][0]["resume_files"]] == [hidden["id"]]
    page = client.get(url, params={"format": "html"}, headers=admin).text
    assert "Résumé files" in page
    assert "&lt;b&gt;cv.txt" in page
    assert "<b>" not in page


@pytest.mark.parametrize("named", ["kept", "other"])
def test_nothing_of_an_erased_persons_files_is_left(
    client: Client, auth: Auth, admin: Auth, runs: Runs, named: str
) -> None:
    word = f"Quill{secrets.token_hex(6)}"
    address = f"{word}@mail.example"
    keep, other = (person(client, auth, email=address) for _ in range(2))
    headers = {**auth, "Idempotency-Key": uuid.uuid4().hex}
    files = [
        kept(client, headers, keep, b"one", name=f"{word}.txt"),
        kept(client, auth, other, b"moves"),
        kept(client, auth, other, b"one"),
    ]
    bystander = kept(client, auth, person(client, auth), b"somebody else's")
    client.get(f"{FILES}/{files[0]['id']}/content", headers=auth)
    merged(client, auth, keep, other)
    assert parts_of(runs) == 4
    answer = client.post(
        f"/api/v1/talents/{keep if named == 'kept' else other}/erasure",
        json={"reason": "request"},
        headers=admin,
    )
    assert answer.status_code == 201, answer.text
    proof = answer.json()
    assert proof["complete"] is True, proof
    rows = runs.rows("SELECT counts FROM talent_sync.erasures")
    assert sum(row["counts"]["talent_sync.resume_files"] for row in rows) == 3
    assert "talent_sync.resume_files" in proof["proof"]["stores"]
    assert parts_of(runs) == 1
    assert [row["id"] for row in runs.rows("SELECT id::text FROM talent_sync.resume_files")] == [
        bystander["id"]
    ]
    after = dump_of(runs.urls)
    assert word not in after
    for file in files:
        lines = [line for line in after.splitlines() if file["id"] in line]
        assert all("-file\t" in line for line in lines), "the audit's alone"
    assert runs.rows("SELECT 1 FROM talent_sync.idempotency_keys") == []
