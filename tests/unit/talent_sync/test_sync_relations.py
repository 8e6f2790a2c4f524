"""Relations that a SyncJob brings in: by the keys of other sources, and beside the relations that are there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.api.syncjob import ExitCode
from looma_engines.talent_sync.syncing.related import lock_relations
from support.database import DatabaseUrls
from support.sync_runs import Runs, person
from support.tokens import bearer

pytestmark = pytest.mark.database

Json = dict[str, Any]
PEOPLE = {"talent_id": "people", "other_talent_id": "people"}


class World:
    """SyncJobs of people, companies and relations of one tenant, each with a file of its own."""

    def __init__(self, urls: DatabaseUrls, tenant: str, folder: Path) -> None:
        self._place = (urls, tenant, folder)
        self.people = self.runs("people", "talent")
        self.companies = self.runs("companies", "company")
        self.jobs = self.runs("jobs", "job", references={"company_id": "companies"})
        references = {**PEOPLE, "company_id": "companies", "job_id": "jobs"}
        self.ties = self.runs("ties", "relation", references=references)

    def runs(self, job: str, entity: str, **target: Any) -> Runs:
        """A SyncJob of that name."""
        return Runs(*self._place, job=job, target={"entity": entity, **target})

    def fill(self, count: int = 4) -> None:
        """That many people, and two companies."""
        self.people.one([person(number) for number in range(count)])
        self.companies.one([{"id": f"c-{number}", "name": f"Company {number}"} for number in range(2)])

    def relations(self, *, deleted: bool = False) -> dict[str, Json]:
        """The relations that are there by their keys, with the keys of their people."""
        rows = self.ties.rows(
            """SELECT relation.*, split_part(one.source_ref, ':', 2) AS one,
                split_part(other.source_ref, ':', 2) AS other
            FROM talent_sync.relations AS relation JOIN talent_sync.talents AS one ON one.id = relation.talent_id
            LEFT JOIN talent_sync.talents AS other ON other.id = relation.other_talent_id
            WHERE (relation.deleted_at IS NOT NULL) = %(deleted)s""",
            deleted=deleted,
        )
        return {(row["source_ref"] or "made here").rpartition(":")[2]: row for row in rows}

    def waiting(self) -> dict[str, str]:
        """What waits in the quarantine, by key, with what is wrong."""
        rows = self.ties.rows("SELECT key, errors FROM talent_sync.quarantine WHERE state = 'open'")
        return {
            row["key"]: "; ".join(f"{error['field']}: {error['message']}" for error in row["errors"])
            for row in rows
        }


@pytest.fixture
def world(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> World:
    return World(database_urls, tenant, tmp_path)


def tie(key: str, kind: str, one: object, other: object, **more: Any) -> Json:
    """A relation as a source writes it: of two people, or of one and a company or job."""
    end = {"works_at": "company_id", "worked_at": "company_id", "applied_to": "job_id"}.get(
        kind, "other_talent_id"
    )
    return {"id": key, "kind": kind, "talent_id": one, end: other, **more}


def test_relations_are_brought_in_by_the_keys_of_other_sources(world: World) -> None:
    world.fill()
    world.jobs.one([{"id": 7, "title": "Engineer", "company_id": "c-1"}])
    rows = [
        tie("1", "works_at", "p-0", "c-1", title="Engineer", starts_on="2020-01-01"),
        tie("2", "applied_to", "p-1", 7, starts_on="2026-01-01"),
        tie("3", "reports_to", "p-0", "p-1"),
        tie("4", "knows", "p-2", "p-1", note="from school"),
    ]
    report = world.ties.one(rows)
    assert (report.created, report.read, report.verified, report.quarantined) == (4, 4, 4, 0)
    found = world.relations()
    assert [(found[key]["kind"], found[key]["one"], found[key]["other"]) for key in "134"] == [
        ("works_at", "p-0", None),
        ("reports_to", "p-0", "p-1"),
        ("knows", "p-2", "p-1"),
    ]
    (job,) = world.jobs.rows("SELECT * FROM talent_sync.jobs")
    companies = world.jobs.rows("SELECT * FROM talent_sync.companies WHERE source_ref = 'companies:c-1'")
    assert job["company_id"] == companies[0]["id"] == found["1"]["company_id"]
    assert found["2"]["job_id"] == job["id"]
    assert (found["1"]["source_type"], found["1"]["source_ref"]) == ("sync", "ties:1")

    again = world.ties.one(rows)
    assert (again.unchanged, again.created, again.updated, again.verified) == (4, 0, 0, 4)
    rows[0]["title"] = "Lead"
    rows[2]["other_talent_id"] = "p-3"
    changed = world.ties.one(rows)
    assert (changed.updated, changed.unchanged, changed.conflicts, changed.repaired) == (2, 2, 0, None)
    found = world.relations()
    assert (found["1"]["title"], found["3"]["other"], found["3"]["version"]) == ("Lead", "p-3", 2)


def test_without_references_the_values_are_ids_of_here(world: World) -> None:
    world.fill()
    ids = {key: str(row["id"]) for key, row in world.people.talents().items()}
    world.ties.target = {"entity": "relation"}
    absent = "018f0000-0000-7000-8000-000000000000"
    report = world.ties.one(
        [
            tie("1", "knows", ids["p-0"], ids["p-1"]),
            tie("2", "knows", ids["p-0"], absent),
            tie("3", "knows", "p-0", ids["p-1"]),
        ]
    )
    assert (report.created, report.quarantined) == (1, 2)
    assert world.waiting()["2"] == "other_talent_id: there is none with this id"
    assert world.waiting()["3"].startswith("talent_id: ")


@pytest.mark.parametrize("shards", [1, 3])
def test_who_is_not_here_is_waited_for_and_the_rest_lands(world: World, shards: int) -> None:
    world.fill(2)
    rows = [
        tie("1", "knows", "p-0", "p-1"),
        tie("2", "knows", "p-0", "p-9"),
        tie("3", "works_at", "p-1", "c-9"),
    ]
    reports = world.ties.run(rows, shards=shards)
    assert sum(report.created for report in reports) == 1
    assert world.waiting() == {
        "2": "other_talent_id: people has brought no such record that is here",
        "3": "company_id: companies has brought no such record that is here",
    }
    assert sum(report.verified or 0 for report in reports) == 3, "what waits is held as well"
    world.people.one([person(0), person(1), person(9)])
    world.companies.one([{"id": "c-9", "name": "Company 9"}])
    reports = world.ties.run(shards=shards)
    assert sum(report.created for report in reports) == 2
    assert world.waiting() == {}
    assert sorted(world.relations()) == ["1", "2", "3"]


def test_a_circle_is_refused_where_it_closes_whatever_came_when(world: World) -> None:
    world.fill(5)
    rows = [
        tie("1", "reports_to", "p-0", "p-1"),
        tie("2", "reports_to", "p-1", "p-2"),
        # In the same batch, then in the next one, then in the next run.
        tie("3", "reports_to", "p-1", "p-0"),
        tie("4", "reports_to", "p-2", "p-0"),
        tie("5", "referred_by", "p-2", "p-0"),
    ]
    report = world.ties.one(rows)
    assert (report.created, report.quarantined) == (3, 2)
    said = "other_talent_id: closes a circle of {} people: end or delete one of its relations first"
    assert world.waiting() == {"3": said.format(2), "4": said.format(3)}
    report = world.ties.one([*rows[:2], rows[4], tie("6", "reports_to", "p-2", "p-1")])
    assert (report.created, report.unchanged) == (0, 3)
    assert world.waiting() == {"6": said.format(2)}
    # One after the other two people may have led each other; who referred whom stays so.
    before = [
        tie("7", "reports_to", "p-3", "p-4", ends_on="2020-12-31"),
        tie("8", "reports_to", "p-4", "p-3", starts_on="2021-01-01"),
        tie("9", "referred_by", "p-3", "p-4", ends_on="2020-12-31"),
        tie("10", "referred_by", "p-4", "p-3", starts_on="2021-01-01"),
    ]
    report = world.ties.one([*rows[:2], rows[4], *before])
    assert (report.created, report.quarantined) == (3, 1)
    assert world.waiting() == {"10": said.format(2)}


def test_a_circle_with_a_relation_that_people_made_here_is_one_too(world: World, made: Made) -> None:
    world.fill()
    ids = {key: str(row["id"]) for key, row in world.people.talents().items()}
    made.relation(kind="reports_to", talent_id=ids["p-1"], other_talent_id=ids["p-0"])
    made.relation(kind="works_at", talent_id=ids["p-1"], company_id=made.company(), starts_on="2020-01-01")
    report = world.ties.one([tie("1", "reports_to", "p-0", "p-1"), tie("2", "reports_to", "p-2", "p-1")])
    assert (report.created, report.quarantined) == (1, 1)
    assert "closes a circle" in world.waiting()["1"]
    # And what a sync job brought, people cannot close into one.
    problem = made.refused(kind="reports_to", talent_id=ids["p-1"], other_talent_id=ids["p-2"])
    assert problem["errors"][0]["field"] == "other_talent_id"


def test_nothing_is_there_twice_and_nobody_works_twice_at_one_company(world: World) -> None:
    world.fill()
    rows = [
        tie("1", "works_at", "p-0", "c-0", starts_on="2020-01-01", ends_on="2021-12-31"),
        tie("2", "works_at", "p-0", "c-0", starts_on="2021-06-01"),
        tie("3", "works_at", "p-0", "c-0", starts_on="2022-01-01"),
        tie("4", "works_at", "p-0", "c-1", starts_on="2021-06-01"),
        tie("5", "knows", "p-0", "p-1"),
        tie("6", "knows", "p-1", "p-0"),
        tie("7", "works_at", "p-0", "c-0", starts_on="2020-01-01"),
    ]
    report = world.ties.one(rows)
    assert (report.created, report.quarantined) == (4, 3)
    twice = "kind: this relation is there already, with this beginning"
    assert world.waiting() == {
        "2": "starts_on: the person works there at that time already: end that relation before",
        "6": twice,
        "7": twice,
    }


def test_relations_that_change_places_do_so_within_two_runs(world: World) -> None:
    world.fill()
    world.ties.one([tie("1", "knows", "p-0", "p-1"), tie("2", "knows", "p-0", "p-2")])
    rows = [tie("1", "knows", "p-0", "p-2"), tie("2", "knows", "p-0", "p-3")]
    first = world.ties.one(rows)
    assert (first.updated, first.quarantined) == (1, 1), (
        "what the second leaves is taken until the batch is written"
    )
    second = world.ties.one()
    assert (second.updated, second.unchanged, world.waiting()) == (1, 1, {})
    found = world.relations()
    assert (found["1"]["other"], found["2"]["other"]) == ("p-2", "p-3")


def test_what_people_changed_here_stays_and_conflicts_wait(world: World) -> None:
    world.fill()
    world.ties.target["conflictPolicy"] = {"default": "manual"}
    world.ties.one([tie("1", "works_at", "p-0", "c-0", title="Engineer", starts_on="2020-01-01")])
    world.ties.change(
        "UPDATE talent_sync.relations SET title = 'Chief', note = 'asked her', version = 2, updated_at = now()"
    )
    report = world.ties.one([tie("1", "works_at", "p-0", "c-1", title="Lead", starts_on="2020-01-01")])
    assert (report.updated, report.conflicts, report.resolved) == (1, 1, 0)
    found = world.relations()["1"]
    assert (found["title"], found["note"], found["version"]) == ("Chief", "asked her", 3)
    companies = {
        row["source_ref"]: row["id"] for row in world.ties.rows("SELECT * FROM talent_sync.companies")
    }
    assert found["company_id"] == companies["companies:c-1"]


def test_what_the_source_of_the_people_lost_takes_their_relations_and_gives_them_back(world: World) -> None:
    world.people.target["onMissing"] = "delete"
    world.fill()
    ties = [tie("1", "knows", "p-0", "p-1"), tie("2", "knows", "p-2", "p-3")]
    world.ties.one(ties)
    world.people.one([person(number) for number in (0, 2, 3)])
    assert (sorted(world.relations()), sorted(world.relations(deleted=True))) == (["2"], ["1"])
    report = world.ties.one(ties)
    assert (report.unchanged, report.quarantined) == (1, 1)
    assert world.waiting() == {"1": "other_talent_id: people has brought no such record that is here"}
    world.people.one([person(number) for number in range(4)])
    report = world.ties.one(ties)
    assert (report.updated, report.unchanged, world.waiting()) == (1, 1, {})
    assert sorted(world.relations()) == ["1", "2"]


def test_what_the_source_has_no_more_is_deleted(world: World) -> None:
    world.fill()
    world.ties.target["onMissing"] = "delete"
    world.ties.one([tie("1", "knows", "p-0", "p-1"), tie("2", "knows", "p-2", "p-3")])
    report = world.ties.one([tie("2", "knows", "p-2", "p-3")])
    assert (report.deleted, sorted(world.relations())) == (1, ["2"])


def test_nothing_is_kept_of_relations_of_somebody_who_was_erased(world: World, made: Made) -> None:
    world.fill()
    ties = [tie("1", "knows", "p-0", "p-1", note="a secret of theirs"), tie("2", "knows", "p-2", "p-3")]
    world.ties.one(ties)
    made.erase(str(world.people.talents()["p-1"]["id"]))
    report = world.ties.one([*ties, tie("3", "referred_by", "p-1", "p-2", note="a secret of theirs")])
    assert (report.created, report.unchanged, report.quarantined, report.verified) == (0, 1, 0, 3)
    assert report.message.endswith("2 were erased here and are not kept")
    assert sorted(world.relations()) == ["2"]
    assert world.ties.rows("SELECT * FROM talent_sync.quarantine") == []


def test_nothing_is_kept_of_a_relation_that_names_somebody_who_was_erased_by_id(
    world: World, made: Made
) -> None:
    world.fill()
    ids = {key: str(row["id"]) for key, row in world.people.talents().items()}
    made.erase(ids["p-1"])
    world.ties.target = {"entity": "relation"}
    report = world.ties.one([tie("1", "knows", ids["p-0"], ids["p-1"], note="a secret of theirs")])
    assert (report.created, report.quarantined, report.verified) == (0, 0, 1)
    assert world.ties.rows("SELECT * FROM talent_sync.quarantine") == []


def test_a_job_of_a_company_that_is_gone_waits(world: World) -> None:
    world.fill()
    world.companies.change(
        "UPDATE talent_sync.companies SET deleted_at = now() WHERE source_ref = 'companies:c-1'"
    )
    report = world.jobs.one([{"id": 7, "title": "Engineer", "company_id": "c-1"}])
    assert (report.created, report.quarantined) == (0, 1)
    assert world.waiting() == {"7": "company_id: companies has brought no such record that is here"}


def test_what_waits_is_put_right_with_the_sources_own_keys(world: World, made: Made) -> None:
    world.fill()
    world.ties.one([tie("1", "works_at", "p-0", "c-9", starts_on="2020-01-01")])
    (entry,) = world.ties.rows("SELECT id, version FROM talent_sync.quarantine")
    draft = {"kind": "works_at", "talent_id": "p-0", "company_id": "c-9", "starts_on": "2020-01-01"}
    problem = made.put_right(entry, draft, status=422)
    assert problem["errors"] == [
        {"field": "draft.company_id", "message": "is the key of no record that is here: write Looma's id"}
    ]
    done = made.put_right(entry, {**draft, "company_id": "c-1"})
    (found,) = world.relations().values()
    assert (str(found["id"]), found["one"]) == (done["record_id"], "p-0")
    # The next run finds the row done.
    report = world.ties.one()
    assert (report.unchanged, report.quarantined, report.verified) == (1, 0, 1)


def test_a_key_of_two_records_does_not_say_which(world: World, made: Made) -> None:
    world.fill(2)
    world.runs("staff", "talent").one([person(0, full_name="Another Zero")])
    world.ties.one([tie("1", "knows", "p-1", "p-9")])
    (entry,) = world.ties.rows("SELECT id, version FROM talent_sync.quarantine")
    problem = made.put_right(
        entry, {"kind": "knows", "talent_id": "p-1", "other_talent_id": "p-0"}, status=422
    )
    assert problem["errors"] == [
        {
            "field": "draft.other_talent_id",
            "message": "is the key of several records: write Looma's id of one",
        }
    ]


def test_a_field_that_names_no_record_is_refused(world: World) -> None:
    world.ties.target["references"] = {"title": "people"}
    (report,) = world.ties.run([])
    assert world.ties.codes == [ExitCode.BAD_INPUT]
    assert report.message == "references: title of a relation names no other record"


def test_people_who_relate_somebody_wait_for_a_batch_that_is_being_written(
    world: World, made: Made, database_urls: DatabaseUrls
) -> None:
    world.fill()
    ids = {key: str(row["id"]) for key, row in world.people.talents().items()}
    asked = {"kind": "works_at", "talent_id": ids["p-0"], "company_id": made.company()}
    with ThreadPoolExecutor() as pool:
        with psycopg.connect(database_urls.app_libpq) as connection, connection.transaction():
            connection.execute("SELECT set_config('looma.tenant', %s, true)", (world.ties.tenant,))
            lock_relations(lambda query, **values: connection.execute(query, values))  # type: ignore[arg-type]
            answer = pool.submit(made.relation, **asked)
            with pytest.raises(TimeoutError):
                answer.result(timeout=1)
            assert world.relations() == {}
        answer.result(timeout=60)
    assert len(world.relations()) == 1


class Made:
    """What people do here, over HTTP."""

    def __init__(self, client: TestClient[Any], tenant: str) -> None:
        self._client = client
        self._tenant = tenant
        self._headers = bearer(tenant=tenant, roles=["recruiter"], subject="ada")

    def _post(self, path: str, body: Json) -> Any:
        return self._client.post(f"/api/v1/{path}", json=body, headers=self._headers)

    def company(self) -> str:
        """Make a company; answers its id."""
        return str(self._post("companies", {"name": "Made Here"}).json()["id"])

    def relation(self, **body: Any) -> None:
        """Make a relation."""
        answer = self._post("relations", body)
        assert answer.status_code == 201, answer.text

    def refused(self, **body: Any) -> Json:
        """The problem with a relation."""
        answer = self._post("relations", body)
        assert answer.status_code == 422, answer.text
        found: Json = answer.json()
        return found

    def put_right(self, entry: Json, draft: Json, *, status: int = 200) -> Json:
        """Replay an entry of the quarantine; what was answered."""
        answer = self._client.post(
            f"/api/v1/quarantine/{entry['id']}/replay",
            json={"draft": draft},
            headers={**self._headers, "If-Match": f'"{entry["version"]}"'},
        )
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    def erase(self, talent: str) -> None:
        """Erase a person, and see that nothing is left of them."""
        headers = bearer(tenant=self._tenant, roles=["admin"], subject="officer")
        answer = self._client.post(
            f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=headers
        )
        assert (answer.status_code, answer.json()["complete"]) == (201, True), answer.text


@pytest.fixture
def made(client: TestClient[Any], tenant: str) -> Iterator[Made]:
    return Made(client, tenant)
