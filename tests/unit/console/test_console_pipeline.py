"""The pages about applications, before a fake engine over real HTTP."""

from __future__ import annotations

import json
import re
import typing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.pipeline.boards import columns, goals, move_document, new_document, swapped
from looma_console.pipeline.messages import ACTIONS, KINDS, TONES
from looma_console.web.permissions import Role
from looma_core.api.pipeline import Application, Funnel, FunnelStage, MoveAction, Stage, StageKind

ADA = "019a0000-0000-7000-8000-000000000001"
POST = "019a0000-0000-7000-8000-000000000004"
TIE = "019a0000-0000-7000-8000-000000000005"
ONE = "019a0000-0000-7000-8000-000000000006"
TWO = "019a0000-0000-7000-8000-000000000007"
NOW = "2026-11-20T10:00:00Z"
META = {"version": 3, "source": {"type": "manual", "ref": None}, "created_at": NOW, "updated_at": NOW}
PERSON = {"id": ADA, "full_name": "Ada <b>", "language": "en", **META}
JOB = {"id": POST, "title": "Clerk & more", "status": "open", "skills": [], "language": "en", **META}
HTMX = {"HX-Request": "true"}
BOARD = f"/jobs/{POST}/pipeline"
NAMED: list[tuple[str, str, str, StageKind]] = [
    ("applied", "已申请", "Applied", "open"),
    ("offer", "录用意向", "Offer", "open"),
    ("hired", "已录用", "Hired", "hired"),
    ("rejected", "未通过", "Rejected", "rejected"),
]
STAGES = [
    {
        "id": f"019a0000-0000-7000-8000-0000000001{number:02}",
        "key": key,
        "name_zh": zh,
        "name_en": en,
        "kind": kind,
        "place": number,
        "version": 1,
        "applications": 0,
        "created_at": NOW,
        "retired_at": None,
    }
    for number, (key, zh, en, kind) in enumerate(NAMED)
]


def application(number: str = ONE, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "version": 2,
        "talent_id": ADA,
        "job_id": POST,
        "relation_id": TIE,
        "stage": "applied",
        "kind": "open",
        "since": NOW,
        "owner": "ben",
        "source": "referral",
        "reason": None,
        "created_at": NOW,
        "updated_at": NOW,
        "talent_name": "Ada <b>",
        "job_title": "Clerk & more",
        **changes,
    }


REJECTED = application(TWO, stage="rejected", kind="rejected", reason="no <visa>", talent_name="Ben")
FUNNEL = {
    "job_id": POST,
    "applications": 2,
    "stages": [
        {
            "stage": key,
            "name_zh": zh,
            "name_en": en,
            "kind": kind,
            "now": int(key in ("applied", "rejected")),
            "reached": 2 if key == "applied" else int(key == "rejected"),
            "median_days": 3.25 if key == "applied" else None,
        }
        for key, zh, en, kind in NAMED
    ],
}
MOVE = {
    "number": 2,
    "action": "move",
    "from_stage": "applied",
    "to_stage": "rejected",
    "kind": "rejected",
    "at": NOW,
    "by": "cleo",
    "reason": "no <visa>",
    "owner": "ben",
}


@pytest.fixture
def recruiter(signed_in, engine):
    engine.on("GET", f"/api/v1/talents/{ADA}", PERSON)
    engine.on("GET", "/api/v1/talents", {"items": [PERSON], "next_cursor": None})
    engine.on("GET", f"/api/v1/jobs/{POST}", JOB)
    engine.on("GET", f"/api/v1/jobs/{POST}/funnel", FUNNEL)
    engine.on("GET", "/api/v1/stages", {"items": STAGES})
    engine.on("GET", "/api/v1/applications", {"items": [application(), REJECTED], "next_cursor": None})
    engine.on("GET", f"/api/v1/applications/{ONE}", application())
    engine.on("GET", f"/api/v1/applications/{ONE}/moves", {"items": [MOVE], "next_cursor": "next-page"})
    return signed_in(Role.RECRUITER)


def text(answer: Any) -> str:
    found: str = answer.get_data(as_text=True)
    return found


def sent(engine, method: str) -> tuple[Any, Any]:
    request, body = next(item for item in reversed(engine.seen) if item[0].method == method)
    return request, json.loads(body) if body else None


def noted(parts, action: str) -> AuditEntry:
    with parts.db.transaction() as session:
        return session.scalars(select(AuditEntry).where(AuditEntry.action == action)).one()


def column(page: str, stage: str) -> str:
    (found,) = re.findall(rf'<li class="column" data-stage="{stage}">.*?</ul>\s*</li>', page, re.DOTALL)
    return str(found)


