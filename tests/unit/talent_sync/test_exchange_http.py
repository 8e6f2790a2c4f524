"""Many records at once over HTTP: batches, imported files, exported ones; before a real database."""

from __future__ import annotations

import csv
import io
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings
from looma_engines.talent_sync.app import create
from looma_engines.talent_sync.exchange.columns import BESIDE, COLUMNS
from looma_engines.talent_sync.exchange.exporting import PART
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from support.database import DatabaseUrls

API = "/api/v1"
KINDS = {"talents": ("talent", "full_name"), "companies": ("company", "name"), "jobs": ("job", "title")}
WITH_RELATIONS = [*KINDS, "relations"]
"""Relations refer to other records, so what is in their files has tests of its own."""
ADA = {
    "full_name": "Ada Byron",
    "phone": "+44 20 7946 0000",
    "skills": ["Python", "C; C++"],
    "language": "en",
    "experience": [{"title": "Analyst", "company": "Engines Ltd", "start": "2021-03"}],
}


def batch(
    client: TestClient[Any], auth: dict[str, str], items: Any, kind: str = "talents", **headers: str
) -> Any:
    return client.post(f"{API}/{kind}/batch", headers=auth | headers, json={"items": items})


def send(
    client: TestClient[Any],
    auth: dict[str, str],
    data: bytes | str,
    kind: str = "talents",
    *,
    name: str = "records.csv",
    headers: dict[str, str] | None = None,
    **form: str,
) -> Any:
    body = data.encode() if isinstance(data, str) else data
    return client.post(
        f"{API}/{kind}/import", headers=auth | (headers or {}), files={"file": (name, body)}, data=form
    )


def imported(client: TestClient[Any], auth: dict[str, str], data: bytes | str, **more: Any) -> Any:
    answer = send(client, auth, data, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def exported(client: TestClient[Any], auth: dict[str, str], kind: str = "talents", **params: Any) -> Any:
    answer = client.get(f"{API}/{kind}/export", headers=auth, params=params)
    assert answer.status_code == 200, answer.text
    return answer


def listed(client: TestClient[Any], auth: dict[str, str], kind: str = "talents", **params: Any) -> list[Any]:
    answer = client.get(f"{API}/{kind}", headers=auth, params={"sort": "created_at"} | params)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


def names(client: TestClient[Any], auth: dict[str, str], kind: str = "talents") -> list[str]:
    return [item[KINDS[kind][1]] for item in listed(client, auth, kind)]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def counted(client: TestClient[Any], line: str) -> float:
    found = [text for text in client.get("/metrics").text.splitlines() if text.startswith(line + " ")]
    return float(found[0].rsplit(" ", 1)[1]) if found else 0.0


def wrong(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


# --- Several changes in one request ---


def test_each_item_of_a_batch_has_its_own_result(client, auth) -> None:
    kept, gone, fixed = (
        client.post(f"{API}/talents", headers=auth, json={"full_name": name}).json()["id"]
        for name in ("Kept", "Gone", "Fixed")
    )
    source = {"type": "manual", "ref": "17"}
    answer = batch(
        client,
        auth,
        [
            {"action": "create", "draft": ADA | {"source": source}},
            {"action": "create", "draft": ADA | {"source": source}},
            {"action": "create", "draft": {"full_name": "--", "colour": "red"}},
            {"action": "update", "id": kept, "if_match": '"1"', "patch": {"location": "London"}},
            {"action": "update", "id": fixed, "if_match": '"7"', "patch": {"location": "London"}},
            {"action": "update", "id": kept, "patch": {"location": "Paris"}},
            {"action": "update", "id": str(uuid.uuid4()), "if_match": "*", "patch": {}},
            {"action": "delete", "id": gone, "if_match": '"1"'},
            {"action": "delete", "id": gone, "if_match": '"2"'},
            {"action": "update", "id": kept, "if_match": '"2"', "patch": {"email": "nonsense"}},
        ],
    )
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["index"] for item in items] == list(range(10))
    assert [item["status"] for item in items] == [201, 200, 422, 200, 412, 428, 404, 204, 404, 422]
    assert items[0]["id"] == items[1]["id"]
    assert (items[0]["version"], items[0]["etag"]) == (1, '"1"')
    assert (items[3]["version"], items[3]["etag"]) == (2, '"2"')
    assert items[2]["problem"]["type"] == "urn:looma:problem:validation"
    assert [error["field"] for error in items[9]["problem"]["errors"]] == ["email"]
    assert names(client, auth) == ["Kept", "Fixed", "Ada Byron"]
    assert [item["location"] for item in listed(client, auth)] == ["London", None, None]


@pytest.mark.parametrize(
    ("item", "fields"),
    [
        ({"action": "create"}, {"draft"}),
        ({"action": "create", "draft": ADA, "patch": {}, "if_match": "*"}, {"patch", "if_match"}),
        ({"action": "update", "if_match": "*"}, {"id", "patch"}),
        ({"action": "delete", "patch": {}}, {"id", "patch"}),
    ],
)
def test_an_item_without_what_its_action_needs_is_told_so(client, auth, item, fields) -> None:
    told = batch(client, auth, [item]).json()["items"][0]
    assert told["status"] == 422
    assert {error["field"] for error in told["problem"]["errors"]} == fields
    assert names(client, auth) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [{"action": "erase"}]}, "items[0].action"),
        ({"items": [{"action": "create", "draft": ADA, "colour": "red"}]}, "items[0].colour"),
        ({}, "items"),
    ],
)
def test_a_request_of_another_form_does_nothing(client, auth, body, field) -> None:
    assert field in wrong(client.post(f"{API}/talents/batch", headers=auth, json=body))


