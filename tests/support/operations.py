"""How each operation of the engines' OpenAPI documents is called so that it succeeds, and engines to call.

`CALLS` has a row for every operation: tests that go through documents ask here, and fail where a row is missing.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from looma_core.auth import Role
from looma_core.db import new_id
from looma_engines.main import ENGINES
from support.engines import engine_process, one_address, wait_until_ready
from support.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls

API = "/api/v1"
SECONDS = 60
"""A résumé is parsed by a worker that may just be starting, on a busy machine."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call that succeeds: what is sent, who may send it, what is answered."""

    expects: int = 200
    json: Any = None
    files: str | None = None
    file: tuple[str, str] = ("person.txt", "")
    headers: dict[str, str] = {}
    params: dict[str, str] = {}
    refers: bool = False
    """Whether the body names other records: in another tenant it is refused for that."""
    roles: frozenset[Role] = frozenset({Role.RECRUITER, Role.ADMIN})


def _records(
    kind: str, draft: dict[str, Any], change: dict[str, Any], *, refers: bool = False, in_files: bool = True
) -> dict[str, Call]:
    every, one = f"{API}/{kind}", f"{API}/{kind}/{{record_id}}"
    any_version = {"If-Match": "*"}
    return {
        f"GET {every}": Call(),
        f"GET {every}/count": Call(),
        f"POST {every}": Call(expects=201, json=draft, refers=refers),
        f"GET {every}/rules": Call(),
        f"POST {every}/assess": Call(json=draft),
        f"GET {one}": Call(),
        f"GET {one}/quality": Call(),
        f"GET {one}/history": Call(),
        **(_files(kind, draft) if in_files else {}),
        f"PATCH {one}": Call(json=change, headers=any_version),
        f"DELETE {one}": Call(expects=204, headers=any_version),
        # What is there is not deleted: 409 is as far as a call of one's own comes.
        f"POST {one}/restore": Call(expects=409, headers=any_version),
    }


def _files(kind: str, draft: dict[str, Any]) -> dict[str, Call]:
    every, row = f"{API}/{kind}", msgspec.json.encode(draft).decode()
    return {
        f"GET {every}/export": Call(),
        f"POST {every}/import": Call(files="file", file=(f"{kind}.jsonl", row)),
        f"POST {every}/batch": Call(json={"items": [{"action": "create", "draft": draft}]}),
    }


