"""Two engines as processes of their own, one the other's shadow, on one database."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from support.engines import (
    START_SECONDS,
    STOP_SECONDS,
    engine_process,
    lines_of,
    one_address,
    wait_until_ready,
)
from support.shadow_target import ShadowTarget
from support.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls

PATH = "/api/v1/talents"
TO = {"X-Looma-Shadow": "people-next"}
DRAFT: dict[str, Any] = {"full_name": "Ada", "language": "en", "source": {"type": "manual", "ref": "one"}}


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    """The issuer's keys by HTTP, as the console serves them."""
    with one_address() as url:
        yield f"{url}/jwks.json"


def outcomes(url: str) -> dict[str, int]:
    """What became of the copies that an engine sent."""
    found = re.findall(
        r'looma_shadow_requests_total\{outcome="(\w+)",service="people",shadow="people-next"\} ([\d.]+)',
        httpx.get(f"{url}/metrics", timeout=30).text,
    )
    return {outcome: int(float(count)) for outcome, count in found}


def wait_for(url: str, **wanted: int) -> None:
    """Return when the outcomes are these."""
    until = time.monotonic() + START_SECONDS
    while sum(outcomes(url).values()) < sum(wanted.values()) and time.monotonic() < until:
        time.sleep(0.1)
    assert outcomes(url) == wanted


def names(urls: DatabaseUrls, tenant: str) -> list[str]:
    with psycopg.connect(urls.admin) as connection:
        rows = connection.execute("SELECT full_name FROM talent_sync.talents WHERE tenant = %s", [tenant])
        return [row[0] for row in rows]


def test_an_engines_copies_are_answered_by_another_and_leave_nothing(
    database_urls: DatabaseUrls, jwks_url: str, tenant: str
) -> None:
    base = {"LOOMA_DATABASE_URL": database_urls.app, "LOOMA_JWKS_URL": jwks_url}
    with contextlib.ExitStack() as running:
        shadow, shadow_url = running.enter_context(
            engine_process("talent-sync", base | {"LOOMA_SERVICE": "people-next"})
        )
        real, url = running.enter_context(
            engine_process(
                "talent-sync", base | {"LOOMA_SERVICE": "people", "LOOMA_ENGINE_ADDRESS": shadow_url}
            )
        )
        wait_until_ready(shadow_url, shadow)
        wait_until_ready(url, real)
        headers = bearer(tenant=tenant) | TO
        created = httpx.post(url + PATH, json=DRAFT, headers=headers, timeout=30)
        assert created.status_code == 201
        # The copy finds what the real request made: another status.
        wait_for(url, different=1)
        for path in (PATH, f"{PATH}?q=ada&limit=5", f"{PATH}/{created.json()['id']}"):
            assert httpx.get(url + path, headers=headers, timeout=30).status_code == 200
        assert httpx.get(f"{url}{PATH}/none", headers=headers, timeout=30).status_code == 404
        assert httpx.get(url + PATH, headers=TO, timeout=30).status_code == 401
        wait_for(url, different=1, same=5)
        # With a source of its own it would be made: the copy of one, straight to the shadow, is gone with its answer.
        alone = {**DRAFT, "full_name": "Eve", "source": {"type": "manual", "ref": "two"}}
        marked = bearer(tenant=tenant) | {"X-Looma-Shadowed": "1"}
        assert httpx.post(shadow_url + PATH, json=alone, headers=marked, timeout=30).status_code == 201
        assert names(database_urls, tenant) == ["Ada"]
        real.send_signal(signal.SIGTERM)
        shadow.send_signal(signal.SIGTERM)
        (told,) = [line for line in lines_of(real) if line["event"] == "shadow differs"]
        assert (told["code"], told["shadow_code"], told["places"]) == (201, 200, ["status"])
        copies = [line for line in lines_of(shadow) if line.get("copy")]
        assert len(copies) == 7
        assert told["request_id"] + ".shadow" in {line["request_id"] for line in copies}


@pytest.mark.long
def test_an_engine_whose_shadow_hangs_answers_and_ends_in_time(
    database_urls: DatabaseUrls, jwks_url: str, tenant: str
) -> None:
    target = ShadowTarget()
    target.hangs = True
    environment = {
        "LOOMA_DATABASE_URL": database_urls.app,
        "LOOMA_JWKS_URL": jwks_url,
        "LOOMA_SERVICE": "people",
        "LOOMA_ENGINE_ADDRESS": target.address,
        # Nobody reads the process's pipe while it is asked: a line for each request would fill it.
        "LOOMA_LOG_LEVEL": "warning",
    }
    try:
        with engine_process("talent-sync", environment) as (process, url):
            wait_until_ready(url, process)
            with httpx.Client(timeout=30, headers=bearer(tenant=tenant) | TO) as client:
                for _ in range(300):
                    assert client.get(url + PATH).status_code == 200
            # Four workers hold one copy each, so there was no room for all that waited.
            assert outcomes(url)["dropped"] > 0
            process.send_signal(signal.SIGTERM)
            lines = lines_of(process)
            assert process.returncode == 0
        assert [line["event"] for line in lines if "copies dropped" in line["event"]] != []
    finally:
        target.stop()


def test_the_end_is_within_what_a_pod_is_given() -> None:
    from looma_core.http.serve import GRACE_SECONDS
    from looma_core.http.shadow import Limits

    assert Limits().drain_seconds < GRACE_SECONDS < STOP_SECONDS + 1