def test_a_batch_has_at_most_so_many_items(database_urls: DatabaseUrls, auth: dict[str, str]) -> None:
    with limited(database_urls, '{"maxBatchItems": 2}') as client:
        item = {"action": "create", "draft": {"full_name": "Ada"}}
        assert batch(client, auth, [item, item]).status_code == 200
        assert wrong(batch(client, auth, [item, item, item])) == {"items": "send 1 to 2 items"}
        assert len(names(client, auth)) == 2


def limited(urls: DatabaseUrls, config: str) -> TestClient[Any]:
    settings = EngineSettings(
        database_url=urls.app, config=config, file_keys=new_key(), key_ring_file=ring_file()
    )
    return TestClient(create(settings, verifier=verifier()))


def test_a_thousand_items_are_one_request(client, auth) -> None:
    items = [{"action": "create", "draft": ADA | {"full_name": f"Ada {number}"}} for number in range(1000)]
    answer = batch(client, auth, items)
    assert {item["status"] for item in answer.json()["items"]} == {201}


def test_a_batch_with_a_key_is_carried_out_once(client, auth) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    items = [{"action": "create", "draft": ADA}, {"action": "create", "draft": {}}]
    first, again = batch(client, auth, items, **key), batch(client, auth, items, **key)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert names(client, auth) == ["Ada Byron"]


def test_a_batch_knows_its_tenant(client, auth, other_tenant) -> None:
    theirs = client.post(f"{API}/talents", headers=other_tenant, json=ADA).json()["id"]
    told = batch(
        client,
        auth,
        [
            {"action": "update", "id": theirs, "if_match": "*", "patch": {"location": "x"}},
            {"action": "delete", "id": theirs, "if_match": "*"},
        ],
    )
    assert [item["status"] for item in told.json()["items"]] == [404, 404]
    assert names(client, other_tenant) == ["Ada Byron"]


@pytest.mark.parametrize("kind", WITH_RELATIONS)
@pytest.mark.parametrize(("method", "path"), [("POST", "batch"), ("POST", "import"), ("GET", "export")])
def test_who_may_not_read_and_write_people_may_not_in_bulk(client, kind, method, path) -> None:
    url = f"{API}/{kind}/{path}"
    assert client.request(method, url).status_code == 401
    assert client.request(method, url, headers=bearer(roles=("operator",))).status_code == 403


# --- Exports ---


@pytest.mark.parametrize("kind", WITH_RELATIONS)
@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_an_export_has_the_filters_of_its_list(client, kind, file_format) -> None:
    paths = client.get("/openapi.json").json()["paths"]

    def asked(path: str) -> dict[str, Any]:
        return {
            item["name"]: item["schema"] for item in paths[path]["get"]["parameters"] if item["in"] == "query"
        }

    listed_by = {
        name: schema
        for name, schema in asked(f"{API}/{kind}").items()
        if name not in {"limit", "cursor", "fields"}
    }
    exported_by = asked(f"{API}/{kind}/export")
    assert exported_by.pop("format")["enum"] == ["csv", "jsonl"]
    assert exported_by == listed_by
    answer = paths[f"{API}/{kind}/export"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"text/csv", "application/jsonl"}
    assert file_format in {"csv", "jsonl"}