OFFICERS = frozenset({Role.ADMIN})
RESUME = "{name}\n{name}@people.example\n\nExperience\nEngineer, Harbour Payments, 2019-01 to 2021-03\n"
FILE = RESUME.format(name="Somebody")
TEXT = {"text": RESUME.format(name="Somebody")}
DRAFTS: dict[str, dict[str, Any]] = {
    "talents": {"full_name": "{name}", "email": "{name}@people.example"},
    "companies": {"name": "{name}", "location": "London"},
    "jobs": {"title": "{name}", "skills": ["SQL"]},
    "skills": {"name_en": "{name}", "kind": "tool"},
}
CALLS: dict[str, Call] = {
    **_records("talents", {"full_name": "Somebody"}, {"headline": "Changed"}),
    **_records("companies", {"name": "Something"}, {"industry": "Changed"}),
    **_records("jobs", {"title": "Something"}, {"location": "Changed"}),
    **_records(
        "relations",
        # A part in braces is the id of the tenant's record of that kind.
        {"kind": "worked_at", "talent_id": "{talents}", "company_id": "{companies}"},
        {"title": "Changed"},
        refers=True,
    ),
    **_records("skills", {"name_en": "Something"}, {"name_zh": "Changed"}, in_files=False),
    f"GET {API}/skills/lookup": Call(params={"text": "some"}),
    f"POST {API}/skills/starter": Call(),
    f"GET {API}/skills/{{record_id}}/children": Call(),
    f"GET {API}/skills/{{record_id}}/ancestors": Call(),
    f"GET {API}/duplicates": Call(),
    f"GET {API}/duplicates/scan": Call(),
    f"POST {API}/duplicates/look": Call(json={"talent_id": "{talents}"}, refers=True),
    f"GET {API}/duplicates/{{duplicate_id}}": Call(),
    f"POST {API}/duplicates/{{duplicate_id}}/dismiss": Call(),
    f"POST {API}/duplicates/{{duplicate_id}}/merge": Call(
        json={"keep": "{talents}", "keep_version": 1, "other_version": 1}
    ),
    f"GET {API}/stages": Call(),
    f"POST {API}/stages": Call(expects=201, json={"key": "phone", "name_zh": "电话", "name_en": "Phone"}),
    f"POST {API}/stages/order": Call(
        json={
            "order": ["screening", "applied", "interview", "offer", "hired", "rejected", "withdrawn"],
        }
    ),
    f"POST {API}/stages/{{stage_id}}/rename": Call(
        json={"name_zh": "初选", "name_en": "First look"}, headers={"If-Match": "*"}
    ),
    f"POST {API}/stages/{{stage_id}}/retire": Call(json={}, headers={"If-Match": "*"}),
    f"GET {API}/applications": Call(),
    f"GET {API}/applications/count": Call(),
    f"POST {API}/applications": Call(
        expects=201, json={"talent_id": "{talents}", "job_id": "{jobs}"}, refers=True
    ),
    # Each item is answered for itself.
    f"POST {API}/applications/moves": Call(
        json={
            "items": [
                {"id": "00000000-0000-7000-8000-000000000000", "if_match": "*", "to": "interview"},
            ]
        }
    ),
    f"GET {API}/applications/{{application_id}}": Call(),
    f"GET {API}/applications/{{application_id}}/moves": Call(),
    f"POST {API}/applications/{{application_id}}/moves": Call(
        json={"to": "interview"}, headers={"If-Match": "*"}
    ),
    f"GET {API}/jobs/{{job_id}}/funnel": Call(),
    f"GET {API}/merges/{{merge_id}}": Call(),
    f"POST {API}/merges/{{merge_id}}/undo": Call(json={}),
    f"GET {API}/quarantine": Call(),
    f"GET {API}/quarantine/{{entry_id}}": Call(),
    f"POST {API}/quarantine/{{entry_id}}/replay": Call(
        json={"draft": {"full_name": "Somebody"}}, headers={"If-Match": "*"}
    ),
    f"POST {API}/quarantine/{{entry_id}}/discard": Call(headers={"If-Match": "*"}),
    f"GET {API}/sync-conflicts": Call(),
    f"POST {API}/sync-conflicts/{{conflict_id}}/settle": Call(json={"take": "source"}),
    f"GET {API}/sync-writes": Call(),
    f"POST {API}/sync-writes/{{write_id}}/again": Call(),
    f"GET {API}/sync-runs": Call(roles=frozenset(Role)),
    f"GET {API}/sync-runs/{{number}}": Call(roles=frozenset(Role)),
    f"GET {API}/sync-runs/{{number}}/repairs": Call(),
    f"POST {API}/talents/{{person_id}}/erasure": Call(
        expects=201, json={"reason": "request"}, roles=OFFICERS
    ),
    f"GET {API}/talents/{{record_id}}/export": Call(roles=OFFICERS),
    f"GET {API}/talents/{{record_id}}/consents": Call(),
    f"POST {API}/talents/{{record_id}}/consents": Call(
        expects=201, json={"purpose": "matching", "basis": "contract"}
    ),
    f"POST {API}/talents/{{record_id}}/consents/{{consent_id}}/withdraw": Call(),
    f"GET {API}/erasures": Call(roles=OFFICERS),
    f"GET {API}/erasures/{{erasure_id}}": Call(roles=OFFICERS),
    f"POST {API}/erasures/{{erasure_id}}/lift": Call(
        json={"basis": "contract", "purposes": ["storage"], "given_at": "{now}"}, roles=OFFICERS
    ),
    f"GET {API}/audit-events": Call(roles=OFFICERS),
    f"GET {API}/database": Call(roles=frozenset({Role.ADMIN})),
    f"GET {API}/database/statements": Call(roles=frozenset({Role.ADMIN})),
    f"POST {API}/talents/{{record_id}}/resume-files": Call(expects=201, files="file", file=("cv.txt", FILE)),
    f"POST {API}/resume-files": Call(expects=201, files="file", file=("cv.txt", FILE)),
    f"GET {API}/resume-files": Call(),
    f"GET {API}/resume-files/count": Call(),
    f"GET {API}/resume-files/{{file_id}}": Call(),
    f"GET {API}/resume-files/{{file_id}}/content": Call(),
    f"POST {API}/resume-files/{{file_id}}/link": Call(
        json={"talent_id": "{talents}"}, headers={"If-Match": "*"}
    ),
    f"POST {API}/resume-files/{{file_id}}/reading": Call(json={"state": "parsed"}, headers={"If-Match": "*"}),
    f"DELETE {API}/resume-files/{{file_id}}": Call(expects=204, headers={"If-Match": "*"}),
    f"GET {API}/resumes": Call(),
    f"POST {API}/resumes": Call(expects=201, files="file"),
    f"POST {API}/resumes/batch": Call(files="files"),
    f"POST {API}/resumes/parse": Call(files="file"),
    f"GET {API}/resumes/{{resume_id}}": Call(),
    f"GET {API}/resumes/{{resume_id}}/file": Call(),
    f"POST {API}/resumes/{{resume_id}}/talent": Call(),
    f"DELETE {API}/resumes/{{resume_id}}": Call(expects=204),
    f"POST {API}/entities/extract": Call(json=TEXT),
    f"POST {API}/skills/extract": Call(json=TEXT),
}
"""Operations, as `METHOD /path`, each with a call."""

