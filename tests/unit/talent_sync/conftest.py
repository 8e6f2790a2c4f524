"""The engine talent-sync over a real database, and two tenants that ask it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings
from looma_engines.talent_sync.app import create
from support.engines import LEDGER_KEY
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls


@pytest.fixture(scope="module")
def client(database_urls: DatabaseUrls) -> Iterator[TestClient[Any]]:
    settings = EngineSettings(
        database_url=database_urls.app,
        service="talent-sync",
        revision="r4",
        schema_wait_seconds=5,
        file_keys=new_key(),
        key_ring_file=ring_file(),
        ledger_key=LEDGER_KEY,
    )
    with TestClient(create(settings, verifier=verifier()), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def auth(tenant: str) -> dict[str, str]:
    return bearer(tenant=tenant)


@pytest.fixture
def other_tenant() -> dict[str, str]:
    return bearer(tenant=f"other-{uuid.uuid4().hex[:8]}")
