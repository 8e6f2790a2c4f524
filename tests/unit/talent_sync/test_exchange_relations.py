"""Many relations at once over HTTP: batches, imported files, exported ones; before a real database."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from looma_engines.talent_sync.exchange.columns import BESIDE, COLUMNS, TOLD

API = "/api/v1"
Json = dict[str, Any]


class World:
    """A tenant with people and a company, and what it sends about its relations."""

    def __init__(self, client: Any, auth: dict[str, str]) -> None:
        self.client, self.auth = client, auth
        self.ada, self.ben, self.cleo = (
            self.made("talents", full_name=name) for name in ("Ada", "Ben", "Cleo")
        )
        self.harbour = self.made("companies", name="=Harbour")

    def made(self, kind: str, /, **draft: Any) -> str:
        answer = self.client.post(f"{API}/{kind}", headers=self.auth, json=draft)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def batch(self, *items: Json) -> list[Json]:
        answer = self.client.post(f"{API}/relations/batch", headers=self.auth, json={"items": items})
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()["items"]
        return found

    def imported(self, data: bytes | str, name: str, **form: str) -> Json:
        body = data.encode() if isinstance(data, str) else data
        answer = self.client.post(
            f"{API}/relations/import", headers=self.auth, files={"file": (name, body)}, data=form
        )
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def exported(self, **params: str) -> Any:
        answer = self.client.get(f"{API}/relations/export", headers=self.auth, params=params)
        assert answer.status_code == 200, answer.text
        return answer

    def listed(self) -> list[Json]:
        answer = self.client.get(f"{API}/relations", headers=self.auth, params={"sort": "created_at"})
        found: list[Json] = answer.json()["items"]
        return found


@pytest.fixture
def world(client: Any, auth: dict[str, str]) -> World:
    return World(client, auth)


def leads(person: str, other: str, **more: Any) -> Json:
    return {"kind": "reports_to", "talent_id": person, "other_talent_id": other, **more}


def creates(draft: Json) -> Json:
    return {"action": "create", "draft": draft}


def test_each_relation_of_a_batch_has_its_own_result(world: World, other_tenant: dict[str, str]) -> None:
    work = {
        "kind": "works_at",
        "talent_id": world.ada,
        "company_id": world.harbour,
        "starts_on": "2020-01-01",
    }
    theirs = World(world.client, other_tenant)
    kept = world.made("relations", **work)
    items = world.batch(
        creates(leads(world.ada, world.ben)),
        creates(leads(world.ben, world.ada)),
        creates(leads(world.ben, world.cleo)),
        creates(work),
        creates({"kind": "works_at", "talent_id": world.ada}),
        creates(leads(world.ada, theirs.ada)),
        {"action": "update", "id": kept, "if_match": '"1"', "patch": {"title": "Engineer"}},
        {"action": "update", "id": kept, "if_match": '"1"', "patch": {"title": "Lead"}},
        {"action": "delete", "id": kept, "if_match": '"2"'},
    )
    assert [item["status"] for item in items] == [201, 422, 201, 409, 422, 422, 200, 412, 204]
    (circle,) = items[1]["problem"]["errors"]
    assert "Ben → Ada → Ben" in circle["message"]
    (stranger,) = items[5]["problem"]["errors"]
    assert stranger["field"] == "other_talent_id"
    # What was refused took back nothing but itself.
    assert [(one["talent_name"], one["other_talent_name"]) for one in world.listed()] == [
        ("Ada", "Ben"),
        ("Ben", "Cleo"),
    ]


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_what_was_exported_is_imported_unchanged(world: World, file_format: str) -> None:
    world.batch(
        creates(leads(world.ada, world.ben, note="+1")),
        creates(
            {
                "kind": "worked_at",
                "talent_id": world.ben,
                "company_id": world.harbour,
                "ends_on": "2021-02-03",
            }
        ),
    )
    before = world.listed()
    file = world.exported(format=file_format).content
    told = world.imported(file, f"again.{file_format}")
    assert told["counts"] == {"created": 0, "updated": 0, "unchanged": 2, "existing": 0, "refused": 0}
    assert world.listed() == before


def test_an_export_names_the_ends_as_its_list_does(world: World) -> None:
    world.batch(creates({"kind": "worked_at", "talent_id": world.ada, "company_id": world.harbour}))
    assert [json.loads(line) for line in world.exported(format="jsonl").text.splitlines()] == world.listed()
    text = world.exported().text.removeprefix("\ufeff")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert list(row) == [*BESIDE, *TOLD["relation"], *COLUMNS["relation"]]
    assert (row["talent_name"], row["company_name"], row["company_id"]) == ("Ada", "'=Harbour", world.harbour)
    assert world.exported(kind="knows", format="jsonl").text == ""


def test_rows_are_judged_like_relations_and_refused_alone(world: World) -> None:
    rows = [
        "kind,talent_id,other_talent_id,company_id,starts_on,talent_name",
        f"reports_to,{world.ada},{world.ben},,2020-01-01,Somebody Else",
        f"reports_to,{world.ben},{world.ada},,2020-01-01,",
        f"reports_to,{world.ada},{world.ben},,2020-01-01,",
        f"works_at,{world.ada},,,2020-01-01,",
        f"marries,{world.ada},{world.ben},,,",
        f",{world.ada},{world.ben},,,",
    ]
    trial = world.imported("\n".join(rows), "relations.csv", dry_run="true")
    assert world.listed() == []
    told = world.imported("\n".join(rows), "relations.csv")
    assert [row["status"] for row in told["rows"]] == ["created", *["refused"] * 5]
    assert [row["status"] for row in trial["rows"]] == [row["status"] for row in told["rows"]]
    fields = [{error["field"] for error in row["errors"]} for row in told["rows"][1:]]
    assert fields[0] == {"other_talent_id"}
    assert fields[3:] == [{"kind"}, {"kind"}]
    (made,) = world.listed()
    assert (made["talent_name"], made["starts_on"]) == ("Ada", "2020-01-01")
