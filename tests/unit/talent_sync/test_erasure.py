"""A person who is erased is gone from every store, and does not come back with the next sync.

The search here is PostgreSQL's own dump, read as a text: nothing of it is the engine's.
"""

from __future__ import annotations

import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient
from psycopg import sql

from support.database import DatabaseUrls
from support.dumps import dump_of
from support.sync_runs import Runs, person
from support.tokens import bearer

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
NAME, EMAIL = "Zelda Quillfeather", "zelda@quillfeather.example"
WORD = secrets.token_hex(6)
"""In no other test's data: all of a database is dumped and looked through."""
WHO, ADDRESS = f"Zoe Quill{WORD}", f"zoe@quill{WORD}.example"


@pytest.fixture
def admin(tenant: str) -> Auth:
    return bearer(tenant=tenant, roles=["admin"], subject="officer")


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


def made(client: Client, auth: Auth, kind: str, draft: dict[str, Any]) -> str:
    answer = client.post(f"/api/v1/{kind}", json=draft, headers=auth)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def erased(client: Client, auth: Auth, talent: str, **asked: Any) -> dict[str, Any]:
    answer = client.post(
        f"/api/v1/talents/{talent}/erasure", json={"reason": "request", **asked}, headers=auth
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def everything_of(runs: Runs, but: str) -> dict[str, list[Any]]:
    """Rows of the tenant that are not of one person, by table, as text; read past the policies."""
    with psycopg.connect(runs.urls.admin) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'talent_sync'"
            " AND tablename !~ '_[0-9]{4}_[0-9]{2}$|_default$|^erase|^erasures|^audit'"
        ).fetchall()
        return {
            table: connection.execute(
                sql.SQL(
                    "SELECT t::text FROM {} t WHERE tenant = %s AND t::text NOT LIKE %s ORDER BY 1"
                ).format(sql.Identifier("talent_sync", table)),
                [runs.tenant, f"%{but}%"],
            ).fetchall()
            for (table,) in tables
        }


def sealed_of(runs: Runs) -> dict[str, int]:
    """How many rows of the tenant hold a sealed value, by table, of all schemas; read past the policies."""
    with psycopg.connect(runs.urls.admin) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.columns WHERE column_name = 'tenant'"
            " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        counts = {
            name: connection.execute(
                sql.SQL("SELECT count(*) FROM {} t WHERE tenant = %s AND t::text LIKE '%%sealed:%%'").format(
                    sql.Identifier(schema, name)
                ),
                [runs.tenant],
            ).fetchall()[0][0]
            for schema, name in tables
        }
    return {name: count for name, count in counts.items() if count}


def lived(client: Client, auth: Auth, runs: Runs, *, others_have_addresses: bool = True) -> str:
    """A person who was synced, changed by both sides, put into quarantine, related and imported; the id."""
    without: dict[str, Any] = {} if others_have_addresses else {"email": None}
    rows = [person(number, **without) for number in range(2, 5)]
    theirs = person(1, full_name=WHO, email=ADDRESS, phone="+44 20 7946 0812")
    runs.target = {"conflictPolicy": {"default": "manual"}}
    runs.one([theirs, *rows])
    talent = str(runs.talents()["p-1"]["id"])
    headers = {**auth, "Idempotency-Key": uuid.uuid4().hex, "If-Match": "*"}
    for phone in ("+44 20 7946 0813", "+44 20 7946 0814"):
        answer = client.patch(
            f"/api/v1/talents/{talent}",
            json={"phone": phone},
            headers={**headers, "Idempotency-Key": uuid.uuid4().hex},
        )
        assert answer.status_code == 200, answer.text
    runs.one([{**theirs, "phone": "+44 20 7946 0815"}, *rows])
    refused = {**theirs, "full_name": f"{WHO} {'x' * 200}"}
    # One of them under the person's own key, one under another's with the person's address.
    runs.one([refused, person(9, email=None, headline=f"write to {ADDRESS}", phone="no phone"), *rows])
    file = {"file": ("people.jsonl", json.dumps({"id": talent, "summary": f"{WHO} was imported."}).encode())}
    imported = client.post("/api/v1/talents/import", files=file, headers=auth)
    assert imported.json()["counts"]["updated"] == 1, imported.text
    agreed = {"purpose": "matching", "evidence": f"a mail from {ADDRESS}"}
    assert client.post(f"/api/v1/talents/{talent}/consents", json=agreed, headers=auth).status_code == 201
    company = made(client, auth, "companies", {"name": "Harbour"})
    other = str(runs.talents()["p-2"]["id"])
    made(
        client,
        auth,
        "relations",
        {"kind": "works_at", "talent_id": talent, "company_id": company, "note": WHO},
    )
    made(
        client,
        auth,
        "relations",
        {"kind": "knows", "talent_id": other, "other_talent_id": talent, "note": WHO},
    )
    made(client, auth, "relations", {"kind": "works_at", "talent_id": other, "company_id": company})
    return talent


