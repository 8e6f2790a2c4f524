"""The pages about SyncJobs: what they show, live, and what may be asked of them."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
import yaml
from sqlalchemy import select

from looma_console.cluster.actions import Verdict
from looma_console.cluster.api import KubernetesError
from looma_console.cluster.syncjobs import read_sync_job
from looma_console.db.models import AuditEntry
from looma_console.syncs import messages
from looma_console.web.permissions import Role
from support.cluster import ROOT
from support.console_parts import event_document, sync_document


def test_a_sync_job_without_a_status_is_pending() -> None:
    job = read_sync_job({"metadata": {"name": "new"}, "spec": {"source": {"type": "csv", "path": "x.csv"}}})
    assert (job.phase, job.last, job.goes_on, job.shards) == ("Pending", None, False, ())
    assert (job.workers, job.cron, job.next_run) == (1, "", None)
    assert job.target is None


@pytest.mark.parametrize(
    ("suspended", "goes_on", "actions"),
    [
        (False, False, ("run", "suspend")),
        (False, True, ("cancel", "suspend")),
        (True, False, ("resume",)),
        (True, True, ("resume", "cancel")),
    ],
)
def test_what_may_be_asked_for(suspended: bool, goes_on: bool, actions: tuple[str, ...]) -> None:
    document = sync_document(spec={"suspend": suspended})
    if not goes_on:
        document["status"]["runs"].pop()
    assert read_sync_job(document).actions == actions


def test_the_latest_run_comes_first_and_only_its_workers_count() -> None:
    job = read_sync_job(sync_document())
    assert [run.epoch for run in job.runs] == [3, 2]
    assert [(shard.number, shard.progress.read) for shard in job.shards] == [(0, 120)]
    assert job.runs[1].took == dt.timedelta(seconds=125)
    assert job.runs[0].took is None


@pytest.mark.parametrize(
    ("kind", "status", "good"),
    [
        ("Ready", "True", True),
        ("Ready", "False", False),
        ("Running", "False", True),
        ("Succeeded", "False", False),
        ("Succeeded", "Unknown", True),
        ("Succeeded", "True", True),
    ],
)
def test_which_conditions_are_good_news(kind: str, status: str, good: bool) -> None:
    job = read_sync_job(sync_document(conditions=[{"type": kind, "status": status}]))
    assert job.conditions[0].good is good


def test_every_value_of_the_definition_has_words() -> None:
    definition = yaml.safe_load((ROOT / "crds" / "syncjob.yaml").read_text())
    spec, schema = (
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]["properties"]
        for part in ("spec", "status")
    )
    assert set(spec["target"]["properties"]["entity"]["enum"]) == set(messages.TARGETS)
    assert set(schema["phase"]["enum"]) == set(messages.PHASES) == set(messages.TONES)
    run = schema["runs"]["items"]["properties"]
    assert set(run["result"]["enum"]) <= set(messages.PHASES)
    assert set(run["trigger"]["enum"]) == set(messages.TRIGGERS)
    assert set(schema["shards"]["items"]["properties"]["state"]["enum"]) <= set(messages.PHASES)
    assert set(schema["requests"]["items"]["properties"]["result"]["enum"]) == set(messages.RESULTS)
    assert set(messages.ACTIONS) == set(messages.QUESTIONS) == set(messages.MEANINGS)


def test_the_list_shows_last_and_next_run_and_what_failed(parts, signed_in) -> None:
    page = signed_in(Role.OPERATOR)
    assert "The cluster has not answered yet" in page.get("/syncs").get_data(as_text=True)
    parts.sync_watch.replace([])
    assert "No sync job is in this namespace yet" in page.get("/syncs").get_data(as_text=True)
    document = sync_document()
    document["status"]["runs"].pop()
    parts.sync_watch.replace([document])
    parts.sync_event_watch.replace([event_document(service="people", message="Run 2 ended, Failed")])
    text = page.get("/syncs").get_data(as_text=True)
    for said in (
        'href="/syncs/people"',
        "<dd>400 / 1,000</dd>",
        '<dd class="bad">7</dd>',
        "Nov 21, 2026",
        "<code>0 3 * * *</code> Asia/Shanghai",
        "Run 2: shard 1 read bad input",
        "Run 2 ended, Failed",
    ):
        assert said in text, said


def test_the_page_shows_workers_and_runs_with_who_and_why(parts, signed_in) -> None:
    parts.sync_watch.replace([sync_document()])
    parts.sync_event_watch.replace([])
    text = signed_in(Role.OPERATOR).get("/syncs/people").get_data(as_text=True)
    for said in (
        "Workers of run 3",
        '<progress max="500" value="120"',
        "120 of 500 records read",
        'class="bad">2</td>',
        "asked for: mei",
        "“the file was repaired”",
        "2 minutes",
        "7 failed",
        "shard 1 read bad input",
        "a run begins",
    ):
        assert said in text, said
    assert "of the run before" not in text, "a worker of an earlier run counts for nothing"
    assert signed_in(Role.ADMIN).get("/syncs/unheard-of").status_code == 404


@pytest.mark.parametrize(
    ("entity", "word"),
    [("talent", "People"), ("company", "Companies"), ("job", "Jobs"), ("relation", "Relations")],
)
def test_the_page_says_where_the_records_go(parts, signed_in, entity: str, word: str) -> None:
    parts.sync_watch.replace([sync_document(spec={"target": {"tenant": "acme", "entity": entity}})])
    page = signed_in(Role.OPERATOR).get("/syncs/people").get_data(as_text=True)
    assert f'id="target">{word} · acme</dd>' in page
    assert 'id="references"' not in page, "its values are our own ids"


def test_a_kind_that_a_newer_release_brings_is_called_as_it_is(parts, signed_in) -> None:
    parts.sync_watch.replace([sync_document(spec={"target": {"tenant": "acme", "entity": "course"}})])
    page = signed_in(Role.OPERATOR).get("/syncs/people").get_data(as_text=True)
    assert 'id="target">course · acme</dd>' in page


def test_the_page_says_of_which_sources_keys_a_field_is(parts, signed_in) -> None:
    spec = {
        "target": {"tenant": "acme", "entity": "relation"},
        "references": {"talent_id": "crm-people", "company_id": "crm-<companies>"},
    }
    parts.sync_watch.replace([sync_document(spec=spec)])
    browser = signed_in(Role.OPERATOR)
    told = browser.get("/syncs/people").get_data(as_text=True).split('id="references">')[1].split("</dd>")[0]
    assert told == (
        "<code>company_id</code> · keys of crm-&lt;companies&gt;<br><code>talent_id</code> · keys of crm-people"
    )
    chinese = browser.get("/syncs/people", headers={"Accept-Language": "zh-CN"}).get_data(as_text=True)
    assert 'id="target">关系 · acme</dd>' in chinese
    assert "<code>talent_id</code> · crm-people 的键" in chinese


def test_a_worker_that_does_not_know_how_many_shows_no_bar(parts, signed_in) -> None:
    entry = {"shard": 0, "epoch": 3, "state": "Running", "read": 1}
    parts.sync_watch.replace([sync_document(shards=[entry])])
    text = signed_in(Role.OPERATOR).get("/syncs/people").get_data(as_text=True)
    assert "<progress" not in text
    assert "1 record read" in text


def test_a_run_whose_workers_are_silent_says_so(parts, signed_in) -> None:
    parts.sync_watch.replace([sync_document(shards=[])])
    text = signed_in(Role.OPERATOR).get("/syncs/people").get_data(as_text=True)
    assert "No worker of the run has told yet" in text


def test_who_may_not_sees_why(parts, signed_in, cluster_fake) -> None:
    parts.sync_watch.replace([sync_document()])
    cluster_fake.verdict = Verdict(allowed=False, reason="no RBAC policy matched")
    text = signed_in(Role.OPERATOR).get("/syncs/people").get_data(as_text=True)
    assert "no RBAC policy matched" in text
    assert text.count('disabled aria-describedby="why-not"') == 2
    assert 'id="ask-' not in text
    dialog = signed_in(Role.ADMIN).get("/syncs/people/requests/cancel").get_data(as_text=True)
    assert '<button class="button primary" disabled>' in dialog


@pytest.mark.parametrize(
    ("action", "suspended", "goes_on"),
    [("run", False, False), ("cancel", False, True), ("suspend", False, True), ("resume", True, True)],
)
def test_it_is_asked_for_as_the_person_with_a_reason_and_audited(  # noqa: PLR0917 - a table
    parts, signed_in, cluster_fake, action: str, suspended: bool, goes_on: bool
) -> None:
    document = sync_document(spec={"suspend": suspended})
    if not goes_on:
        document["status"]["runs"].pop()
    parts.sync_watch.replace([document])
    browser = signed_in(Role.OPERATOR)
    where = f"/syncs/people/requests/{action}"
    dialog = browser.get(where, headers={"HX-Request": "true"}).get_data(as_text=True)
    assert "<html" not in dialog
    assert str(messages.QUESTIONS[action]) in dialog
    assert "<html" in browser.get(where).get_data(as_text=True)
    answer = browser.post(where, {"reason": " it is needed "})
    assert (answer.status_code, answer.location) == (303, "/syncs/people")
    ((person, job, asked, reason),) = cluster_fake.asked
    assert (person.login, job, asked, reason) == ("the-operator", "people", action, "it is needed")
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == action)).one()
    assert (entry.who, entry.object, entry.outcome) == ("the-operator", "syncjob/people", "done")
    assert entry.detail == {"reason": "it is needed"}
    scripted = browser.post(where, {"reason": "again"}, headers={"HX-Request": "true"})
    assert (scripted.status_code, scripted.headers["HX-Redirect"]) == (204, "/syncs/people")


def test_what_cannot_be_asked_for_is_explained(parts, signed_in, cluster_fake) -> None:
    parts.sync_watch.replace([sync_document()])
    browser = signed_in(Role.OPERATOR)
    assert browser.get("/syncs/people/requests/run").status_code == 409, "a run goes on"
    assert browser.get("/syncs/people/requests/dance").status_code == 404
    assert browser.post("/syncs/people/requests/dance", {"reason": "because"}).status_code == 404
    assert browser.post("/syncs/people/requests/cancel", {"reason": "x"}).status_code == 422
    assert cluster_fake.asked == []


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (
            KubernetesError(403, "Forbidden", "no rights"),
            403,
            "does not let you change this sync job: no rights",
        ),
        (KubernetesError(0, "Unreachable", "x"), 502, "does not answer right now"),
        (KubernetesError(422, "Invalid", "too long"), 422, "The cluster refused: too long"),
    ],
)
def test_a_refusal_is_told_and_audited(  # noqa: PLR0917 - a table
    parts, signed_in, cluster_fake, error: KubernetesError, status: int, words: str
) -> None:
    parts.sync_watch.replace([sync_document()])
    cluster_fake.error = error
    answer = signed_in(Role.OPERATOR).post("/syncs/people/requests/cancel", {"reason": "because"})
    assert answer.status_code == status
    text = answer.get_data(as_text=True)
    assert words in text
    assert ">because</textarea>" in text, "nobody writes it twice"
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "cancel")).one()
    assert (entry.outcome, entry.detail["error"]) == ("refused", error.reason)


def test_recruiters_see_and_ask_for_nothing(parts, signed_in, cluster_fake) -> None:
    parts.sync_watch.replace([sync_document()])
    browser = signed_in(Role.RECRUITER)
    for path in (
        "/syncs",
        "/syncs/live",
        "/syncs/people",
        "/syncs/people/live",
        "/syncs/people/requests/run",
    ):
        assert browser.get(path).status_code == 403, path
    assert browser.post("/syncs/people/requests/cancel", {"reason": "because"}).status_code == 403
    assert cluster_fake.asked == []


@pytest.mark.parametrize("where", ["/syncs/live", "/syncs/people/live"])
def test_what_a_worker_reports_reaches_an_open_page(parts, signed_in, where: str) -> None:
    parts.sync_watch.replace([sync_document()])
    parts.sync_event_watch.replace([])
    answer = signed_in(Role.OPERATOR).get(where, buffered=False)
    assert answer.mimetype == "text/event-stream"
    chunks = answer.iter_encoded()
    first = 3 if where == "/syncs/live" else 6
    assert b"event: " in [next(chunks) for _ in range(first)][-1]
    timer = threading.Timer(
        0.1, lambda: parts.sync_watch.apply("MODIFIED", sync_document(phase="Failed", shards=[]))
    )
    timer.start()
    assert b"Failed" in next(chunks)
    answer.close()
    timer.join()


def test_an_event_reaches_an_open_page_and_a_deleted_sync_job_ends_nothing(parts, signed_in) -> None:
    parts.sync_watch.replace([sync_document()])
    parts.sync_event_watch.replace([])
    answer = signed_in(Role.OPERATOR).get("/syncs/people/live", buffered=False)
    chunks = answer.iter_encoded()
    for _ in range(6):
        next(chunks)
    event = event_document("e9", service="people", message="Run 3 was left out")
    parts.sync_event_watch.apply("ADDED", event)
    assert b"Run 3 was left out" in next(chunks)
    parts.sync_watch.replace([])
    parts.sync_watch.apply("ADDED", sync_document("other"))
    parts.sync_watch.apply("ADDED", sync_document(phase="Canceled"))
    assert b"Canceled" in next(chunks)
    answer.close()


# ---- what runs read ----------------------------------------------------------------------------------------


def run_document(epoch: int, **changes: object) -> dict[str, object]:
    now = "2026-11-20T10:00:00Z"
    return {
        "id": 40 + epoch,
        "job": "looma/people",
        "epoch": epoch,
        "origin": "crm",
        "entity": "talent",
        "shards": 1,
        "ended": 1,
        "counts": {"read": 1200 + epoch},
        "started_at": now,
        "updated_at": now,
        "ended_at": now,
        **changes,
    }


def test_what_runs_read_and_when_the_next_full_one_is(signed_in, parts, engine) -> None:
    parts.sync_watch.replace([sync_document()])
    changed = run_document(
        3,
        mode="incremental",
        since="2026-11-19T09:55:00Z",
        watermark_before="2026-11-19T10:00:00Z",
        watermark="2026-11-20T09:59:00Z",
        full_in=2,
    )
    whole = run_document(2, mode="full", watermark="2026-11-19T10:00:00Z", full_in=3)
    engine.on("GET", "/api/v1/sync-runs", {"items": [changed, whole], "next_cursor": None})
    browser = signed_in(Role.OPERATOR)
    assert 'href="/syncs/people/readings"' in browser.get("/syncs/people").text
    page = browser.get("/syncs/people/readings").text
    request, _ = next(item for item in reversed(engine.seen) if item[0].path == "/api/v1/sync-runs")
    assert request.args["job"] == "looma/people"
    assert "in 2 runs" in page
    assert "Incremental" in page
    assert "1,203" in page
    rows = page.split('id="reading-')[1:]
    assert ["9:55" in row for row in rows] == [True, False]
    assert "the beginning" in rows[1]
    assert "/incoming/runs/" not in page, "who operates does not read what people are told"
    engine.on("GET", "/api/v1/sync-runs", {"items": [run_document(2)], "next_cursor": None})
    assert "each one" in browser.get("/syncs/people/readings").text, "a file is always read as a whole"


def test_the_runs_of_a_sync_job_say_what_they_read(signed_in, parts) -> None:
    document = sync_document()
    ended, active = document["status"]["runs"]
    ended["reading"] = {"mode": "full"}
    active["reading"] = {"mode": "incremental", "since": "2026-11-19T09:55:00Z", "fullIn": 4}
    parts.sync_watch.replace([document])
    latest, before = signed_in(Role.OPERATOR).get("/syncs/people").text.split('<tr id="run-')[1:]
    assert "What was changed since" in latest
    assert "9:55" in latest
    assert "All of it" in before


def test_what_runs_read_is_not_known_while_the_service_is_away(signed_in, parts, engine) -> None:
    parts.sync_watch.replace([sync_document()])
    engine.problem("GET", "/api/v1/sync-runs", "not-ready", 503)
    page = signed_in(Role.ADMIN).get("/syncs/people/readings")
    assert page.status_code == 200
    assert "not ready" in page.text
    assert signed_in(Role.ADMIN, Role.OPERATOR).get("/syncs/none/readings").status_code == 404
    assert signed_in(Role.RECRUITER).get("/syncs/people/readings").status_code == 403
