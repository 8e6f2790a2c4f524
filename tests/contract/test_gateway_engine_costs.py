"""A budget at the real HAProxy before a real engine: the pages that the résumé engine reads are what is spent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from looma_core.crypto import new_key
from looma_engines.gateway.model import Auth, Budget, DataPlane, Policy, RateLimitPer
from looma_engines.gateway.objects.looma import BudgetSpec
from support.database import DatabaseUrls
from support.engines import engine_process, one_address, wait_until_ready
from support.gateway_planes import plane, rule, tokens
from support.haproxy import Gateway
from support.resume_files import ADA, pdf_pages
from support.tokens import bearer


def costing(port: int, units: int) -> DataPlane:
    """One engine, whose answers to a subject may cost so many units."""
    # As an AIService has it that names none.
    header = BudgetSpec(units=units).cost_header
    budget = Budget(units=units, window_seconds=3600, per=RateLimitPer.SUBJECT, cost_header=header)
    policy = Policy(auth=Auth(required=True), budget=budget)
    return plane(rule(policy=policy), port=port, tokens=tokens())


def test_pages_that_the_engine_read_are_spent_of_the_callers_budget(
    database_urls: DatabaseUrls, tenant: str, new_gateway: Callable[..., Gateway]
) -> None:
    with one_address() as issuer:
        settings = {
            "LOOMA_DATABASE_URL": database_urls.app,
            "LOOMA_JWKS_URL": f"{issuer}/jwks.json",
            "LOOMA_SERVICE": "resume",
            "LOOMA_FILE_KEYS": new_key(),
            "LOOMA_CONFIG": '{"workers": 1, "waitSeconds": 60}',
        }
        with engine_process("resume", settings) as (process, url):
            wait_until_ready(url, process)
            gateway = new_gateway(costing(httpx.URL(url).port or 0, units=5))

            def parse(subject: str, **sent: Any) -> tuple[int, str | None, str | None]:
                caller = bearer(tenant=tenant, subject=subject)
                answer = gateway.client.post("/api/v1/resumes/parse", headers=caller, **sent)
                told = answer.headers
                return answer.status_code, told.get("x-looma-cost"), told.get("ratelimit-remaining")

            three = {"files": {"file": ("a.pdf", pdf_pages(ADA, 3))}}
            assert parse("ada", **three) == (200, "3", "2")
            assert parse("ada", json={"text": "Java"}) == (200, "1", "1")
            assert parse("ada", files={"file": ("a.png", b"no document")})[1:] == (None, "1")
            assert parse("ada", **three) == (200, "3", "0"), "the last may go over"
            assert parse("ada", **three) == (429, None, "0")
            assert parse("eve", **three) == (200, "3", "2"), "a budget of her own"
