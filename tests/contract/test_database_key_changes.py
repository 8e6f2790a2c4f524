"""Keys change while people write and sources are synced: nothing is lost, nothing is told twice."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from looma_core.api.syncjob import ExitCode
from looma_core.db.migrate import migrate
from looma_engines.sync_worker.frame import run as run_shard
from looma_engines.talent_sync.privacy.ring import Ring
from looma_engines.talent_sync.privacy.sealing import Sealer
from looma_engines.talent_sync.syncing.source_row import SourceRow
from support.database import DatabaseUrls
from support.sealed_database import (
    BOTH,
    NEW,
    OLD,
    TENANTS,
    Json,
    counts,
    dumps,
    engine,
    fill,
    run,
)
from support.sync_runs import Runs, person
from support.sync_server import seen_by
from support.tokens import bearer

TALENTS = "/api/v1/talents"


def test_keys_change_beside_people_who_write(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    migrate(empty_database.owner)
    made = fill(empty_database, people=40)
    run(empty_database, OLD)
    assert set(counts(empty_database)["talents"]) == {OLD.seal[0].id}
    stopped, faults = threading.Event(), []
    last: dict[str, str] = {}

    def write(client: TestClient[Any], tenant: str) -> None:
        number = 0
        while not stopped.is_set() or number < 20:
            record = made[tenant][number % len(made[tenant])]
            auth = bearer(tenant=tenant)
            tag = client.get(f"{TALENTS}/{record}", headers=auth).headers["ETag"]
            wanted = f"new.{number}@mail.example"
            answer = client.patch(
                f"{TALENTS}/{record}",
                content=json.dumps({"email": wanted}),
                headers={**auth, "If-Match": tag, "Content-Type": "application/merge-patch+json"},
            )
            if answer.status_code != 200:
                faults.append(answer.text)
                return
            last[record] = wanted
            number += 1

    with engine(empty_database, tmp_path, BOTH) as client:
        writers = [threading.Thread(target=write, args=(client, tenant)) for tenant in TENANTS]
        for writer in writers:
            writer.start()
        done = run(empty_database, BOTH, batch=2)
        stopped.set()
        for writer in writers:
            writer.join(60)
        assert faults == []
        assert done["talents"] > 0
        assert last
        for tenant in TENANTS:
            auth = bearer(tenant=tenant)
            for number, record in enumerate(made[tenant]):
                shown = client.get(f"{TALENTS}/{record}", headers=auth).json()
                wanted = last.get(record, f"ada.{number}@mail.example")
                assert shown["email"] == wanted
                assert [
                    item["id"]
                    for item in client.get(TALENTS, params={"email": wanted}, headers=auth).json()["items"]
                ] == [record]
                told = client.get(f"{TALENTS}/{record}/history", headers=auth).json()["items"]
                assert [entry["version"] for entry in told] == list(range(shown["version"], 0, -1))
                # Nobody touched the number, whatever key it is under.
                assert {change["field"] for entry in told[:-1] for change in entry["changes"]} == {"email"}
    # What was written of an old value may be copied into the history meanwhile: once more, and nothing is left.
    run(empty_database, BOTH)
    found = counts(empty_database)
    hashes = found.pop("talents hashes")
    assert set(hashes) == {NEW.hash[0].id}
    assert {key for keys in found.values() for key in keys} == {NEW.seal[0].id}
    with engine(empty_database, tmp_path, NEW) as client:
        page = client.get(TALENTS, headers=bearer(tenant="one"))
        assert page.status_code == 200, "the old keys can be thrown away"


def test_while_keys_change_both_kinds_of_hash_are_found(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    migrate(empty_database.owner)
    made = fill(empty_database, people=3)
    run(empty_database, OLD)
    auth = bearer(tenant="one")
    with engine(empty_database, tmp_path, BOTH) as client:

        def found() -> list[str]:
            items = client.get(TALENTS, params={"email": "ada.2@mail.example"}, headers=auth).json()["items"]
            return [item["id"] for item in items]

        assert found() == [made["one"][2]]
        # A change of something else brings the record under the new keys, and is told as what it is.
        answer = client.patch(
            f"{TALENTS}/{made['one'][2]}",
            content='{"headline": "Analyst"}',
            headers={**auth, "If-Match": '"2"', "Content-Type": "application/merge-patch+json"},
        )
        assert answer.status_code == 200
        assert found() == [made["one"][2]]
        told = client.get(f"{TALENTS}/{made['one'][2]}/history", headers=auth).json()["items"]
        assert [change["field"] for change in told[0]["changes"]] == ["headline"]


def shard(runs: Runs, ring: Ring) -> int:
    """Exit code of a worker with this ring, in a run of its own."""
    runs.epoch += 1
    given = runs.inputs()
    worker = runs.worker(given, sealer=Sealer(ring))
    runs.server.epoch, runs.server.uid = runs.epoch, runs.uid
    try:
        return run_shard(worker, given, seen_by(runs.server, given))
    finally:
        worker.close()


def synced(urls: DatabaseUrls, folder: Path, ring: Ring, rows: list[Json], runs: Runs | None = None) -> Runs:
    """One more run of a SyncJob whose worker has this ring; it ends well."""
    runs = runs or Runs(urls, "one", folder)
    runs.write(rows)
    assert shard(runs, ring) == 0
    return runs


ROWS = [person(1, phone="+44 113 496 0001"), person(2, email="nobody"), person(3)]


def digest_without_key(row: Json) -> bytes:
    """As the release before stored it."""
    raw = msgspec.json.encode(row, order="sorted")
    return SourceRow(position=1, key="x", values={}, raw=raw).digest


@pytest.mark.parametrize("resealed", [False, True])
def test_a_sync_knows_its_rows_again_whatever_key_their_digests_have(
    empty_database: DatabaseUrls, tmp_path: Path, resealed: bool
) -> None:
    migrate(empty_database.owner)
    runs = synced(empty_database, tmp_path, OLD, ROWS)
    digests = runs.rows("SELECT raw_digest, written_digest FROM talent_sync.sync_states")
    digests += runs.rows("SELECT raw_digest, raw_digest AS written_digest FROM talent_sync.quarantine")
    plain = {digest_without_key(row) for row in ROWS}
    for row in digests:
        assert {len(row["raw_digest"]), len(row["written_digest"])} == {32}
    assert not plain & {row["raw_digest"] for row in digests}
    runs.change("UPDATE talent_sync.quarantine SET state = 'discarded'")
    if resealed:
        run(empty_database, BOTH)
    synced(empty_database, tmp_path, BOTH, ROWS, runs)
    (report,) = runs.rows("SELECT counts, verification FROM talent_sync.sync_shards WHERE epoch = 2")
    assert (report["counts"]["unchanged"], report["counts"].get("updated", 0)) == (2, 0)
    assert (report["verification"]["looked"], report["verification"]["held"]) == (3, 3)
    (entry,) = runs.rows("SELECT state, times FROM talent_sync.quarantine")
    assert entry == {"state": "discarded", "times": 2}, "nobody is asked about the same row again"
    # Without the old key all is compared once more, and nothing written.
    run(empty_database, BOTH)
    synced(empty_database, tmp_path, NEW, ROWS, runs)
    assert runs.rows("SELECT DISTINCT version FROM talent_sync.talents") == [{"version": 1}]
    (report,) = runs.rows("SELECT verification FROM talent_sync.sync_shards WHERE epoch = 3")
    assert (report["verification"]["looked"], report["verification"]["held"]) == (3, 3)
    assert report["verification"]["source_checksum"] == report["verification"]["stored_checksum"]


def test_digests_of_before_get_a_key_and_a_row_stays_one_entry(
    empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    migrate(empty_database.owner)
    runs = synced(empty_database, tmp_path, NEW, ROWS)
    plain = {row["id"]: digest_without_key(row) for row in ROWS}
    for key, digest in plain.items():
        for table in ("sync_states", "quarantine"):
            runs.change(
                f"UPDATE talent_sync.{table} SET raw_digest = %(digest)s WHERE key = %(key)s",  # noqa: S608
                digest=digest,
                key=key,
            )
    # As before, with digests as they were; and once more with a second entry of the row.
    synced(empty_database, tmp_path, NEW, ROWS, runs)
    (entry,) = runs.rows("SELECT raw_digest, times FROM talent_sync.quarantine")
    assert (len(entry["raw_digest"]), entry["times"]) == (32, 2)
    runs.change(
        """INSERT INTO talent_sync.quarantine (id, job, epoch, generation, origin, entity, key, position, shard_hash,
            raw, raw_digest, whole, errors) SELECT gen_random_uuid(), job, epoch, generation, origin, entity, key,
            position, shard_hash, '{}', %(digest)s, whole, errors FROM talent_sync.quarantine""",
        digest=plain["p-2"],
    )
    run(empty_database, NEW)
    found = runs.rows(
        "SELECT raw_digest FROM talent_sync.quarantine UNION ALL SELECT raw_digest FROM"
        " talent_sync.sync_states UNION ALL SELECT written_digest FROM talent_sync.sync_states"
    )
    assert {len(row["raw_digest"]) for row in found} == {32}
    synced(empty_database, tmp_path, NEW, ROWS, runs)
    times = runs.rows("SELECT times FROM talent_sync.quarantine WHERE state = 'open'")
    assert [row["times"] for row in times] == [3]


def test_a_worker_without_the_keys_ends_its_job_and_changes_nothing(
    empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    migrate(empty_database.owner)
    runs = synced(empty_database, tmp_path, OLD, ROWS)
    before = dumps(empty_database)
    runs.write([{**ROWS[0], "headline": "Analyst"}])
    assert shard(runs, NEW) == ExitCode.BAD_INPUT
    assert dumps(empty_database) == before
    (entry,) = runs.server.shards.values()
    assert f"the key {OLD.seal[0].id}, which is not in the key ring" in entry["message"]
