"""Relations over HTTP, before a real database: stored, listed, refused beside others, and gone with their ends."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.testing import TestClient

    from support.database import DatabaseUrls

API = "/api/v1"
NOBODY = str(uuid.UUID(int=7))


class World:
    """People, companies and jobs of one tenant by their names, and relations among them."""

    def __init__(self, client: TestClient[Any], auth: dict[str, str]) -> None:
        self.client, self.auth = client, auth
        self.ids: dict[str, str] = {}

    def _create(self, kind: str, called: str, **body: Any) -> str:
        if called not in self.ids:
            answer = self.client.post(f"{API}/{kind}", headers=self.auth, json=body)
            assert answer.status_code == 201, answer.text
            self.ids[called] = answer.json()["id"]
        return self.ids[called]

    def person(self, name: str) -> str:
        return self._create("talents", name, full_name=name)

    def company(self, name: str) -> str:
        return self._create("companies", name, name=name)

    def job(self, title: str, **body: Any) -> str:
        return self._create("jobs", title, title=title, **body)

    def send(self, kind: str, one: str, other: str, **more: Any) -> Any:
        if kind in ("works_at", "worked_at"):
            end = {"company_id": self.company(other)}
        elif kind.endswith(("_to", "_for")) and kind != "reports_to":
            end = {"job_id": self.job(other)}
        else:
            end = {"other_talent_id": self.person(other)}
        body = {"kind": kind, "talent_id": self.person(one), **end, **more}
        return self.client.post(f"{API}/relations", headers=self.auth, json=body)

    def relate(self, kind: str, one: str, other: str, **more: Any) -> dict[str, Any]:
        answer = self.send(kind, one, other, **more)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def listed(self, **params: Any) -> list[str]:
        answer = self.client.get(
            f"{API}/relations", headers=self.auth, params={"sort": "created_at"} | params
        )
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    def patch(self, relation: dict[str, Any], **changes: Any) -> Any:
        url = f"{API}/relations/{relation['id']}"
        tag = {"If-Match": f'"{relation["version"]}"'}
        return self.client.patch(url, headers=self.auth | tag, json=changes)

    def delete(self, kind: str, name: str) -> Any:
        url = f"{API}/{kind}/{self.ids[name]}"
        return self.client.delete(url, headers=self.auth | {"If-Match": "*"})


@pytest.fixture
def world(client, auth) -> World:
    return World(client, auth)


@pytest.fixture
def rows(database_urls: DatabaseUrls) -> Callable[[str], tuple[int, bool]]:
    """The version of a relation's row, and whether it is hidden, whoever is asked."""

    def read(relation_id: str) -> tuple[int, bool]:
        with psycopg.connect(database_urls.admin) as connection:
            row = connection.execute(
                "SELECT version, deleted_at IS NOT NULL FROM talent_sync.relations WHERE id = %s",
                [relation_id],
            ).fetchone()
        assert row is not None
        return row

    return read


