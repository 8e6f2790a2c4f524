"""Runs of two ways with a table of PostgreSQL: what is changed here is written there, and nothing is written over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.api.syncjob import ExitCode
from looma_engines.sync_worker.cluster import FencedError
from looma_engines.sync_worker.frame import FAILED, Batch, run
from looma_engines.talent_sync.syncing.back.outbox import Outbox
from looma_engines.talent_sync.syncing.back.running import BACK
from looma_engines.talent_sync.syncing.back.to_postgresql import PostgresqlWriter
from looma_engines.talent_sync.syncing.back.writable import Change, Written
from support.database import DatabaseUrls, drop_database, make_database
from support.sync_runs import Json, Runs
from support.sync_server import seen_by
from support.tokens import bearer
from support.two_way import back, became, changed_here, open_conflicts, outbox

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
FIELDS = {
    "full_name": "name",
    "email": "mail",
    "skills": "tags",
    "headline": "title",
    "location": "address.city",
}
TABLE = """CREATE TABLE people (number bigint PRIMARY KEY, name text NOT NULL, mail text, tags text[],
    title varchar(40),
    address jsonb, secret text, changed timestamptz NOT NULL DEFAULT '2026-05-01T12:00:00Z')"""


class Crm:
    """The source: a table `people` of a database of its own."""

    def __init__(self, urls: DatabaseUrls) -> None:
        self.urls = urls

    def do(self, statement: str, *values: Any) -> None:
        """Change something there."""
        with psycopg.connect(self.urls.owner_libpq, autocommit=True) as connection:
            connection.execute(statement, values or None)  # type: ignore[arg-type]

    def add(self, *numbers: int) -> None:
        """People."""
        for number in numbers:
            self.do(
                """INSERT INTO people VALUES (%s, %s, %s, '{Python,SQL}', 'Engineer',
                    '{"city": "Leeds", "zip": "LS1"}', 'x')""",
                number,
                f"Ada Number {number}",
                f"ada.{number}@mail.example",
            )

    def row(self, number: int) -> Json:
        """One of them, as it is."""
        with psycopg.connect(self.urls.owner_libpq, row_factory=psycopg.rows.dict_row) as connection:
            (found,) = connection.execute("SELECT * FROM people WHERE number = %s", [number]).fetchall()
            return found


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
    return Runs(database_urls, tenant, tmp_path, source=source, target={"direction": "twoWay"})


def meanwhile(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Do something once, after the source was read and before it is written to."""
    write = PostgresqlWriter.write
    done: list[bool] = []

    def late(self: PostgresqlWriter, change: Change) -> Written:
        if not done:
            done.append(True)
            action()
        return write(self, change)

    monkeypatch.setattr(PostgresqlWriter, "write", late)


def test_what_was_changed_here_is_written_there_and_comes_back_as_no_change(runs: Runs, crm: Crm) -> None:
    crm.add(*range(1, 11))
    assert back(runs.one()) == (0, 0, 0)
    changed_here(
        runs, "3", headline="Lead", email="new.3@mail.example", skills=["Go", "SQL"], location="York"
    )
    report = runs.one()
    assert (back(report), report.updated, report.conflicts) == ((1, 0, 0), 0, 0)
    assert "1 written back" in report.message
    row = crm.row(3)
    assert (row["title"], row["mail"], row["tags"]) == ("Lead", "new.3@mail.example", ["Go", "SQL"])
    assert row["address"] == {"city": "York", "zip": "LS1"}, "what nobody here knows of stays"
    assert (row["name"], row["secret"]) == ("Ada Number 3", "x")
    assert row["changed"].year > 2025, "and whoever reads what changed there finds it"
    assert crm.row(4)["changed"].isoformat().startswith("2026-05-01T12:00")
    assert became(runs) == [("3", "written", ["email", "headline", "location", "skills"])]
    version = runs.talents()["3"]["version"]
    again = runs.one()
    assert (again.unchanged, again.updated, again.verified, back(again)) == (10, 0, 10, (0, 0, 0))
    assert (runs.talents()["3"]["version"], len(outbox(runs))) == (version, 1)


def test_one_way_writes_nothing(runs: Runs, crm: Crm) -> None:
    runs.target = {}
    crm.add(1)
    runs.one()
    changed_here(runs, "1", headline="Lead")
    report = runs.one()
    assert (back(report), crm.row(1)["title"], outbox(runs)) == ((0, 0, 0), "Engineer", [])
    runs.target = {"direction": "twoWay"}
    assert (back(runs.one()), crm.row(1)["title"]) == ((1, 0, 0), "Lead"), "until it may"