def grams_of(runs: Runs, record_id: str) -> int:
    """Rows that a record is found by; nobody but the owner sees them."""
    with psycopg.connect(runs.urls.admin) as connection:
        query = "SELECT count(*) FROM talent_sync.record_grams WHERE record_id = %s"
        (number,) = connection.execute(query, [record_id]).fetchone() or (None,)
    assert isinstance(number, int)
    return number


def test_nothing_of_a_person_is_left(
    client: Client, auth: Auth, admin: Auth, runs: Runs, tmp_path: Path
) -> None:
    talent = lived(client, auth, runs)
    before = dump_of(runs.urls)
    for word in (WHO, ADDRESS, talent, "sealed:1:"):
        assert word in before, "the test looks for what was there"
    assert grams_of(runs, talent) == 1
    assert len(runs.rows("SELECT 1 FROM talent_sync.sync_conflicts")) == 1
    assert len(runs.rows("SELECT 1 FROM talent_sync.quarantine")) == 2
    others = everything_of(runs, but=talent)
    quarantined = {row["id"] for row in runs.rows("SELECT id::text FROM talent_sync.quarantine")}
    its = "SELECT id::text FROM talent_sync.relations WHERE %(id)s IN (talent_id, other_talent_id)"
    # Their creations have no word of the person, and their ids alone.
    histories = {talent, *(row["id"] for row in runs.rows(its, id=talent))}

    proof = erased(client, admin, talent, reference="DSR-2026-0042")

    assert proof["complete"] is True, proof
    assert grams_of(runs, talent) == 0, "by a trigger"
    assert proof["counts"]["talent_sync.talents"] == 1
    assert proof["counts"]["talent_sync.relations"] == 2
    assert proof["counts"]["talent_sync.quarantine"] == 2
    assert proof["counts"]["talent_sync.sync_conflicts"] == 1
    assert proof["counts"]["talent_sync.sync_states"] == 1
    assert proof["counts"]["talent_sync.consents"] == 1
    assert proof["counts"]["talent_sync.record_history"] >= 5
    assert proof["counts"]["talent_sync.idempotency_keys"] == 2
    assert proof["proof"]["left"] == []
    assert proof["proof"]["looked_for"]["phone"] >= 4
    assert "talent_sync.record_history" in proof["proof"]["stores"]
    after = dump_of(runs.urls)
    for word in (WHO, ADDRESS):
        assert word.lower() not in after.lower(), word
    # The audit names it, by its id alone: that is what it is for.
    told = [line for line in after.splitlines() if talent in line]
    assert len(told) == 1
    assert "give-consent" in told[0]
    kept = [(row["store"], row["kind"], row["rows"]) for row in proof["proof"]["kept"]]
    assert kept == [("talent_sync.audit_events", "id", 1)]
    left = everything_of(runs, but=talent)
    for table, rows in others.items():
        gone = quarantined | (histories if table == "record_history" else set())
        kept = [row for row in rows if WHO not in row[0] and ADDRESS not in row[0]]
        # The grams of the person's relations are named by neither name nor id; theirs are looked at above.
        if table in {"idempotency_keys", "record_grams"}:
            continue
        assert [row for row in kept if not any(one in row[0] for one in gone)] == left[table], table
    assert client.get(f"/api/v1/talents/{talent}", headers=auth).status_code == 404
    assert client.get(f"/api/v1/talents/{talent}/history", headers=auth).status_code == 404
    again = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin)
    assert again.status_code == 404
    read = client.get(f"/api/v1/erasures/{proof['id']}", headers=admin).json()
    assert read == proof
    (listed,) = client.get("/api/v1/erasures", headers=admin).json()["items"]
    assert (listed["id"], listed["proof"]) == (proof["id"], None)