def test_an_export_is_a_file_for_spreadsheets(client, auth) -> None:
    made = client.post(f"{API}/talents", headers=auth, json=ADA).json()
    answer = exported(client, auth)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="talents-')
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.content.startswith(b"\xef\xbb\xbfid,version,")
    assert answer.content.count(b"\r\n") == 2
    (row,) = rows_of(answer.text)
    assert list(row) == [*BESIDE, *COLUMNS["talent"]]
    assert (row["id"], row["version"], row["full_name"]) == (made["id"], "1", "Ada Byron")
    assert row["phone"] == "'+44 20 7946 0000", "no spreadsheet may take it for a formula"
    assert row["skills"] == r"Python; C\; C++"


def test_an_export_of_nothing_has_a_header(client, auth) -> None:
    assert rows_of(exported(client, auth).text) == []
    assert exported(client, auth).text.startswith("\ufeffid,")
    assert exported(client, auth, format="jsonl").content == b""


def test_an_export_has_all_that_its_list_has_and_nothing_else(client, auth, other_tenant) -> None:
    client.post(f"{API}/jobs", headers=other_tenant, json={"title": "Of another tenant"})
    amount = PART * 2 + 10
    items = [
        {
            "action": "create",
            "draft": {"title": f"Job {number:04}", "status": "open" if number % 2 else "paused"},
        }
        for number in range(amount)
    ]
    assert batch(client, auth, items, "jobs").status_code == 200
    before = counted(client, 'looma_records_exported_total{entity="job",format="jsonl"}')
    text = exported(client, auth, "jobs", format="jsonl", sort="title").text
    assert [json.loads(line)["title"] for line in text.splitlines()] == [
        f"Job {number:04}" for number in range(amount)
    ]
    assert counted(client, 'looma_records_exported_total{entity="job",format="jsonl"}') == before + amount
    rows = rows_of(exported(client, auth, "jobs", status="paused", q="JOB 000", sort="-title").text)
    assert [row["title"] for row in rows] == [f"Job {number:04}" for number in range(8, -1, -2)]


def test_a_line_of_an_export_is_the_record_itself(client, auth) -> None:
    made = client.post(f"{API}/talents", headers=auth, json=ADA).json()
    assert json.loads(exported(client, auth, format="jsonl").text) == made


@pytest.mark.parametrize(
    ("params", "field"), [({"format": "xlsx"}, "format"), ({"sort": "age"}, "sort"), ({"q": "a\x00"}, "q")]
)
def test_a_wrong_export_is_refused_before_it_begins(client, auth, params, field) -> None:
    assert field in wrong(client.get(f"{API}/talents/export", headers=auth, params=params))


def test_exports_that_ended_make_room_for_others(client, auth) -> None:
    for _ in range(5):
        assert client.get(f"{API}/talents/export", headers=auth, params={"q": "a\x00"}).status_code == 422
    exported(client, auth)


# --- Imports ---


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_exported_is_imported_unchanged(client, auth, kind, file_format) -> None:
    entity, title = KINDS[kind]
    drafts = [{title: name, "location": "=1+1"} for name in ("-Ada", "Blaise", "陈伟")]
    batch(client, auth, [{"action": "create", "draft": draft} for draft in drafts], kind)
    before = listed(client, auth, kind)
    file = exported(client, auth, kind, format=file_format).content
    told = imported(client, auth, file, kind=kind, name=f"again.{file_format}")
    assert told["counts"] == {"created": 0, "updated": 0, "unchanged": 3, "existing": 0, "refused": 0}
    assert listed(client, auth, kind) == before
    assert {row["id"] for row in told["rows"]} == {item["id"] for item in before}
    assert entity


