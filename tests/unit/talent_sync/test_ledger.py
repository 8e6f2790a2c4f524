"""The ledger: digests, its file, and a restored database that is brought up to it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from looma_core.db.migrate import MigrationError, migrate
from looma_engines.talent_sync.rights.ledger import (
    ErasedKey,
    LedgerEntry,
    LedgerError,
    LedgerKey,
    read,
    written,
)
from looma_engines.talent_sync.rights.traces import Traces, digits_of, escaped
from support.database import DatabaseUrls, drop_database, make_database
from support.dumps import dump_of, restore
from support.engines import FILE_KEYS, LEDGER_KEY
from support.key_ring import VARIABLE, ring_file
from support.sync_runs import Runs, person
from support.synced_relations import conflict, known, refused
from support.tokens import bearer

KEY = LedgerKey("k" * 32)
Client = TestClient[Any]
WORD = secrets.token_hex(6)
"""In no other test's data: all of a database is dumped and looked through."""
NAME, EMAIL = f"Zelda Quill{WORD}", f"zelda@quill{WORD}.example"


def entry(**changes: Any) -> LedgerEntry:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "tenant": "demo",
        "entity": "talent",
        "reason": "request",
        "reference": None,
        "origin": "api",
        "erased_by": "officer",
        "requested_at": now,
        "created_at": now,
        "counts": {"talent_sync.talents": 1},
        "keys": [ErasedKey(digest="0" * 64, kind="record")],
        **changes,
    }
    return LedgerEntry(**values)


def test_a_digest_is_of_one_record_of_one_tenant_under_one_key() -> None:
    record = uuid.uuid4()
    same = KEY.of_record("demo", "talent", record)
    assert same == LedgerKey("k" * 32).of_record("demo", "talent", record)
    others = {
        LedgerKey("l" * 32).of_record("demo", "talent", record),
        KEY.of_record("other", "talent", record),
        KEY.of_record("demo", "job", record),
        KEY.of_record("demo", "talent", uuid.uuid4()),
        KEY.of_source("demo", "talent", "sync", str(record)),
        KEY.of_source("demo", "talent", "syn", f"c{record}"),
    }
    assert len(others) == 6
    assert same not in others
    with pytest.raises(ValueError, match="at least 32"):
        LedgerKey("short")


@given(st.lists(st.builds(entry, reference=st.none() | st.just("C-1")), max_size=4))
def test_a_ledger_is_read_as_it_was_written(entries: list[LedgerEntry]) -> None:
    assert read(KEY, written(KEY, entries)) == entries


def test_a_ledger_that_was_touched_is_not_used() -> None:
    whole = written(KEY, [entry(), entry(tenant="other")])
    lines = whole.splitlines(keepends=True)
    for broken in (
        b"",
        b"{}\n",
        whole[:-20],
        b"".join(lines[:-1]),
        b"".join([lines[0], *lines[2:]]),
        whole.replace(b"other", b"demos"),
        b"".join([lines[0], lines[2], lines[1], lines[3]]),
    ):
        with pytest.raises(LedgerError):
            read(KEY, broken)
    with pytest.raises(LedgerError, match="another LOOMA_LEDGER_KEY"):
        read(LedgerKey("l" * 32), whole)


@pytest.mark.parametrize(
    ("phone", "text", "found"),
    [
        ("+44 20 7946 0958", "call +44 (20)79460958!", True),
        ("+44 20 7946 0958", "442079460959", False),
        ("138 0013 8000", '{"phone": "138-0013-8000"}', True),
        ("138 0013 8000", "1138001380001", False),
    ],
)
def test_a_phone_is_found_however_it_is_grouped(phone: str, text: str, found: bool) -> None:
    traces = Traces()
    traces.add_fields({"phone": phone})
    assert traces.is_contact_in(text) is found
    assert digits_of("12-34") is None


@given(st.text(min_size=1, max_size=40))
def test_a_text_is_escaped_as_json_has_it(text: str) -> None:
    import json

    assert json.loads(f'"{escaped(text)}"') == text


def test_what_says_nothing_is_not_looked_for() -> None:
    traces = Traces()
    traces.add_fields({"full_name": "X", "email": None, "phone": {"before": "123", "after": None}})
    assert list(traces.of("name", "email", "phone")) == []
    traces.add_fields({"email": {"before": "A@b.example", "after": "c@d.example"}})
    assert [value for _, value in traces.of("email")] == ["a@b.example", "c@d.example"]


