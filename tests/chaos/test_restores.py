"""The restore drill: what was done by mistake is undone, and a database that lost its volume comes back.

How much is lost (RPO) and for how long there is no database (RTO) are printed in the table of faults.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from support.cluster import Cluster

pytestmark = pytest.mark.alone
DATABASE = "looma-postgres"
ARCHIVE_SECONDS = 60
"""What the chart promises: postgres.backup.archiveSeconds."""
Record = dict[str, Any]
Property = Callable[[str, object], None]


def add(client: httpx.Client, name: str) -> Record:
    """A new person, once it is acknowledged."""
    answer = client.post(
        "/api/v1/talents", json={"full_name": name, "email": f"{secrets.token_hex(4)}@mail.example"}
    )
    answer.raise_for_status()
    record: Record = answer.json()
    return record


def state(client: httpx.Client, record: Record) -> int | Record:
    """The record as it is now, or the status code of the refusal."""
    answer = client.get(f"/api/v1/talents/{record['id']}")
    return answer.json() if answer.status_code == 200 else answer.status_code


def back(client: httpx.Client) -> float:
    """The seconds until people are listed again; other engines' answers come a moment after the database's."""
    began = time.monotonic()
    while time.monotonic() - began < 120:
        if client.get("/api/v1/talents", params={"limit": "1"}).status_code == 200:
            return time.monotonic() - began
        time.sleep(0.2)
    raise AssertionError("people are not listed again within two minutes")


def moment(record: Record) -> datetime:
    return datetime.fromisoformat(record["created_at"])


def restored(cluster: Cluster, *options: str) -> float:
    """Restore; the seconds without a database, as the command says them."""
    said = cluster.looma("restore", "--yes", *options, timeout=600)
    return float(said.split("Restored after ")[1].split()[0])


def sql(cluster: Cluster, query: str) -> str:
    command = ("psql", "-h", "/tmp", "-U", "postgres", "-d", "looma", "-AtX", "-c", query)  # noqa: S108 - where its socket is
    return cluster.kubectl("exec", f"{DATABASE}-0", "-c", "postgres", "--", *command).strip()


def dumped(cluster: Cluster) -> dict[str, list[str]]:
    """All rows of the database as PostgreSQL's own dump has them, read past the policies; by table, one a line."""
    command = ("pg_dump", "-h", "/tmp", "-U", "postgres", "-d", "looma", "--data-only")  # noqa: S108 - where its socket is
    dump = cluster.kubectl("exec", f"{DATABASE}-0", "-c", "postgres", "--", *command, timeout=300)
    found: dict[str, list[str]] = {}
    rows: list[str] | None = None
    for line in dump.splitlines():
        if rows is None and line.startswith("COPY "):
            rows = found.setdefault(line.split()[1], [])
        elif line == "\\.":
            rows = None
        elif rows is not None:
            rows.append(line)
    return found


def named(tables: dict[str, list[str]], *words: str) -> set[str]:
    """The tables that have one of the words, in any case."""
    return {
        table
        for table, rows in tables.items()
        if any(word.lower() in row.lower() for word in words for row in rows)
    }


def test_given_a_mistake_when_the_database_goes_back_to_the_moment_before_then_just_that_is_undone(
    cluster: Cluster, record_property: Property
) -> None:
    with cluster.api() as client, cluster.api(role="admin") as officer:
        kept, lost = add(client, "Undone Deletion"), add(client, "Undone Change")
        erased = add(client, name := f"Erased {secrets.token_hex(6)}")
        taken = cluster.looma("backup", "now", timeout=600)
        assert "checked 20" in taken, taken
        # Into the log behind the backup, and a second apart from what follows.
        before = add(client, "Before the mistake")
        asked = moment(before) + timedelta(milliseconds=500)
        time.sleep(1.5)
        deleted = client.delete(f"/api/v1/talents/{kept['id']}", headers={"If-Match": f'"{kept["version"]}"'})
        assert deleted.status_code == 204
        changed = client.patch(
            f"/api/v1/talents/{lost['id']}",
            json={"full_name": "Somebody Else"},
            headers={"If-Match": f'"{lost["version"]}"', "Content-Type": "application/merge-patch+json"},
        )
        assert changed.status_code == 200
        after = add(client, "After the mistake")
        there = named(dumped(cluster), name, erased["id"])
        assert "talent_sync.talents" in there, "the search finds what is there"
        assert any(table.startswith("talent_sync.record_history") for table in there), there
        proof = officer.post(f"/api/v1/talents/{erased['id']}/erasure", json={"reason": "request"})
        assert proof.status_code == 201, proof.text

        seconds = restored(cluster, "--to", asked.astimezone(UTC).isoformat())
        record_property("recovery_seconds", round(seconds + back(client), 1))

        assert state(client, kept) == kept
        assert state(client, lost) == lost
        assert state(client, before) == before
        assert state(client, after) == 404
        # What a person asked for is no mistake: the ledger is of later than the database.
        assert state(client, erased) == 404
        assert officer.get(f"/api/v1/erasures/{proof.json()['id']}").status_code == 200
        rows = dumped(cluster)
        assert any(proof.json()["id"] in row for row in rows["talent_sync.erasures"])
        assert named(rows, name) == set()
        # The audit may name it, by its id alone: that is what it is for.
        left = named(rows, erased["id"])
        assert all(table.startswith("talent_sync.audit_events") for table in left), left
        # It goes on from there, and so do its backups.
        again = add(client, "After the restore")
        assert "checked 20" in cluster.looma("backup", "now", timeout=600)
        assert state(client, again) == again


def test_given_a_lost_volume_when_it_is_restored_then_no_more_than_the_last_minute_is_missing(
    cluster: Cluster, record_property: Property
) -> None:
    with cluster.api() as client:
        settled = add(client, "In the archive")
        deadline = time.monotonic() + ARCHIVE_SECONDS * 2
        while time.monotonic() < deadline:
            archived = sql(
                cluster, "SELECT coalesce(max(last_archived_time), '-infinity') FROM pg_stat_archiver"
            )
            if archived != "-infinity" and datetime.fromisoformat(archived) > moment(settled) + timedelta(
                seconds=1
            ):
                break
            time.sleep(1)
        else:
            raise AssertionError(f"what was written is not in the archive after {2 * ARCHIVE_SECONDS} s")
        written = [settled]
        while len(written) < 20:
            written.append(add(client, f"Perhaps lost {len(written)}"))
        # No shutdown, and so no last file of the log: what a broken disk does.
        wipe = "rm -rf /var/lib/postgresql/data/pgdata/*"
        cluster.kubectl("exec", f"{DATABASE}-0", "-c", "postgres", "--", "sh", "-c", wipe, check=False)
        cluster.kubectl("delete", "pod", f"{DATABASE}-0", "--grace-period=0", "--force")
        lost_at = datetime.now(UTC)

        seconds = restored(cluster)
        record_property("recovery_seconds", round(seconds + back(client), 1))

        there = [record for record in written if state(client, record) == record]
        assert settled in there
        # A log has no holes: what is missing is its end.
        assert there == written[: len(there)]
        lost = lost_at - moment(there[-1])
        record_property("lost_seconds", round(lost.total_seconds(), 1))
        record_property("lost_records", len(written) - len(there))
        assert state(client, add(client, "After the loss")) != 404