def test_no_sealed_value_of_a_person_is_left(client: Client, auth: Auth, admin: Auth, runs: Runs) -> None:
    """A number or an address that is sealed is in no dump's text: so nobody else has one, and seals are counted."""
    talent = lived(client, auth, runs, others_have_addresses=False)
    before = sealed_of(runs)
    assert {"talents", "record_history", "quarantine", "sync_conflicts"} <= before.keys(), before

    proof = erased(client, admin, talent)

    assert proof["complete"] is True, proof
    assert sealed_of(runs) == {}


def test_a_sync_does_not_bring_an_erased_person_back(
    client: Client, auth: Auth, admin: Auth, runs: Runs
) -> None:
    rows = [person(1, full_name=NAME, email=EMAIL), person(2)]
    runs.one(rows)
    found = erased(client, admin, str(runs.talents()["p-1"]["id"]))
    report = runs.one(rows)
    assert (report.created, report.unchanged, report.quarantined, report.verified) == (0, 1, 0, 2)
    assert "1 were erased here" in report.message
    assert set(runs.talents()) == {"p-2"}
    # Neither changed, nor wrong, nor in a run that deletes what is missing.
    runs.target = {"onMissing": "delete"}
    runs.one([person(1, full_name=NAME, email="nobody"), person(2)])
    assert runs.rows("SELECT 1 FROM talent_sync.quarantine") == []
    run = client.get("/api/v1/sync-runs", headers=auth).json()["items"][0]
    assert run["counts"]["erased"] == 1

    url = f"/api/v1/erasures/{found['id']}/lift"
    basis = {"basis": "consent", "purposes": ["matching"], "reference": "C-1"}
    early = {**basis, "given_at": "2020-01-01T00:00:00Z"}
    assert client.post(url, json=early, headers=admin).status_code == 422
    given = {**basis, "given_at": datetime.now(UTC).isoformat()}
    lifted = client.post(url, json=given, headers=admin)
    assert lifted.status_code == 200, lifted.text
    assert lifted.json()["lift"]["lifted_by"] == "officer"
    assert client.post(url, json=given, headers=admin).status_code == 409
    assert runs.one(rows).created == 1
    assert runs.talents()["p-1"]["full_name"] == NAME


def test_a_worker_without_the_ledgers_key_brings_nobody_in(client: Client, admin: Auth, runs: Runs) -> None:
    runs.one([person(1), person(2)])
    erased(client, admin, str(runs.talents()["p-1"]["id"]))
    given = runs.inputs(epoch=runs.epoch)
    worker = runs.worker(given, ledger=None)
    worker.resume(given, None)
    from looma_engines.sync_worker.inputs import BadInputError

    with pytest.raises(BadInputError, match="LOOMA_LEDGER_KEY"):
        list(worker.batches(given, ""))
    worker.close()


def test_what_holds_the_same_address_is_told_and_stays(client: Client, auth: Auth, admin: Auth) -> None:
    first = made(client, auth, "talents", {"full_name": NAME, "email": EMAIL})
    twin = made(client, auth, "talents", {"full_name": NAME, "email": EMAIL})
    job = made(client, auth, "jobs", {"title": "Clerk", "description": f"Ask {NAME}."})
    found = erased(client, admin, first)
    assert found["complete"] is False
    left = {(row["store"], row["kind"]): row["ids"] for row in found["proof"]["left"]}
    assert left["talent_sync.talents", "email"] == [twin]
    named = {row["store"]: row["ids"] for row in found["proof"]["namesakes"]}
    assert named["talent_sync.jobs"] == [job]
    assert erased(client, admin, twin)["complete"] is True


def test_who_was_merged_is_erased_as_one_person(client: Client, auth: Auth, admin: Auth, runs: Runs) -> None:
    """Whichever of the records is named: what was merged away is the person's too, and so is what undoes it."""
    for named in ("kept", "other"):
        address = f"{secrets.token_hex(4)}@mail.example"
        kept, other = (
            made(client, auth, "talents", {"full_name": f"Merged {address}", "email": address})
            for _ in range(2)
        )
        looked = client.post("/api/v1/duplicates/look", json={"talent_id": kept}, headers=auth)
        (pair,) = client.post("/api/v1/duplicates/look", json={"talent_id": other}, headers=auth).json()[
            "items"
        ]
        assert looked.status_code == 200
        asked = {"keep": kept, "keep_version": 1, "other_version": 1}
        merged = client.post(f"/api/v1/duplicates/{pair['id']}/merge", json=asked, headers=auth)
        assert merged.status_code == 200, merged.text

        held = client.get(f"/api/v1/talents/{kept}/export", headers=admin).json()
        assert [one["record"]["id"] for one in held["merged"]] == [other]
        proof = erased(client, admin, {"kept": kept, "other": other}[named])

        assert proof["complete"] is True, proof
        assert address not in dump_of(runs.urls)
        for record in (kept, other):
            assert runs.rows("SELECT 1 FROM talent_sync.talents WHERE id = %(id)s", id=record) == []
        assert runs.rows("SELECT 1 FROM talent_sync.merges WHERE kept_id = %(id)s", id=kept) == []
        assert len(runs.rows("SELECT 1 FROM talent_sync.erasures")) == {"kept": 2, "other": 4}[named]


