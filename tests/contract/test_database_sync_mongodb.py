"""Runs whose source is MongoDB, over its own protocol; and the move from a store of documents, rehearsed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, ObjectId
from bson.decimal128 import Decimal128

from looma_core.api.syncjob import ExitCode
from looma_engines.talent_sync.syncing.back.to_mongodb import MongodbWriter
from looma_engines.talent_sync.syncing.back.writable import Creation, Written
from support.database import DatabaseUrls
from support.key_ring import KEYS
from support.mongo import Document, Mongo
from support.sync_checker import differences, expected
from support.sync_runs import Runs
from support.two_way import back, changed_here, made_here, outbox

pytestmark = pytest.mark.database
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIELDS = {
    "full_name": "name",
    "email": "contact.email",
    "headline": "title",
    "location": "address.city",
    "skills": "tags[*].label",
    "experience[].company": "posts[*].employer",
    "experience[].title": "posts[*].role",
}


def document(number: int, **changes: Any) -> Document:
    """A person as the older store has one."""
    return {
        "_id": ObjectId(f"{number:024x}"),
        "name": f"Ada Number {number}",
        "contact": {"email": f"ada.{number}@mail.example"},
        "title": "Engineer",
        "address": {"city": "Leeds"},
        "tags": [{"label": "Python", "since": Int64(7)}, {"label": "SQL"}],
        "posts": [{"employer": "Analytical", "role": "Engineer"}],
        "worth": Decimal128("1.5"),
        "deleted": False,
        "changedAt": NOON - timedelta(days=30) + timedelta(minutes=number),
        **changes,
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Mongo]:
    mongo = Mongo()
    mongo.start()
    yield mongo
    mongo.kill()


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path, server: Mongo) -> Runs:
    source = {
        "type": "mongodb",
        "url": server.url,
        "collection": "people",
        "filter": '{"deleted": false}',
        "key": "_id",
        "updatedAt": "changedAt",
        "fields": FIELDS,
    }
    return Runs(database_urls, tenant, tmp_path, source=source)


def faults(runs: Runs) -> dict[str, list[str]]:
    rows = runs.rows("SELECT key, errors FROM talent_sync.quarantine WHERE state = 'open'")
    return {row["key"]: [f"{error['field']}: {error['message']}" for error in row["errors"]] for row in rows}


def key(number: int) -> str:
    return f"{number:024x}"


def test_documents_become_records(runs: Runs, server: Mongo) -> None:
    server.write([*(document(number) for number in range(1, 11)), document(11, deleted=True)])
    report = runs.one()
    assert (report.created, report.read, report.total, report.verified) == (10, 10, 10, 10)
    found = runs.talents()[key(3)]
    assert (found["full_name"], found["email"], found["location"]) == (
        "Ada Number 3",
        "ada.3@mail.example",
        "Leeds",
    )
    assert found["skills"] == ["Python", "SQL"]
    assert (found["experience"][0]["company"], found["experience"][0]["title"]) == ("Analytical", "Engineer")
    assert (runs.one().unchanged, runs.codes) == (10, [0])


def test_ids_of_all_types_are_read_and_go_on_after_each(runs: Runs, server: Mongo) -> None:
    """A worker takes over after every record: nothing that comes in another type is left out."""
    ids = [7, 2.5, "p-1", "p-2", ObjectId(key(1)), True, NOON]
    server.write(
        [document(1, _id=one, contact={"email": f"ada.{at}@mail.example"}) for at, one in enumerate(ids)]
    )
    given = runs.inputs(epoch=1)
    source = runs.worker(given)._opened(given)
    whole = list(source.rows(after="", since=None))
    assert len(whole) == len(ids)
    for at, row in enumerate(whole):
        rest = list(source.rows(after=row.after, since=None))
        assert [one.raw for one in rest] == [one.raw for one in whole[at + 1 :]], row.key
        assert [one.position for one in rest] == [one.position for one in whole[at + 1 :]]
    source.source.close()


def test_an_incremental_run_reads_what_changed_and_what_has_no_time(runs: Runs, server: Mongo) -> None:
    runs.source = {**runs.source, "incremental": {"overlap": "5m"}}
    runs.target = {"onMissing": "delete"}
    people = [document(number) for number in range(1, 31)]
    timeless = document(40)
    del timeless["changedAt"]
    server.write([*people, timeless])
    assert runs.one().read == 31
    later = NOON - timedelta(days=1)
    server.change({"_id": people[2]["_id"]}, {"$set": {"title": "Lead", "changedAt": later}})
    server.remove({"_id": people[9]["_id"]})
    report = runs.one()
    # The overlap of five minutes holds the last six of those that did not change.
    assert (report.read, report.updated, report.deleted) == (8, 1, 0)
    assert runs.talents()[key(3)]["headline"] == "Lead"
    runs.source = {**runs.source, "incremental": {"overlap": "5m", "full": "now"}}
    assert (runs.one().deleted, len(runs.talents())) == (1, 30)


def test_documents_that_have_changed_their_form_wait_and_the_rest_lands(runs: Runs, server: Mongo) -> None:
    server.write([document(number) for number in range(1, 5)])
    runs.one()
    server.change({"_id": ObjectId(key(1))}, {"$set": {"contact": "ada.1@mail.example"}})
    server.change({"_id": ObjectId(key(2))}, {"$set": {"tags": "Python, SQL"}})
    server.change({"_id": ObjectId(key(3))}, {"$unset": {"name": ""}})
    server.change({"_id": ObjectId(key(4))}, {"$set": {"title": "Lead"}})
    report = runs.one()
    assert (report.quarantined, report.updated, report.verified) == (3, 1, 4)
    found = faults(runs)
    assert "the source has no object where contact.email goes on" in found[key(1)][0]
    assert "the source has no list where tags[*].label goes on" in found[key(2)][0]
    assert found[key(3)][0].startswith("full_name:")
    assert runs.talents()[key(1)]["email"] == "ada.1@mail.example", "what is stored stays"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filter": "{"}, "spec.source.filter: write a query document"),
        ({"url": "mongodb://ada:secret@old.example/crm"}, "write it without name and password"),
        ({"url": "mongodb://127.0.0.1:1/"}, "write mongodb://HOST:PORT/DATABASE"),
    ],
)
def test_what_no_try_would_mend_is_bad_input(runs: Runs, change: dict[str, Any], words: str) -> None:
    runs.source = {**runs.source, **change}
    (report,) = runs.run()
    assert (runs.codes, report.state) == ([ExitCode.BAD_INPUT], "Failed")
    assert words in report.message
    assert "secret" not in report.message


def told(mongo: Mongo, folder: Path) -> Path:
    """What the store has, as the independent checker reads it; by this test's own idea of the map."""
    path = folder / "asked-for.jsonl"
    lines = []
    for one in mongo.documents():
        if one["deleted"]:
            continue
        row = {
            "id": str(one["_id"]),
            "full_name": one["name"],
            "email": one["contact"]["email"],
            "headline": one["title"],
            "location": one["address"]["city"],
            "skills": [tag["label"] for tag in one["tags"]],
        }
        lines.append(json.dumps({**row, "_bad": True} if not one["name"] else row))
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_a_store_of_documents_is_moved_over_while_it_is_worked_in(
    runs: Runs, server: Mongo, tmp_path: Path
) -> None:
    """docs/moving.md, step by step: all of it, what changed until the switch, the proof, and the way back."""
    rng = random.Random(20260501)  # noqa: S311 - no secret
    now = [NOON]

    def changed(number: int, **more: Any) -> Document:
        now[0] += timedelta(seconds=rng.randrange(1, 90))
        return {"title": rng.choice(["Analyst", "Engineer", "数据分析师"]), "changedAt": now[0], **more}

    runs.source = {**runs.source, "incremental": {"overlap": "10m"}}
    runs.target = {"onMissing": "delete", "conflictPolicy": {"default": "source"}}
    number = 200
    server.write(
        [document(one, name="" if one % 50 == 0 else f"Ada Number {one}") for one in range(1, number + 1)]
    )

    # 1. All of it, in two shards.
    reports = runs.run(shards=2, batch=20)
    assert sum(report.read for report in reports) == number
    assert differences(runs.urls.app_libpq, runs.tenant, expected(told(server, tmp_path)), KEYS) == []

    # 2. People go on working in the older store; what changed follows.
    for _ in range(3):
        for one in rng.sample(range(1, number + 1), 15):
            server.change({"_id": ObjectId(key(one))}, {"$set": changed(one)})
        number += 1
        server.write([*server.documents(), document(number, **changed(number))])
        reports = runs.run(shards=2, batch=20)
        assert runs.codes == [0, 0]
        assert sum(report.read for report in reports) < 120
    server.change({"_id": ObjectId(key(50))}, {"$set": changed(50, name="Ada Fifty")})
    server.remove({"_id": ObjectId(key(60))})

    # 3. Nobody writes there any more: the last one is a full run, and the proof is of all.
    runs.source = {**runs.source, "incremental": {"overlap": "10m", "full": "the switch"}}
    reports = runs.run(shards=2, batch=20)
    assert sum(report.deleted for report in reports) == 1
    assert sum(report.verified or 0 for report in reports) == sum(report.read for report in reports)
    assert differences(runs.urls.app_libpq, runs.tenant, expected(told(server, tmp_path)), KEYS) == []

    # 4. The way back: people work here now, and the older store has what they did when it is asked for.
    for one in rng.sample(range(100, 160), 25):
        if one % 50 == 0:
            continue
        title = rng.choice(["Ours", "Head", "首席工程师"])
        changed_here(runs, key(one), headline=title, email=f"back.{one}@mail.example", skills=["SQL", "Go"])
    changed_here(runs, key(101), location="York", full_name="Ada Back")
    before = {one["_id"]: one for one in server.documents()}
    assert differences(runs.urls.app_libpq, runs.tenant, expected(told(server, tmp_path)), KEYS) != []
    runs.target = {**runs.target, "direction": "twoWay"}
    reports = runs.run(shards=2, batch=20)
    assert runs.codes == [0, 0]
    written = sum(report.written_back or 0 for report in reports)
    assert written >= 20
    assert differences(runs.urls.app_libpq, runs.tenant, expected(told(server, tmp_path)), KEYS) == []
    after = {one["_id"]: one for one in server.documents()}
    assert sum(before[one] != after[one] for one in before) == written, "and no other document was touched"
    assert (after[ObjectId(key(101))]["name"], after[ObjectId(key(101))]["worth"]) == (
        "Ada Back",
        Decimal128("1.5"),
    )
    # 5. People work in the older store again: it is followed as before, and nothing is written twice.
    server.change({"_id": ObjectId(key(102))}, {"$set": changed(102)})
    reports = runs.run(shards=2, batch=20)
    assert sum(report.written_back or 0 for report in reports) == 0
    assert sum(report.conflicts for report in reports) == 0
    assert differences(runs.urls.app_libpq, runs.tenant, expected(told(server, tmp_path)), KEYS) == []


