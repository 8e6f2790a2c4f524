"""What is stored is sealed and opened again: after a stop, past what others have locked, by a migration both ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from looma_core.db.migrate import migrate
from looma_core.settings import EngineSettings, SettingsError
from looma_engines.sync_worker.inputs import BadInputError
from looma_engines.talent_sync.app import create
from looma_engines.talent_sync.privacy.resealing import BusyError, Progress, connect, reseal
from looma_engines.talent_sync.privacy.ring import new_ring, parse
from looma_engines.talent_sync.privacy.sealing import PREFIX, Sealer, SealError
from looma_engines.talent_sync.syncing.main import make
from support.database import DatabaseUrls
from support.key_ring import ring_file
from support.sealed_database import (
    FILE_KEYS,
    FILES,
    NEW,
    OLD,
    TABLES,
    TENANTS,
    counts,
    down,
    dump,
    dumps,
    engine,
    fill,
    older,
    run,
)
from support.sync_runs import Runs
from support.tokens import bearer, verifier

TALENTS = "/api/v1/talents"


def test_a_filled_database_is_sealed_and_goes_back_as_it_was(
    empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    (tmp_path / "versions").mkdir()
    migrate(empty_database.owner, only=[older(tmp_path / "versions")])
    made = fill(empty_database)
    before = dumps(empty_database)
    migrate(empty_database.owner)
    with engine(empty_database, tmp_path, NEW) as client:
        # Both are read until all is sealed.
        for tenant in TENANTS:
            shown = client.get(f"{TALENTS}/{made[tenant][1]}", headers=bearer(tenant=tenant))
            assert (shown.json()["email"], shown.headers["ETag"]) == ("ada.1@mail.example", '"2"')
        assert run(empty_database, NEW, batch=3) == {
            "talents": 14,
            "sync_states": 14,
            "sync_conflicts": 2,
            "quarantine": 2,
            "sync_writes": 0,
            "record_history": 28,
            **dict.fromkeys(FILES, 0),
        }
        sealed = dumps(empty_database)
        assert "@mail.example" not in json.dumps(sealed)
        assert "113 496" not in json.dumps(sealed)
        assert run(empty_database, NEW) == dict.fromkeys((*TABLES, "sync_writes", *FILES), 0), (
            "what is sealed stays as it is"
        )
        assert dumps(empty_database) == sealed
        for tenant in TENANTS:
            auth = bearer(tenant=tenant)
            shown = client.get(f"{TALENTS}/{made[tenant][1]}", headers=auth)
            assert (shown.json()["email"], shown.headers["ETag"]) == ("ada.1@mail.example", '"2"')
            found = client.get(TALENTS, params={"email": "ADA.1@mail.example"}, headers=auth).json()["items"]
            assert [item["id"] for item in found] == [made[tenant][1]]
            told = client.get(f"{TALENTS}/{made[tenant][1]}/history", headers=auth).json()["items"]
            assert [(entry["action"], entry["version"]) for entry in told] == [("update", 2), ("create", 1)]
            assert told[0]["changes"] == [
                {"field": "email", "before": "old.1@mail.example", "after": "ada.1@mail.example"}
            ]
            (conflict,) = client.get("/api/v1/sync-conflicts", headers=auth).json()["items"]
            assert [conflict.get(side) for side in ("base", "source", "target")] == [
                None,
                "theirs@mail.example",
                "ours@mail.example",
            ]
            (entry,) = client.get("/api/v1/quarantine", headers=auth).json()["items"]
            shown = client.get(f"/api/v1/quarantine/{entry['id']}", headers=auth)
            assert shown.json()["raw"] == '{"email": "wrong@mail.example"}'
    with pytest.raises(
        RuntimeError, match="sealed values are in talents, sync_states, sync_conflicts, quarantine, record"
    ):
        down(empty_database, "talent_sync_0006")
    assert dumps(empty_database) == sealed, "what cannot go down loses nothing"
    assert sum(run(empty_database, NEW, sealing=False).values()) == 60
    assert run(empty_database, NEW, sealing=False) == dict.fromkeys((*TABLES, "sync_writes", *FILES), 0)
    down(empty_database, "talent_sync_0006")
    assert dumps(empty_database) == before
    with psycopg.connect(empty_database.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', 'one', true)")
        connection.execute("UPDATE talent_sync.talents SET headline = 'x' WHERE email = 'ada.1@mail.example'")
        assert connection.execute(
            "SELECT changes FROM talent_sync.record_history ORDER BY id DESC LIMIT 1"
        ).fetchone() == ({"headline": {"before": None, "after": "x"}},)


@pytest.mark.parametrize("table", TABLES)
def test_each_place_alone_keeps_the_migration_from_going_down(
    empty_database: DatabaseUrls, tmp_path: Path, table: str
) -> None:
    migrate(empty_database.owner)
    fill(empty_database, people=2)
    run(empty_database, NEW)
    kept = dump(empty_database, table)
    with connect(empty_database.owner) as connection:
        reseal(connection, Sealer(NEW), sealing=False)
        with connection.transaction():
            connection.execute("SELECT set_config('looma.origin', 'reseal', true)")
            column = {
                "talents": "phone",
                "sync_states": "base",
                "quarantine": "raw",
                "record_history": "changes",
            }.get(table, "source")
            value = next(row[column] for row in kept if PREFIX in json.dumps(row[column]))
            plain = value if isinstance(value, str) and column in ("phone", "raw") else json.dumps(value)
            connection.execute(f"UPDATE talent_sync.{table} SET {column} = %s", [plain])  # type: ignore[arg-type]  # noqa: S608
    # Going down a creation's entry gets what its record was at first.
    places = "talents, record_history" if table == "talents" else table
    with pytest.raises(RuntimeError, match=f"sealed values are in {places}: "):
        down(empty_database, "talent_sync_0006")


class _StoppedError(Exception):
    """As if the process had been killed after a batch."""


def test_what_was_stopped_goes_on(empty_database: DatabaseUrls) -> None:
    migrate(empty_database.owner)
    fill(empty_database, people=10)

    def stop(progress: Progress) -> None:
        if (progress.table, progress.rows) == ("sync_states", 8):
            raise _StoppedError

    with pytest.raises(_StoppedError):
        run(empty_database, NEW, batch=4, told=stop)
    left = counts(empty_database)
    assert left["talents"] == {NEW.seal[0].id: 20 + 12}
    assert left["sync_states"] == {"": 12, NEW.seal[0].id: 8}
    done = run(empty_database, NEW, batch=4)
    assert (done["talents"], done["sync_states"]) == (0, 12)
    assert all(set(keys) <= {NEW.seal[0].id, NEW.hash[0].id} for keys in counts(empty_database).values())


def test_rows_that_others_have_are_passed_over_and_met_again(empty_database: DatabaseUrls) -> None:
    migrate(empty_database.owner)
    made = fill(empty_database, people=5)
    with psycopg.connect(empty_database.app_libpq) as other:
        other.execute("SELECT set_config('looma.tenant', 'one', true)")
        other.execute("SELECT FROM talent_sync.talents WHERE id = %s FOR UPDATE", [made["one"][0]])
        with pytest.raises(BusyError, match="rows of talents stayed locked"):
            run(empty_database, NEW, batch=3, patience=0)
        assert counts(empty_database)["talents"][""] == 1
        done: list[dict[str, int]] = []
        waiting = threading.Thread(target=lambda: done.append(run(empty_database, NEW, patience=60)))
        waiting.start()
        other.rollback()
        waiting.join(60)
    assert done[0]["talents"] == 1


def test_a_ring_without_the_old_key_changes_nothing(empty_database: DatabaseUrls) -> None:
    migrate(empty_database.owner)
    fill(empty_database, people=3)
    run(empty_database, OLD)
    before = dumps(empty_database)
    for sealing in (True, False):
        with pytest.raises(SealError, match=f"the key {OLD.seal[0].id}, which is not in the key ring"):
            run(empty_database, NEW, sealing=sealing)
    assert dumps(empty_database) == before


def test_the_application_cannot_pass_for_the_owner(empty_database: DatabaseUrls) -> None:
    """Who says `reseal` and is not the owner sees his tenant alone, and his changes are written down."""
    migrate(empty_database.owner)
    made = fill(empty_database, people=2)
    with psycopg.connect(empty_database.app_libpq) as connection:
        connection.execute(
            "SELECT set_config('looma.tenant', 'one', true), set_config('looma.origin', 'reseal', true)"
        )
        assert connection.execute("SELECT count(*) FROM talent_sync.talents").fetchone() == (2,)
        connection.execute(
            "UPDATE talent_sync.talents SET email = 'x@y.example' WHERE id = %s", [made["one"][0]]
        )
        told = connection.execute(
            "SELECT changes ? 'email' FROM talent_sync.record_history WHERE origin = 'reseal'"
        ).fetchall()
    assert told == [(True,)]
    with connect(empty_database.owner) as owner:
        seen = owner.execute("SELECT count(*) AS number FROM talent_sync.talents").fetchone()
        assert seen == {"number": 0}, "the owner sees nobody but while he seals"


def told(urls: DatabaseUrls, ring: Path | None, *words: str) -> tuple[int, str]:
    """Exit code and output of `looma-engine records-reseal`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOMA_")}
    environment["LOOMA_OWNER_DATABASE_URL"] = urls.owner
    if ring is not None:
        environment["LOOMA_KEY_RING_FILE"] = str(ring)
    done = subprocess.run(
        [sys.executable, "-c", "from looma_engines.main import main; main()", "records-reseal", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_command_seals_counts_and_opens(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    migrate(empty_database.owner)
    fill(empty_database, people=2)
    code, fresh = told(empty_database, None, "--new-ring")
    assert code == 0
    ring = tmp_path / "ring.json"
    ring.write_text(fresh)
    code, output = told(empty_database, ring)
    assert (code, "mail.example" in output) == (0, False)
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["rows"]["talents"] for line in lines if line["event"] == "resealed"] == [4]
    (of_talents,) = [line["keys"] for line in lines if line.get("place") == "talents"]
    assert of_talents == {parse(fresh.encode()).seal[0].id: 6}
    before = dumps(empty_database)
    assert told(empty_database, ring, "--count")[0] == 0
    assert dumps(empty_database) == before
    assert told(empty_database, ring, "--open")[0] == 0
    assert PREFIX not in json.dumps(dumps(empty_database))


def test_the_command_says_what_keeps_it_from_working(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    migrate(empty_database.owner)
    fill(empty_database, people=2)
    run(empty_database, OLD)
    ring = tmp_path / "ring.json"
    code, output = told(empty_database, None)
    assert code == 2
    assert "LOOMA_KEY_RING_FILE is not set: name the file" in output
    code, output = told(empty_database, ring)
    assert code == 2
    assert "which cannot be read" in output
    ring.write_bytes(new_ring())
    code, output = told(empty_database, ring, "--close")
    assert code == 2
    assert "usage: looma-engine records-reseal" in output
    code, output = told(empty_database, ring)
    assert code == 1
    assert f"under the key {OLD.seal[0].id}, which is not in the key ring" in output


def test_without_a_ring_neither_engine_nor_worker_begins(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = EngineSettings(database_url=database_urls.app, file_keys=FILE_KEYS)
    with pytest.raises(SettingsError, match="LOOMA_KEY_RING_FILE is not set"):
        create(settings, verifier=verifier())
    given = Runs(database_urls, "one", tmp_path, epoch=1).inputs()
    monkeypatch.setenv("LOOMA_DATABASE_URL", database_urls.app)
    monkeypatch.delenv("LOOMA_KEY_RING_FILE", raising=False)
    with pytest.raises(BadInputError, match="LOOMA_KEY_RING_FILE is not set"):
        make(given)
    monkeypatch.setenv("LOOMA_KEY_RING_FILE", ring_file())
    make(given).close()
