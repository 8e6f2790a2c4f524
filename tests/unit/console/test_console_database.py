"""The page about the database, before a fake engine over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from looma_console.web.permissions import Role

TABLE: dict[str, Any] = {
    "name": "talent_sync.talents",
    "rows": 100_000,
    "dead_rows": 12,
    "table_bytes": 2_500_000,
    "index_bytes": 1_000_000,
    "index_scans": 77,
    "sequential_scans": 3,
    "vacuumed_at": None,
    "analyzed_at": "2026-11-20T10:00:00Z",
}
STATE: dict[str, Any] = {
    "version": "17.2",
    "bytes": 5_000_000,
    "connections": 14,
    "most_connections": 200,
    "cache_hit_ratio": 0.987,
    "index_use_ratio": None,
    "deadlocks": 0,
    "tables": [TABLE],
}
SLOW: dict[str, Any] = {
    "id": "-42",
    "text": "SELECT <b> FROM talent_sync.talents WHERE id = $1",
    "calls": 5,
    "mean_ms": 61.5,
    "max_ms": 99.25,
    "total_ms": 307.5,
    "rows": 5,
    "cache_hit_ratio": 1.0,
}
READY: dict[str, Any] = {
    "state": "ready",
    "hint": None,
    "slow_ms": 50.0,
    "slow": 1,
    "once_slow": 2,
    "items": [SLOW],
}


def test_it_shows_statements_rates_and_tables(engine, signed_in) -> None:
    engine.on("GET", "/api/v1/database", STATE)
    engine.on("GET", "/api/v1/database/statements", READY)
    page = signed_in(Role.ADMIN).get("/database?sort=mean").get_data(as_text=True)
    assert "SELECT &lt;b&gt; FROM talent_sync.talents" in page
    assert 'class="bad">61.50' in page
    assert "98.7 %" in page
    assert "14 / 200" in page
    assert "2.5 MB" in page
    asked = [request for request, _ in engine.seen if request.path.endswith("/statements")]
    assert asked[0].args["sort"] == "mean"


def test_htmx_gets_the_statements_alone_and_an_unknown_order_is_the_usual_one(engine, signed_in) -> None:
    engine.on("GET", "/api/v1/database", STATE)
    engine.on("GET", "/api/v1/database/statements", READY)
    part = (
        signed_in(Role.ADMIN).get("/database?sort=age", headers={"HX-Request": "true"}).get_data(as_text=True)
    )
    assert 'id="statements"' in part
    assert 'id="tables"' not in part
    assert [request.args["sort"] for request, _ in engine.seen if "sort" in request.args] == ["total"]


@pytest.mark.parametrize(
    ("state", "words"),
    [("missing", "no extension"), ("not-loaded", "shared_preload_libraries"), ("not-readable", "SELECT")],
)
def test_where_statements_are_not_counted_it_says_why_and_shows_the_rest(
    engine, signed_in, state: str, words: str
) -> None:
    engine.on("GET", "/api/v1/database", STATE)
    engine.on("GET", "/api/v1/database/statements", {**READY, "state": state, "hint": "x", "items": []})
    page = signed_in(Role.ADMIN).get("/database").get_data(as_text=True)
    assert words in page
    assert 'id="tables"' in page


def test_an_engine_that_does_not_answer_is_told(engine, signed_in) -> None:
    engine.problem("GET", "/api/v1/database/statements", "not-ready", 503, detail="x")
    answer = signed_in(Role.ADMIN).get("/database")
    assert answer.status_code == 200
    assert "notice problem" in answer.get_data(as_text=True)


@pytest.mark.parametrize("role", [Role.RECRUITER, Role.OPERATOR])
def test_it_is_for_administrators(engine, signed_in, role: Role) -> None:
    browser = signed_in(role)
    assert browser.get("/database").status_code == 403
    assert 'href="/database"' not in browser.get("/account").get_data(as_text=True)
