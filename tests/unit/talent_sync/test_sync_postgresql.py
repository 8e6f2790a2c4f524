"""Runs whose source is a database of PostgreSQL: all of it, what changed, and what has become of its columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.api.syncjob import ExitCode
from looma_engines.sync_worker.frame import run
from looma_engines.talent_sync.privacy.fields import Seals
from support.database import DatabaseUrls, drop_database, make_database
from support.key_ring import SEALER
from support.sync_runs import Runs
from support.sync_server import seen_by

pytestmark = pytest.mark.database
FIELDS = {"full_name": "name", "email": "mail", "skills": "tags", "headline": "title"}
TABLE = """CREATE TABLE people (number bigint, name text, mail text, tags text[], title text, secret text,
    changed timestamptz NOT NULL DEFAULT now())"""


class Crm:
    """The source: a table `people` of a database of its own."""

    def __init__(self, urls: DatabaseUrls) -> None:
        self.urls = urls

    def do(self, statement: str, *values: Any) -> None:
        """Change something there."""
        with psycopg.connect(self.urls.owner_libpq, autocommit=True) as connection:
            connection.execute(statement, values or None)  # type: ignore[arg-type]

    def add(self, *numbers: int, changed: str = "2026-05-01T12:00:00Z") -> None:
        """People."""
        for number in numbers:
            self.do(
                "INSERT INTO people VALUES (%s, %s, %s, %s, 'Engineer', 'x', %s)",
                number,
                f"Ada Number {number}",
                f"ada.{number}@mail.example",
                ["Python", "SQL"],
                changed,
            )

    def open_transactions(self) -> int:
        """How many readers still hold something."""
        with psycopg.connect(self.urls.admin) as connection:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'looma-sync'"
            )
            return int(connection.execute(query, (self.urls.name,)).fetchall()[0][0])


@pytest.fixture
def crm(postgres_admin: str) -> Iterator[Crm]:
    urls = make_database(postgres_admin)
    source = Crm(urls)
    source.do(TABLE)
    yield source
    drop_database(postgres_admin, urls.name)


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path, crm: Crm) -> Runs:
    given = psycopg.conninfo.conninfo_to_dict(crm.urls.owner_libpq)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "username").write_text(f"{given['user']}\n")
    (tmp_path / "credentials" / "password").write_text(f"{given['password']}\n")
    source = {
        "type": "postgresql",
        "url": f"postgresql:///{given['dbname']}?host={given['host']}",
        "table": "people",
        "key": "number",
        "updatedAt": "changed",
        "fields": FIELDS,
    }
    return Runs(database_urls, tenant, tmp_path, source=source)


def incremental(runs: Runs, **more: Any) -> None:
    runs.source = {**runs.source, "incremental": {"overlap": "5m", **more}}


def faults(runs: Runs) -> dict[str, list[str]]:
    rows = runs.rows("SELECT key, errors FROM talent_sync.quarantine WHERE state = 'open'")
    return {row["key"]: [f"{error['field']}: {error['message']}" for error in row["errors"]] for row in rows}


def test_rows_become_records_and_a_second_run_finds_them_unchanged(runs: Runs, crm: Crm) -> None:
    crm.add(*range(1, 11))
    report = runs.one()
    assert (report.created, report.read, report.total, report.verified) == (10, 10, 10, 10)
    found = runs.talents()["3"]
    assert (found["full_name"], found["email"], found["headline"]) == (
        "Ada Number 3",
        "ada.3@mail.example",
        "Engineer",
    )
    assert found["skills"] == ["Python", "SQL"]
    crm.do("UPDATE people SET title = 'Lead' WHERE number = 4")
    crm.do("UPDATE people SET secret = 'y' WHERE number = 5")
    again = runs.one()
    assert (again.updated, again.unchanged, again.verified) == (1, 9, 10)
    assert crm.open_transactions() == 0, "and no snapshot is held"


def test_a_query_is_read_as_well_with_all_that_it_has(runs: Runs, crm: Crm) -> None:
    crm.add(1, 2, 3)
    source = {name: value for name, value in runs.source.items() if name not in ("table", "fields")}
    query = "SELECT 'p-' || number AS id, changed AS updated_at, name AS full_name FROM people WHERE mail LIKE '%.2@%'"
    runs.source = {**source, "key": "id", "updatedAt": "updated_at", "query": query}
    report = runs.one()
    assert (report.created, report.read) == (1, 1)
    assert runs.talents()["p-2"]["full_name"] == "Ada Number 2"


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_share_the_rows_and_lose_none(runs: Runs, crm: Crm, shards: int) -> None:
    crm.add(*range(1, 31))
    crm.do("INSERT INTO people (number, name) VALUES (NULL, 'Nobody'), (NULL, 'Nobody Else')")
    reports = runs.run(shards=shards)
    assert sum(report.created for report in reports) == 30 == len(runs.talents())
    assert sum(report.quarantined for report in reports) == 2
    assert sum(report.verified or 0 for report in reports) == 32


def test_an_incremental_run_reads_what_changed_and_no_more(
    client: TestClient[Any], auth: dict[str, str], runs: Runs, crm: Crm
) -> None:
    incremental(runs)
    crm.add(1, 2, 3, changed="2026-01-01T00:00:00Z")
    crm.add(4, changed="2026-02-01T00:00:00Z")
    assert runs.one().read == 4
    crm.add(5, changed="2026-02-01T00:01:00Z")
    crm.do("UPDATE people SET title = 'Unseen' WHERE number = 1")
    crm.do("UPDATE people SET title = 'Late', changed = '2026-01-31T23:55:30Z' WHERE number = 2")
    report = runs.one()
    assert (report.read, report.total, report.created, report.updated) == (3, 3, 1, 1)
    assert "read what changed since 2026-01-31T23:55:00Z" in report.message
    found = runs.talents()
    assert (found["2"]["headline"], found["1"]["headline"]) == ("Late", "Engineer")
    assert runs.one().read == 2, "the watermark has moved on: 4 and 5 are within the overlap"
    latest, second, first = client.get("/api/v1/sync-runs", headers=auth).json()["items"]
    assert [run["mode"] for run in (first, second, latest)] == ["full", "incremental", "incremental"]
    assert second["since"] == "2026-01-31T23:55:00Z"
    assert (first["watermark_before"], second["watermark_before"]) == (None, first["watermark"])
    assert first["watermark"] < second["watermark"] == latest["watermark_before"]


def test_a_time_to_come_hides_no_change_that_is_made_today(runs: Runs, crm: Crm) -> None:
    """The clock of somebody who writes there is ten years ahead."""
    incremental(runs)
    crm.add(1, 2, changed="2026-01-01T00:00:00Z")
    crm.do("UPDATE people SET changed = now() + interval '10 years' WHERE number = 1")
    assert runs.one().created == 2
    crm.do("UPDATE people SET title = 'Today', changed = now() WHERE number = 2")
    crm.do("INSERT INTO people (number, name) VALUES (3, 'Ada Today')")
    report = runs.one()
    assert "read what changed since" in report.message
    assert (report.created, report.updated, report.unchanged) == (1, 1, 1), (
        "the one of 2036 is read each time"
    )
    assert (runs.talents()["2"]["headline"], set(runs.talents())) == ("Today", {"1", "2", "3"})
    crm.do("UPDATE people SET title = 'Mended', changed = now() WHERE number = 1")
    assert (runs.one().updated, runs.talents()["1"]["headline"]) == (1, "Mended")


def test_rows_without_a_time_are_read_each_time(runs: Runs, crm: Crm) -> None:
    incremental(runs)
    crm.do("ALTER TABLE people ALTER changed DROP NOT NULL")
    crm.add(1, 2)
    crm.do("INSERT INTO people (number, name, changed) VALUES (3, 'Ada Timeless', NULL)")
    runs.one()
    crm.do("UPDATE people SET title = 'Found' WHERE number = 3")
    crm.do("UPDATE people SET changed = '2020-01-01T00:00:00Z' WHERE number = 1")
    assert (runs.one().read, runs.talents()["3"]["headline"]) == (2, "Found")


def test_only_a_full_run_deletes_and_only_a_run_that_succeeded_moves_the_watermark(
    runs: Runs, crm: Crm
) -> None:
    incremental(runs, fullEvery=2)
    runs.target = {"onMissing": "delete", "validation": {"onInvalid": "fail"}}
    crm.add(1, 2, 3, changed="2026-01-01T00:00:00Z")
    runs.one()
    crm.do("DELETE FROM people WHERE number = 1")
    crm.add(4, changed="2026-03-01T00:00:00Z")
    assert (runs.one().deleted, set(runs.talents())) == (0, {"1", "2", "3", "4"})
    crm.do("INSERT INTO people VALUES (6, '', NULL, NULL, NULL, NULL, '2026-04-01T00:00:00Z')")
    runs.run()
    assert runs.codes == [ExitCode.BAD_INPUT]
    crm.do("UPDATE people SET name = 'Ada Six' WHERE number = 6")
    # What failed was no run that counts: its records are read again, and this one is full as that would have been.
    report = runs.one()
    assert (report.deleted, report.created, set(runs.talents())) == (1, 1, {"2", "3", "4", "6"})
    crm.do("DELETE FROM people WHERE number = 2")
    assert runs.one().deleted == 0
    incremental(runs, fullEvery=2, full="now")
    assert (runs.one().deleted, set(runs.talents())) == (1, {"3", "4", "6"}), "a new word asks for a full one"


def test_what_waits_in_quarantine_goes_on_waiting_in_runs_that_do_not_read_it(runs: Runs, crm: Crm) -> None:
    incremental(runs)
    crm.add(1, changed="2026-01-01T00:00:00Z")
    crm.do("INSERT INTO people VALUES (2, '', NULL, NULL, NULL, NULL, '2025-01-01T00:00:00Z')")
    runs.one()
    assert set(faults(runs)) == {"2"}
    runs.one()
    assert set(faults(runs)) == {"2"}
    crm.do("UPDATE people SET title = 'Lead', changed = '2026-02-01T00:00:00Z' WHERE number = 2")
    runs.one()
    waiting = runs.rows("SELECT id, raw FROM talent_sync.quarantine WHERE state = 'open'")
    seals = Seals(SEALER, runs.tenant)
    assert ["Lead" in seals.opened_raw(row["id"], row["raw"]) for row in waiting] == [True], (
        "as it is now, and once"
    )


def test_a_column_that_is_gone_sends_rows_to_quarantine_and_takes_nothing_from_records(
    runs: Runs, crm: Crm
) -> None:
    crm.add(1, 2)
    runs.one()
    crm.do("ALTER TABLE people DROP COLUMN mail")
    report = runs.one()
    assert (report.quarantined, report.updated) == (2, 0)
    assert faults(runs) == {key: ["email: the source has no mail any more"] for key in ("1", "2")}
    assert runs.talents()["1"]["email"] == "ada.1@mail.example"


def test_a_column_of_another_type_sends_to_quarantine_what_does_not_fit_and_the_rest_lands(
    runs: Runs, crm: Crm
) -> None:
    crm.do("ALTER TABLE people ALTER tags TYPE jsonb USING to_jsonb(tags)")
    for number, tags in ((1, '["Go"]'), (2, '"Go, SQL"'), (3, '{"a": 1}'), (4, "null")):
        crm.do("INSERT INTO people (number, name, tags) VALUES (%s, 'Ada Typed', %s)", number, tags)
    report = runs.one()
    assert report.quarantined == 2
    assert set(faults(runs)) == {"2", "3"}
    assert all(fault[0].startswith("skills") for fault in faults(runs).values())


def test_a_moment_that_nobody_can_name_is_one_row_s_fault(runs: Runs, crm: Crm) -> None:
    crm.add(1)
    crm.do(
        "INSERT INTO people (number, name, changed) VALUES (2, 'Ada Eternal', 'infinity'), (3, 'B C', '4000-01-01 BC')"
    )
    report = runs.one()
    assert (report.created, report.quarantined) == (1, 2)
    assert {fault[0].partition(":")[0] for fault in faults(runs).values()} == {"changed"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table": "nobody"}, 'relation "nobody" does not exist'),
        ({"key": "id"}, "spec.source.key: the source has no column id"),
        ({"updatedAt": "when", "incremental": {}}, "spec.source.updatedAt: the source has no column when"),
        ({"fields": {"email": "a..b"}}, "fields.email: write a path"),
        ({"url": "postgresql:///x?host=/tmp&passfile=/etc/passwd"}, "passfile cannot be set here"),
        ({"url": "postgresql://ada:secret@crm.example/x"}, "password, user cannot be set here"),
    ],
)
def test_what_no_try_would_mend_is_bad_input(runs: Runs, change: dict[str, Any], words: str) -> None:
    runs.source = {**runs.source, **change}
    (report,) = runs.run()
    assert (runs.codes, report.state) == ([ExitCode.BAD_INPUT], "Failed")
    assert words in report.message
    assert "secret" not in report.message


def test_the_source_is_only_read(runs: Runs, crm: Crm) -> None:
    crm.add(1)
    crm.do("CREATE FUNCTION mischief() RETURNS bigint LANGUAGE sql AS 'DELETE FROM people RETURNING number'")
    source = {name: value for name, value in runs.source.items() if name != "table"}
    runs.source = {**source, "query": "SELECT mischief() AS number, now() AS changed"}
    runs.run()
    assert runs.codes == [ExitCode.BAD_INPUT]
    with psycopg.connect(crm.urls.owner_libpq) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchall() == [(1,)]


def test_a_source_that_is_empty_deletes_nothing(runs: Runs, crm: Crm) -> None:
    runs.target = {"onMissing": "delete"}
    crm.add(1, 2)
    runs.one()
    crm.do("TRUNCATE people")
    report = runs.one()
    assert (report.deleted, len(runs.talents())) == (0, 2)
    assert "nothing was deleted, as the source has no record at all" in report.message


def test_a_file_that_was_cut_short_deletes_nothing(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path
) -> None:
    files = Runs(database_urls, tenant, tmp_path, target={"onMissing": "delete"})
    lines = [f'{{"id": "{number}", "full_name": "Ada Number {number}"}}' for number in range(1, 5)]
    files.one(lines)
    file = tmp_path / "people.jsonl"
    file.write_text("\n".join(lines[:2]))
    report = files.one()
    assert (report.deleted, len(files.talents())) == (0, 4)
    assert "nothing was deleted, as the file's last line has no end" in report.message
    file.write_text("")
    assert (files.one().deleted, len(files.talents())) == (0, 4)
    file.write_text("\n".join(lines[:2]) + "\n")
    assert (files.one().deleted, len(files.talents())) == (2, 2)


def test_what_the_source_changes_while_it_is_read_is_taken_by_the_usual_rules(runs: Runs, crm: Crm) -> None:
    """The connection is lost between the two readings: the second one's snapshot is a later one."""
    crm.add(1, 2, 3)
    runs.one()
    runs.change(
        "UPDATE talent_sync.talents SET location = 'Leeds', version = version + 1, updated_at = now()"
    )
    runs.epoch += 1
    runs.server.epoch = runs.epoch
    given = runs.inputs(batch=2)
    worker = runs.worker(given)
    stored = worker._stored

    def between(*arguments: Any) -> Any:
        if not changed:
            changed.append(True)
            crm.do("UPDATE people SET title = 'Lead', changed = now() WHERE number = 3")
            crm.add(4)
            worker._opened(given).source.close()
        return stored(*arguments)

    changed: list[bool] = []
    worker._stored = between  # type: ignore[method-assign]
    crm.do("UPDATE people SET title = 'Boss' WHERE number = 1")
    try:
        code = run(worker, given, seen_by(runs.server, given))
    finally:
        worker.close()
    assert code == 0
    found = runs.talents()
    assert (found["1"]["headline"], found["1"]["location"]) == ("Boss", "Leeds"), (
        "what was changed here stays"
    )
    assert all(found[key]["location"] == "Leeds" for key in ("2", "3"))