def card(page: str, number: str) -> str:
    found = page.split(f'id="application-{number}"')[1]
    return found.split('<li class="card"')[0]


def test_every_kind_and_action_of_the_engine_has_its_words() -> None:
    assert set(KINDS) == set(TONES) == set(typing.get_args(StageKind))
    assert set(ACTIONS) == set(typing.get_args(MoveAction))


def told(**changes: Any) -> Application:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    times = {"since": now, "created_at": now, "updated_at": now}
    return Application(**{**application(), **times, **changes})


def test_a_board_has_a_column_for_each_stage_and_who_waits_longest_first() -> None:
    funnel = Funnel(
        job_id=POST,  # type: ignore[arg-type]
        applications=2,
        stages=[FunnelStage(**stage) for stage in FUNNEL["stages"]],  # type: ignore[attr-defined]
    )
    late, early = told(id=ONE), told(id=TWO, since=datetime(2026, 11, 1, tzinfo=UTC))
    made = columns(funnel, [late, early], "zh-CN")
    assert [one.name for one in made] == ["已申请", "录用意向", "已录用", "未通过"]
    assert made[0].cards == (early, late)
    assert [one.name for one in columns(funnel, [], "en")] == ["Applied", "Offer", "Hired", "Rejected"]


def test_where_an_application_can_go() -> None:
    stages = [Stage(**stage) for stage in STAGES]
    assert [one.key for one in goals(stages, told())] == ["offer", "hired", "rejected", "applied"]
    closed = told(stage="rejected", kind="rejected")
    assert [one.key for one in goals(stages, closed)] == ["applied", "offer", "rejected"]
    stages[1].retired_at = datetime.now(UTC) - timedelta(days=1)
    assert [one.key for one in goals(stages, closed)] == ["applied", "rejected"]


def test_what_forms_mean() -> None:
    form = {"to": "offer", "reason": " ", "owner": "ben ", "version": "3"}
    assert move_document(form) == {"to": "offer", "owner": "ben"}
    assert new_document(POST, {"talent_id": ADA, "source": "", "key": "k"}) == {
        "job_id": POST,
        "talent_id": ADA,
    }


def test_a_board_shows_who_is_where(recruiter, engine) -> None:
    answer = recruiter.get(BOARD)
    page = text(answer)
    assert answer.status_code == 200
    assert "Ada &lt;b&gt;" in column(page, "applied")
    assert "no &lt;visa&gt;" in column(page, "rejected")
    assert "Ada" not in column(page, "offer")
    options = re.findall(r'<option value="(\w+)"', card(page, TWO))
    assert options == ["applied", "offer", "rejected"], "what is closed is only opened again"
    assert 'data-label="Median days">3.2<' in page
    assert f'href="/applications/{ONE}"' in page
    (asked,) = [request for request, _ in engine.seen if request.path == "/api/v1/applications"]
    assert dict(asked.args) == {"job_id": POST, "sort": "-since", "limit": "200"}


def test_a_page_and_a_fragment_are_one_template(recruiter) -> None:
    fragment = text(recruiter.get(BOARD, headers=HTMX))
    assert fragment.strip().startswith('<div id="board">')
    assert "<html" not in fragment
    assert "Applied" in fragment


def test_a_move_on_the_board_is_sent_with_its_version(recruiter, engine, parts) -> None:
    moved = application(stage="offer", version=3)
    engine.on("POST", f"/api/v1/applications/{ONE}/moves", moved)
    answer = recruiter.post(f"{BOARD}/{ONE}", {"to": "offer", "reason": "", "owner": "", "version": "2"})
    assert (answer.status_code, answer.headers["Location"]) == (303, BOARD)
    request, body = sent(engine, "POST")
    assert (request.headers["If-Match"], body) == ('"2"', {"to": "offer"})
    entry = noted(parts, "move-application")
    assert (entry.object, entry.detail) == (f"application/{ONE}", {"kind": "open", "version": 3})
    by_script = recruiter.post(f"{BOARD}/{ONE}", {"to": "offer", "version": "2"}, headers=HTMX)
    assert by_script.status_code == 200
    assert "Moved." in text(by_script)
    assert "<html" not in text(by_script)


