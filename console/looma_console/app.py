"""The application factory: puts the parts together.

`create_app` takes all parts, so a test gives its own; `parts_from` makes the real ones from the settings, and
`start` sets their threads going in the process that serves.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import ssl
import threading
from collections.abc import Callable

import httpx
from flask import Flask
from htmx_flask import Htmx
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix

import looma_console.api_forward.routes
import looma_console.auth.routes
import looma_console.database.routes
import looma_console.duplicates.routes
import looma_console.exchange.routes
import looma_console.files.routes
import looma_console.gateway.routes
import looma_console.histories.routes
import looma_console.incoming.routes
import looma_console.language.routes
import looma_console.models.routes
import looma_console.people.routes
import looma_console.pipeline.routes
import looma_console.pipeline.stage_routes
import looma_console.records.routes
import looma_console.relations.routes
import looma_console.resumes.routes
import looma_console.rights.routes
import looma_console.services.routes
import looma_console.skills.routes
import looma_console.syncs.routes
import looma_console.users.routes
import looma_console.wellknown.routes
from looma_console.api_forward.relay import Relay
from looma_console.api_forward.routing import Route, routes_of
from looma_console.auth.operations import Lifetime, sweep
from looma_console.auth.passwords import Passwords
from looma_console.cluster.actions import ClusterActions
from looma_console.cluster.api import KubeApi
from looma_console.cluster.listwatch import ListWatch
from looma_console.cluster.model import read_service
from looma_console.cluster.sources import ApiSource
from looma_console.config import ConsoleSettings
from looma_console.db.store import BRANCH, Database
from looma_console.engines import EngineClient
from looma_console.gateway.reader import GatewayReader
from looma_console.gateway.shadows import ShadowReader
from looma_console.users.operations import ensure_first_admin
from looma_console.web import csrf, errors, guard, headers, language, navigation, static
from looma_console.web.parts import EXTENSION, Parts
from looma_core.api import syncjob
from looma_core.api.aiservice import GROUP, PLURAL, VERSION
from looma_core.auth import TokenIssuer
from looma_core.db.migrate import head_of
from looma_core.db.schema import is_enough
from looma_core.metrics import Metrics

log = logging.getLogger(__name__)

SWEEP_SECONDS = 600
# Threads that the relay leaves to pages and to the engines' own calls back.
SPARE_THREADS = 16


def create_app(parts: Parts) -> Flask:
    """The Flask application around `parts`."""
    app = Flask("looma_console", static_folder=None)
    settings = parts.settings
    app.config.update(
        SECRET_KEY=settings.session_key,
        # Flask's own signed cookie: form tokens and notices only; who is signed in is kept by the server.
        SESSION_COOKIE_NAME="looma_state",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        MAX_CONTENT_LENGTH=settings.upload_bytes,
        MAX_FORM_MEMORY_SIZE=1_000_000,
        MAX_FORM_PARTS=200,
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.extensions[EXTENSION] = parts
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    Htmx(app)
    guard.init_app(app)
    headers.init_app(app)
    language.init_app(app)
    static.init_app(app)
    errors.init_app(app)
    forward = looma_console.api_forward.routes.blueprint
    wellknown = looma_console.wellknown.routes.blueprint
    csrf.init_app(app, exempt=(forward, wellknown))
    # After the others: its macros see the globals that are there by then.
    navigation.init_app(app)
    for blueprint in (
        looma_console.auth.routes.blueprint,
        looma_console.people.routes.blueprint,
        looma_console.records.routes.blueprint,
        looma_console.duplicates.routes.blueprint,
        looma_console.incoming.routes.blueprint,
        looma_console.histories.routes.blueprint,
        looma_console.exchange.routes.blueprint,
        looma_console.files.routes.blueprint,
        looma_console.relations.routes.blueprint,
        looma_console.pipeline.routes.blueprint,
        looma_console.pipeline.stage_routes.blueprint,
        looma_console.skills.routes.blueprint,
        looma_console.resumes.routes.blueprint,
        looma_console.rights.routes.blueprint,
        looma_console.services.routes.blueprint,
        looma_console.gateway.routes.blueprint,
        looma_console.models.routes.blueprint,
        looma_console.syncs.routes.blueprint,
        looma_console.database.routes.blueprint,
        looma_console.users.routes.blueprint,
        looma_console.language.routes.blueprint,
        forward,
        wellknown,
    ):
        app.register_blueprint(blueprint)
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    return app


def parts_from(settings: ConsoleSettings, api: KubeApi) -> Parts:
    """The real parts; nothing is started and nothing connects yet.

    Raises:
        OSError: the issuer's key file cannot be read.
    """
    namespace = settings.namespace

    def watch(plural: str) -> ListWatch:
        return ListWatch(plural, ApiSource(api, f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}"))

    def events(kind: str) -> ListWatch:
        path, about = f"/api/v1/namespaces/{namespace}/events", f"involvedObject.kind={kind}"
        return ListWatch(f"events of {kind}", ApiSource(api, path, field_selector=about))

    return assemble(
        settings,
        service_watch=watch(PLURAL),
        event_watch=events("AIService"),
        model_watch=watch("modelversions"),
        sync_watch=watch(syncjob.PLURAL),
        sync_event_watch=events("SyncJob"),
        cluster=ClusterActions(api, namespace=namespace),
        passwords=Passwords(),
    )


def assemble(
    settings: ConsoleSettings,
    *,
    service_watch: ListWatch,
    event_watch: ListWatch,
    model_watch: ListWatch,
    sync_watch: ListWatch,
    sync_event_watch: ListWatch,
    cluster: ClusterActions,
    passwords: Passwords,
) -> Parts:
    """Put parts together that come from outside (the cluster) and those that follow from the settings."""
    db = Database(settings.database_url, tenant=settings.tenant)
    issuer = TokenIssuer(
        settings.issuer_key,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        names=settings.claim_names(),
    )
    http = httpx.Client(
        verify=_tls(),
        limits=httpx.Limits(
            max_connections=settings.threads, max_keepalive_connections=16, keepalive_expiry=2.0
        ),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "looma-console"},
    )
    routes = _route_table(service_watch)

    def address_of(service: str) -> str:
        return settings.engine_address.format(name=service, namespace=settings.namespace)

    def pods_of(gateway: str) -> str:
        return settings.gateway_address.format(name=gateway, namespace=settings.namespace)

    return Parts(
        settings=settings,
        db=db,
        passwords=passwords,
        lifetime=Lifetime(idle=settings.session_idle, absolute=settings.session_absolute),
        issuer=issuer,
        service_watch=service_watch,
        event_watch=event_watch,
        model_watch=model_watch,
        sync_watch=sync_watch,
        sync_event_watch=sync_event_watch,
        cluster=cluster,
        relay=Relay(
            http=http,
            routes=routes,
            address_of=address_of,
            at_once=max(4, settings.threads - settings.live_streams - SPARE_THREADS),
        ),
        engines=EngineClient(http=http, routes=routes, address_of=address_of, issuer=issuer),
        gateway=GatewayReader(http=http, address_of=pods_of),
        shadows=ShadowReader(http=http, prometheus_url=settings.prometheus_url, namespace=settings.namespace),
        metrics=Metrics(service="looma-console", revision=settings.revision),
        streams=threading.BoundedSemaphore(settings.live_streams),
        is_ready=lambda: missing(db, service_watch),
        closing=threading.Event(),
    )


def start(parts: Parts) -> None:
    """Start the watches and the housekeeping; in the process that serves, never before a fork."""
    for watch in (
        parts.service_watch,
        parts.event_watch,
        parts.model_watch,
        parts.sync_watch,
        parts.sync_event_watch,
    ):
        watch.start()
    threading.Thread(target=_keep_house, args=(parts,), name="housekeeping", daemon=True).start()


def missing(db: Database, service_watch: ListWatch) -> list[str]:
    """What is not there yet that the console needs to serve; empty when it is ready."""
    wanting = []
    try:
        found = db.revision()
        if not is_enough(found=found, needed=_needed_revision(), branch=BRANCH):
            wanting.append("schema")
    except SQLAlchemyError:
        wanting.append("database")
    if not service_watch.synced.is_set():
        wanting.append("routes")
    return wanting


@functools.cache
def _needed_revision() -> str:
    # Reads the folder of migrations, and readiness is asked for every two seconds.
    return head_of(BRANCH)


@functools.cache
def _tls() -> ssl.SSLContext:
    # Loading the authorities takes longer than all the rest of a client.
    return ssl.create_default_context()


def _route_table(watch: ListWatch) -> Callable[[], tuple[Route, ...]]:
    """The routes as of the watch's last change; made anew only when something changed."""
    kept: tuple[int, tuple[Route, ...]] = (-1, ())

    def routes() -> tuple[Route, ...]:
        nonlocal kept
        version, table = kept
        if version != watch.version:
            # Read before the objects: a change in between makes the table anew once more, never not at all.
            now = watch.version
            table = routes_of(read_service(item) for item in watch.objects())
            kept = (now, table)
        return table

    return routes


def _keep_house(parts: Parts) -> None:
    """Create the first account as soon as there is a database, then sweep old sessions away until we close."""
    created = not parts.settings.admin_password
    while not parts.closing.is_set():
        try:
            if not created:
                ensure_first_admin(parts.db, parts.passwords, password=parts.settings.admin_password)
                created = True
            sweep(parts.db, now=dt.datetime.now(dt.UTC), lifetime=parts.lifetime)
            parts.closing.wait(SWEEP_SECONDS)
        except SQLAlchemyError as error:
            log.info("database is not there yet: %s", type(error).__name__)
            parts.closing.wait(1 if not created else 30)
