"""What becomes of applications when people, jobs and relations are deleted, restored, merged, erased or exported."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from psycopg.rows import dict_row

from support.database import DatabaseUrls
from support.dumps import dump_of
from support.tokens import bearer

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
Json = dict[str, Any]
API = "/api/v1"
ANY = {"If-Match": "*"}


def sent(client: Client, auth: Auth, path: str, body: Any, *, status: int = 200) -> Json:
    answer = client.post(f"{API}/{path}", json=body, headers={**auth, **ANY})
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def person(client: Client, auth: Auth, **fields: Any) -> str:
    return str(sent(client, auth, "talents", {"full_name": "Ada Byron", **fields}, status=201)["id"])


def job(client: Client, auth: Auth) -> str:
    return str(sent(client, auth, "jobs", {"title": "Clerk"}, status=201)["id"])


def apply(client: Client, auth: Auth, talent: str, to: str) -> Json:
    return sent(client, auth, "applications", {"talent_id": talent, "job_id": to}, status=201)


def moved(client: Client, auth: Auth, application: Json, to: str, reason: str | None = None) -> Json:
    return sent(client, auth, f"applications/{application['id']}/moves", {"to": to, "reason": reason})


def listed(client: Client, auth: Auth, **params: str) -> list[str]:
    answer = client.get(f"{API}/applications", params={**params, "sort": "created_at"}, headers=auth)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def deleted(client: Client, auth: Auth, path: str) -> None:
    answer = client.delete(f"{API}/{path}", headers={**auth, **ANY})
    assert answer.status_code == 204, answer.text


def state(urls: DatabaseUrls, tenant: str) -> dict[str, Json]:
    """All applications of a tenant, past the policies, without what each change moves."""
    with psycopg.connect(urls.admin, row_factory=dict_row) as connection:
        rows = connection.execute(
            "SELECT * FROM talent_sync.applications WHERE tenant = %s", [tenant]
        ).fetchall()
    moving = ("version", "updated_at")
    return {str(row["id"]): {name: row[name] for name in row if name not in moving} for row in rows}


def two_who_are_one(client: Client, auth: Auth) -> tuple[str, str]:
    address = f"{secrets.token_hex(6)}@mail.example"
    one, other = (person(client, auth, email=address) for _ in range(2))
    return one, other


def merged(client: Client, auth: Auth, kept: str, gone: str) -> str:
    sent(client, auth, "duplicates/look", {"talent_id": gone})
    pairs = sent(client, auth, "duplicates/look", {"talent_id": kept})["items"]
    pair = next(item for item in pairs if {one["id"] for one in item["people"]} == {kept, gone})
    versions = {
        name: client.get(f"{API}/talents/{who}", headers=auth).json()["version"]
        for name, who in (("keep_version", kept), ("other_version", gone))
    }
    return str(sent(client, auth, f"duplicates/{pair['id']}/merge", {"keep": kept, **versions})["id"])


@pytest.mark.parametrize("which", ["talents", "jobs", "relations"])
def test_an_application_is_there_as_long_as_what_it_is_about(client: Client, auth: Auth, which: str) -> None:
    talent, work = person(client, auth), job(client, auth)
    application = apply(client, auth, talent, work)
    record = {"talents": talent, "jobs": work, "relations": application["relation_id"]}[which]
    deleted(client, auth, f"{which}/{record}")
    assert listed(client, auth) == []
    assert client.get(f"{API}/applications/{application['id']}", headers=auth).status_code == 404
    refused = client.post(
        f"{API}/applications/{application['id']}/moves", json={"to": "offer"}, headers={**auth, **ANY}
    )
    assert refused.status_code == 404
    assert client.get(f"{API}/stages", headers=auth).json()["items"][0]["applications"] == 0
    sent(client, auth, f"{which}/{record}/restore", None)
    if which != "relations":
        assert listed(client, auth) == [], "relations are restored one by one"
        sent(client, auth, f"relations/{application['relation_id']}/restore", None)
    again = client.get(f"{API}/applications/{application['id']}", headers=auth).json()
    assert (again["stage"], again["since"]) == ("applied", application["since"])
    assert again["version"] > application["version"], "whoever read it before is told"


def test_an_application_follows_its_relation_to_another_job(client: Client, auth: Auth) -> None:
    talent, work, other = person(client, auth), job(client, auth), job(client, auth)
    application = apply(client, auth, talent, work)
    tie = f"{API}/relations/{application['relation_id']}"
    patched = client.patch(tie, json={"job_id": other}, headers={**auth, **ANY})
    assert patched.status_code == 200, patched.text
    assert listed(client, auth, job_id=work) == []
    assert listed(client, auth, job_id=other) == [application["id"]]
    # What says no more that somebody applied has no application.
    hired = client.patch(tie, json={"kind": "hired_for"}, headers={**auth, **ANY})
    assert hired.status_code == 200, hired.text
    assert listed(client, auth) == []
    assert client.patch(tie, json={"kind": "applied_to"}, headers={**auth, **ANY}).status_code == 200
    assert listed(client, auth) == [application["id"]]


def test_a_relation_is_not_restored_into_a_second_open_application(client: Client, auth: Auth) -> None:
    talent, work = person(client, auth), job(client, auth)
    ends = {"kind": "applied_to", "talent_id": talent, "job_id": work}
    early = sent(client, auth, "relations", {**ends, "starts_on": "2024-01-01"}, status=201)["id"]
    first = apply(client, auth, talent, work)
    assert first["relation_id"] == early
    deleted(client, auth, f"relations/{early}")
    second = apply(client, auth, talent, work)
    refused = client.post(f"{API}/relations/{early}/restore", headers={**auth, **ANY})
    assert refused.status_code == 409, refused.text
    assert listed(client, auth) == [second["id"]]


def test_merged_people_have_their_applications_together_and_apart_again(
    client: Client, auth: Auth, tenant: str, database_urls: DatabaseUrls
) -> None:
    kept, gone = two_who_are_one(client, auth)
    shared, mine, theirs = (job(client, auth) for _ in range(3))
    ours = apply(client, auth, kept, shared)
    both = apply(client, auth, gone, shared)
    alone = moved(client, auth, apply(client, auth, gone, theirs), "interview")
    own = apply(client, auth, kept, mine)
    before = state(database_urls, tenant)

    merge = merged(client, auth, kept, gone)
    assert listed(client, auth, talent_id=gone) == []
    assert sorted(listed(client, auth, talent_id=kept)) == sorted([ours["id"], alone["id"], own["id"]])
    assert listed(client, auth, job_id=shared) == [ours["id"]], "of two open ones one counts"
    assert client.get(f"{API}/applications/{both['id']}", headers=auth).status_code == 404
    sent(client, auth, f"merges/{merge}/undo", {})
    assert state(database_urls, tenant) == before
    assert sorted(listed(client, auth, talent_id=gone)) == sorted([both["id"], alone["id"]])


def test_an_application_whose_relation_was_there_twice_goes_on_by_the_other_one(
    client: Client, auth: Auth, tenant: str, database_urls: DatabaseUrls
) -> None:
    kept, gone = two_who_are_one(client, auth)
    work = job(client, auth)
    for talent in (kept, gone):
        tie = {"kind": "applied_to", "talent_id": talent, "job_id": work, "starts_on": "2026-01-01"}
        sent(client, auth, "relations", tie, status=201)
    application = moved(client, auth, apply(client, auth, gone, work), "offer")
    before = state(database_urls, tenant)
    merge = merged(client, auth, kept, gone)
    (held,) = listed(client, auth, talent_id=kept)
    assert held == application["id"]
    sent(client, auth, f"applications/{held}/moves", {"to": "hired"})
    sent(client, auth, f"merges/{merge}/undo", {})
    after = state(database_urls, tenant)
    assert after[held]["stage"] == "hired", "what was done meanwhile stays"
    assert {**after[held], **dict.fromkeys(("stage", "kind", "since", "reason"))} == {
        **before[held],
        **dict.fromkeys(("stage", "kind", "since", "reason")),
    }


APPLIED = st.lists(
    st.tuples(
        st.sampled_from(["one", "other"]),
        st.sampled_from([0, 1]),
        st.sampled_from([None, "interview", "rejected"]),
    ),
    max_size=5,
)


@pytest.mark.timeout(300)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(applied=APPLIED, turned=st.booleans())
def test_undoing_a_merge_gives_back_all_applications(
    *,
    client: Client,
    database_urls: DatabaseUrls,
    applied: list[tuple[str, int, str | None]],
    turned: bool,
) -> None:
    tenant = f"merge-{uuid.uuid4().hex[:12]}"
    auth = bearer(tenant=tenant)
    people = dict(zip(("one", "other"), two_who_are_one(client, auth), strict=True))
    jobs = [job(client, auth) for _ in range(2)]
    for who, where, to in applied:
        body = {"talent_id": people[who], "job_id": jobs[where]}
        answer = client.post(f"{API}/applications", json=body, headers=auth)
        if answer.status_code == 201 and to is not None:
            moved(client, auth, answer.json(), to, reason="because")
    before = state(database_urls, tenant)
    kept, gone = (people["other"], people["one"]) if turned else (people["one"], people["other"])
    merge = merged(client, auth, kept, gone)
    live = [row for row in state(database_urls, tenant).values() if row["deleted_at"] is None]
    assert all(str(row["talent_id"]) == kept for row in live)
    opened = [row["job_id"] for row in live if row["kind"] == "open"]
    assert len(opened) == len(set(opened)), "one open application to a job"
    # Where somebody was open before, one still is.
    assert set(opened) == {row["job_id"] for row in before.values() if row["kind"] == "open"}
    sent(client, auth, f"merges/{merge}/undo", {})
    assert state(database_urls, tenant) == before


def test_who_is_erased_leaves_no_application(
    client: Client, auth: Auth, tenant: str, database_urls: DatabaseUrls
) -> None:
    admin = bearer(tenant=tenant, roles=["admin"], subject="officer")
    word = secrets.token_hex(6)
    talent, other, work = person(client, auth), person(client, auth), job(client, auth)
    application = moved(client, auth, apply(client, auth, talent, work), "rejected", reason=f"of {word}")
    stays = apply(client, auth, other, work)
    hidden = apply(client, auth, talent, job(client, auth))
    deleted(client, auth, f"relations/{hidden['relation_id']}")
    assert word in dump_of(database_urls)
    proof = sent(client, admin, f"talents/{talent}/erasure", {"reason": "request"}, status=201)
    assert proof["complete"] is True, proof
    dump = dump_of(database_urls)
    for gone in (word, application["id"], hidden["id"]):
        assert gone not in dump
    assert listed(client, auth, job_id=work) == [stays["id"]]


def test_an_export_has_all_applications_with_their_moves(client: Client, auth: Auth, tenant: str) -> None:
    admin = bearer(tenant=tenant, roles=["admin"], subject="officer")
    talent = person(client, auth)
    first = moved(client, auth, apply(client, auth, talent, job(client, auth)), "rejected", reason="no visa")
    second = apply(client, auth, talent, job(client, auth))
    deleted(client, auth, f"relations/{second['relation_id']}")
    held = client.get(f"{API}/talents/{talent}/export", headers=admin)
    assert held.status_code == 200, held.text
    told = held.json()["applications"]
    assert [(one["id"], one["deleted"]) for one in told] == [(first["id"], False), (second["id"], True)]
    assert [entry["reason"] for entry in told[0]["moves"]] == ["no visa", None]
    page = client.get(f"{API}/talents/{talent}/export", params={"format": "html"}, headers=admin)
    assert "Applications to jobs" in page.text
    assert "no visa" in page.text


def test_applications_of_who_was_merged_are_in_the_export(client: Client, auth: Auth, tenant: str) -> None:
    admin = bearer(tenant=tenant, roles=["admin"], subject="officer")
    kept, gone = two_who_are_one(client, auth)
    work = job(client, auth)
    ours, theirs = apply(client, auth, kept, work), apply(client, auth, gone, work)
    merged(client, auth, kept, gone)
    held = client.get(f"{API}/talents/{kept}/export", headers=admin).json()
    assert [one["id"] for one in held["applications"]] == [ours["id"]]
    (other,) = held["merged"]
    assert [(one["id"], one["deleted"]) for one in other["applications"]] == [(theirs["id"], True)]