def test_what_each_side_changed_is_on_both(runs: Runs, crm: Crm) -> None:
    crm.add(1)
    runs.one()
    changed_here(runs, "1", headline="Lead")
    crm.do("UPDATE people SET mail = 'theirs@mail.example', changed = now()")
    report = runs.one()
    assert (report.updated, report.conflicts, back(report)) == (1, 0, (1, 0, 0))
    found, row = runs.talents()["1"], crm.row(1)
    assert (found["headline"], found["email"]) == ("Lead", "theirs@mail.example")
    assert (row["title"], row["mail"]) == ("Lead", "theirs@mail.example")


@pytest.mark.parametrize(
    ("policy", "headline", "written"),
    [("target", "Ours", (1, 0, 0)), ("source", "Theirs", (0, 0, 0)), ("manual", "Ours", (1, 0, 0))],
)
def test_what_both_sides_changed_goes_by_the_policy(
    runs: Runs, crm: Crm, policy: str, headline: str, written: tuple[int, int, int]
) -> None:
    runs.target = {"direction": "twoWay", "conflictPolicy": {"fields": {"headline": policy}}}
    crm.add(1)
    runs.one()
    changed_here(runs, "1", headline="Ours", **({"location": "York"} if policy == "manual" else {}))
    crm.do("UPDATE people SET title = 'Theirs', changed = now()")
    report = runs.one()
    assert (report.conflicts, back(report)) == (1, written)
    assert runs.talents()["1"]["headline"] == headline
    row = crm.row(1)
    if policy != "manual":
        assert row["title"] == headline
        return
    assert (row["title"], row["address"]["city"]) == ("Theirs", "York"), "a person decides about the one"
    assert open_conflicts(runs) == ["headline"]
    assert back(runs.one()) == (0, 0, 0)
    runs.change("UPDATE talent_sync.sync_conflicts SET resolution = 'target', settled_at = now()")
    assert (back(runs.one()), crm.row(1)["title"]) == ((1, 0, 0), "Ours")