def test_a_rejection_without_a_reason_is_told_at_the_field(recruiter, engine) -> None:
    errors = [{"field": "reason", "message": "say why it is rejected"}]
    engine.problem("POST", f"/api/v1/applications/{ONE}/moves", "validation", 422, errors=errors)
    form = {"to": "rejected", "owner": "cleo", "version": "2"}
    for headers in ({}, HTMX):
        answer = recruiter.post(f"{BOARD}/{ONE}", form, headers=headers)
        assert answer.status_code == 422
        mine = card(text(answer), ONE)
        assert '<details class="edit" open>' in mine
        assert f'id="reason-{ONE}-errors">say why it is rejected<' in mine
        assert 'aria-invalid="true"' in mine
        assert '<option value="rejected" selected>' in mine, "what was chosen stays"
        assert 'value="cleo"' in mine
        assert "say why" not in card(text(answer), TWO)


def test_who_was_moved_meanwhile_is_told_so(recruiter, engine, parts) -> None:
    engine.problem("POST", f"/api/v1/applications/{ONE}/moves", "precondition-failed", 412)
    answer = recruiter.post(f"{BOARD}/{ONE}", {"to": "offer", "version": "nonsense"})
    assert answer.status_code == 412
    assert "Somebody else changed this" in card(text(answer), ONE)
    assert sent(engine, "POST")[0].headers["If-Match"] == '"0"'
    with parts.db.transaction() as session:
        assert not session.scalars(select(AuditEntry).where(AuditEntry.action == "move-application")).all()


def test_somebody_is_looked_for_and_added(recruiter, engine, parts) -> None:
    page = text(recruiter.get(f"{BOARD}?q=ada"))
    assert f'<option value="{ADA}">Ada &lt;b&gt;</option>' in page
    (key,) = re.findall(r'name="key" value="(\w+)"', page)
    engine.on("POST", "/api/v1/applications", application(version=1), status=201)
    form = {"talent_id": ADA, "source": "referral", "key": key, "q": "ada"}
    answer = recruiter.post(BOARD, form)
    assert (answer.status_code, answer.headers["Location"]) == (303, BOARD)
    request, body = sent(engine, "POST")
    assert request.headers["Idempotency-Key"] == key
    assert body == {"job_id": POST, "talent_id": ADA, "source": "referral"}
    assert noted(parts, "create-application").object == f"application/{ONE}"
    engine.problem("POST", "/api/v1/applications", "conflict", 409, detail="There is one: that one.")
    again = recruiter.post(BOARD, form)
    assert again.status_code == 409
    assert "There is one: that one." in text(again)
    assert f'name="key" value="{key}"' in text(again)


def test_an_application_shows_its_history_page_by_page(recruiter, engine) -> None:
    page = text(recruiter.get(f"/applications/{ONE}"))
    assert "Applied → Rejected" in page
    assert "no &lt;visa&gt;" in page
    assert "cursor=next-page" in page
    rows = text(recruiter.get(f"/applications/{ONE}?cursor=next-page", headers=HTMX))
    assert rows.strip().startswith("<tr>")
    assert dict(engine.seen[-1][0].args) == {"cursor": "next-page", "limit": "20"}


def test_an_application_is_moved_from_its_own_page(recruiter, engine) -> None:
    path = f"/applications/{ONE}"
    engine.on("POST", f"/api/v1/applications/{ONE}/moves", application(stage="offer", version=3))
    answer = recruiter.post(path, {"to": "offer", "version": "2"})
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    errors = [{"field": "to", "message": "this stage is retired"}]
    engine.problem("POST", f"/api/v1/applications/{ONE}/moves", "validation", 422, errors=errors)
    refused = recruiter.post(path, {"to": "offer", "version": "2"})
    assert refused.status_code == 422
    assert f'id="to-{ONE}-errors">this stage is retired<' in text(refused)


def test_a_person_and_a_job_lead_to_their_applications(recruiter, engine) -> None:
    for path in ("/api/v1/relations", "/api/v1/resumes"):
        engine.on("GET", path, {"items": [], "next_cursor": None})
    assert f'href="/people/{ADA}/applications"' in text(recruiter.get(f"/people/{ADA}"))
    assert f'href="{BOARD}"' in text(recruiter.get(f"/jobs/{POST}"))
    page = text(recruiter.get(f"/people/{ADA}/applications"))
    assert "Clerk &amp; more" in page
    assert f'href="/applications/{ONE}"' in page
    engine.on("GET", "/api/v1/applications", {"items": [], "next_cursor": None})
    assert "has not applied" in text(recruiter.get(f"/people/{ADA}/applications"))


@pytest.mark.parametrize("path", [BOARD, f"/applications/{ONE}", f"/people/{ADA}/applications"])
def test_what_is_not_there_is_told(recruiter, engine, path: str) -> None:
    for where in (f"/api/v1/jobs/{POST}", "/api/v1/applications.*"):
        engine.problem("GET", where, "not-found", 404)
    answer = recruiter.get(path)
    assert answer.status_code == 404
    assert "That is not there" in text(answer)