def test_a_row_creates_a_record_and_later_changes_it(client, auth) -> None:
    head = "full_name,email,phone,skills,source_ref\n"
    first = imported(
        client, auth, head + "Ada Byron,ada@example.org,'+44 20 7946 0000,SQL; Go,17\nBlaise,,,,\n"
    )
    assert [(row["line"], row["status"]) for row in first["rows"]] == [(2, "created"), (3, "created")]
    made = listed(client, auth)[0]
    assert made["id"] == first["rows"][0]["id"]
    assert made["source"] == {"type": "manual", "ref": "17"}
    assert (made["phone"], made["skills"]) == ("+44 20 7946 0000", ["SQL", "Go"])
    again = imported(client, auth, head + "Ada King,ada@example.org,,SQL; Go,17\n")
    assert [(row["status"], row["id"]) for row in again["rows"]] == [("updated", made["id"])]
    changed = listed(client, auth)[0]
    assert (changed["full_name"], changed["phone"], changed["version"]) == ("Ada King", None, 2)
    assert imported(client, auth, head + "Ada King,ada@example.org,,SQL; Go,17\n")["counts"]["unchanged"] == 1


def test_columns_that_a_file_lacks_stay_as_they_are(client, auth) -> None:
    made = client.post(f"{API}/talents", headers=auth, json=ADA).json()
    imported(client, auth, f"id,location\n{made['id']},London\n")
    assert listed(client, auth)[0] == made | {
        "location": "London",
        "version": 2,
        "updated_at": listed(client, auth)[0]["updated_at"],
    }


def test_part_of_a_salary_leaves_the_rest(client, auth) -> None:
    salary = {"min": 10, "max": 20, "currency": "GBP", "per": "year"}
    made = client.post(f"{API}/jobs", headers=auth, json={"title": "Smith", "salary": salary}).json()
    imported(client, auth, f"id,salary_max\n{made['id']},30\n", kind="jobs")
    assert listed(client, auth, "jobs")[0]["salary"] == salary | {"max": 30}


def test_existing_records_may_be_kept(client, auth) -> None:
    client.post(f"{API}/talents", headers=auth, json=ADA | {"source": {"ref": "17"}})
    told = imported(client, auth, "full_name,source_ref\nAda King,17\nBlaise,18\n", existing="keep")
    assert [row["status"] for row in told["rows"]] == ["existing", "created"]
    assert names(client, auth) == ["Ada Byron", "Blaise"]


def test_a_row_of_an_older_version_does_not_overwrite(client, auth) -> None:
    made = client.post(f"{API}/talents", headers=auth, json=ADA).json()
    url = f"{API}/talents/{made['id']}"
    client.patch(url, headers=auth | {"If-Match": '"1"'}, json={"location": "London"})
    told = imported(client, auth, f"id,version,location\n{made['id']},1,Paris\n")
    assert told["rows"][0]["errors"] == [
        {"field": "version", "message": "it was changed since it was exported: export it again"}
    ]
    # What is already as the row wants it is no conflict.
    assert imported(client, auth, f"id,version,location\n{made['id']},1,London\n")["counts"]["unchanged"] == 1


def test_refused_rows_are_told_with_their_columns_and_the_rest_is_kept(client, auth) -> None:
    data = (
        "title,salary_min,salary_max,openings,source_type,id\n"
        "Smith,20,10,,,\n"
        "Clerk,,,many,,\n"
        ",,,,,\n"
        "Cook,,,,elsewhere,\n"
        f"Nurse,,,,,{uuid.uuid4()}\n"
        "Guard,,,,,7\n"
        "Baker,,,0,,,more\n"
        "Pilot,-1,,,,\n"
        "Mason,,,,,\n"
    )
    told = imported(client, auth, data, kind="jobs")
    faults = {
        row["line"]: [error["field"] for error in row["errors"]]
        for row in told["rows"]
        if row["status"] == "refused"
    }
    assert faults == {
        2: ["salary_max"],
        3: ["openings"],
        5: ["source_type"],
        6: ["id"],
        7: ["id"],
        8: ["row"],
        9: ["salary_min"],
    }
    assert told["counts"]["created"] == 1
    assert names(client, auth, "jobs") == ["Mason"]
    assert "Smith" not in json.dumps(told)


def test_a_file_makes_no_record_that_a_sync_would(client, auth) -> None:
    told = imported(client, auth, "full_name,source_type,source_ref\nAda,sync,17\n")
    assert [error["field"] for error in told["rows"][0]["errors"]] == ["source_type"]


