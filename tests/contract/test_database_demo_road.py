"""The road of the demonstration data without a cluster: both engines as processes behind one address."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from looma_core.crypto import new_key
from looma_engines.demo.main import PEOPLE
from looma_engines.demo.relations import BONDS
from looma_engines.demo.vacancies import EMPLOYERS
from support.engines import engine_process, one_address, wait_until_ready
from support.tokens import bearer, private_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.database import DatabaseUrls

DEMO_SECONDS = 120
"""Fourteen résumés on a busy machine."""


@pytest.fixture(scope="module")
def address(database_urls: DatabaseUrls) -> Iterator[str]:
    """The one address, with talent-sync and resume behind it."""
    routes: dict[str, str] = {}
    with ExitStack() as stack:
        url = stack.enter_context(one_address(routes))
        environment = {
            "LOOMA_DATABASE_URL": database_urls.app,
            "LOOMA_JWKS_URL": f"{url}/jwks.json",
            "LOOMA_API_URL": url,
            "LOOMA_FILE_KEYS": new_key(),
        }
        started = {
            prefix: stack.enter_context(engine_process(name, environment))
            for prefix, name in (("/api/v1/talents", "talent-sync"), ("/api/v1/resumes", "resume"))
        }
        routes.update({prefix: engine for prefix, (_, engine) in started.items()})
        for prefix in ("/api/v1/companies", "/api/v1/jobs", "/api/v1/relations"):
            routes[prefix] = started["/api/v1/talents"][1]
        for process, engine in started.values():
            wait_until_ready(engine, process)
        yield url


def _demo(action: str, *, address: str, tenant: str, folder: Path) -> None:
    key = folder / "private.pem"
    key.write_bytes(private_key())
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOOMA_")}
    done = subprocess.run(
        [sys.executable, "-c", "from looma_engines.demo.main import main; main()", action],
        env={**clean, "LOOMA_API_URL": address, "LOOMA_TENANT": tenant, "LOOMA_ISSUER_KEY_FILE": str(key)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEMO_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _all(address: str, path: str, tenant: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{address}/api/v1/{path}", params={"limit": 200}, headers=bearer(tenant=tenant), timeout=30
    )
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.long
def test_the_people_come_once_and_go_by_one_command(address: str, tenant: str, tmp_path: Path) -> None:
    for _ in range(2):
        _demo("load", address=address, tenant=tenant, folder=tmp_path)
        talents = {talent["full_name"]: talent for talent in _all(address, "talents", tenant)}
        assert len(_all(address, "talents", tenant)) == len(PEOPLE), "loading again adds nobody"
        companies = {item["id"]: item["name"] for item in _all(address, "companies", tenant)}
        jobs = _all(address, "jobs", tenant)
        assert len(companies) == len(EMPLOYERS)
        assert len(jobs) == sum(len(employer.jobs) for employer in EMPLOYERS)
        assert all(companies[job["company_id"]] == job["company_name"] for job in jobs)
        relations = _all(address, "relations", tenant)
        assert {item["source"]["ref"] for item in relations} == {
            f"{bond.person}/{bond.kind}/{bond.other}" for bond in BONDS
        }
        assert len(relations) == len(BONDS)
    assert sorted(talents) == sorted(person.name for person in PEOPLE)
    for person in PEOPLE:
        talent = talents[person.name]
        assert talent["source"]["type"] == "demo"
        assert talent["email"] == person.email
        assert talent["language"] == person.language
        found = {job["company"] for job in talent["experience"]}
        assert found == {job.company for job in person.jobs}, person.slug
        assert talent["skills"], person.slug
    assert _all(address, "talents", f"{tenant}-other") == []
    mine = httpx.post(
        f"{address}/api/v1/talents", headers=bearer(tenant=tenant), json={"full_name": "Not a demonstration"}
    )
    assert mine.status_code == 201
    _demo("remove", address=address, tenant=tenant, folder=tmp_path)
    assert [talent["full_name"] for talent in _all(address, "talents", tenant)] == ["Not a demonstration"]
    for kind in ("resumes", "companies", "jobs", "relations"):
        assert _all(address, kind, tenant) == []
    _demo("load", address=address, tenant=tenant, folder=tmp_path)
    assert len(_all(address, "talents", tenant)) == len(PEOPLE) + 1, "after removing they may come again"