REFERENCES: dict[str, str] = {
    "GET /api/v1/jobs?company_id": "companies",
    "GET /api/v1/jobs/count?company_id": "companies",
    "GET /api/v1/jobs/export?company_id": "companies",
    "GET /api/v1/duplicates?talent_id": "talents",
    "GET /api/v1/sync-conflicts?record_id": "talents",
    "GET /api/v1/sync-writes?record_id": "talents",
    "GET /api/v1/audit-events?record_id": "talents",
    **{
        f"{place}{field}": kind
        for place in (
            "GET /api/v1/relations?",
            "GET /api/v1/relations/count?",
            "GET /api/v1/relations/export?",
            "RelationDraft.",
            "RelationPatch.",
        )
        for field, kind in (
            ("talent_id", "talents"),
            ("other_talent_id", "talents"),
            ("company_id", "companies"),
            ("job_id", "jobs"),
        )
    },
    "GET /api/v1/skills?parent": "skills",
    "GET /api/v1/skills/count?parent": "skills",
    **{
        f"GET /api/v1/{kind}{part}?skill": "skills"
        for kind in ("talents", "jobs")
        for part in ("", "/count", "/export")
    },
    **{
        f"{body}.{field}": "skills"
        for body in ("SkillDraft", "SkillPatch")
        for field in ("parents", "replaced_by")
    },
    "GET /api/v1/resumes?talent_id": "talents",
    "GET /api/v1/resume-files?talent_id": "talents",
    "GET /api/v1/resume-files/count?talent_id": "talents",
    "GET /api/v1/applications?talent_id": "talents",
    "GET /api/v1/applications/count?talent_id": "talents",
    "GET /api/v1/applications?job_id": "jobs",
    "GET /api/v1/applications/count?job_id": "jobs",
    "ApplicationDraft.talent_id": "talents",
    "ApplicationDraft.job_id": "jobs",
    "JobDraft.company_id": "companies",
    "JobPatch.company_id": "companies",
}
"""What may name another record, a query's parameter or a body's field, each with the kind of that record."""


