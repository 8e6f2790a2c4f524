"""Stages and applications over HTTP, before a real database."""

from __future__ import annotations

import itertools
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient

from support.database import DatabaseUrls
from support.tokens import bearer

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
Json = dict[str, Any]
API = "/api/v1"
KEYS = ["applied", "screening", "interview", "offer", "hired", "rejected", "withdrawn"]


def made(client: Client, auth: Auth, records: str, **draft: Any) -> str:
    answer = client.post(f"{API}/{records}", json=draft, headers=auth)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def person(client: Client, auth: Auth, name: str = "Ada Byron") -> str:
    return made(client, auth, "talents", full_name=name)


def job(client: Client, auth: Auth, title: str = "Clerk") -> str:
    return made(client, auth, "jobs", title=title)


def apply(client: Client, auth: Auth, talent: str, to: str, **more: Any) -> Json:
    answer = client.post(
        f"{API}/applications", json={"talent_id": talent, "job_id": to, **more}, headers=auth
    )
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    assert answer.headers["etag"] == f'"{found["version"]}"'
    assert answer.headers["location"] == f"{API}/applications/{found['id']}"
    return found


def move(client: Client, auth: Auth, application: Json, **asked: Any) -> Any:
    headers = {**auth, "If-Match": f'"{application["version"]}"'}
    return client.post(f"{API}/applications/{application['id']}/moves", json=asked, headers=headers)


def moved(client: Client, auth: Auth, application: Json, **asked: Any) -> Json:
    answer = move(client, auth, application, **asked)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def fields(answer: Any) -> list[str]:
    return [error["field"] for error in answer.json()["errors"]]


def listed(client: Client, auth: Auth, **params: Any) -> list[str]:
    answer = client.get(f"{API}/applications", params=params, headers=auth)
    assert answer.status_code == 200, answer.text
    count = client.get(
        f"{API}/applications/count",
        params={name: value for name, value in params.items() if name != "sort"},
        headers=auth,
    )
    items = [item["id"] for item in answer.json()["items"]]
    assert count.json() == {"count": len(items), "exact": True}
    return items


def stages(client: Client, auth: Auth) -> dict[str, Json]:
    answer = client.get(f"{API}/stages", headers=auth)
    assert answer.status_code == 200, answer.text
    return {stage["key"]: stage for stage in answer.json()["items"]}


def history(client: Client, auth: Auth, application: Json) -> list[Json]:
    items: list[Json] = []
    params = {"limit": 2}
    while True:
        page = client.get(f"{API}/applications/{application['id']}/moves", params=params, headers=auth).json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        params = {"limit": 2, "cursor": page["next_cursor"]}


def test_a_tenant_has_the_usual_stages_from_its_first_look_on(
    client: Client, auth: Auth, other_tenant: Auth
) -> None:
    first = stages(client, auth)
    assert list(first) == KEYS
    assert [stage["place"] for stage in first.values()] == list(range(7))
    assert first["screening"]["name_zh"] == "初筛"
    assert stages(client, auth) == first
    assert not {stage["id"] for stage in stages(client, other_tenant).values()} & {
        stage["id"] for stage in first.values()
    }


