"""What syncs noted of a person's relations goes with the person, and does not come back; so does what names them."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import create_engine

from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.rights.applying import enter_tenant
from looma_engines.talent_sync.rights.erasing import Wanted, erase
from looma_engines.talent_sync.rights.ledger import LedgerKey
from looma_engines.talent_sync.syncing.erased import ErasedKeys
from support.database import DatabaseUrls
from support.dumps import dump_of
from support.engines import LEDGER_KEY
from support.key_ring import SEALER
from support.sync_runs import Runs, person
from support.synced_relations import ORIGIN, conflict, known, made, refused, written
from support.tokens import bearer

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]


@pytest.fixture
def admin(tenant: str) -> Auth:
    return bearer(tenant=tenant, roles=["admin"], subject="officer")


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


def erased(client: Client, admin: Auth, talent: str) -> dict[str, Any]:
    answer = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def synced(client: Client, auth: Auth, runs: Runs, *, key: str, **draft: Any) -> str:
    """A relation that came from the source under a key, with a conflict, a write, and an entry that became it."""
    relation = made(client, auth, "relations", **draft)
    known(runs, relation, key=key, base={**draft, "note": f"note of {key}"})
    conflict(runs, relation, key=key)
    written(runs, relation, key=key)
    refused(runs, {"kind": draft["kind"]}, key=key, became=relation)
    return relation


def entries(runs: Runs) -> list[str]:
    return sorted(row["id"] for row in runs.rows("SELECT id::text FROM talent_sync.quarantine"))


def among(runs: Runs, *keys: str) -> set[str]:
    """Keys of the relations' source that a run would find erased."""
    ledger = LedgerKey(LEDGER_KEY)

    def execute(query: Any, **more: Any) -> Any:
        rows = [type("Row", (), row) for row in runs.rows(query, **more)]
        return type("Cursor", (), {"fetchone": lambda: rows[0], "__iter__": lambda _: iter(rows)})()

    asked = ErasedKeys(execute, ledger, tenant=runs.tenant, entity="relation", origin=ORIGIN)
    return asked.among(keys)


def test_what_syncs_noted_of_a_persons_relations_goes_with_the_person(
    client: Client, auth: Auth, admin: Auth, runs: Runs
) -> None:
    runs.one([person(1), person(2)])
    talent, other = (str(runs.talents()[key]["id"]) for key in ("p-1", "p-2"))
    company = made(client, auth, "companies", name="Harbour")
    word = secrets.token_hex(6)
    works = synced(
        client, auth, runs, key=f"r-1{word}", kind="works_at", talent_id=talent, company_id=company
    )
    knows = synced(
        client, auth, runs, key=f"r-2{word}", kind="knows", talent_id=other, other_talent_id=talent
    )
    others = synced(client, auth, runs, key="r-3", kind="works_at", talent_id=other, company_id=company)

    proof = erased(client, admin, talent)

    assert proof["complete"] is True, proof
    assert {
        store: proof["counts"][f"talent_sync.{store}"]
        for store in ("relations", "sync_states", "sync_writes", "sync_conflicts", "quarantine")
    } == {"relations": 2, "sync_states": 3, "sync_writes": 2, "sync_conflicts": 2, "quarantine": 2}
    assert proof["proof"]["looked_for"]["id"] == 3, "the person, and two relations"
    for table in ("sync_states", "sync_writes", "sync_conflicts", "quarantine"):
        left = runs.rows(f"SELECT record_id::text FROM talent_sync.{table} WHERE entity = 'relation'")  # noqa: S608 - our own names
        assert left == [{"record_id": others}], table
    after = dump_of(runs.urls)
    for gone in (works, knows, word):
        assert gone not in after, gone
    assert among(runs, f"r-1{word}", f"r-2{word}", "r-3") == {f"r-1{word}", f"r-2{word}"}, (
        "the next run neither stores nor keeps them"
    )
    given = {"basis": "consent", "purposes": ["matching"], "given_at": datetime.now(UTC).isoformat()}
    lifted = client.post(f"/api/v1/erasures/{proof['id']}/lift", json=given, headers=admin)
    assert lifted.status_code == 200, lifted.text
    assert among(runs, f"r-1{word}", "r-3") == set(), "who may come again may come with theirs"


