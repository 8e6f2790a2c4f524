"""Every operation of the engines' documents, called by everybody who may not: another tenant, another role, nobody.

The operations come from the documents, and how each is called from `support.operations`: one that has no row there
fails here, so that none arrives untried.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from looma_core.auth import Role, issue_token
from support.operations import API, CALLS, REFERENCES, Engines, a_record_of_each_kind, all_engines
from support.tokens import AUDIENCE, ISSUER, bearer, private_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from support.database import DatabaseUrls

# Deletions last: what they took by a fault of ours, others could no longer reach by the same.
LABELS = sorted(CALLS, key=lambda label: (label.startswith("DELETE"), label))
WITH_ID = [label for label in LABELS if "{" in label]


@pytest.fixture(scope="module")
def engines(database_urls: DatabaseUrls) -> Iterator[Engines]:
    with all_engines(database_urls) as running:
        yield running


class Owner:
    """A tenant with a record of each kind, all of which have a word in them that is nowhere else."""

    def __init__(self, engines: Engines, urls: DatabaseUrls) -> None:
        self.tenant = f"owner-{secrets.token_hex(6)}"
        self.word = f"Quillon{secrets.token_hex(6)}"
        self.ids = a_record_of_each_kind(engines, self.tenant, name=self.word)
        self._connection = psycopg.connect(urls.admin, autocommit=True)
        tables = self._connection.execute(
            "SELECT table_schema, table_name FROM information_schema.columns"
            " WHERE column_name = 'tenant' ORDER BY 1, 2"
        ).fetchall()
        each = sql.SQL("SELECT {}, t::text FROM {} t WHERE tenant = %(tenant)s")
        self._all = sql.SQL(" UNION ALL ").join(
            each.format(sql.Literal(f"{schema}.{table}"), sql.Identifier(schema, table))
            for schema, table in tables
        )
        self._before = self.rows()

    def rows(self) -> list[tuple[str, str]]:
        """All that the database holds of this tenant, as table and text; read past the policies."""
        return sorted(self._connection.execute(self._all, {"tenant": self.tenant}).fetchall())

    def assert_unchanged(self) -> None:
        """Nothing of the tenant is another than when this was last asked."""
        before, self._before = self._before, self.rows()
        assert self._before == before

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def is_in(self, answer: httpx.Response, *, but: str = "") -> list[str]:
        """What of this tenant an answer tells; an id that was asked for may be repeated."""
        told = answer.text.lower() + str(answer.headers).lower()
        return [word for word in (self.word.lower(), *self.ids.values()) if word in told and word not in but]


@pytest.fixture(scope="module")
def owner(engines: Engines, database_urls: DatabaseUrls) -> Iterator[Owner]:
    """The tenant whose records everybody else tries to reach; at the end nothing of it was changed."""
    with contextlib.closing(Owner(engines, database_urls)) as owner:
        before = owner.rows()
        assert len({table for table, _ in before}) >= len(owner.ids), before
        yield owner
        assert owner.rows() == before


def expected(label: str, role: Role, *, strange: bool) -> int:
    row = CALLS[label]
    if role not in row.roles:
        return 403
    if strange and row.refers:
        return 422
    return 404 if strange and "{" in label else row.expects


def test_every_operation_has_its_row(engines: Engines) -> None:
    operations = set(engines.operations())
    assert not operations - set(CALLS), "say in tests/support/operations.py how these are called"
    assert not set(CALLS) - operations, "no document has these any more"


def test_everything_that_names_another_record_has_its_row(engines: Engines) -> None:
    found = {
        f"{label}?{parameter['name']}"
        for label, operation in engines.operations().items()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and "uuid" in str(parameter["schema"])
    }
    for document in engines.documents.values():
        found |= {
            f"{name}.{field}"
            for name, schema in document["components"]["schemas"].items()
            if name.endswith(("Draft", "Patch"))
            for field, said in schema["properties"].items()
            if "uuid" in str(said)
        }
    assert found == set(REFERENCES)


@pytest.mark.parametrize("label", LABELS)
def test_the_owner_succeeds(engines: Engines, label: str) -> None:
    """What is refused to others below is a call that works: nothing is refused for being wrong."""
    tenant = f"owner-{secrets.token_hex(6)}"
    ids = a_record_of_each_kind(engines, tenant, name=f"Quillon{secrets.token_hex(6)}")
    auth = bearer(tenant=tenant, roles=sorted(CALLS[label].roles))
    answer = engines.call(label, auth, ids=ids)
    assert answer.status_code == CALLS[label].expects, answer.text


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("label", LABELS)
def test_another_tenant_reaches_nothing(
    engines: Engines, owner: Owner, tenant: str, label: str, role: Role
) -> None:
    answer = engines.call(label, bearer(tenant=tenant, roles=[role]), ids=owner.ids)
    assert answer.status_code == expected(label, role, strange=True), answer.text
    assert not owner.is_in(answer, but=str(answer.request.url))
    owner.assert_unchanged()


@pytest.mark.parametrize("label", LABELS)
def test_a_role_that_may_not_is_refused_in_its_own_tenant(engines: Engines, owner: Owner, label: str) -> None:
    for role in set(Role) - CALLS[label].roles:
        answer = engines.call(label, bearer(tenant=owner.tenant, roles=[role]), ids=owner.ids)
        assert answer.status_code == 403, (role, answer.text)
        assert not owner.is_in(answer, but=str(answer.request.url))
    for roles in ([], ["owner"], ["Admin"]):
        assert engines.call(label, bearer(tenant=owner.tenant, roles=roles), ids=owner.ids).status_code == 403
    owner.assert_unchanged()


def _forged(tenant: str) -> dict[str, str]:
    """The owner's claims, signed by a key that the issuer does not have."""
    token = issue_token(
        private_key("a stranger's"),
        issuer=ISSUER,
        audience=AUDIENCE,
        subject="ada",
        tenant=tenant,
        roles=["recruiter"],
    )
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("label", LABELS)
def test_without_a_token_that_holds_nobody_gets_in(engines: Engines, owner: Owner, label: str) -> None:
    tokens = {
        "none": {},
        "past": bearer(tenant=owner.tenant, seconds=-3600),
        "forged": _forged(owner.tenant),
        "no tenant": bearer(tenant=""),
    }
    for name, auth in tokens.items():
        answer = engines.call(label, auth, ids=owner.ids)
        assert answer.status_code == 401, (name, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer"), name
        assert not owner.is_in(answer, but=str(answer.request.url)), name
    owner.assert_unchanged()


@pytest.mark.parametrize("label", WITH_ID)
def test_what_is_not_there_and_what_is_anothers_are_answered_alike(
    engines: Engines, owner: Owner, tenant: str, label: str
) -> None:
    """Not even that there is such a record is told."""
    nowhere = {kind: f"{secrets.token_hex(4)}-0000-7000-8000-{secrets.token_hex(6)}" for kind in owner.ids}
    nowhere["sync-runs"] = str(secrets.randbelow(10**15))
    told = []
    for ids in (owner.ids, nowhere):
        answer = engines.call(label, bearer(tenant=tenant, roles=sorted(CALLS[label].roles)), ids=ids)
        problem = answer.json()
        problem.pop("instance")
        for one in ids.values():
            problem["detail"] = problem["detail"].replace(one, "ID")
        told.append((answer.status_code, problem))
    assert told[0] == told[1]


@pytest.mark.parametrize("place", [place for place in REFERENCES if "?" in place])
def test_a_list_asked_for_anothers_record_is_empty(
    engines: Engines, owner: Owner, tenant: str, place: str
) -> None:
    label, parameter = place.split("?")
    a_record_of_each_kind(engines, tenant, name="Somebody")
    auth = bearer(tenant=tenant, roles=sorted(CALLS[label].roles))
    answer = engines.call(label, auth, params={parameter: owner.ids[REFERENCES[place]]})
    assert answer.status_code == 200
    assert not owner.is_in(answer, but=str(answer.request.url))
    if label.endswith("/count"):
        assert answer.json() == {"count": 0, "exact": True}
    elif not label.endswith("/export"):
        assert answer.json()["items"] == []


OBJECTS = {"company_id": "worked_at", "job_id": "applied_to", "other_talent_id": "knows"}


@pytest.mark.parametrize("field", ["talent_id", *OBJECTS])
def test_a_relation_cannot_name_anothers_record(
    engines: Engines, owner: Owner, tenant: str, field: str
) -> None:
    """Of these one object at a time is allowed, which the test below knows nothing of."""
    ids = a_record_of_each_kind(engines, tenant, name="Somebody")
    other = a_record_of_each_kind(engines, tenant, name="Else")
    subject = {"talent_id": ids["talents"]}
    named = "company_id" if field == "talent_id" else field
    kind = REFERENCES[f"RelationDraft.{field}"]
    own = {"kind": OBJECTS[named], **subject, named: other[REFERENCES[f"RelationDraft.{named}"]]}
    strange = {**own, field: owner.ids[kind]}
    path = f"{API}/relations"
    answer = engines.call(f"POST {path}", bearer(tenant=tenant), json=strange)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field], answer.text
    made = engines.call(f"POST {path}", bearer(tenant=tenant), json=own)
    assert made.status_code == 201, "its own it can"
    one = {**ids, "relations": made.json()["id"]}
    patched = engines.call(
        f"PATCH {path}/{{record_id}}", bearer(tenant=tenant), ids=one, json={field: owner.ids[kind]}
    )
    assert patched.status_code == 422, patched.text
    owner.assert_unchanged()


