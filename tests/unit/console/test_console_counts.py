"""How many a list has, as a sentence after it."""

from __future__ import annotations

import pytest

from looma_console.web.counts import rounded
from looma_console.web.permissions import Role


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, 0), (7, 7), (99, 99), (1_001, 1_000), (98_712, 99_000), (1_234_567, 1_200_000)],
)
def test_an_estimate_has_two_digits(count: int, expected: int) -> None:
    assert rounded(count) == expected


def test_a_list_asks_for_its_count_with_its_own_filters(engine, signed_in) -> None:
    engine.on("GET", "/api/v1/talents", {"items": [], "next_cursor": None})
    engine.on("GET", "/api/v1/talents/count", {"count": 98_712, "exact": False})
    engine.on("GET", "/api/v1/jobs/count", {"count": 12, "exact": True})
    recruiter = signed_in(Role.RECRUITER)
    told = recruiter.get("/people/count?q=ada&source=resume&cursor=x").get_data(as_text=True)
    assert told == "About 99,000 in all."
    assert dict(engine.seen[-1][0].args) == {"q": "ada", "source": "resume"}
    told = recruiter.get("/jobs/count?q=data&status=open&workplace=nonsense").get_data(as_text=True)
    assert told == "12 in all."
    assert dict(engine.seen[-1][0].args) == {"q": "data", "status": "open"}


def test_a_list_without_its_count_is_whole(engine, signed_in) -> None:
    engine.problem("GET", "/api/v1/talents/count", "not-ready", 503)
    answer = signed_in(Role.RECRUITER).get("/people/count")
    assert (answer.status_code, answer.get_data(as_text=True)) == (200, "")