def test_two_who_look_first_at_once_make_the_stages_once(client: Client, auth: Auth) -> None:
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(list(stages(client, auth)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [KEYS] * 4


def test_stages_are_added_ordered_renamed(client: Client, auth: Auth) -> None:
    draft = {"key": "phone_call", "name_zh": "电话", "name_en": " Phone "}
    answer = client.post(f"{API}/stages", json=draft, headers=auth)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name_en"], answer.json()["kind"]) == ("Phone", "open")
    assert list(stages(client, auth)) == [*KEYS[:4], "phone_call", *KEYS[4:]]
    assert client.post(f"{API}/stages", json=draft, headers=auth).status_code == 409
    for wrong in ({"key": "Phone"}, {"key": ""}, {"name_en": " "}, {"kind": "maybe"}, {"name_zh": "a\0"}):
        refused = client.post(f"{API}/stages", json={**draft, "key": "other", **wrong}, headers=auth)
        assert refused.status_code == 422
        assert fields(refused) == list(wrong)

    order = ["phone_call", *KEYS]
    put = client.post(f"{API}/stages/order", json={"order": order}, headers=auth)
    assert put.status_code == 200, put.text
    assert [stage["key"] for stage in put.json()["items"]] == order
    short = client.post(f"{API}/stages/order", json={"order": KEYS}, headers=auth)
    assert (short.status_code, fields(short)) == (422, ["order"])

    phone = stages(client, auth)["phone_call"]
    url, names = f"{API}/stages/{phone['id']}/rename", {"name_zh": "电话", "name_en": "A call"}
    assert client.post(url, json=names, headers=auth).status_code == 428
    tag = {**auth, "If-Match": f'"{phone["version"]}"'}
    renamed = client.post(url, json=names, headers=tag)
    assert (renamed.status_code, renamed.json()["name_en"]) == (200, "A call")
    assert renamed.headers["etag"] == f'"{phone["version"] + 1}"'
    assert client.post(url, json=names, headers=tag).status_code == 412
    nowhere = client.post(f"{API}/stages/{uuid.uuid4()}/rename", json=names, headers=tag)
    assert nowhere.status_code == 404


def test_a_stage_is_retired_when_nobody_is_in_it_or_with_a_target(client: Client, auth: Auth) -> None:
    one, other = (apply(client, auth, person(client, auth), job(client, auth)) for _ in range(2))
    one = moved(client, auth, one, to="screening")
    url = f"{API}/stages/{stages(client, auth)['screening']['id']}/retire"
    tag = {**auth, "If-Match": "*"}
    for body in ({}, {"target": "hired"}, {"target": "screening"}, {"target": "nowhere"}):
        refused = client.post(url, json=body, headers=tag)
        assert (refused.status_code, fields(refused)) == (422, ["target"]), body
    assert stages(client, auth)["screening"]["retired_at"] is None
    done = client.post(url, json={"target": "offer"}, headers=tag)
    assert done.status_code == 200, done.text
    assert done.json()["applications"] == 0
    assert client.post(url, json={}, headers=tag).status_code == 422
    now = client.get(f"{API}/applications/{one['id']}", headers=auth).json()
    assert (now["stage"], now["version"]) == ("offer", one["version"] + 1)
    last = history(client, auth, one)[0]
    assert (last["from_stage"], last["to_stage"], last["by"]) == ("screening", "offer", "ada")
    assert list(stages(client, auth)) == ["applied", "interview", "offer", *KEYS[4:], "screening"]
    assert fields(move(client, auth, other, to="screening")) == ["to"]
    again = {"key": "screening", "name_zh": "初筛", "name_en": "Screening"}
    assert client.post(f"{API}/stages", json=again, headers=auth).status_code == 409
    last_of_its_kind = client.post(
        f"{API}/stages/{stages(client, auth)['hired']['id']}/retire", json={}, headers=tag
    )
    assert (last_of_its_kind.status_code, fields(last_of_its_kind)) == (422, ["stage_id"])


def test_there_are_no_more_stages_than_can_be_ordered(client: Client, auth: Auth) -> None:
    names = {"name_zh": "阶段", "name_en": "Stage"}
    stages(client, auth)
    codes = [
        client.post(f"{API}/stages", json={"key": f"stage_{number}", **names}, headers=auth).status_code
        for number in range(94)
    ]
    assert codes == [201] * 93 + [409]
    order = sorted(stages(client, auth))
    put = client.post(f"{API}/stages/order", json={"order": order}, headers=auth)
    assert [stage["key"] for stage in put.json()["items"]] == order


def test_somebody_applies_and_goes_through_the_stages(client: Client, auth: Auth) -> None:
    talent, work = person(client, auth), job(client, auth)
    application = apply(client, auth, talent, work, source="referral", owner="ben")
    assert (application["stage"], application["kind"], application["version"]) == ("applied", "open", 1)
    assert (application["talent_name"], application["job_title"]) == ("Ada Byron", "Clerk")
    (tie,) = client.get(f"{API}/relations", params={"job_id": work}, headers=auth).json()["items"]
    assert (tie["id"], tie["kind"], tie["talent_id"]) == (application["relation_id"], "applied_to", talent)

    application = moved(client, auth, application, to="interview")
    for asked, field in (
        ({"to": "interview"}, "to"),
        ({"to": "nowhere"}, "to"),
        ({"to": "rejected"}, "reason"),
        ({"to": "rejected", "reason": " "}, "reason"),
        ({"to": "rejected", "reason": "a\0"}, "reason"),
    ):
        refused = move(client, auth, application, **asked)
        assert (refused.status_code, fields(refused)) == (422, [field]), asked
    application = moved(client, auth, application, to="rejected", reason="has 11010519491231002X")
    assert application["reason"] == "has 11****************"
    assert fields(move(client, auth, application, to="hired")) == ["to"]
    assert fields(move(client, auth, application, to="offer")) == ["reason"]
    application = moved(client, auth, application, to="offer", reason="a slip")
    since = application["since"]
    application = moved(client, auth, application, to="offer", owner="cleo")
    assert (application["owner"], application["since"], application["reason"]) == ("cleo", since, "a slip")

    told = history(client, auth, application)
    assert [entry["action"] for entry in told] == ["hand-over", "reopen", "move", "move", "create"]
    assert [entry["number"] for entry in told] == [5, 4, 3, 2, 1]
    assert {entry["by"] for entry in told} == {"ada"}
    for later, earlier in itertools.pairwise(told):
        assert later["from_stage"] == earlier["to_stage"]
        assert later["at"] >= earlier["at"]
    assert told[-1]["from_stage"] is None
    assert told[0]["to_stage"] == application["stage"]


def test_a_person_has_one_open_application_to_a_job(client: Client, auth: Auth) -> None:
    talent, work = person(client, auth), job(client, auth)
    first = apply(client, auth, talent, work)
    double = client.post(f"{API}/applications", json={"talent_id": talent, "job_id": work}, headers=auth)
    assert double.status_code == 409
    assert first["id"] in double.json()["detail"]
    closed = moved(client, auth, first, to="withdrawn")
    second = apply(client, auth, talent, work)
    assert second["relation_id"] == first["relation_id"], "one tie, however often they apply"
    beside = move(client, auth, closed, to="applied", reason="came back")
    assert beside.status_code == 409
    assert listed(client, auth, talent_id=talent, kind="open") == [second["id"]]


def test_of_two_who_apply_at_once_one_is_told(client: Client, auth: Auth) -> None:
    talent, work = person(client, auth), job(client, auth)
    stages(client, auth)
    codes: list[int] = []

    def go() -> None:
        body = {"talent_id": talent, "job_id": work}
        codes.append(client.post(f"{API}/applications", json=body, headers=auth).status_code)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [201, 409, 409, 409]
    assert len(listed(client, auth, job_id=work)) == 1


def test_of_two_who_move_at_once_one_is_told(client: Client, auth: Auth) -> None:
    application = apply(client, auth, person(client, auth), job(client, auth))
    codes: list[int] = []

    def go(to: str) -> None:
        codes.append(move(client, auth, application, to=to).status_code)

    threads = [threading.Thread(target=go, args=(to,)) for to in KEYS[1:4]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 412, 412]
    assert len(history(client, auth, application)) == 2


def test_an_application_takes_up_a_relation_that_is_there(client: Client, auth: Auth) -> None:
    talent, work = person(client, auth), job(client, auth)
    ends = {"kind": "applied_to", "talent_id": talent, "job_id": work}
    made(client, auth, "relations", **ends, starts_on="2024-02-01")
    latest = made(client, auth, "relations", **ends, starts_on="2026-02-01")
    assert apply(client, auth, talent, work)["relation_id"] == latest


def test_who_cannot_apply(client: Client, auth: Auth, other_tenant: Auth) -> None:
    talent, work = person(client, auth), job(client, auth)
    closed = made(client, auth, "jobs", title="Gone", status="closed")
    for body, field in (
        ({"talent_id": str(uuid.uuid4()), "job_id": work}, "talent_id"),
        ({"talent_id": person(client, other_tenant), "job_id": work}, "talent_id"),
        ({"talent_id": talent, "job_id": job(client, other_tenant)}, "job_id"),
        ({"talent_id": talent, "job_id": closed}, "job_id"),
        ({"talent_id": talent, "job_id": work, "stage": "hired"}, "stage"),
        ({"talent_id": talent, "job_id": work, "stage": "nowhere"}, "stage"),
    ):
        answer = client.post(f"{API}/applications", json=body, headers=auth)
        assert (answer.status_code, fields(answer)) == (422, [field]), body
    assert apply(client, auth, talent, work, stage="offer")["stage"] == "offer"


def test_lists_are_narrowed_sorted_and_paged(client: Client, auth: Auth) -> None:
    work, talents = job(client, auth), [person(client, auth, f"Person {number}") for number in range(3)]
    one, two, three = (apply(client, auth, talent, work, owner="ben") for talent in talents)
    elsewhere = apply(client, auth, talents[0], job(client, auth))
    one = moved(client, auth, one, to="interview", owner="cleo")
    two = moved(client, auth, two, to="rejected", reason="no visa")
    ids = [one["id"], two["id"], three["id"]]
    assert listed(client, auth, job_id=work) == ids[::-1]
    assert listed(client, auth, job_id=work, sort="created_at") == ids
    assert listed(client, auth, job_id=work, sort="since") == [three["id"], one["id"], two["id"]]
    assert listed(client, auth, job_id=work, kind="rejected") == [two["id"]]
    assert listed(client, auth, job_id=work, stage="interview") == [one["id"]]
    assert listed(client, auth, talent_id=talents[0]) == [elsewhere["id"], one["id"]]
    assert listed(client, auth, owner="cleo") == [one["id"]]
    assert set(listed(client, auth, stale_since=one["since"])) == {three["id"], elsewhere["id"]}
    seen: list[str] = []
    params: Json = {"job_id": work, "sort": "-since", "limit": 1, "fields": "stage"}
    while True:
        page = client.get(f"{API}/applications", params=params, headers=auth).json()
        seen += [item["id"] for item in page["items"]]
        assert all(set(item) == {"id", "version", "stage"} for item in page["items"])
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == [two["id"], one["id"], three["id"]]
    for wrong, field in (
        ({"stale_since": "1000-01-01T00:00:00Z"}, "stale_since"),
        ({"cursor": "nothing"}, "cursor"),
        ({"fields": "secret"}, "fields"),
        ({"sort": "owner"}, "sort"),
        ({"stage": "No Stage"}, "stage"),
    ):
        answer = client.get(f"{API}/applications", params=wrong, headers=auth)
        assert (answer.status_code, fields(answer)) == (422, [field]), wrong


def test_one_is_read_by_its_tag_and_moved_once_by_its_key(
    client: Client, auth: Auth, other_tenant: Auth
) -> None:
    application = apply(client, auth, person(client, auth), job(client, auth))
    url = f"{API}/applications/{application['id']}"
    assert client.get(url, headers={**auth, "If-None-Match": '"1"'}).status_code == 304
    assert client.get(url, headers=other_tenant).status_code == 404
    assert client.get(f"{url}/moves", headers=other_tenant).status_code == 404
    body = {"to": "interview"}
    assert client.post(f"{url}/moves", json=body, headers=auth).status_code == 428
    assert client.post(f"{url}/moves", json=body, headers={**auth, "If-Match": '"7"'}).status_code == 412
    stranger = client.post(f"{url}/moves", json=body, headers={**other_tenant, "If-Match": "*"})
    assert stranger.status_code == 404
    headers = {**auth, "If-Match": '"1"', "Idempotency-Key": uuid.uuid4().hex}
    first, again = (client.post(f"{url}/moves", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert len(history(client, auth, application)) == 2


def test_several_are_moved_each_for_itself(client: Client, auth: Auth, other_tenant: Auth) -> None:
    work = job(client, auth)
    one, two, three = (apply(client, auth, person(client, auth), work) for _ in range(3))
    strange = apply(client, other_tenant, person(client, other_tenant), job(client, other_tenant))
    items = [
        {"id": one["id"], "if_match": '"1"', "to": "interview"},
        {"id": two["id"], "if_match": '"4"', "to": "interview"},
        {"id": three["id"], "if_match": "*", "to": "rejected"},
        {"id": strange["id"], "if_match": "*", "to": "interview"},
        {"id": three["id"], "if_match": "*", "to": "rejected", "reason": "no visa"},
    ]
    answer = client.post(f"{API}/applications/moves", json={"items": items}, headers=auth)
    assert answer.status_code == 200, answer.text
    told = answer.json()["items"]
    assert [item["status"] for item in told] == [200, 412, 422, 404, 200]
    assert told[2]["problem"]["errors"][0]["field"] == "reason"
    assert (told[0]["etag"], told[0]["version"]) == ('"2"', 2)
    assert sorted(listed(client, auth, job_id=work, stage="interview")) == [one["id"]]
    assert [len(history(client, auth, item)) for item in (one, two, three)] == [2, 1, 2]
    for wrong in ([], [items[0]] * 1001):
        refused = client.post(f"{API}/applications/moves", json={"items": wrong}, headers=auth)
        assert (refused.status_code, fields(refused)) == (422, ["items"])


def test_a_funnel_counts_who_came_where_and_how_long_they_stayed(
    client: Client, auth: Auth, other_tenant: Auth, database_urls: DatabaseUrls
) -> None:
    work = job(client, auth)
    people = [apply(client, auth, person(client, auth), work) for _ in range(3)]
    apply(client, auth, person(client, auth), job(client, auth))
    for begun, rejected in ((people[0], True), (people[1], False)):
        handed = moved(client, auth, begun, to="applied", owner="ben")
        interviewed = moved(client, auth, handed, to="interview")
        if rejected:
            moved(client, auth, interviewed, to="rejected", reason="no visa")
    days = {people[0]["id"]: 2, people[1]["id"]: 5}
    with psycopg.connect(database_urls.admin) as connection:
        for application_id, number in days.items():
            # As if the first stay had lasted so long.
            connection.execute(
                "UPDATE talent_sync.application_moves SET moved_at = moved_at - %s"
                " WHERE application_id = %s AND action = 'create'",
                [timedelta(days=number), application_id],
            )
    answer = client.get(f"{API}/jobs/{work}/funnel", headers=auth)
    assert answer.status_code == 200, answer.text
    funnel = answer.json()
    assert funnel["applications"] == 3
    told = {one["stage"]: (one["now"], one["reached"]) for one in funnel["stages"]}
    assert list(told) == KEYS
    assert told["applied"] == (1, 3)
    assert told["interview"] == (1, 2)
    assert told["rejected"] == (1, 1)
    assert told["hired"] == (0, 0)
    median = {one["stage"]: one["median_days"] for one in funnel["stages"]}
    assert median["applied"] == pytest.approx(3.5, abs=0.01)
    assert median["interview"] == pytest.approx(0, abs=0.01)
    assert median["rejected"] is None
    assert client.get(f"{API}/jobs/{work}/funnel", headers=other_tenant).status_code == 404


def test_moves_are_counted(client: Client, auth: Auth) -> None:
    def counted(action: str, kind: str) -> float:
        name = f'looma_application_moves_total{{action="{action}",kind="{kind}"'
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    before = counted("create", "open"), counted("move", "rejected")
    application = apply(client, auth, person(client, auth), job(client, auth))
    move(client, auth, application, to="rejected")
    moved(client, auth, application, to="rejected", reason="no visa")
    assert (counted("create", "open"), counted("move", "rejected")) == (before[0] + 1, before[1] + 1)
    assert "looma_application_stay_days_count" in client.get("/metrics").text


def test_the_application_only_adds_moves_and_each_is_in_its_month(
    client: Client, auth: Auth, tenant: str, database_urls: DatabaseUrls
) -> None:
    apply(client, auth, person(client, auth), job(client, auth))
    with psycopg.connect(database_urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, false)", [tenant])
        placed = connection.execute(
            "SELECT tableoid::regclass::text FROM talent_sync.application_moves"
        ).fetchall()
        connection.commit()
        for statement in (
            "UPDATE talent_sync.application_moves SET reason = 'x'",
            "DELETE FROM talent_sync.application_moves",
            "DELETE FROM talent_sync.applications",
            "DELETE FROM talent_sync.stages",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)
    assert placed == [(f"talent_sync.application_moves_{datetime.now(UTC):%Y_%m}",)]


def test_who_may_not_is_refused(client: Client, tenant: str) -> None:
    operator = bearer(tenant=tenant, roles=["operator"])
    for path in ("stages", "applications", "applications/count"):
        assert client.get(f"{API}/{path}", headers=operator).status_code == 403
        assert client.get(f"{API}/{path}").status_code == 401