@pytest.mark.parametrize(
    "place", [place for place in REFERENCES if "." in place and not place.startswith("Relation")]
)
def test_a_body_cannot_name_anothers_record(engines: Engines, owner: Owner, tenant: str, place: str) -> None:
    schema, field = place.split(".")
    labels = [
        label
        for label, operation in engines.operations().items()
        if f"/schemas/{schema}" in str(operation.get("requestBody")) and "/assess" not in label
    ]
    assert labels
    ids = a_record_of_each_kind(engines, tenant, name="Somebody")
    other = a_record_of_each_kind(engines, tenant, name="Else")

    def naming(record: str, body: dict[str, Any]) -> dict[str, Any]:
        retired = {"status": "retired"} if field == "replaced_by" else {}
        return {**body, field: [record] if field == "parents" else record, **retired}

    for label in labels:
        body = naming(owner.ids[REFERENCES[place]], CALLS[label].json)
        answer = engines.call(label, bearer(tenant=tenant), ids=ids, json=body)
        assert answer.status_code == 422, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        own = engines.call(
            label, bearer(tenant=tenant), ids=ids, json=naming(other[REFERENCES[place]], CALLS[label].json)
        )
        assert own.is_success, f"its own it can: {own.text}"
    owner.assert_unchanged()


def test_what_makes_a_repetition_is_no_way_to_anothers_record(
    engines: Engines, owner: Owner, tenant: str
) -> None:
    """The same source, the same key, the same file and the same cursor are other ones in another tenant."""
    source = {"type": "manual", "ref": "one"}
    path = f"{API}/talents"
    body = {"full_name": "Somebody", "source": source}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    made = [
        engines.call(f"POST {path}", {**bearer(tenant=name), **key}, json=body)
        for name in (f"{tenant}-first", tenant)
    ]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]
    file = {"file": ("a.txt", f"{owner.word}\nEngineer".encode())}
    kept = [
        engines.call(f"POST {API}/resumes", bearer(tenant=name), files=file)
        for name in (f"{tenant}-first", tenant)
    ]
    assert [answer.status_code for answer in kept] == [201, 201]
    for _ in range(2):
        engines.call(f"POST {path}", bearer(tenant=f"{tenant}-first"))
    first = engines.call(f"GET {path}", bearer(tenant=f"{tenant}-first"), params={"limit": 1}).json()
    cursor = {"limit": 1, "cursor": first["next_cursor"]}
    own = {item["id"] for item in engines.call(f"GET {path}", bearer(tenant=tenant)).json()["items"]}
    seen = engines.call(f"GET {path}", bearer(tenant=tenant), params=cursor).json()["items"]
    assert {item["id"] for item in seen} <= own
