"""How the console is put together: its parts, its readiness, its housekeeping and its server."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from flask import Flask
from kubernetes.client import Configuration
from sqlalchemy.exc import OperationalError

from looma_console import app as app_module
from looma_console import main
from looma_console.app import create_app, missing, parts_from, start
from looma_console.auth.operations import Opened, sign_in
from looma_console.cluster.api import KubeApi
from looma_console.cluster.listwatch import ListWatch
from looma_console.web.parts import EXTENSION, Parts
from looma_console.web.permissions import public
from support.console_parts import make_parts, service_document
from support.database import DatabaseUrls
from support.tokens import private_key

AWAY = OperationalError("select", {}, Exception("secret of a row"))


# ---- parts -------------------------------------------------------------------------------------------------


def test_the_real_parts_watch_loomas_resources_and_their_events_alone(parts: Parts) -> None:
    made = parts_from(parts.settings, KubeApi(Configuration(host="http://127.0.0.1:9")))
    resources = {
        "aiservices": made.service_watch,
        "modelversions": made.model_watch,
        "syncjobs": made.sync_watch,
    }
    for plural, watch in resources.items():
        assert watch._source._path == f"/apis/looma.dev/v1alpha1/namespaces/looma/{plural}"
    for kind, watch in {"AIService": made.event_watch, "SyncJob": made.sync_event_watch}.items():
        assert (watch._source._path, watch._source._selector) == (
            "/api/v1/namespaces/looma/events",
            {"fieldSelector": f"involvedObject.kind={kind}"},
        )
    assert made.is_ready() == ["routes"]
    made.db.dispose()


def test_an_engine_is_addressed_by_its_services_name(parts: Parts) -> None:
    settings = msgspec.structs.replace(
        parts.settings, engine_address="http://{name}-stable.{namespace}", namespace="ai"
    )
    made = app_module.assemble(
        settings,
        service_watch=parts.service_watch,
        event_watch=parts.event_watch,
        model_watch=parts.model_watch,
        sync_watch=parts.sync_watch,
        sync_event_watch=parts.sync_event_watch,
        cluster=parts.cluster,
        passwords=parts.passwords,
    )
    assert made.relay._address_of("resume") == "http://resume-stable.ai"
    made.db.dispose()


def test_threads_are_left_for_pages_and_for_engines_that_call_back(parts: Parts) -> None:
    forwarding = parts.relay._slots._value
    assert 0 < forwarding <= parts.settings.threads - parts.settings.live_streams - app_module.SPARE_THREADS


def test_routes_follow_the_watch(parts: Parts) -> None:
    asked = parts.relay._routes
    before = asked()
    assert asked() is before
    parts.service_watch.replace([service_document(spec={"route": {"pathPrefixes": ["/api/v1/new"]}})])
    assert [route.prefix for route in asked()] == ["/api/v1/new"]


class Database:
    """Answers one revision, or is away."""

    def __init__(self, answer: str | Exception | None) -> None:
        self.answer = answer

    def revision(self) -> str | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("database", "synced", "wanting"),
    [
        pytest.param("newest", True, [], id="ready"),
        pytest.param("newest", False, ["routes"], id="no routes yet"),
        pytest.param(None, True, ["schema"], id="an empty database"),
        pytest.param(AWAY, True, ["database"], id="no database"),
        pytest.param(AWAY, False, ["database", "routes"], id="nothing at all"),
    ],
)
def test_readiness_names_what_is_missing(
    database: str | Exception | None, synced: bool, wanting: list[str]
) -> None:
    watch = ListWatch("aiservices", SimpleNamespace())  # type: ignore[arg-type]
    if synced:
        watch.replace([])
    answer = app_module._needed_revision() if database == "newest" else database
    assert missing(Database(answer), watch) == wanting  # type: ignore[arg-type]


@pytest.mark.parametrize(("proxies", "address"), [(0, "127.0.0.1"), (1, "192.0.2.9"), (2, "192.0.2.8")])
def test_an_address_that_others_tell_counts_only_behind_that_many_proxies(
    parts: Parts, proxies: int, address: str
) -> None:
    settings = msgspec.structs.replace(parts.settings, trusted_proxies=proxies)
    app = create_app(dataclasses.replace(parts, settings=settings))
    seen: list[str] = []
    inner = app.view_functions["wellknown.healthz"]
    app.view_functions["wellknown.healthz"] = public("test")(lambda: seen.append(app_address()) or inner())
    app.test_client().get("/healthz", headers={"X-Forwarded-For": "192.0.2.8, 192.0.2.9"})
    assert seen == [address]


def app_address() -> str:
    from flask import request

    return request.remote_addr or ""


# ---- housekeeping ------------------------------------------------------------------------------------------


@pytest.fixture
def housekeeping(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs it in this thread, with what the database does at each turn; answers what was done, and the pauses."""

    def keep(turns: list[Exception | None], first: str = "given") -> tuple[list[str], list[float]]:
        did: list[str] = []
        pauses: list[float] = []

        class Closing(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                pauses.append(timeout or 0)
                if not turns:
                    self.set()
                return self.is_set()

        def turn(name: str) -> Any:
            def act(*_given: object, **_named: object) -> None:
                if name == "sweep" or turns[0] is not None:
                    error = turns.pop(0)
                    if error:
                        raise error
                did.append(name)

            return act

        monkeypatch.setattr(app_module, "ensure_first_admin", turn("account"))
        monkeypatch.setattr(app_module, "sweep", turn("sweep"))
        settings = msgspec.structs.replace(parts.settings, admin_password=first)
        app_module._keep_house(dataclasses.replace(parts, settings=settings, closing=Closing()))
        return did, pauses

    return keep


def test_the_first_account_is_made_once_and_as_soon_as_there_is_a_database(housekeeping: Any) -> None:
    did, pauses = housekeeping([AWAY, AWAY, None, None])
    assert did == ["account", "sweep", "sweep"]
    assert pauses == [1, 1, app_module.SWEEP_SECONDS, app_module.SWEEP_SECONDS]


def test_where_no_account_waits_a_database_that_is_away_is_asked_seldom(housekeeping: Any) -> None:
    assert housekeeping([AWAY, None], first="") == (["sweep"], [30, app_module.SWEEP_SECONDS])


def test_a_database_that_is_away_is_logged_without_its_words(
    housekeeping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    housekeeping([AWAY, None])
    assert "OperationalError" in caplog.text
    assert "secret of a row" not in caplog.text


def test_starting_sets_watches_and_housekeeping_going(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[ListWatch] = []
    swept = threading.Event()

    def start_watch(watch: ListWatch) -> None:
        started.append(watch)

    monkeypatch.setattr(ListWatch, "start", start_watch)
    monkeypatch.setattr(app_module, "sweep", lambda _db, **_named: swept.set())
    made = make_parts(
        database_url=database_urls.app, tenant=tenant, folder=tmp_path, admin_password="first password"
    )
    start(made)
    assert started == [
        made.service_watch,
        made.event_watch,
        made.model_watch,
        made.sync_watch,
        made.sync_event_watch,
    ]
    assert swept.wait(20)
    made.closing.set()
    assert isinstance(
        sign_in(
            made.db,
            made.passwords,
            login="admin",
            password="first password",
            address="192.0.2.7",
            now=dt.datetime.now(dt.UTC),
            request_id="r",
        ),
        Opened,
    )
    made.db.dispose()


# ---- the server --------------------------------------------------------------------------------------------


def test_the_server_is_one_process_of_as_many_threads_as_settings_say(parts: Parts) -> None:
    server = main.Server(parts.settings)
    assert (server.cfg.workers, server.cfg.threads) == (1, parts.settings.threads)
    assert server.cfg.worker_class is main.Worker
    # The pod's grace is 30 s; after ours there must be time left to end in.
    assert server.cfg.graceful_timeout == main.GRACE_SECONDS < 30
    assert server.cfg.address == [(parts.settings.host, parts.settings.port)]


def test_the_application_is_made_and_started_in_the_process_that_serves(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Parts] = []
    api = object()
    monkeypatch.setattr(main.logging, "configure", lambda **_named: None)
    monkeypatch.setattr(main.KubeApi, "from_environment", lambda kubeconfig: api)
    monkeypatch.setattr(main, "parts_from", lambda settings, given: parts if given is api else None)
    monkeypatch.setattr(main, "start", started.append)
    app = main.Server(parts.settings).load()
    assert app.extensions[EXTENSION] is parts
    assert started == [parts]


def test_live_pages_let_go_when_the_process_is_asked_to_stop(
    parts: Parts, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        main.gunicorn.workers.gthread.ThreadWorker, "handle_exit", lambda self, sig, frame: asked.append(sig)
    )
    worker = object.__new__(main.Worker)
    worker.wsgi = app
    worker.handle_exit(15, None)
    assert parts.closing.is_set()
    assert asked == [15]


def test_the_servers_own_lines_go_through_the_root_logger(parts: Parts) -> None:
    logs = main.Logs(main.Server(parts.settings).cfg)
    assert logs.error_log.handlers == []
    assert logs.error_log.propagate
    # The console writes its own access lines, without personal data.
    assert not logs.access_log.propagate


@pytest.fixture
def environment(database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the console needs in its environment; answers the issuer's key file."""
    key = tmp_path / "private.pem"
    key.write_bytes(private_key())
    values = {"DATABASE_URL": database_urls.app, "SESSION_KEY": "k" * 40, "ISSUER_KEY_FILE": str(key)}
    for name, value in values.items():
        monkeypatch.setenv(f"LOOMA_{name}", value)
    monkeypatch.setattr(main.logging, "configure", lambda **_named: None)
    return key


def test_a_key_that_is_not_mounted_is_said_in_one_line(environment: Path) -> None:
    environment.unlink()
    with pytest.raises(SystemExit, match=r"(?s)cannot start.*private\.pem"):
        main.main()


def test_a_console_without_a_cluster_says_what_to_set(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_cluster(server: main.Server) -> None:
        raise main.ConfigException("not in a pod")

    monkeypatch.setattr(main.Server, "run", no_cluster)
    with pytest.raises(SystemExit, match="LOOMA_KUBECONFIG"):
        main.main()