class Engines(msgspec.Struct, frozen=True):
    """Running engines: their addresses and documents by name, and a client to call them with."""

    client: httpx.Client
    urls: DatabaseUrls
    addresses: dict[str, str]
    documents: dict[str, dict[str, Any]]

    def operations(self) -> dict[str, dict[str, Any]]:
        """All operations of all documents, as `METHOD /path`."""
        return {
            f"{method.upper()} {path}": operation
            for document in self.documents.values()
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def call(
        self, label: str, auth: dict[str, str], *, ids: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Call an operation by its row.

        Args:
            label: `METHOD /path`.
            auth: the header `Authorization`, or nothing.
            ids: for the path, by the kind of record: the part of the path before the id.
            more: what is sent instead of the row's.
        """
        row = CALLS[label]
        method, path = label.split(" ")
        before = ""
        parts = []
        for part in path.split("/"):
            parts.append((ids or {})[before] if part.startswith("{") else part)
            before = part
        given = {"now": datetime.now(UTC).isoformat(), **(ids or {})}
        if "json" in more:
            more["json"] = _named(more["json"], given)
        wanted: dict[str, Any] = {"json": _named(row.json, given)} if row.json is not None else {}
        if row.params:
            wanted["params"] = row.params
        if row.files:
            name, text = row.file
            content = _named(text, given) if text else RESUME.format(name="Somebody")
            wanted["files"] = {row.files: (name, content.encode())}
        (address,) = (
            self.addresses[name] for name, document in self.documents.items() if path in document["paths"]
        )
        url = address + "/".join(parts)
        return self.client.request(method, url, headers={**row.headers, **auth}, **{**wanted, **more})


def _named(body: Any, ids: dict[str, str]) -> Any:
    """The body with ids for the kinds in braces, however deep they are, in a file's text too."""
    if isinstance(body, dict):
        return {name: _named(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [_named(value, ids) for value in body]
    if isinstance(body, str):
        for kind, found in ids.items():
            body = body.replace(f"{{{kind}}}", found)
    return body


def a_record_of_each_kind(engines: Engines, tenant: str, *, name: str) -> dict[str, str]:
    """Store a record of each kind for a tenant, with this name in it; the ids by kind."""
    auth = bearer(tenant=tenant)
    ids = {}
    for kind, draft in DRAFTS.items():
        body = {
            field: value.format(name=name) if isinstance(value, str) else value
            for field, value in draft.items()
        }
        answer = engines.call(f"POST {API}/{kind}", auth, json=body)
        assert answer.status_code == 201, answer.text
        ids[kind] = answer.json()["id"]
    works = {"kind": "works_at", "talent_id": ids["talents"], "company_id": ids["companies"], "note": name}
    answer = engines.call(f"POST {API}/relations", auth, json=works)
    assert answer.status_code == 201, answer.text
    ids["relations"] = answer.json()["id"]
    content = RESUME.format(name=name).encode()
    answer = engines.call(f"POST {API}/resumes", auth, files={"file": (f"{name}.txt", content)})
    assert answer.status_code == 201, answer.text
    ids["resumes"] = answer.json()["id"]
    answer = engines.call(
        f"POST {API}/talents/{{record_id}}/resume-files",
        auth,
        ids=ids,
        files={"file": (f"{name}.txt", content)},
    )
    assert answer.status_code == 201, answer.text
    ids["resume-files"] = answer.json()["id"]
    ids |= people_who_are_there_twice(engines, auth, ids["talents"], name=name)
    ids |= of_a_persons_rights(engines, tenant, ids["talents"], name=name)
    ids |= of_a_pipeline(engines, auth, ids["talents"], name=name)
    return {**ids, **left_by_a_run(engines.urls, tenant, ids, name=name)}


def people_who_are_there_twice(
    engines: Engines, auth: dict[str, str], talent: str, *, name: str
) -> dict[str, str]:
    """A pair that the talent is in and that waits, and a merge of two others; their ids by kind."""

    def found(person: str) -> str:
        answer = engines.call(f"POST {API}/duplicates/look", auth, json={"talent_id": person})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["items"][0]["id"]) if answer.json()["items"] else ""

    def another(mailbox: str) -> str:
        body = {"full_name": name, "email": f"{mailbox}@people.example"}
        answer = engines.call(f"POST {API}/talents", auth, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    found(talent)
    pair = found(another(name))
    one, other = another(f"{name}.spare"), another(f"{name}.spare")
    found(one)
    asked = {"keep": one, "keep_version": 1, "other_version": 1}
    ids = {"duplicates": found(other)}
    answer = engines.call(f"POST {API}/duplicates/{{duplicate_id}}/merge", auth, ids=ids, json=asked)
    assert answer.status_code == 200, answer.text
    return {"duplicates": pair, "merges": answer.json()["id"]}


def of_a_persons_rights(engines: Engines, tenant: str, talent: str, *, name: str) -> dict[str, str]:
    """A consent of the talent, and the erasure of another one of a like name; their ids by kind."""
    auth = bearer(tenant=tenant, roles=["admin"])
    given = {"purpose": "contact", "evidence": name}
    consent = engines.call(
        f"POST {API}/talents/{{record_id}}/consents", auth, ids={"talents": talent}, json=given
    )
    assert consent.status_code == 201, consent.text
    other = engines.call(f"POST {API}/talents", auth, json={"full_name": f"{name} the Second"})
    gone = {"talents": other.json()["id"]}
    erasure = engines.call(f"POST {API}/talents/{{person_id}}/erasure", auth, ids=gone)
    assert erasure.status_code == 201, erasure.text
    return {"consents": consent.json()["id"], "erasures": erasure.json()["id"]}


def of_a_pipeline(engines: Engines, auth: dict[str, str], talent: str, *, name: str) -> dict[str, str]:
    """An application of the talent to a job of its own, and a stage that it is not in; their ids by kind."""
    job = engines.call(f"POST {API}/jobs", auth, json={"title": f"{name} in the pipeline"})
    assert job.status_code == 201, job.text
    body = {"talent_id": talent, "job_id": job.json()["id"], "source": name}
    made = engines.call(f"POST {API}/applications", auth, json=body)
    assert made.status_code == 201, made.text
    stages = engines.call(f"GET {API}/stages", auth).json()["items"]
    (screening,) = (stage["id"] for stage in stages if stage["key"] == "screening")
    return {"applications": made.json()["id"], "stages": screening}


def left_by_a_run(urls: DatabaseUrls, tenant: str, ids: dict[str, str], *, name: str) -> dict[str, str]:
    """What a sync run leaves for people, as its worker writes it: an entry, a conflict, a write, a run; ids by kind."""
    entry, conflict, write, shard = (str(new_id()) for _ in range(4))
    # Of so many digits that no other text has it by chance.
    number = 10**15 + secrets.randbelow(10**15)
    run = {"job": "looma/people", "epoch": 1, "generation": number, "origin": "people", "entity": "talent"}
    rows = {
        "quarantine": {
            **run,
            "id": entry,
            "key": name,
            "position": 1,
            "shard_hash": 1,
            "raw": name,
            "raw_digest": secrets.token_bytes(16),
            "whole": True,
            "errors": Jsonb([{"field": "email", "message": "write an address"}]),
        },
        "sync_conflicts": {
            **run,
            "id": conflict,
            "key": name,
            "record_id": ids["talents"],
            "field": "headline",
            "source": Jsonb(name),
            "resolution": "open",
            "reason": "a person decides",
        },
        "sync_states": {
            **{name: run[name] for name in ("origin", "entity")},
            "key": name,
            "record_id": ids["talents"],
            "written_version": 1,
            "written_digest": b"",
            "seen_generation": 1,
            "seen_position": 1,
            "shard_hash": 1,
        },
        "sync_writes": {
            **run,
            "id": write,
            "key": name,
            "record_id": ids["talents"],
            "version": 1,
            "fields": Jsonb(["headline"]),
            "state": "refused",
            "reason": "the source refuses it",
        },
        "sync_shards": {**run, "id": shard, "uid": name, "shard": 0, "shards": 1, "run": "people-sync-1"},
    }
    with psycopg.connect(urls.app_libpq) as connection, connection.transaction():
        connection.execute("SELECT set_config('looma.tenant', %s, true)", (tenant,))
        for table, values in rows.items():
            connection.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.Identifier("talent_sync", table),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(sql.Placeholder() * len(values)),
                ),
                list(values.values()),
            )
    return {"quarantine": entry, "sync-conflicts": conflict, "sync-writes": write, "sync-runs": str(number)}


@contextmanager
def all_engines(urls: DatabaseUrls) -> Iterator[Engines]:
    """Every engine that has an application, as a process of its own before a migrated database."""
    routes: dict[str, str] = {}
    with ExitStack() as stack:
        url = stack.enter_context(one_address(routes))
        environment = {
            "LOOMA_DATABASE_URL": urls.app,
            "LOOMA_JWKS_URL": f"{url}/jwks.json",
            "LOOMA_API_URL": url,
            # Nobody reads its pipe while it works.
            "LOOMA_LOG_LEVEL": "error",
        }
        started = {name: stack.enter_context(engine_process(name, environment)) for name in ENGINES}
        for process, address in started.values():
            wait_until_ready(address, process)
        addresses = {name: address for name, (_, address) in started.items()}
        documents = {
            name: httpx.get(f"{address}/openapi.json", timeout=SECONDS).json()
            for name, address in addresses.items()
        }
        for name, document in documents.items():
            routes.update({path.split("{")[0]: addresses[name] for path in document["paths"]})
        # Made once: a client reads the system's certificates, which takes longer than most calls.
        with httpx.Client(timeout=SECONDS) as client:
            yield Engines(client, urls, addresses, documents)
