"""What the database holds of a person's address and number: nothing that can be read without the keys."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient

from looma_engines.talent_sync.privacy.sealing import PREFIX
from support.database import DatabaseUrls
from support.key_ring import RING
from support.sync_runs import Runs, person

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
TALENTS = "/api/v1/talents"


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


class Contact:
    """Addresses and numbers that are nowhere else in the database."""

    def __init__(self) -> None:
        self.word = f"q{uuid.uuid4().hex[:10]}"
        self.digits = str(uuid.uuid4().int)[:8]
        self._emails = self._phones = 0

    def email(self) -> str:
        """One more address with the word."""
        self._emails += 1
        return f"{self.word}.{self._emails}@mail.example"

    def phone(self) -> str:
        """One more number with the digits."""
        self._phones += 1
        return f"+44 {self.digits} {self._phones:03}"


def holding(urls: DatabaseUrls, *words: str) -> list[str]:
    """Columns of any table of the engine with one of the words, as text or in bytes, as a superuser reads them."""
    found = []
    with psycopg.connect(urls.admin) as connection:
        columns = connection.execute(
            """SELECT format('%I.%I', table_schema, table_name), format('%I', column_name), data_type
            FROM information_schema.columns WHERE table_schema = 'talent_sync'"""
        ).fetchall()
        assert len(columns) > 100
        for table, column, kind in columns:
            forms = [f"{column}::text"]
            if kind == "bytea":
                forms += [f"encode({column}, 'escape')", f"encode({column}, 'base64')"]
            if kind == "jsonb":
                # JSON may write a sign in another way.
                forms.append(f"({column} #>> '{{}}')")
            condition = " OR ".join(
                f"lower({form}) LIKE %(word{n})s" for form in forms for n in range(len(words))
            )
            query = f"SELECT EXISTS (SELECT FROM {table} WHERE {condition})"  # noqa: S608 - names of the catalogue
            told = {f"word{n}": f"%{word.lower()}%" for n, word in enumerate(words)}
            if connection.execute(query, told).fetchone() == (True,):  # type: ignore[arg-type]
                found.append(f"{table}.{column}")
    return found


def made(client: Client, auth: Auth, **fields: Any) -> dict[str, Any]:
    body = {"full_name": "Ada", "language": "en", "source": {"type": "manual", "ref": None}, **fields}
    answer = client.post(TALENTS, json=body, headers={**auth, "Idempotency-Key": uuid.uuid4().hex})
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    return record


def changed(client: Client, auth: Auth, record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = client.patch(
        f"{TALENTS}/{record['id']}",
        content=json.dumps(fields),
        headers={
            **auth,
            "If-Match": f'"{record["version"]}"',
            "Content-Type": "application/merge-patch+json",
            "Idempotency-Key": uuid.uuid4().hex,
        },
    )
    assert answer.status_code == 200, answer.text
    after: dict[str, Any] = answer.json()
    return after


def test_no_dump_of_the_database_has_an_address_or_a_number(
    client: Client, auth: Auth, runs: Runs, database_urls: DatabaseUrls
) -> None:
    own = Contact()
    # Created and changed, by one and by many, with answers that are kept.
    first = made(client, auth, email=own.email(), phone=own.phone())
    second = changed(client, auth, first, email=own.email(), phone=own.phone())
    assert (second["email"], second["phone"]) == (f"{own.word}.2@mail.example", f"+44 {own.digits} 002")
    batch = {
        "items": [
            {
                "action": "create",
                "draft": {
                    "full_name": "Bob",
                    "email": own.email(),
                    "source": {"type": "manual", "ref": None},
                },
            }
        ]
    }
    sent = client.post(f"{TALENTS}/batch", json=batch, headers=auth)
    assert [item["status"] for item in sent.json()["items"]] == [201], sent.text
    # Imported, also what is refused.
    rows = (
        f"full_name,email,phone\nEve,{own.email()},{own.phone()}\nMallory,{own.word} at home,{own.digits}x\n"
    )
    answer = client.post(
        f"{TALENTS}/import", files={"file": ("people.csv", rows.encode(), "text/csv")}, headers=auth
    )
    assert (answer.json()["counts"]["created"], answer.json()["counts"]["refused"]) == (1, 1), answer.text
    # Synced, with a record in quarantine, one put right, a conflict that is open and one that is settled.
    runs.target = {"conflictPolicy": {"default": "manual"}}
    runs.one(
        [
            person(1, email=own.email(), phone=own.phone()),
            person(2, email=f"{own.word} at home", phone=own.phone()),
            person(3, email=own.email()),
        ]
    )
    synced = {
        item["full_name"]: item
        for item in client.get(TALENTS, params={"source": "sync"}, headers=auth).json()["items"]
    }
    for number in (1, 3):
        changed(client, auth, synced[f"Ada Number {number}"], email=own.email())
    runs.one(
        [
            person(1, email=own.email(), phone=own.phone()),
            person(2, email=f"{own.word} at home", phone=own.phone()),
            person(3, email=own.email()),
        ]
    )
    conflicts = client.get("/api/v1/sync-conflicts", headers=auth).json()["items"]
    assert {item["field"] for item in conflicts} == {"email"}
    assert all(own.word in item[side] for item in conflicts for side in ("base", "source", "target"))
    settled = client.post(
        f"/api/v1/sync-conflicts/{conflicts[0]['id']}/settle", json={"take": "source"}, headers=auth
    )
    assert settled.status_code == 200, settled.text
    assert settled.json()["source"] == conflicts[0]["source"]
    (entry, *_) = client.get("/api/v1/quarantine", params={"state": "open"}, headers=auth).json()["items"]
    read = client.get(f"/api/v1/quarantine/{entry['id']}", headers=auth).json()
    assert own.word in read["raw"]
    assert read["draft"]["email"] == f"{own.word} at home"
    replayed = client.post(
        f"/api/v1/quarantine/{entry['id']}/replay",
        json={"draft": {"full_name": "Two", "email": own.email()}},
        headers={**auth, "If-Match": f'"{read["version"]}"'},
    )
    assert replayed.status_code == 200, replayed.text
    assert own.word in replayed.json()["raw"]
    # A deletion has a history too.
    gone = changed(client, auth, second, headline="Gone soon")
    client.delete(f"{TALENTS}/{gone['id']}", headers={**auth, "If-Match": f'"{gone["version"]}"'})

    assert holding(database_urls, own.word, own.digits) == []
    assert "talent_sync.talents.email" in holding(database_urls, PREFIX), "the search does find what is there"

    told = client.get(f"{TALENTS}/{first['id']}/history", headers=auth).json()["items"]
    assert [change["field"] for change in told[1]["changes"]] == ["headline"]
    assert {
        change["field"]: (change.get("before"), change.get("after")) for change in told[2]["changes"]
    } == {"email": (first["email"], second["email"]), "phone": (first["phone"], second["phone"])}
    created = {change["field"]: change.get("after") for change in told[3]["changes"]}
    assert (created["email"], created["phone"]) == (first["email"], first["phone"])
    assert not any("hash" in change["field"] for entry in told for change in entry["changes"])
    exported = client.get(f"{TALENTS}/export", params={"format": "csv"}, headers=auth).text
    assert own.word in exported
    assert PREFIX not in exported


def found(client: Client, auth: Auth, **asked: str) -> list[str]:
    answer = client.get(TALENTS, params=asked, headers=auth)
    assert answer.status_code == 200, answer.text
    return sorted(item["full_name"] for item in answer.json()["items"])


def test_a_person_is_found_by_the_whole_address_and_number_alone(client: Client, auth: Auth) -> None:
    made(client, auth, full_name="Ada", email="ada@Mail.example", phone="+86 138-0013-8000")
    made(client, auth, full_name="Bob", email="bob@mail.example", phone="0113 496 0999")
    for asked in ("ada@mail.example", "ADA@MAIL.EXAMPLE", " ada@mail.example "):
        assert found(client, auth, email=asked) == ["Ada"]
    assert found(client, auth, q="ada@mail.example") == ["Ada"]
    assert found(client, auth, q="Bob ada@mail.example") == []
    for asked in ("13800138000", "+86 138 0013 8000"):
        assert found(client, auth, phone=asked) == ["Ada"]
    assert found(client, auth, phone="+44 113 496 0999", email="bob@mail.example") == ["Bob"]
    for asked in ({"email": "ada"}, {"email": "mail.example"}, {"phone": "138"}, {"q": "mail.example"}):
        assert found(client, auth, **asked) == []
    text = client.get(
        f"{TALENTS}/export", params={"format": "jsonl", "email": "bob@mail.example"}, headers=auth
    )
    assert [json.loads(line)["full_name"] for line in text.text.splitlines()] == ["Bob"]


def test_no_tenant_finds_or_shows_another_ones_person(
    client: Client, auth: Auth, other_tenant: Auth, database_urls: DatabaseUrls
) -> None:
    own = Contact()
    records = [
        made(client, who, email=f"{own.word}@mail.example", phone=f"+44 {own.digits}")
        for who in (auth, other_tenant)
    ]
    assert [
        item["id"]
        for item in client.get(TALENTS, params={"email": f"{own.word}@mail.example"}, headers=auth).json()[
            "items"
        ]
    ] == [records[0]["id"]]
    with psycopg.connect(database_urls.admin) as connection:
        rows = connection.execute(
            "SELECT email, phone, email_hash, phone_hash FROM talent_sync.talents WHERE id = ANY(%s)",
            [[uuid.UUID(record["id"]) for record in records]],
        ).fetchall()
    assert not set(rows[0]) & set(rows[1]), "two tenants with one person do not show it"
    assert all(row[0].startswith(f"{PREFIX}{RING.seal[0].id}:") for row in rows)


def test_a_value_that_was_moved_to_another_record_is_not_shown(
    client: Client, auth: Auth, tenant: str, database_urls: DatabaseUrls
) -> None:
    ada = made(client, auth, email="ada@mail.example")
    bob = made(client, auth, email="bob@mail.example")
    with psycopg.connect(database_urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        connection.execute(
            "UPDATE talent_sync.talents SET email = (SELECT email FROM talent_sync.talents WHERE id = %s)"
            " WHERE id = %s",
            [ada["id"], bob["id"]],
        )
    answer = client.get(f"{TALENTS}/{bob['id']}", headers=auth)
    assert answer.status_code == 500
    assert "ada" not in answer.text
    assert client.get(f"{TALENTS}/{ada['id']}", headers=auth).json()["email"] == "ada@mail.example"


def test_it_is_counted_by_key(client: Client, auth: Auth) -> None:
    made(client, auth, email="ada@mail.example")
    metrics = client.get("/metrics").text
    for action in ("seal", "open"):
        assert f'looma_sealed_values_total{{action="{action}",key="{RING.seal[0].id}"' in metrics.replace(
            'service="talent-sync",', ""
        ).replace('revision="r4",', "")
