"""People who are there twice, over HTTP before a real database: found, dismissed, merged, taken apart."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from support.sync_runs import Runs, person

if TYPE_CHECKING:
    from pathlib import Path

    from litestar.testing import TestClient

    from support.database import DatabaseUrls

pytestmark = pytest.mark.database
API = "/api/v1"
NOBODY = str(uuid.UUID(int=7))
Json = dict[str, Any]


class World:
    """People of one tenant, and what is done with them."""

    def __init__(self, client: TestClient[Any], auth: dict[str, str]) -> None:
        self.client, self.auth = client, auth

    def post(self, path: str, body: Any = None, *, expects: int = 200) -> Json:
        answer = self.client.post(f"{API}/{path}", headers=self.auth, json=body)
        assert answer.status_code == expects, answer.text
        told: Json = answer.json()
        return told

    def get(self, path: str, *, expects: int = 200, **params: Any) -> Json:
        answer = self.client.get(f"{API}/{path}", headers=self.auth, params=params)
        assert answer.status_code == expects, answer.text
        told: Json = answer.json()
        return told

    def person(self, name: str = "Ada Lovelace", **more: Any) -> Json:
        return self.post("talents", {"full_name": name, **more}, expects=201)

    def patch(self, record: Json, **changes: Any) -> Json:
        url, tag = f"{API}/talents/{record['id']}", {"If-Match": "*"}
        answer = self.client.patch(url, headers=self.auth | tag, json=changes)
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told

    def two(self, **other: Any) -> tuple[Json, Json, Json]:
        """Two records of one person, and their pair."""
        one = self.person(email="ada@mail.example", phone="+86 139 1111 2222", skills=["Python"])
        two = self.person(email="ada@mail.example", skills=["python", "SQL"], **other)
        (pair,) = self.look(two)
        return one, two, pair

    def look(self, record: Json) -> list[Json]:
        found: list[Json] = self.post("duplicates/look", {"talent_id": record["id"]})["items"]
        return found

    def merge(self, pair: Json, keep: Json, other: Json, *, expects: int = 200, **fields: str) -> Json:
        body = {
            "keep": keep["id"],
            "keep_version": keep["version"],
            "other_version": other["version"],
            "fields": fields,
        }
        return self.post(f"duplicates/{pair['id']}/merge", body, expects=expects)

    def undo(self, merge: Json, *, expects: int = 200, **more: Any) -> Json:
        return self.post(f"merges/{merge['id']}/undo", more, expects=expects)

    def talent(self, record: Json, *, expects: int = 200) -> Json:
        return self.get(f"talents/{record['id']}", expects=expects)


@pytest.fixture
def world(client: TestClient[Any], auth: dict[str, str]) -> World:
    # Whoever is looked for must have been seen before: the first one's keys are made by a look too.
    return World(client, auth)


@pytest.fixture
def two(world: World) -> tuple[Json, Json, Json]:
    one = world.person(
        email="ada@mail.example", phone="+86 139 1111 2222", skills=["Python"], headline="Analyst"
    )
    assert world.look(one) == []
    other = world.person(
        email="ADA@mail.example", skills=["python", "SQL"], location="London", summary="Engines."
    )
    (pair,) = world.look(other)
    return one, other, pair


def without_times(record: Json) -> Json:
    return {name: value for name, value in record.items() if name not in ("version", "updated_at")}


def test_a_pair_is_found_with_its_reasons(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    assert (pair["verdict"], pair["status"]) == ("certain", "open")
    assert [person["id"] for person in pair["people"]] == [one["id"], other["id"]]
    assert pair["people"][1] == {
        "id": other["id"],
        "full_name": "Ada Lovelace",
        "headline": None,
        "location": "London",
    }
    told = world.get(f"duplicates/{pair['id']}")
    assert told["records"] == [one, other]
    assert [(reason["field"], reason["outcome"]) for reason in told["reasons"]] == [
        ("email", "same"),
        ("full_name", "same"),
    ]
    assert told["reasons"][0]["says"] == "The address of mail is the same."
    assert world.look(one) == [pair]
    assert world.get("duplicates", verdict="certain", status="open")["items"] == [pair]
    assert world.get("duplicates", talent_id=NOBODY)["items"] == []
    assert world.get("duplicates", verdict="unlikely")["items"] == []


def test_pages_follow_one_another(world: World) -> None:
    for _ in range(3):
        world.look(world.person(email="same@mail.example"))
    found, cursor = [], None
    while True:
        page = world.get("duplicates", limit=2, **({"cursor": cursor} if cursor else {}))
        found += [item["id"] for item in page["items"]]
        cursor = page.get("next_cursor")
        if not cursor:
            break
    assert len(set(found)) == len(found) == 3
    world.get("duplicates", cursor="nonsense", expects=422)


def test_a_couple_with_one_number_is_not_certain(world: World) -> None:
    world.look(world.person("Jane Miller", phone="+86 139 1111 2222", location="Leeds"))
    assert world.look(world.person("Peter Miller", phone="+86 139 1111 2222", location="Leeds")) == []


def test_what_too_many_have_in_common_is_left_out_and_counted(world: World, client: TestClient[Any]) -> None:
    def skipped() -> float:
        lines = client.get("/metrics").text.splitlines()
        name = 'looma_duplicates_blocks_skipped_total{kind="phone"'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = skipped()
    for number in range(51):
        letters = "".join(chr(97 + int(digit)) for digit in f"{number:03}")
        found = world.look(world.person(f"Q{letters} Z{letters[::-1]}", phone="+86 139 1111 2222"))
        assert found == []
    assert skipped() == before + 1


def test_who_was_merged_comes_back_by_undoing_it_alone(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    world.merge(pair, one, other)
    url, tag = f"{API}/talents/{other['id']}/restore", {"If-Match": "*"}
    answer = world.client.post(url, headers=world.auth | tag)
    assert answer.status_code == 409
    assert f"merged into {one['id']}" in answer.json()["detail"]


def test_two_people_stay_two_until_one_changes_in_what_is_compared(
    world: World, two: tuple[Json, Json, Json]
) -> None:
    one, other, pair = two
    told = world.post(f"duplicates/{pair['id']}/dismiss")
    assert (told["status"], told["settled_by"]) == ("dismissed", "ada")
    world.post(f"duplicates/{pair['id']}/dismiss", expects=409)
    world.patch(one, headline="Something that is not compared")
    assert [item["status"] for item in world.look(one)] == ["dismissed"]
    world.patch(other, phone="+86 139 1111 2222")
    (again,) = world.look(other)
    assert (again["id"], again["status"], again["settled_by"]) == (pair["id"], "open", None)


def test_a_pair_that_is_no_more_alike_says_so(world: World, two: tuple[Json, Json, Json]) -> None:
    _, other, pair = two
    world.patch(other, full_name="Grace Hopper", email="grace@mail.example")
    assert [(item["id"], item["verdict"]) for item in world.look(other)] == [(pair["id"], "unlikely")]


def test_a_deleted_person_has_no_open_pair(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    answer = world.client.delete(f"{API}/talents/{one['id']}", headers=world.auth | {"If-Match": "*"})
    assert answer.status_code == 204
    assert world.get("duplicates")["items"] == []
    assert world.get(f"duplicates/{pair['id']}")["reasons"] == []
    world.post(f"duplicates/{pair['id']}/dismiss", expects=409)
    world.merge(pair, other, one, expects=409)
    assert world.look(other) == []
    world.post("duplicates/look", {"talent_id": one["id"]}, expects=422)


def test_a_merge_takes_what_was_chosen_and_tells_who_stayed(
    world: World, two: tuple[Json, Json, Json]
) -> None:
    one, other, pair = two
    merge = world.merge(pair, one, other, email="keep", headline="other", skills="both")
    assert merge["kept"] == one["id"]
    assert merge["changed"] == ["location", "headline", "summary", "skills"]
    assert world.get(f"merges/{merge['id']}") == merge
    kept = world.talent(one)
    assert (kept["headline"], kept["location"], kept["skills"]) == (None, "London", ["Python", "SQL"])
    assert kept["version"] == 2
    gone = world.talent(other, expects=410)
    assert gone["type"] == "urn:looma:problem:merged"
    assert one["id"] in gone["detail"]
    settled = world.get(f"duplicates/{pair['id']}")
    assert (settled["status"], settled["merge_id"]) == ("merged", merge["id"])
    assert settled["people"][1]["full_name"] is None
    for record, action in ((one, "update"), (other, "delete")):
        history = world.get(f"talents/{record['id']}/history")["items"]
        assert (history[0]["action"], history[0]["origin"], history[0]["actor"]) == (
            action,
            "merge",
            "ada",
        )
        assert history[-1]["action"] == "create"
    world.merge(pair, one, other, expects=409)


def test_a_merge_is_undone(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    merge = world.merge(pair, other, one)
    undone = world.undo(merge)
    assert undone["undone_by"] == "ada"
    for record in (one, other):
        assert without_times(world.talent(record)) == without_times(record)
    assert world.get(f"duplicates/{pair['id']}")["status"] == "open"
    assert world.get(f"talents/{one['id']}/history")["items"][0]["action"] == "restore"
    world.undo(merge, expects=409)
    again = world.merge(pair, world.talent(one), world.talent(other))
    assert again["id"] != merge["id"]


def test_what_was_changed_since_is_not_lost_unasked(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    merge = world.merge(pair, one, other)
    world.patch(one, location="Leeds", phone="+86 139 3333 4444")
    refused = world.undo(merge, expects=409)
    # The number was not the merge's: it stays as it is.
    assert [error["field"] for error in refused["errors"]] == ["location"]
    world.undo(merge, force=True)
    now = world.talent(one)
    assert (now["location"], now["phone"], now["summary"]) == (None, "+86 139 3333 4444", None)


def test_a_merge_is_refused_where_it_does_not_fit(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    wrong = world.merge(pair, one, other, expects=422, email="both")
    assert [error["field"] for error in wrong["errors"]] == ["fields.email"]
    stranger = world.merge(pair, {"id": NOBODY, "version": 1}, other, expects=422)
    assert [error["field"] for error in stranger["errors"]] == ["keep"]
    world.patch(other, headline="Changed meanwhile")
    stale = world.merge(pair, one, other, expects=412)
    assert [error["field"] for error in stale["errors"]] == ["other_version"]
    assert world.talent(other)["version"] == 2
    for path in (f"duplicates/{NOBODY}", f"merges/{NOBODY}"):
        world.get(path, expects=404)
    world.post(f"merges/{NOBODY}/undo", {}, expects=404)


def test_another_tenant_sees_and_merges_nothing(
    world: World, two: tuple[Json, Json, Json], client: TestClient[Any], other_tenant: dict[str, str]
) -> None:
    one, other, pair = two
    stranger = World(client, other_tenant)
    assert stranger.get("duplicates")["items"] == []
    stranger.get(f"duplicates/{pair['id']}", expects=404)
    stranger.merge(pair, one, other, expects=404)
    stranger.post(f"duplicates/{pair['id']}/dismiss", expects=404)
    mine = stranger.person("Ada Lovelace", email="ada@mail.example")
    assert stranger.look(mine) == []
    merge = world.merge(pair, one, other)
    stranger.get(f"merges/{merge['id']}", expects=404)
    stranger.undo(merge, expects=404)


def test_of_two_merges_at_once_one_wins(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two

    def go(keep: Json, gone: Json) -> int:
        body = {"keep": keep["id"], "keep_version": 1, "other_version": gone["version"]}
        url = f"{API}/duplicates/{pair['id']}/merge"
        return world.client.post(url, headers=world.auth, json=body).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(lambda turn: go(*((one, other)[:: 1 if turn % 2 else -1])), range(4)))
    assert codes == [200, 409, 409, 409]
    there = [
        world.client.get(f"{API}/talents/{record['id']}", headers=world.auth).status_code
        for record in (one, other)
    ]
    assert sorted(there) == [200, 410]


def test_a_chain_of_merges_leads_to_who_is_left(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    third = world.person(email="ada@mail.example")
    assert len(world.look(third)) == 2
    first = world.merge(pair, other, one)
    (rest,) = world.get("duplicates", status="open")["items"]
    assert {person["id"] for person in rest["people"]} == {other["id"], third["id"]}
    world.merge(rest, third, world.talent(other))
    assert third["id"] in world.talent(one, expects=410)["detail"]
    world.undo(first, expects=409)


def test_relations_go_along_and_back(world: World, two: tuple[Json, Json, Json]) -> None:
    one, other, pair = two
    company = world.post("companies", {"name": "Harbour"}, expects=201)
    boss = world.person("Charles Babbage")

    def relate(kind: str, person: Json, **end: Any) -> Json:
        return world.post("relations", {"kind": kind, "talent_id": person["id"], **end}, expects=201)

    mine = relate("works_at", one, company_id=company["id"], starts_on="2020-01-01")
    doubled = relate("works_at", other, company_id=company["id"], starts_on="2020-01-01")
    moved = relate("reports_to", other, other_talent_id=boss["id"])
    turned = relate("knows", boss, other_talent_id=other["id"])
    own = relate("knows", one, other_talent_id=other["id"])
    circle = relate("referred_by", boss, other_talent_id=one["id"])
    refused = relate("referred_by", other, other_talent_id=boss["id"])
    merge = world.merge(pair, one, other)
    assert {item["id"]: item["fate"] for item in merge["relations"]} == {
        doubled["id"]: "doubled",
        moved["id"]: "moved",
        turned["id"]: "moved",
        own["id"]: "own",
        refused["id"]: "refused",
    }
    now = {item["id"]: item for item in world.get("relations")["items"]}
    assert set(now) == {mine["id"], moved["id"], turned["id"], circle["id"]}
    assert now[moved["id"]]["talent_id"] == now[turned["id"]]["other_talent_id"] == one["id"]
    world.undo(merge)
    before = (mine, doubled, moved, turned, own, circle, refused)
    back = {item["id"]: without_times(item) for item in world.get("relations")["items"]}
    assert back == {item["id"]: without_times(item) for item in before}


def test_what_is_sent_again_from_the_source_of_who_went_makes_no_second(world: World) -> None:
    source = {"type": "resume", "ref": "row-7"}
    one = world.person(email="ada@mail.example")
    world.look(one)
    other = world.person(email="ada@mail.example", source=source)
    (pair,) = world.look(other)
    merge = world.merge(pair, one, other)
    again = world.post("talents", {"full_name": "Ada Lovelace", "source": source})
    assert again["id"] == one["id"]
    world.undo(merge)
    assert world.post("talents", {"full_name": "Ada Lovelace", "source": source})["id"] == other["id"]


def test_the_next_run_updates_who_stayed(
    world: World, database_urls: DatabaseUrls, tenant: str, tmp_path: Path
) -> None:
    runs = Runs(database_urls, tenant, tmp_path)
    runs.one([person(1, email="ada@mail.example", full_name="Ada Lovelace"), person(2)])
    (synced,) = (item for item in world.get("talents")["items"] if item["full_name"] == "Ada Lovelace")
    world.look(synced)
    kept = world.person(email="ada@mail.example")
    (pair,) = world.look(kept)
    merge = world.merge(pair, kept, synced)
    same = runs.one()
    assert (same.unchanged, same.created, same.verified) == (2, 0, 2)
    report = runs.one(
        [person(1, email="ada@mail.example", full_name="Ada Lovelace", headline="Countess"), person(2)]
    )
    assert (report.updated, report.created, report.verified) == (1, 0, 2)
    assert world.talent(kept)["headline"] == "Countess"
    assert len(world.get("talents")["items"]) == 2
    world.patch(kept, headline=None)
    world.undo(merge, force=True)
    assert world.talent(synced)["headline"] is None
    # What the source gave while they were one goes to whom it belongs.
    assert runs.one().updated == 1
    assert world.talent(synced)["headline"] == "Countess"


def test_a_source_that_has_the_other_no_more_takes_nobody_away_who_is_elsewhere(
    world: World, database_urls: DatabaseUrls, tenant: str, tmp_path: Path
) -> None:
    runs = Runs(database_urls, tenant, tmp_path, target={"onMissing": "delete"})
    same = {"email": "ada@mail.example", "full_name": "Ada Lovelace"}
    runs.one([person(1, **same), person(2, **same), person(3)])
    one, two = sorted(
        (item for item in world.get("talents")["items"] if item["full_name"] == "Ada Lovelace"),
        key=lambda item: item["id"],
    )
    world.look(one)
    (pair,) = world.look(two)
    world.merge(pair, one, two)
    runs.one([person(1, **same), person(3)])
    assert world.talent(one)["id"] == one["id"]
    runs.one([person(3)])
    world.talent(one, expects=404)


def test_two_rows_of_one_record_are_both_heard_in_one_batch(
    world: World, database_urls: DatabaseUrls, tenant: str, tmp_path: Path
) -> None:
    runs = Runs(database_urls, tenant, tmp_path)
    same = {"email": "ada@mail.example", "full_name": "Ada Lovelace"}
    runs.one([person(1, **same), person(2, **same)])
    one, two = world.get("talents", sort="created_at")["items"]
    world.look(one)
    (pair,) = world.look(two)
    world.merge(pair, one, two)
    report = runs.one(
        [person(1, **same, headline="Countess"), person(2, **same, location="London")], batch=10
    )
    assert (report.updated, report.verified) == (2, 2)
    now = world.talent(one)
    assert (now["headline"], now["location"]) == ("Countess", "London")
    assert runs.one().unchanged == 2