def test_refused_relations_that_name_a_person_go_with_the_person(
    client: Client, auth: Auth, admin: Auth, runs: Runs
) -> None:
    runs.one([person(1), person(2), person(11), {**person(17), "id": 17}])
    talents = {key: str(row["id"]) for key, row in runs.talents().items()}
    talent = talents["p-1"]
    gone = [
        refused(runs, {"kind": "knows", "talent_id": talent, "other_talent_id": "p-99"}, key="r-1"),
        refused(runs, {"kind": "knows", "talent_id": "p-99", "other_talent_id": "p-1"}, key="r-2"),
        refused(runs, {"kind": "knows", "person": "p-1"}, key="r-3"),
        refused(runs, '{"talent_id": "p-1", "note": "cut o', key="r-4"),
    ]
    numbered = refused(runs, {"id": 5, "kind": "works_at", "talent_id": 17}, key="5")
    stay = [
        refused(runs, {"kind": "knows", "talent_id": talents["p-2"], "other_talent_id": "p-11"}, key="r-5"),
        refused(runs, {"kind": "works_at", "talent_id": "p-2", "company_id": "p-1"}, key="r-6"),
        refused(runs, {"talent_id": "p-1", "title": "Clerk"}, key="j-1", entity="job"),
    ]
    settled = client.get(f"/api/v1/quarantine/{gone[2]}", headers=auth).json()
    headers = {**auth, "If-Match": f'"{settled["version"]}"', "Idempotency-Key": uuid.uuid4().hex}
    assert client.post(f"/api/v1/quarantine/{gone[2]}/discard", headers=headers).status_code == 200

    proof = erased(client, admin, talent)

    assert proof["counts"]["talent_sync.quarantine"] == len(gone)
    assert proof["counts"]["talent_sync.idempotency_keys"] == 1, "the answer had what the source had"
    assert entries(runs) == sorted([*stay, numbered])
    # Where it is not sure that the person is meant, the row may come again.
    assert among(runs, "r-1", "r-2", "r-3", "r-4", "r-5") == {"r-1", "r-2"}
    assert erased(client, admin, talents["17"])["counts"]["talent_sync.quarantine"] == 1
    assert entries(runs) == sorted(stay)
    assert among(runs, "5") == {"5"}


def test_a_key_that_two_people_have_bars_nobodys_relation(client: Client, admin: Auth, runs: Runs) -> None:
    runs.one([person(1)])
    talent = str(runs.talents()["p-1"]["id"])
    runs.source = {"name": "elsewhere"}
    runs.one([person(1, full_name="Bob", email="bob@mail.example")])
    refused(runs, {"kind": "knows", "talent_id": "p-1", "other_talent_id": "p-99"}, key="r-1")
    refused(runs, {"kind": "knows", "talent_id": talent, "other_talent_id": "p-99"}, key="r-2")
    held = client.get(f"/api/v1/talents/{talent}/export", headers=admin).json()
    assert [entry["key"] for entry in held["quarantine"]] == ["r-2"], "whose the other is nobody can say"
    erased(client, admin, talent)
    assert entries(runs) == []
    assert among(runs, "r-1", "r-2") == {"r-2"}


def forgotten(runs: Runs, entity: str, record: str) -> dict[str, int]:
    """Erase a record as the upkeep does; how many rows went, by store."""
    wanted = Wanted(
        entity=entity,
        record_id=uuid.UUID(record),
        reason="retention",
        origin="retention",
        requested_at=datetime.now(UTC),
    )
    engine = create_engine(runs.urls.owner)
    with engine.begin() as connection:
        enter_tenant(connection, runs.tenant, origin="retention")
        done = erase(
            connection,
            runs.tenant,
            wanted,
            key=LedgerKey(LEDGER_KEY),
            answers="none",
            searched=False,
            opens=Seals(SEALER, runs.tenant),
        )
    engine.dispose()
    assert done is not None
    return done.counts


