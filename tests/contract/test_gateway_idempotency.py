"""The real HAProxy before real engines, one of which carries a request out and ends before it answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from looma_engines.gateway.model import Auth, Policy
from support import breaking_engine
from support.database import DatabaseUrls
from support.engines import engine_process, one_address, wait_until_ready
from support.gateway_planes import ENGINE, backend, plane, rule, tokens
from support.haproxy import Gateway
from support.tokens import bearer


@pytest.mark.parametrize("key", ["8e03978e-40d5-43dd-bc93-6894a57f9324", None], ids=["with a key", "without"])
def test_a_request_whose_answer_was_lost_is_sent_again_and_carried_out_once(
    database_urls: DatabaseUrls,
    tenant: str,
    tmp_path: Path,
    new_gateway: Callable[..., Gateway],
    key: str | None,
) -> None:
    code, beside = breaking_engine.program(tmp_path / "broken")
    with ExitStack() as stack:
        issuer = stack.enter_context(one_address())
        environment = {
            "LOOMA_DATABASE_URL": database_urls.app,
            "LOOMA_JWKS_URL": f"{issuer}/jwks.json",
            "LOOMA_SERVICE": "people",
            **beside,
        }
        pods = [stack.enter_context(engine_process("talent-sync", environment, code=code)) for _ in range(2)]
        for process, url in pods:
            wait_until_ready(url, process)
        ports = [httpx.URL(url).port or 0 for _, url in pods]
        asked = rule(policy=Policy(retries=1, auth=Auth(required=True)))
        gateway = new_gateway(plane(asked, backends=(backend(ENGINE, *ports),), tokens=tokens()))
        headers = bearer(tenant=tenant) | ({"Idempotency-Key": key} if key else {})
        answer = gateway.client.post("/api/v1/talents", headers=headers, json={"full_name": "Ada Byron"})
        broken = [process for process, _ in pods if process.poll() is not None]
        assert (tmp_path / "broken").exists(), "no engine broke off"
    if key:
        assert (answer.status_code, answer.headers["idempotent-replayed"]) == (201, "true")
    else:
        # The caller is told, and nobody repeats what nobody said may be repeated.
        assert (answer.status_code, answer.headers["x-looma-source"]) == (502, "gateway")
    assert len(broken) <= 1
    with psycopg.connect(database_urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        stored = connection.execute("SELECT id::text FROM talent_sync.talents").fetchall()
    assert len(stored) == 1
    if key:
        assert answer.json()["id"] == stored[0][0]