# ---- a restored database -----------------------------------------------------------------------------------


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


@pytest.fixture
def second(postgres_admin: str) -> Iterator[DatabaseUrls]:
    urls = make_database(postgres_admin)
    yield urls
    drop_database(postgres_admin, urls.name)


def command(urls: DatabaseUrls, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOOMA_")}
    code = "from looma_engines.main import main; main()"
    given = {
        "LOOMA_OWNER_DATABASE_URL": urls.owner,
        "LOOMA_LEDGER_KEY": LEDGER_KEY,
        "LOOMA_FILE_KEYS": FILE_KEYS,
        VARIABLE: ring_file(),
    }
    return subprocess.run(
        [sys.executable, "-c", code, "records-erase", *arguments],
        env={**clean, **given, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.database
def test_a_restored_database_forgets_again_who_was_erased(
    client: Client, auth: dict[str, str], runs: Runs, second: DatabaseUrls, tmp_path: Path
) -> None:
    admin = bearer(tenant=runs.tenant, roles=["admin"])
    rows = [person(1, full_name=NAME, email=EMAIL), person(2)]
    runs.one(rows)
    runs.one([*rows, person(3, full_name=f"{NAME} {'x' * 200}", email=EMAIL)])
    talent = str(runs.talents()["p-1"]["id"])
    backup = dump_of(runs.urls)
    answer = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin)
    assert answer.status_code == 201, answer.text

    ledger = tmp_path / "ledger.jsonl"
    done = command(runs.urls, "--export", str(ledger))
    assert done.returncode == 0, done.stderr + done.stdout
    for word in (NAME, EMAIL, talent, "p-1"):
        assert word not in ledger.read_text()
    assert answer.json()["id"] in ledger.read_text()

    restore(second, backup)
    assert NAME in dump_of(second)
    later = Runs(second, runs.tenant, tmp_path, uid="uid-2")
    others = later.rows("SELECT t::text AS row FROM talent_sync.talents t WHERE id <> %(id)s", id=talent)
    wrong = command(second, "--ledger", str(ledger), LOOMA_LEDGER_KEY="z" * 40)
    assert wrong.returncode == 1
    assert "another LOOMA_LEDGER_KEY" in wrong.stderr
    for _ in range(2):  # The second time finds nothing to do.
        done = command(second, "--ledger", str(ledger))
        assert done.returncode == 0, done.stderr + done.stdout
        after = dump_of(second)
        for word in (NAME, EMAIL, talent):
            assert word not in after, word
    assert later.rows("SELECT t::text AS row FROM talent_sync.talents t") == others
    # And the next sync does not undo it.
    assert later.one(rows).created == 0
    assert command(second, "--export", str(tmp_path / "again")).returncode == 0
    assert (tmp_path / "again").read_bytes() == ledger.read_bytes()


@pytest.mark.database
def test_a_restored_database_forgets_relations_that_name_who_was_erased(
    client: Client, auth: dict[str, str], runs: Runs, second: DatabaseUrls, tmp_path: Path
) -> None:
    """Those that were stored, and those that wait; also where the backup is from before the person came."""
    admin = bearer(tenant=runs.tenant, roles=["admin"])
    runs.one([person(2), person(11)])
    waits = {"kind": "knows", "other_talent_id": "p-99"}
    refused(runs, {**waits, "talent_id": "p-1"}, key="r-1")
    refused(runs, {**waits, "talent_id": "p-11"}, key="r-2")
    # Under its key alone: what it names is not said by what is left of it.
    refused(runs, '{"cut o', key="r-3")
    early = dump_of(runs.urls)
    runs.one([person(1), person(2), person(11)])
    talent, other = (str(runs.talents()[key]["id"]) for key in ("p-1", "p-2"))
    draft = {"kind": "knows", "talent_id": talent, "other_talent_id": other}
    made = client.post("/api/v1/relations", json=draft, headers=auth)
    assert made.status_code == 201, made.text
    known(runs, made.json()["id"], key="r-3", base=draft)
    conflict(runs, made.json()["id"], key="r-3")
    late = dump_of(runs.urls)
    erased = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin)
    assert erased.status_code == 201, erased.text
    ledger = tmp_path / "ledger.jsonl"
    assert command(runs.urls, "--export", str(ledger)).returncode == 0

    restore(second, early)
    later = Runs(second, runs.tenant, tmp_path)
    refused(later, {**waits, "talent_id": talent}, key="r-4")
    refused(later, {**waits, "talent_id": other}, key="r-5")
    for _ in range(2):  # The second time finds nothing to do.
        done = command(second, "--ledger", str(ledger))
        assert done.returncode == 0, done.stderr + done.stdout
        assert waiting(later) == ["r-2", "r-5"]
    with psycopg.connect(second.admin, autocommit=True) as connection:
        connection.execute("DROP SCHEMA talent_sync, resume, console, looma CASCADE")
    restore(second, late)
    assert made.json()["id"] in dump_of(second)
    done = command(second, "--ledger", str(ledger))
    assert done.returncode == 0, done.stderr + done.stdout
    assert waiting(later) == ["r-2"]
    assert made.json()["id"] not in dump_of(second)


def waiting(runs: Runs) -> list[str]:
    return [row["key"] for row in runs.rows("SELECT key FROM talent_sync.quarantine ORDER BY key")]


@pytest.mark.database
def test_the_command_says_what_it_needs(second: DatabaseUrls, tmp_path: Path) -> None:
    unset = command(second, "--export", "-", LOOMA_LEDGER_KEY="")
    assert unset.returncode == 2
    assert "LOOMA_LEDGER_KEY" in unset.stderr
    missing = command(second, "--ledger", str(tmp_path / "none"))
    assert missing.returncode == 1
    assert command(second).returncode == 2


# ---- what was deleted long ago -----------------------------------------------------------------------------


@pytest.mark.database
def test_what_was_deleted_long_ago_is_erased_by_the_upkeep(
    empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    urls = empty_database
    migrate(urls.owner)
    runs = Runs(urls, "one", tmp_path)
    runs.target = {"onMissing": "delete"}
    everybody = [person(number) for number in range(1, 6)]
    # Under keys of their own, so that only the sealed addresses tell whose they are.
    refused = [
        person(number + 5, full_name="x" * 400, email=f"ada.{number}@mail.example") for number in (1, 3)
    ]
    assert runs.one([*everybody, *refused]).quarantined == 2
    runs.one(everybody[:4])  # The fifth left the source.
    runs.change(
        "UPDATE talent_sync.talents SET deleted_at = now(), version = 2 WHERE source_ref = 'people:p-1'"
    )
    runs.change(
        "UPDATE talent_sync.talents SET deleted_at = now(), version = 2 WHERE source_ref = 'people:p-2'"
    )
    past = datetime.now(UTC) - timedelta(days=31)
    runs.change(
        "UPDATE talent_sync.talents SET deleted_at = %(past)s WHERE source_ref IN ('people:p-1', 'people:p-5')",
        past=past,
    )
    left = runs.rows(
        "SELECT t::text AS row FROM talent_sync.talents t WHERE full_name !~ 'Number [15]' ORDER BY id"
    )
    for told in ({}, {"ledger_key": LEDGER_KEY}, {"key_ring_file": ring_file()}):
        migrate(urls.owner, **told)
        assert len(runs.rows("SELECT 1 FROM talent_sync.talents")) == 5, "without its keys nothing is erased"
    with pytest.raises(MigrationError, match="LOOMA_KEY_RING_FILE names"):
        migrate(urls.owner, ledger_key=LEDGER_KEY, key_ring_file=str(tmp_path / "none.json"))
    migrate(urls.owner, ledger_key=LEDGER_KEY, key_ring_file=ring_file())
    waiting = runs.rows("SELECT key FROM talent_sync.quarantine")
    assert waiting == [{"key": "p-8"}], "what a source had of who was erased is found by the address"
    assert runs.rows("SELECT t::text AS row FROM talent_sync.talents t ORDER BY id") == left
    told = dump_of(urls)
    assert "Ada Number 1" not in told
    assert "Ada Number 5" not in told
    events = runs.rows("SELECT action, actor, reason FROM talent_sync.audit_events")
    assert events == [{"action": "erase", "actor": "upkeep", "reason": "retention"}] * 2
    with psycopg.connect(urls.admin) as connection:
        forced = connection.execute(
            "SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relname IN ('talents', 'jobs', 'companies')"
        ).fetchone()
    assert forced == (True,), "the policies hold as before"
    # Who was deleted by people stays away; who had only left the source may come again with it.
    report = runs.one(everybody)
    assert report.created == 1
    assert sorted(runs.talents()) == ["p-3", "p-4", "p-5"]