def test_what_was_changed_here_is_written_into_the_document(runs: Runs, server: Mongo) -> None:
    runs.target = {"direction": "twoWay"}
    server.write([document(number) for number in range(1, 5)])
    runs.one()
    changed_here(runs, key(2), headline="Lead", skills=["SQL", "Python", "Go"], email="new@mail.example")
    assert back(runs.one()) == (1, 0, 0)
    (found,) = [one for one in server.documents() if one["_id"] == ObjectId(key(2))]
    assert (found["title"], found["contact"]) == ("Lead", {"email": "new@mail.example"})
    assert found["tags"] == [{"label": "SQL"}, {"label": "Python", "since": Int64(7)}, {"label": "Go"}]
    assert isinstance(found["tags"][1]["since"], Int64), "what nobody here knows of stays what it was"
    assert (found["worth"], found["deleted"]) == (Decimal128("1.5"), False)
    assert found["changedAt"].year > 2025
    assert found["changedAt"] != document(2)["changedAt"].replace(tzinfo=None)
    again = runs.one()
    assert (again.unchanged, again.verified, back(again)) == (4, 4, (0, 0, 0))


def test_a_document_that_changes_between_reading_and_writing_is_not_written_over(
    runs: Runs, server: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before the question of what it is now, nor between that and the write."""
    runs.target = {"direction": "twoWay"}
    server.write([document(1), document(2)])
    runs.one()
    for one in (1, 2):
        changed_here(runs, key(one), headline=f"Lead {one}")
    times = {"write": "Hull", "_written": "York"}
    for name, city in times.items():
        monkeypatch.setattr(MongodbWriter, name, late(server, getattr(MongodbWriter, name), city))
    report = runs.one()
    assert back(report) == (2, 0, 2)
    for one, (title, city) in zip(
        sorted(server.documents(), key=lambda found: str(found["_id"])),
        (("Lead 1", "Hull"), ("Lead 2", "York")),
        strict=True,
    ):
        assert (one["title"], one["address"]["city"]) == (title, city)
        assert runs.talents()[str(one["_id"])]["location"] == city


def test_a_record_that_was_made_here_is_a_document_like_the_others(runs: Runs, server: Mongo) -> None:
    runs.target = {"direction": "twoWay", "writeBack": {"creations": True}}
    server.write([document(1), document(2)])
    runs.one()
    made_here(runs, "Grace Hopper", headline="Admiral", location="Leeds", skills=["COBOL"])
    assert back(runs.one()) == (1, 0, 0)
    (found,) = [one for one in server.documents() if one["name"] == "Grace Hopper"]
    assert isinstance(found["_id"], ObjectId)
    assert (found["title"], found["address"], found["tags"]) == (
        "Admiral",
        {"city": "Leeds"},
        [{"label": "COBOL"}],
    )
    assert found["deleted"] is False, "as the filter asks, so that it is found"
    assert isinstance(found["changedAt"], datetime)
    again = runs.one()
    assert (again.created, again.unchanged, again.verified, back(again)) == (0, 3, 3, (0, 0, 0))


def test_a_worker_that_dies_before_it_notes_a_document_makes_no_second_one(
    runs: Runs, server: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.target = {"direction": "twoWay", "writeBack": {"creations": True}}
    server.write([])
    runs.one()
    made_here(runs, "Grace Hopper")
    create = MongodbWriter.create

    def dies(self: MongodbWriter, creation: Creation) -> Written:
        create(self, creation)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MongodbWriter, "create", dies)
        with pytest.raises(KeyboardInterrupt):
            runs.one()
    assert (len(server.documents()), [row["state"] for row in outbox(runs)]) == (1, ["intended"])
    report = runs.one()
    assert (report.created, len(server.documents()), len(runs.rows("SELECT 1 FROM talent_sync.talents"))) == (
        0,
        1,
        1,
    )
    assert [(row["state"], row["reason"]) for row in outbox(runs)] == [("written", "found at the source")]


@pytest.mark.parametrize("write_back", [{"deletions": "delete"}, {"deletions": "mark", "mark": "deleted"}])
def test_a_record_that_was_deleted_here_is_deleted_or_marked_there(
    runs: Runs, server: Mongo, write_back: dict[str, str]
) -> None:
    runs.target = {"direction": "twoWay", "writeBack": write_back}
    server.write([document(1), document(2)])
    runs.one()
    runs.change(
        "UPDATE talent_sync.talents SET deleted_at = now(), version = version + 1 WHERE source_ref = %(ref)s",
        ref=f"people:{key(2)}",
    )
    assert back(runs.one()) == (1, 0, 0)
    there = {str(one["_id"]): one["deleted"] for one in server.documents()}
    marked = {key(2): True} if "mark" in write_back else {}
    assert there == {key(1): False, **marked}
    again = runs.one()
    assert (again.unchanged, back(again), len(outbox(runs))) == (1, (0, 0, 0), 1)


def late(server: Mongo, method: Any, city: str) -> Any:
    """The method, before whose first call for its document somebody else changes that."""
    which = {"Hull": 1, "York": 2}[city]
    done: list[bool] = []

    def changes_first(self: MongodbWriter, *arguments: Any) -> Any:
        change = arguments[-1]
        if not done and change.key == key(which):
            done.append(True)
            server.change({"_id": ObjectId(key(which))}, {"$set": {"address.city": city}})
        return method(self, *arguments)

    return changes_first