def test_pages_speak_chinese(recruiter) -> None:
    page = text(recruiter.get(BOARD, headers={"Accept-Language": "zh-CN"}))
    assert "已申请" in page
    assert "漏斗" in page
    assert "移动到" in page


def test_who_may_not_is_refused(signed_in, engine) -> None:
    operator = signed_in(Role.OPERATOR)
    assert operator.get(BOARD).status_code == 403
    assert operator.post(f"{BOARD}/{ONE}", {"to": "offer"}).status_code == 403
    assert not engine.seen


STAGE = f"/api/v1/stages/{STAGES[1]['id']}"
PAGE = "/pipeline/stages"


@pytest.mark.parametrize(
    ("key", "up", "order"),
    [
        ("b", True, ["b", "a", "c"]),
        ("b", False, ["a", "c", "b"]),
        ("a", True, ["a", "b", "c"]),
        ("c", False, ["a", "b", "c"]),
        ("x", True, ["a", "b", "c"]),
    ],
)
def test_a_stage_goes_one_place_up_or_down(key: str, *, up: bool, order: list[str]) -> None:
    assert swapped(["a", "b", "c"], key, up=up) == order


def test_stages_are_shown_added_and_put_in_order(recruiter, engine, parts) -> None:
    page = text(recruiter.get(PAGE))
    assert re.findall(r'<tr data-stage="(\w+)"', page) == [key for key, *_ in NAMED]
    engine.on("POST", "/api/v1/stages", {**STAGES[1], "key": "call"}, status=201)
    form = {"key": "call", "name_zh": "电话", "name_en": "Call", "kind": "open", "key_once": "k" * 16}
    answer = recruiter.post(PAGE, form)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    request, body = sent(engine, "POST")
    assert request.headers["Idempotency-Key"] == "k" * 16
    assert body == {name: form[name] for name in ("key", "name_zh", "name_en", "kind")}
    assert noted(parts, "create-stage").detail == {"key": "call"}
    engine.on("POST", "/api/v1/stages/order", {"items": STAGES})
    assert recruiter.post(f"{PAGE}/order", {"key": "offer", "way": "up"}).status_code == 303
    assert sent(engine, "POST")[1] == {"order": ["offer", "applied", "hired", "rejected"]}
    seen = len(engine.seen)
    assert recruiter.post(f"{PAGE}/order", {"key": "applied", "way": "up"}).status_code == 303
    assert [request.method for request, _ in engine.seen[seen:]] == ["GET"], "there is nothing to change"


def test_a_stage_is_renamed_and_retired_at_its_version(recruiter, engine, parts) -> None:
    for action, form, document in (
        (
            "rename",
            {"name_zh": "录用", "name_en": "Offer made"},
            {"name_zh": "录用", "name_en": "Offer made"},
        ),
        ("retire", {"target": "applied"}, {"target": "applied"}),
        ("retire", {"target": ""}, {}),
    ):
        engine.on("POST", f"{STAGE}/{action}", {**STAGES[1], "version": 2})
        answer = recruiter.post(f"{PAGE}/{STAGES[1]['id']}/{action}", {**form, "version": "1"})
        assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
        request, body = sent(engine, "POST")
        assert (request.headers["If-Match"], body) == ('"1"', document)
    assert noted(parts, "rename-stage").detail == {"key": "offer", "version": 2}


@pytest.mark.parametrize(
    ("path", "action", "field", "box"),
    [
        (PAGE, "/api/v1/stages", "key", "stage-key"),
        (f"{PAGE}/{STAGES[1]['id']}/rename", f"{STAGE}/rename", "name_en", f"en-{STAGES[1]['id']}"),
        (f"{PAGE}/{STAGES[1]['id']}/retire", f"{STAGE}/retire", "target", f"target-{STAGES[1]['id']}"),
    ],
)
def test_what_is_wrong_with_a_stage_is_told_at_the_field(
    recruiter, engine, *, path: str, action: str, field: str, box: str
) -> None:
    engine.problem("POST", action, "validation", 422, errors=[{"field": field, "message": "is wrong"}])
    answer = recruiter.post(path, {"key": "Mine", "name_en": "Mine", "target": "applied"})
    assert answer.status_code == 422
    page = text(answer)
    assert page.count("is wrong") == 1
    assert f'id="{box}-errors">is wrong<' in page
    assert page.count('aria-invalid="true"') == 1