def test_a_deleted_person_is_erased_as_well(client: Client, auth: Auth, admin: Auth) -> None:
    talent = made(client, auth, "talents", {"full_name": NAME})
    assert client.delete(f"/api/v1/talents/{talent}", headers={**auth, "If-Match": "*"}).status_code == 204
    assert erased(client, admin, talent)["complete"] is True


def test_who_may_not_is_refused_and_what_does_not_fit_too(
    client: Client, auth: Auth, admin: Auth, other_tenant: Auth
) -> None:
    talent = made(client, auth, "talents", {"full_name": NAME})
    url = f"/api/v1/talents/{talent}/erasure"
    stranger = bearer(tenant="somebody-else", roles=["admin"])
    assert client.post(url, json={"reason": "request"}, headers=auth).status_code == 403
    assert client.post(url, json={"reason": "request"}, headers=stranger).status_code == 404
    for body in (
        {},
        {"reason": "because"},
        {"reason": "request", "reference": f"about {NAME}"},
        {"reason": "request", "requested_at": "0001-01-01T00:00:00+14:00"},
        {"reason": "request", "requested_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    ):
        assert client.post(url, json=body, headers=admin).status_code == 422, body
    assert client.get(f"/api/v1/talents/{talent}", headers=auth).status_code == 200
    assert client.get(f"/api/v1/erasures/{uuid.uuid4()}", headers=admin).status_code == 404


def test_the_application_cannot_erase_past_the_ledger(runs: Runs) -> None:
    runs.one([person(1)])
    talent = runs.talents()["p-1"]["id"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="ledger"):
        runs.change(
            "SELECT talent_sync.erase_record(%(none)s, 'talent', %(talent)s, '{}', '{}')",
            none=uuid.uuid4(),
            talent=talent,
        )
    for table in ("erasures", "erased_keys", "erasure_lifts"):
        for statement in ("DELETE FROM talent_sync.{}", "UPDATE talent_sync.{} SET tenant = tenant"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                runs.change(statement.format(table))
    assert set(runs.talents()) == {"p-1"}


HOLDS_NOBODY = {
    *("sync_fences", "sync_shards", "duplicate_scans"),
    "stages",
    # What records are found by goes with them, by a trigger.
    *("record_grams", "record_skills"),
    # The taxonomy is of nobody.
    *("skills", "skill_names", "skill_name_grams", "skill_links", "skill_imports"),
    # Of companies: what is said of a person in one of their texts the search finds, and people decide.
    *("companies", "jobs"),
    *("erasures", "erased_keys", "erasure_lifts", "audit_events"),
    # They go with their file, by its key, and a file with its person.
    "resume_file_parts",
    # Encrypted answers: they are opened one by one.
    "idempotency_keys",
}


def test_every_table_is_emptied_of_a_person_or_holds_nobody(database_urls: DatabaseUrls) -> None:
    """A table that comes later says here what becomes of its rows."""
    with psycopg.connect(database_urls.admin) as connection:
        rows = connection.execute(
            """WITH RECURSIVE along (id) AS (
                SELECT unnest('{talent_sync.talents, talent_sync.sync_states}'::regclass[])::oid
                UNION SELECT k.conrelid FROM pg_constraint k JOIN along ON k.confrelid = along.id
                WHERE k.confdeltype = 'c'
            )
            SELECT c.relname, position(c.relname in f.prosrc) > 0 OR c.oid IN (SELECT id FROM along)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
                (SELECT prosrc FROM pg_proc WHERE proname = 'erase_record') f
            WHERE n.nspname = 'talent_sync' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"""
        ).fetchall()
    assert len(rows) > len(HOLDS_NOBODY)
    assert {table for table, covered in rows if not covered} <= HOLDS_NOBODY