@pytest.mark.parametrize("entity", ["company", "job"])
def test_relations_of_a_company_or_a_job_go_with_it(
    client: Client, auth: Auth, runs: Runs, entity: str
) -> None:
    if entity == "company":
        record, kind = made(client, auth, "companies", name="Harbour"), "works_at"
    else:
        record, kind = made(client, auth, "jobs", title="Clerk"), "applied_to"
    talent, other = (made(client, auth, "talents", full_name=name) for name in ("Ada", "Bob"))
    named = {f"{entity}_id": record}
    synced(client, auth, runs, key="r-1", kind=kind, talent_id=talent, **named)
    synced(client, auth, runs, key="r-2", kind="knows", talent_id=talent, other_talent_id=other)
    refused(runs, {"kind": kind, "talent_id": "p-99", **named}, key="r-3")
    kept = refused(runs, {"kind": kind, "talent_id": "p-99", f"{entity}_id": "c-1"}, key="r-4")
    counts = forgotten(runs, entity, record)
    assert (counts["talent_sync.sync_states"], counts["talent_sync.quarantine"]) == (1, 2)
    assert runs.rows("SELECT key FROM talent_sync.sync_states") == [{"key": "r-2"}]
    assert kept in entries(runs)
    assert among(runs, "r-1", "r-2", "r-3", "r-4") == {"r-1", "r-3"}


def test_a_relation_that_left_its_source_may_come_again_after_the_retention(
    client: Client, auth: Auth, runs: Runs
) -> None:
    company = made(client, auth, "companies", name="Harbour")
    talent = made(client, auth, "talents", full_name="Ada")
    for key, kind, gone in (("r-1", "works_at", True), ("r-2", "worked_at", False)):
        relation = made(client, auth, "relations", kind=kind, talent_id=talent, company_id=company)
        known(runs, relation, key=key, gone=gone)
    forgotten(runs, "talent", talent)
    assert among(runs, "r-1", "r-2") == {"r-2"}


@pytest.mark.parametrize("first", ["relation", "talent"])
def test_a_relation_of_a_person_who_left_the_source_may_come_again_with_the_person(
    client: Client, auth: Auth, runs: Runs, first: str
) -> None:
    runs.target = {"onMissing": "delete"}
    runs.one([person(1), person(2)])
    talent = str(runs.talents()["p-1"]["id"])
    company = made(client, auth, "companies", name="Harbour")
    for key, kind in (("r-1", "works_at"), ("r-2", "worked_at")):
        relation = made(client, auth, "relations", kind=kind, talent_id=talent, company_id=company)
        known(runs, relation, key=key)
    # One of them people had deleted by then.
    url = f"/api/v1/relations/{relation}"
    assert client.delete(url, headers={**auth, "If-Match": "*"}).status_code == 204
    refused(runs, {"kind": "knows", "talent_id": talent, "other_talent_id": "p-99"}, key="r-3")
    runs.one([person(2)])
    if first == "relation":
        for row in runs.rows("SELECT id::text FROM talent_sync.relations WHERE deleted_at IS NOT NULL"):
            forgotten(runs, "relation", row["id"])
    forgotten(runs, "talent", talent)
    assert among(runs, "r-1", "r-2", "r-3") == {"r-2"}


def test_an_export_has_what_syncs_noted_of_a_persons_relations(
    client: Client, auth: Auth, admin: Auth, runs: Runs
) -> None:
    runs.one([person(1), person(2)])
    talent, other = (str(runs.talents()[key]["id"]) for key in ("p-1", "p-2"))
    relation = synced(client, auth, runs, key="r-1", kind="knows", talent_id=other, other_talent_id=talent)
    company = made(client, auth, "companies", name="Harbour")
    synced(client, auth, runs, key="r-2", kind="works_at", talent_id=other, company_id=company)
    refused(runs, {"kind": "knows", "talent_id": "p-1", "other_talent_id": "p-99"}, key="r-3")
    refused(runs, {"kind": "knows", "talent_id": "p-2", "other_talent_id": "p-99"}, key="r-4")
    refused(runs, {"kind": "knows", "id": "p-1", "other_talent_id": "p-99"}, key="r-5")

    told = client.get(f"/api/v1/talents/{talent}/export", headers=admin).json()

    sources = [(one["entity"], one["record_id"], one["origin"], one["key"]) for one in told["sources"]]
    assert sources == [("talent", talent, "people", "p-1"), ("relation", relation, ORIGIN, "r-1")]
    assert told["sources"][1]["base"]["note"] == "note of r-1"
    assert [(one["entity"], one["key"]) for one in told["conflicts"]] == [("relation", "r-1")]
    assert [(one["entity"], one["key"]) for one in told["writes"]] == [("relation", "r-1")]
    assert sorted(one["key"] for one in told["quarantine"]) == ["r-1", "r-3"]