def test_what_another_writes_between_reading_and_writing_is_not_lost(
    runs: Runs, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm.add(1)
    runs.one()
    changed_here(runs, "1", headline="Lead")
    meanwhile(monkeypatch, lambda: crm.do("UPDATE people SET mail = 'theirs@mail.example', changed = now()"))
    report = runs.one()
    assert back(report) == (1, 0, 1), "refused by the row itself, brought in, and written anew"
    row = crm.row(1)
    assert (row["title"], row["mail"]) == ("Lead", "theirs@mail.example")
    assert runs.talents()["1"]["email"] == "theirs@mail.example"
    assert [state for _, state, _ in became(runs)] == ["moved", "written"]
    assert runs.one().unchanged == 1


def test_a_conflict_that_comes_so_late_goes_by_the_policy_too(
    runs: Runs, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.target = {"direction": "twoWay", "conflictPolicy": {"default": "source"}}
    crm.add(1)
    runs.one()
    changed_here(runs, "1", headline="Ours")
    meanwhile(monkeypatch, lambda: crm.do("UPDATE people SET title = 'Theirs', changed = now()"))
    assert back(runs.one()) == (0, 0, 1)
    assert (crm.row(1)["title"], runs.talents()["1"]["headline"]) == ("Theirs", "Theirs")
    (conflict,) = runs.rows("SELECT field, resolution FROM talent_sync.sync_conflicts")
    assert (conflict["field"], conflict["resolution"]) == ("headline", "source")


@pytest.mark.parametrize("is_erased", [True, False])
def test_a_person_who_goes_before_the_write_is_not_written(
    runs: Runs, crm: Crm, client: Client, tenant: str, monkeypatch: pytest.MonkeyPatch, *, is_erased: bool
) -> None:
    crm.add(1, 2)
    runs.one()
    for key in ("1", "2"):
        changed_here(runs, key, headline="Lead")
    talent = runs.talents()["1"]["id"]
    standing = Outbox.standing

    def later(self: Outbox, intents: Any) -> Any:
        admin = bearer(tenant=tenant, roles=["admin"], subject="officer")
        if is_erased:
            url = f"/api/v1/talents/{talent}/erasure"
            assert client.post(url, json={"reason": "request"}, headers=admin).status_code == 201
        else:
            headers = {**admin, "If-Match": "*"}
            assert client.delete(f"/api/v1/talents/{talent}", headers=headers).status_code == 204
        monkeypatch.setattr(Outbox, "standing", standing)
        return standing(self, intents)

    monkeypatch.setattr(Outbox, "standing", later)
    assert back(runs.one()) == (1, 0, 0)
    assert (crm.row(1)["title"], crm.row(2)["title"]) == ("Engineer", "Lead")
    assert became(runs) == [
        *([] if is_erased else [("1", "dropped", ["headline"])]),
        ("2", "written", ["headline"]),
    ]


class Killed(Exception):
    """The worker ends here."""


def dies_after_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source has taken a record, and nobody lives to write it down."""
    note = Outbox.note

    def fatal(self: Outbox, *arguments: Any) -> None:
        monkeypatch.setattr(Outbox, "note", note)
        raise Killed

    monkeypatch.setattr(Outbox, "note", fatal)


def followed(runs: Runs) -> Any:
    """The next pod of the same run."""
    given = runs.inputs()
    worker = runs.worker(given)
    try:
        code = run(worker, given, seen_by(runs.server, given))
    finally:
        worker.close()
    return code


@pytest.mark.parametrize("policy", ["manual", "source"])
def test_a_worker_that_dies_after_the_write_is_followed_without_a_conflict(
    runs: Runs, crm: Crm, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    runs.target = {"direction": "twoWay", "conflictPolicy": {"default": policy}}
    crm.add(1, 2, 3)
    runs.one()
    for key in ("1", "2", "3"):
        changed_here(runs, key, headline=f"Lead {key}")
    dies_after_the_write(monkeypatch)
    runs.run()
    assert runs.codes == [FAILED]
    assert [state for _, state, _ in became(runs)] == ["intended"] * 3
    assert crm.row(1)["title"] == "Lead 1", "that one was written"
    # Before anybody finds out, a person goes on here.
    changed_here(runs, "1", headline="Head")
    assert followed(runs) == ExitCode.DONE
    assert [crm.row(number)["title"] for number in (1, 2, 3)] == ["Head", "Lead 2", "Lead 3"]
    assert runs.talents()["1"]["headline"] == "Head"
    assert runs.rows("SELECT 1 FROM talent_sync.sync_conflicts") == [], "an echo is no change"
    states = sorted((key, state) for key, state, _ in became(runs))
    assert states.count(("1", "written")) == 2
    assert {state for _, state in states} <= {"written", "dropped"}
    again = runs.one()
    assert (again.unchanged, back(again)) == (3, (0, 0, 0))


def test_a_run_that_was_followed_writes_nothing(runs: Runs, crm: Crm) -> None:
    crm.add(1)
    runs.one()
    changed_here(runs, "1", headline="Lead")
    given = runs.inputs(epoch=2)
    worker = runs.worker(given)
    worker.resume(given, None)
    newer = runs.inputs(epoch=3)
    other = runs.worker(newer)
    other.resume(newer, None)
    with pytest.raises(FencedError):
        worker.write(given, Batch(records=["1"], cursor="", stage=BACK))
    worker.close()
    other.close()
    assert (crm.row(1)["title"], outbox(runs)) == ("Engineer", [])


def test_what_the_source_refuses_waits_with_its_reason_until_it_changes(
    runs: Runs, crm: Crm, client: Client, auth: Auth
) -> None:
    crm.do("ALTER TABLE people ADD CONSTRAINT no_chiefs CHECK (title <> 'Chief')")
    crm.add(1, 2, 3)
    runs.one()
    changed_here(runs, "1", headline="Chief")
    changed_here(runs, "2", headline="x" * 41)
    changed_here(runs, "3", headline="Lead")
    report = runs.one()
    assert (back(report), crm.row(3)["title"]) == ((1, 2, 0), "Lead"), "the others land"
    reasons = {row["key"]: row["reason"] for row in outbox(runs) if row["state"] == "refused"}
    assert reasons == {
        "1": "PostgreSQL refuses it (CheckViolation, no_chiefs)",
        "2": "PostgreSQL refuses it (StringDataRightTruncation)",
    }
    listed = client.get("/api/v1/sync-writes", params={"state": "refused"}, headers=auth).json()["items"]
    assert {(item["key"], item["reason"]) for item in listed} == set(reasons.items())
    assert {tuple(item["fields"]) for item in listed} == {("headline",)}
    record = str(runs.talents()["1"]["id"])
    asked = {"record_id": record, "job": "looma/people", "entity": "talent"}
    (one,) = client.get("/api/v1/sync-writes", params=asked, headers=auth).json()["items"]
    assert (one["record_id"], one["epoch"], one["version"]) == (record, 2, 2)
    assert client.get("/api/v1/sync-writes", headers=bearer(tenant="another")).json()["items"] == []
    (latest, *_) = client.get("/api/v1/sync-runs", headers=auth).json()["items"]
    assert (latest["counts"]["written_back"], latest["counts"]["write_refused"]) == (1, 2)
    assert back(runs.one()) == (0, 0, 0), "it is not asked again for the same"
    changed_here(runs, "1", headline="Head")
    assert (back(runs.one()), crm.row(1)["title"]) == ((1, 0, 0), "Head")
    # Whoever looks after the source has made room.
    crm.do("ALTER TABLE people ALTER title TYPE text")
    (refused,) = [item for item in listed if item["key"] == "2"]
    url = f"/api/v1/sync-writes/{refused['id']}/again"
    assert client.post(url, headers=bearer(tenant="another")).status_code == 404
    asked_again = client.post(url, headers=auth)
    assert (asked_again.status_code, asked_again.json()["state"]) == (200, "dropped"), asked_again.text
    assert client.post(url, headers=auth).status_code == 409
    assert (back(runs.one()), crm.row(2)["title"]) == ((1, 0, 0), "x" * 41)


def test_an_account_that_may_only_read_ends_the_run(runs: Runs, crm: Crm) -> None:
    crm.add(1)
    runs.one()
    given = psycopg.conninfo.conninfo_to_dict(crm.urls.app_libpq)
    crm.do("GRANT SELECT ON people TO PUBLIC")
    for name in ("username", "password"):
        (runs.folder / "credentials" / name).write_text(str(given[{"username": "user"}.get(name, name)]))
    assert back(runs.one()) == (0, 0, 0)
    changed_here(runs, "1", headline="Lead")
    (report,) = runs.run()
    assert (runs.codes, report.state) == ([ExitCode.BAD_INPUT], "Failed")
    assert "permission denied for table people" in report.message
    assert crm.row(1)["title"] == "Engineer"


def test_what_is_gone_on_one_side_is_not_written(
    runs: Runs, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm.add(1, 2)
    runs.one()
    changed_here(runs, "1", headline="Lead")
    runs.change(
        "UPDATE talent_sync.talents SET deleted_at = now(), version = version + 1 WHERE source_ref = 'people:1'"
    )
    assert (back(runs.one()), crm.row(1)["title"]) == ((0, 0, 0), "Engineer")
    changed_here(runs, "2", headline="Lead")
    meanwhile(monkeypatch, lambda: crm.do("DELETE FROM people WHERE number = 2"))
    assert (back(runs.one()), back(runs.one())) == ((0, 0, 1), (0, 0, 0)), "it is looked at once"
    assert {row["reason"] for row in outbox(runs)} == {"the source has it no more"}


def test_what_the_source_makes_of_it_is_told_and_not_written_again(runs: Runs, crm: Crm) -> None:
    crm.do(
        """CREATE FUNCTION neat() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN new.title := upper(new.title); RETURN new; END $$"""
    )
    crm.add(1)
    crm.do("CREATE TRIGGER neat BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION neat()")
    runs.one()
    changed_here(runs, "1", headline="Lead")
    assert back(runs.one()) == (1, 0, 0)
    assert (crm.row(1)["title"], runs.talents()["1"]["headline"]) == ("LEAD", "Lead")
    assert [row["reason"] for row in outbox(runs)] == ["the source keeps headline in another form"]
    assert back(runs.one()) == (0, 0, 0), "they do not write to each other for ever"


def test_shards_write_what_is_theirs(runs: Runs, crm: Crm) -> None:
    crm.add(*range(1, 21))
    runs.run(shards=3)
    for number in range(1, 21):
        changed_here(runs, str(number), headline=f"Lead {number}")
    reports = runs.run(shards=3, batch=4)
    assert runs.codes == [0, 0, 0]
    assert sum(report.written_back or 0 for report in reports) == 20
    assert [crm.row(number)["title"] for number in range(1, 21)] == [f"Lead {n}" for n in range(1, 21)]
    assert len(outbox(runs)) == 20


def test_the_outbox_is_sealed_and_goes_with_the_person(
    runs: Runs, crm: Crm, client: Client, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm.add(1, 2)
    runs.one()
    changed_here(runs, "1", email="quill@mail.example")
    dies_after_the_write(monkeypatch)
    runs.run()
    (row,) = outbox(runs)
    assert row["intended"].startswith("sealed:1:")
    talent = str(runs.talents()["1"]["id"])
    admin = bearer(tenant=tenant, roles=["admin"], subject="officer")
    exported = client.get(f"/api/v1/talents/{talent}/export", headers=admin)
    assert exported.status_code == 200, exported.text
    (write,) = exported.json()["writes"]
    assert (write["fields"], write["origin"], write["state"]) == (["email"], "people", "intended")
    answer = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin)
    assert (answer.status_code, answer.json()["complete"]) == (201, True), answer.text
    assert outbox(runs) == []
    assert runs.one().message.endswith("1 were erased here and are not kept")
    assert crm.row(1)["title"] == "Engineer"