def wrong(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_relation_reads_back_changes_and_goes(world: World) -> None:
    made = world.relate("works_at", "Ada", "Harbour", starts_on="2020-03-01", title=" Engineer ", note="")
    assert (made["talent_name"], made["company_name"], made["title"]) == ("Ada", "Harbour", "Engineer")
    assert (made["note"], made["job_title"], made["other_talent_name"], made["version"]) == (
        None,
        None,
        None,
        1,
    )
    url = f"{API}/relations/{made['id']}"
    read = world.client.get(url, headers=world.auth)
    assert (read.json(), read.headers["etag"]) == (made, '"1"')
    assert world.client.patch(url, headers=world.auth, json={"note": "x"}).status_code == 428
    changed = world.patch(made, ends_on="2024-01-31", kind="worked_at")
    assert (changed.status_code, changed.json()["ends_on"], changed.json()["kind"]) == (
        200,
        "2024-01-31",
        "worked_at",
    )
    assert changed.json()["version"] == 2
    assert world.patch(made, note="late").status_code == 412
    assert world.client.delete(url, headers=world.auth | {"If-Match": '"2"'}).status_code == 204
    assert world.client.get(url, headers=world.auth).status_code == 404
    assert world.listed() == []


def test_a_repeated_request_with_its_key_makes_one(world: World) -> None:
    keyed = world.auth | {"Idempotency-Key": uuid.uuid4().hex}
    body = {"kind": "reports_to", "talent_id": world.person("Ada"), "other_talent_id": world.person("Ben")}
    first, second = (world.client.post(f"{API}/relations", headers=keyed, json=body) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert world.listed() == [first.json()["id"]]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"company_id": None}, "company_id"),
        ({"job_id": NOBODY}, "job_id"),
        ({"kind": "owns"}, "kind"),
        ({"talent_id": NOBODY}, "talent_id"),
        ({"company_id": NOBODY}, "company_id"),
        ({"starts_on": "2021-01-01", "ends_on": "2020-12-31"}, "ends_on"),
        ({"starts_on": "1850-01-01"}, "starts_on"),
        ({"starts_on": "soon"}, "starts_on"),
        ({"talent_name": "Ada"}, "talent_name"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(world: World, changes, field) -> None:
    body = {"kind": "works_at", "talent_id": world.person("Ada"), "company_id": world.company("Harbour")}
    answer = world.client.post(f"{API}/relations", headers=world.auth, json={**body, **changes})
    assert list(wrong(answer)) == [field]
    assert world.listed() == []


def test_another_tenants_people_are_no_ends_and_its_relations_are_not_seen(
    world: World, client, other_tenant, database_urls: DatabaseUrls, tenant
) -> None:
    theirs = World(client, other_tenant)
    hers = theirs.relate("knows", "Eve", "Mallory")
    body = {"kind": "knows", "talent_id": world.person("Ada"), "other_talent_id": theirs.ids["Eve"]}
    answer = client.post(f"{API}/relations", headers=world.auth, json=body)
    assert wrong(answer) == {"other_talent_id": "there is none with this id"}
    url = f"{API}/relations/{hers['id']}"
    assert client.get(url, headers=world.auth).status_code == 404
    assert client.delete(url, headers=world.auth | {"If-Match": "*"}).status_code == 404
    assert world.listed() == []
    mine = world.relate("knows", "Ada", "Ben")
    moved = "UPDATE talent_sync.relations SET other_talent_id = %s WHERE id = %s"
    with psycopg.connect(database_urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(moved, [theirs.ids["Eve"], mine["id"]])


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("kind = 'knows'", "object_fits_kind"),
        ("company_id = NULL", "object_fits_kind"),
        ("job_id = id", "object_fits_kind"),
        ("kind = 'owns', company_id = NULL", "one_object"),
        ("kind = 'knows', company_id = NULL, other_talent_id = talent_id", "two_people"),
        ("starts_on = '2020-01-02', ends_on = '2020-01-01'", "dates_in_order"),
    ],
)
def test_the_database_itself_refuses_what_cannot_be(
    world: World, tenant, database_urls: DatabaseUrls, values, constraint
) -> None:
    made = world.relate("works_at", "Ada", "Harbour")
    with psycopg.connect(database_urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
            connection.execute(
                f"UPDATE talent_sync.relations SET {values} WHERE id = %s",  # noqa: S608 - our own texts
                [made["id"]],
            )


def test_lists_are_filtered_searched_and_paged(world: World) -> None:
    works = world.relate("works_at", "Ada", "Harbour", starts_on="2024-02-01", title="Data Engineer")
    worked = world.relate("worked_at", "Ada", "Fernway", starts_on="2020-01-01", ends_on="2024-01-31")
    applied = world.relate("applied_to", "Ada", "Analyst", starts_on="2025-05-05", note="数据 by phone")
    knows = world.relate("knows", "Ben", "Ada")
    ids = [item["id"] for item in (works, worked, applied, knows)]
    assert world.listed() == ids
    assert world.listed(talent_id=world.ids["Ada"]) == ids[:3]
    assert world.listed(other_talent_id=world.ids["Ada"]) == ids[3:]
    assert world.listed(company_id=world.ids["Fernway"]) == [ids[1]]
    assert world.listed(job_id=world.ids["Analyst"]) == [ids[2]]
    assert world.listed(kind="knows") == [ids[3]]
    assert world.listed(q="ENGINEER") == [ids[0]]
    assert world.listed(q="phone 数据") == [ids[2]]
    assert world.listed(talent_id=world.ids["Ada"], kind="works_at") == [ids[0]]
    for day, expected in (
        ("2024-01-31", [ids[1], ids[3]]),
        ("2024-02-01", [ids[0], ids[3]]),
        ("2019-12-31", [ids[3]]),
        ("2026-01-01", [ids[0], ids[2], ids[3]]),
    ):
        assert world.listed(on=day) == expected, day
    # A beginning that is not known comes before all others.
    ordered = [ids[3], ids[1], ids[0], ids[2]]
    for sort, expected in (("starts_on", ordered), ("-starts_on", ordered[::-1]), ("-created_at", ids[::-1])):
        seen, cursor = [], None
        while True:
            params = {"sort": sort, "limit": 1} | ({"cursor": cursor} if cursor else {})
            page = world.client.get(f"{API}/relations", headers=world.auth, params=params).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page.get("next_cursor")
            if not cursor:
                break
        assert seen == expected, sort
    for name, value in (
        ("kind", "owns"),
        ("sort", "note"),
        ("on", "soon"),
        ("talent_id", "x"),
        ("cursor", "x"),
    ):
        params = {name: value}
        assert list(wrong(world.client.get(f"{API}/relations", headers=world.auth, params=params))) == [name]


def test_a_relation_is_there_once(world: World) -> None:
    made = world.relate("works_at", "Ada", "Harbour", starts_on="2020-01-01", ends_on="2020-12-31")
    again = world.send("works_at", "Ada", "Harbour", starts_on="2020-01-01")
    assert (again.status_code, again.json()["type"]) == (409, "urn:looma:problem:conflict")
    assert made["id"] in again.json()["detail"]
    later = world.relate("works_at", "Ada", "Harbour", starts_on="2021-01-01", ends_on="2021-12-31")
    moved = world.patch(later, starts_on="2020-01-01")
    assert moved.status_code == 409
    assert made["id"] in moved.json()["detail"]
    for one, other in (("Ada", "Ben"), ("Ben", "Ada")):
        answer = world.send("knows", one, other)
        assert answer.status_code == (201 if one == "Ada" else 409), (
            "who know each other do so either way round"
        )
    url = f"{API}/relations/{made['id']}"
    assert world.client.delete(url, headers=world.auth | {"If-Match": "*"}).status_code == 204
    assert (
        world.send("works_at", "Ada", "Harbour", starts_on="2020-01-01", ends_on="2020-02-01").status_code
        == 201
    )


@pytest.mark.parametrize("kind", ["works_at", "reports_to"])
def test_the_same_source_answers_the_relation_that_is_there(world: World, kind) -> None:
    source = {"type": "demo", "ref": "first"}
    made = world.relate(kind, "Ada", "Harbour", source=source, starts_on="2020-01-01")
    again = world.send(kind, "Ada", "Harbour", source=source, starts_on="2022-01-01")
    assert (again.status_code, again.json()) == (200, made)


def test_nobody_works_at_a_company_twice_at_a_time(world: World) -> None:
    first = world.relate("works_at", "Ada", "Harbour", starts_on="2020-01-01", title="Engineer")
    answer = world.send("works_at", "Ada", "Harbour", starts_on="2024-01-01", title="Manager")
    assert wrong(answer) == {"starts_on": "the person works there since 2020-01-01: end that relation before"}
    assert world.send("works_at", "Ada", "Fernway", starts_on="2024-01-01").status_code == 201
    assert world.send("works_at", "Ben", "Harbour", starts_on="2024-01-01").status_code == 201
    assert world.patch(first, ends_on="2023-12-31").status_code == 200
    second = world.relate("works_at", "Ada", "Harbour", starts_on="2024-01-01", title="Manager")
    assert list(wrong(world.patch(second, starts_on="2023-12-31"))) == ["starts_on"]
    assert world.patch(second, title="Director").status_code == 200, "it is not beside itself"


@pytest.mark.parametrize("kind", ["reports_to", "referred_by"])
@pytest.mark.parametrize("length", [2, 3, 6])
def test_a_circle_of_any_length_is_refused_with_its_path(world: World, kind, length) -> None:
    people = [f"Person {number}" for number in range(length)]
    for one, other in itertools.pairwise(people):
        world.relate(kind, one, other)
    answer = world.send(kind, people[-1], people[0])
    path = " → ".join([people[-1], *people])
    assert wrong(answer)["other_talent_id"].startswith(f"closes a circle: {path};")
    assert len(world.listed()) == length - 1
    other_kind = {"reports_to": "referred_by", "referred_by": "reports_to"}[kind]
    assert world.send(other_kind, people[-1], people[0]).status_code == 201, "of another kind it closes none"


def test_a_change_may_not_close_a_circle_either(world: World) -> None:
    world.relate("reports_to", "Ada", "Ben")
    made = world.relate("reports_to", "Ben", "Cleo")
    assert list(wrong(world.patch(made, other_talent_id=world.ids["Ada"]))) == ["other_talent_id"]
    assert world.patch(made, note="since the reorganisation").status_code == 200


def test_two_may_lead_each_other_one_after_the_other_but_not_refer_each_other(world: World) -> None:
    world.relate("reports_to", "Ada", "Ben", starts_on="2018-01-01", ends_on="2020-12-31")
    assert world.send("reports_to", "Ben", "Ada", starts_on="2021-01-01").status_code == 201
    again = world.send("reports_to", "Ben", "Ada", starts_on="2020-06-01", ends_on="2020-12-30")
    assert "Ben → Ada → Ben" in wrong(again)["other_talent_id"]
    world.relate("referred_by", "Ada", "Ben", starts_on="2018-01-01", ends_on="2018-01-01")
    assert list(wrong(world.send("referred_by", "Ben", "Ada", starts_on="2022-01-01"))) == ["other_talent_id"]


def test_relations_go_with_the_person_the_job_and_the_company(world: World, rows) -> None:
    of_ada = [
        world.relate("works_at", "Ada", "Harbour"),
        world.relate("knows", "Ben", "Ada"),
        world.relate("applied_to", "Ada", "Analyst"),
    ]
    others = {
        "companies": world.relate("works_at", "Ben", "Harbour"),
        "jobs": world.relate("applied_to", "Ben", "Analyst"),
        "talents": world.relate("referred_by", "Ben", "Cleo"),
    }
    assert world.delete("talents", "Ada").status_code == 204
    assert [rows(item["id"]) for item in of_ada] == [(2, True)] * 3
    assert world.listed() == [item["id"] for item in others.values()]
    assert world.client.get(f"{API}/relations/{of_ada[0]['id']}", headers=world.auth).status_code == 404
    for kind, name in (("companies", "Harbour"), ("jobs", "Analyst"), ("talents", "Cleo")):
        assert rows(others[kind]["id"]) == (1, False)
        assert world.delete(kind, name).status_code == 204
        assert rows(others[kind]["id"]) == (2, True), kind
    assert world.listed() == []


def test_a_stale_deletion_hides_no_relation(world: World, rows) -> None:
    made = world.relate("knows", "Ada", "Ben")
    url = f"{API}/talents/{world.ids['Ada']}"
    assert world.client.delete(url, headers=world.auth | {"If-Match": '"9"'}).status_code == 412
    assert rows(made["id"]) == (1, False)


def test_a_company_with_jobs_that_are_not_closed_stays_and_closed_ones_keep_its_name(world: World) -> None:
    company = world.company("Harbour")
    jobs = {
        status: world.job(f"Job {status}", company_id=company, status=status)
        for status in ("open", "draft", "paused", "closed")
    }
    world.relate("works_at", "Ada", "Harbour")
    refused = world.delete("companies", "Harbour")
    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("3 jobs of this company are not closed: close or delete them")
    assert len(world.listed()) == 1, "a refused deletion hides nothing"
    world.delete("jobs", "Job paused")
    for status in ("open", "draft"):
        url = f"{API}/jobs/{jobs[status]}"
        if status == "draft":
            detail = world.delete("companies", "Harbour").json()["detail"]
            assert detail.startswith("1 job of this company is not closed")
        closed = world.client.patch(url, headers=world.auth | {"If-Match": "*"}, json={"status": "closed"})
        assert closed.status_code == 200
    assert world.delete("companies", "Harbour").status_code == 204
    assert world.listed() == []
    for status in ("open", "draft", "closed"):
        job = world.client.get(f"{API}/jobs/{jobs[status]}", headers=world.auth).json()
        assert (job["company_name"], job["company_id"], job["status"]) == ("Harbour", company, "closed")
        assert job["version"] == (2 if status == "closed" else 3)
    url = f"{API}/jobs/{jobs['open']}"
    opened = world.client.patch(url, headers=world.auth | {"If-Match": "*"}, json={"status": "open"})
    assert list(wrong(opened)) == ["company_id"]
    freed = world.client.patch(
        url, headers=world.auth | {"If-Match": "*"}, json={"status": "open", "company_id": None}
    )
    assert (freed.status_code, freed.json()["company_name"]) == (200, "Harbour")


def test_a_relation_has_a_quality_and_its_kind_has_rules(world: World) -> None:
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    made = world.relate(
        "works_at", "Ada", "Harbour", starts_on="2020-01-01", ends_on=yesterday, title="Clerk"
    )
    found = world.client.get(f"{API}/relations/{made['id']}/quality", headers=world.auth).json()
    assert (found["score"], [loss["rule"] for loss in found["losses"]]) == (70, ["relation.work.over"])
    rules = world.client.get(f"{API}/relations/rules", headers=world.auth).json()
    assert "relation.chain.circle" in {rule["id"] for rule in rules}
    poor = world.client.post(
        f"{API}/relations/assess",
        headers=world.auth,
        json={"kind": "knows", "talent_id": NOBODY, "other_talent_id": NOBODY},
    ).json()
    assert (poor["score"], poor["accepted"]) == (0, False)