def test_lines_of_json(client, auth) -> None:
    data = "\n".join(
        [
            json.dumps(ADA | {"source": {"type": "resume", "ref": "9"}}),
            "nonsense",
            json.dumps({"full_name": "Blaise", "colour": "red"}),
            json.dumps({"full_name": "Grace", "source": {"kind": "x"}}),
            json.dumps({"full_name": "Alan", "source": None, "version": None}),
            json.dumps({"full_name": "Kurt", "version": "new"}),
        ]
    )
    told = imported(client, auth, data, name="people.jsonl")
    assert [row["status"] for row in told["rows"]] == [
        "created",
        "refused",
        "refused",
        "refused",
        "created",
        "refused",
    ]
    fields = [[error["field"] for error in row.get("errors", [])] for row in told["rows"]]
    assert fields == [[], ["row"], ["colour"], ["source.kind"], [], ["version"]]
    assert names(client, auth) == ["Ada Byron", "Alan"]


def test_a_trial_tells_what_would_happen_and_keeps_nothing(client, auth) -> None:
    made = client.post(f"{API}/talents", headers=auth, json=ADA | {"source": {"ref": "17"}}).json()
    data = "full_name,source_ref\nAda King,17\nBlaise,18\nBlaise,18\n--,19\n"
    line = 'looma_records_created_total{entity="talent",outcome="created",source="manual"}'
    before = counted(client, line)
    trial = imported(client, auth, data, dry_run="true")
    assert trial["dry_run"]
    assert [row["status"] for row in trial["rows"]] == ["updated", "created", "unchanged", "refused"]
    assert listed(client, auth) == [made]
    assert counted(client, line) == before
    real = imported(client, auth, data)
    assert not real["dry_run"]
    assert (real["counts"], [row["status"] for row in real["rows"]]) == (
        trial["counts"],
        [row["status"] for row in trial["rows"]],
    )
    assert names(client, auth) == ["Ada King", "Blaise"]
    assert counted(client, line) == before + 1
    assert counted(client, 'looma_records_imported_total{entity="talent",status="created"}') >= 1


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_an_import_with_a_key_is_carried_out_once(client, auth, dry_run) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    data = "full_name\nAda\nBlaise\n"
    first = send(client, auth, data, headers=key, dry_run=dry_run)
    again = send(client, auth, data, headers=key, dry_run=dry_run)
    assert first.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert names(client, auth) == ([] if dry_run == "true" else ["Ada", "Blaise"])


def test_a_file_with_too_many_rows_is_refused_whole(
    database_urls: DatabaseUrls, auth: dict[str, str]
) -> None:
    with limited(database_urls, '{"maxImportRows": 2}') as client:
        assert send(client, auth, "full_name\nA\nB\n").status_code == 200
        answer = send(client, auth, "full_name\nC\nD\nE\n")
        assert (answer.status_code, "2 rows" in answer.json()["detail"]) == (413, True)
        assert names(client, auth) == ["A", "B"]


@pytest.mark.parametrize(
    ("data", "more", "field"),
    [
        ("", {}, "file"),
        ("full_name,full_name\n", {}, "file"),
        ("full_name\n", {"name": "people.xlsx"}, "format"),
        ("full_name\n", {"format": "xlsx"}, "format"),
        ("full_name\n", {"dry_run": "maybe"}, "dry_run"),
        ("full_name\n", {"existing": "erase"}, "existing"),
    ],
)
def test_a_wrong_import_is_named(client, auth, data, more, field) -> None:
    assert list(wrong(send(client, auth, data, **more))) == [field]


def test_an_import_is_a_form_with_a_file(client, auth) -> None:
    assert client.post(f"{API}/talents/import", headers=auth, json={}).status_code == 415
    answer = client.post(f"{API}/talents/import", headers=auth, files={"other": ("x.csv", b"")})
    assert list(wrong(answer)) == ["file"]


def test_an_imported_row_knows_its_tenant(client, auth, other_tenant) -> None:
    theirs = client.post(f"{API}/talents", headers=other_tenant, json=ADA | {"source": {"ref": "17"}}).json()
    told = imported(client, auth, f"id,full_name,source_ref\n{theirs['id']},Mine,\n,Mine too,17\n")
    assert [row["status"] for row in told["rows"]] == ["refused", "created"]
    assert names(client, other_tenant) == ["Ada Byron"]
