"""Puts an engine's routes into the common frame.

    app = create_app(name="talent-sync", settings=settings, route_handlers=[...], readiness={"database": ping})

Every application answers `/healthz` (the process lives), `/readyz` (every readiness check holds), `/metrics` and
`/openapi.json` beside its own routes. Handlers may ask for the dependency `principal`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, get
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import ImproperlyConfiguredException

from looma_core import logging
from looma_core.auth import JwksKeys, TokenVerifier
from looma_core.http.access import PUBLIC, authorize, provide_principal, undeclared
from looma_core.http.document import document_of, openapi_config
from looma_core.http.errors import exception_handlers
from looma_core.http.frame import Frame
from looma_core.http.idempotency import Idempotency, unkept
from looma_core.http.media import check_media
from looma_core.http.methods import tell_all_methods
from looma_core.http.shadow import Limits, Sender, ShadowLayer
from looma_core.key_sets import KeySets, addresses
from looma_core.metrics import CONTENT_TYPE, Metrics
from looma_core.problems import NotReady
from looma_core.shadowing import address_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from litestar.types import ControllerRouterHandler

    from looma_core.settings import CoreSettings

    ReadinessCheck = Callable[[], Awaitable[None]]
    """Returns when all is well, else raises; what it raises is logged, not told."""

READINESS_SECONDS = 2.0
"""A check that takes longer has failed: the cluster asks again in a few seconds."""

MAX_BODY_BYTES = 1_000_000
"""Of JSON bodies; an endpoint that takes files sets `request_max_body_size` of its own."""

log = logging.get(__name__)


def create_app(
    *,
    name: str,
    settings: CoreSettings,
    route_handlers: Sequence[ControllerRouterHandler],
    metrics: Metrics | None = None,
    verifier: TokenVerifier | None = None,
    readiness: Mapping[str, ReadinessCheck] | None = None,
    lifespan: Sequence[Callable[[Litestar], AbstractAsyncContextManager[None]]] = (),
    dependencies: Mapping[str, Provide] | None = None,
    state: Mapping[str, object] | None = None,
    idempotency: Idempotency | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    description: str | None = None,
    shadow_limits: Limits | None = None,
) -> Litestar:
    """Build the application of one engine.

    Args:
        name: the engine's name, title of its OpenAPI document.
        settings: revision, issuer, audience and the like.
        route_handlers: the engine's routes; each declares `opt=allow(...)` or `opt=PUBLIC`.
        metrics: where requests are counted; made from the settings if not given.
        verifier: checks tokens; made from the settings' issuer if not given.
        readiness: named checks for `/readyz`.
        lifespan: context managers around the application's life, such as the database's.
        dependencies: Litestar dependencies beside `principal`.
        state: initial values of `app.state`.
        idempotency: honours `Idempotency-Key` where routes declare it.
        max_body_bytes: largest body; routes may set another with `request_max_body_size`.
        description: text of the OpenAPI document.
        shadow_limits: what copies of requests may take, where the gateway asks for some.

    Raises:
        ImproperlyConfiguredException: a route declares no access, or `idempotent()` where there is no
            `idempotency`; the message names file and function.
    """
    counted = metrics or Metrics(service=settings.service, revision=settings.revision)
    sender = Sender(
        counted,
        service=settings.service,
        address=lambda target: address_of(target, settings.engine_address, namespace=settings.namespace),
        limits=shadow_limits,
    )
    started: list[Any] = [*lifespan, _sending(sender)]
    checks = dict(readiness or {})
    if verifier is None:
        keys = KeySets([JwksKeys(url) for url in addresses(settings.jwks_url)])
        checks["issuer"] = keys.loaded
        verifier = TokenVerifier(
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            keys=keys,
            names=settings.claim_names(),
        )
        started.append(_warming(keys))
    guard = authorize(verifier)
    if idempotency is not None:
        started.append(idempotency.alive)
    app = Litestar.from_config(
        AppConfig(
            route_handlers=[*route_handlers, *_own_routes(counted, checks)],
            # Who calls is asked first: a stranger learns nothing of what a route reads.
            guards=[guard, check_media],
            middleware=[idempotency.layer(guard)] if idempotency is not None else [],
            dependencies={
                "principal": Provide(provide_principal, sync_to_thread=False),
                **(dependencies or {}),
            },
            exception_handlers=exception_handlers(),
            lifespan=started,
            # Exceptions are logged by `errors` and requests by `frame`.
            logging_config=None,
            openapi_config=openapi_config(name=name, description=description),
            request_max_body_size=max_body_bytes,
            state=State({"settings": settings, "metrics": counted, **(state or {})}),
        )
    )
    if missing := [*undeclared(app), *(unkept(app) if idempotency is None else ())]:
        raise ImproperlyConfiguredException("\n".join(missing))
    tell_all_methods(app)
    layered = ShadowLayer(app.asgi_handler, sender=sender, service=settings.service)
    app.asgi_handler = Frame(layered, revision=settings.revision, metrics=counted)
    return app


def _own_routes(metrics: Metrics, readiness: dict[str, ReadinessCheck]) -> list[ControllerRouterHandler]:
    document: dict[str, Any] = {}

    @get("/healthz", opt=PUBLIC, include_in_schema=False, sync_to_thread=False)
    def healthz() -> dict[str, str]:
        """The process answers; nothing else is asked, so that a broken database does not restart it."""
        return {"status": "ok"}

    @get("/readyz", opt=PUBLIC, include_in_schema=False)
    async def readyz() -> dict[str, str]:
        """Every readiness check holds."""
        failed = [name for name in readiness if not await _holds(name, readiness[name])]
        if failed:
            raise NotReady(f"Not ready: {', '.join(failed)}.", headers={"Retry-After": "2"})
        return {"status": "ready"}

    @get("/metrics", opt=PUBLIC, include_in_schema=False, media_type=CONTENT_TYPE, sync_to_thread=False)
    def exposition() -> bytes:
        """Prometheus' text format."""
        return metrics.exposition()

    @get("/openapi.json", opt=PUBLIC, include_in_schema=False, sync_to_thread=False)
    def openapi(request: Request[Any, Any, State]) -> dict[str, Any]:
        """The OpenAPI document of this engine alone."""
        # Made on the first request: routes do not change afterwards.
        if not document:
            document.update(document_of(request.app))
        return document

    return [healthz, readyz, exposition, openapi]


def _sending(sender: Sender) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Sends copies of requests while the application runs."""

    @asynccontextmanager
    async def sending(_: Litestar) -> AsyncIterator[None]:
        async with sender.running():
            yield

    return sending


def _warming(keys: KeySets) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Reads the issuer's keys while the application starts; an issuer that is away does not keep it from starting."""

    @asynccontextmanager
    async def warming(_: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(keys.warm())
        yield
        task.cancel()

    return warming


async def _holds(name: str, check: ReadinessCheck) -> bool:
    try:
        async with asyncio.timeout(READINESS_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - any failure means not ready
        log.warning("readiness check failed", check=name, error=type(error).__name__)
        return False
    return True
