"""A console for each test, on a tenant of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

from looma_console.app import create_app
from looma_console.users.operations import add_user, ensure_first_admin
from looma_console.web.parts import Parts
from looma_console.web.permissions import Role
from support.console_parts import PASSWORD, FakeCluster, FakeEngine, make_parts, service_document
from support.database import DatabaseUrls


@dataclass
class Browser:
    """A test client that sends form tokens as a page would."""

    client: FlaskClient

    def get(self, path: str, **options: object) -> TestResponse:
        return self.client.get(path, **options)

    def token(self, path: str = "/account") -> str:
        page = self.client.get(path).get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found, f"no form token on {path}"
        return found[1]

    def post(
        self, path: str, data: dict | None = None, *, page: str = "/account", **options: object
    ) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token(page), **(data or {})}, **options)

    def sign_in(self, login: str = "admin", password: str = PASSWORD) -> TestResponse:
        return self.post("/login", {"login": login, "password": password}, page="/login")


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine().running() as running:
        yield running


@pytest.fixture
def parts(database_urls: DatabaseUrls, tenant: str, tmp_path: Path, engine: FakeEngine) -> Iterator[Parts]:
    made = make_parts(
        database_url=database_urls.app,
        tenant=tenant,
        folder=tmp_path,
        engine_address=engine.address,
        gateway_address=engine.address,
        prometheus_url=engine.address,
    )
    ensure_first_admin(made.db, made.passwords, password=PASSWORD)
    prefixes = [
        "/api/v1/talents",
        "/api/v1/companies",
        "/api/v1/jobs",
        "/api/v1/relations",
        "/api/v1/skills",
        "/api/v1/duplicates",
        "/api/v1/merges",
        "/api/v1/quarantine",
        "/api/v1/sync-conflicts",
        "/api/v1/sync-runs",
        "/api/v1/sync-writes",
        "/api/v1/erasures",
        "/api/v1/stages",
        "/api/v1/applications",
        "/api/v1/audit-events",
        "/api/v1/resume-files",
        "/api/v1/resumes",
        "/api/v1/database",
    ]
    routes = {"pathPrefixes": prefixes, "timeoutSeconds": 5}
    made.service_watch.replace(
        [service_document("resume"), service_document("talent-sync", spec={"route": routes})]
    )
    made.event_watch.replace([])
    yield made
    made.db.dispose()


@pytest.fixture
def cluster_fake(parts: Parts) -> FakeCluster:
    assert isinstance(parts.cluster, FakeCluster)
    return parts.cluster


class Compiled(BytecodeCache):
    """Templates compiled once a session: each app would do it anew, which takes longer than most tests."""

    kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture
def app(parts: Parts) -> Flask:
    made = create_app(parts)
    made.jinja_env.bytecode_cache = Compiled()
    return made


@pytest.fixture
def visitor(app: Flask) -> Browser:
    """Somebody who has not signed in."""
    return Browser(app.test_client())


@pytest.fixture
def signed_in(app: Flask, parts: Parts) -> Callable[..., Browser]:
    """Makes browsers that are signed in with the given roles."""

    def make(*roles: Role) -> Browser:
        login = "the-" + "-".join(role.value for role in roles)
        add_user(
            parts.db,
            parts.passwords,
            login=login,
            display_name="",
            password=PASSWORD,
            roles=roles,
            who="test",
            request_id="",
        )
        browser = Browser(app.test_client())
        assert browser.sign_in(login).status_code == 303
        return browser

    return make
