"""Builds the application of the engine resume."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from litestar.di import Provide

from looma_core.crypto import FileCipher
from looma_core.db import Database, wait_for_schema
from looma_core.db.migrate import head_of
from looma_core.http import Idempotency, create_app
from looma_core.metrics import Metrics
from looma_core.settings import SettingsError, load_config
from looma_engines.resume.config import ResumeConfig
from looma_engines.resume.models import BRANCH, SCHEMA
from looma_engines.resume.routes import ExtractController, ResumeController
from looma_engines.resume.service import ResumeService
from looma_engines.resume.talents import TalentClient
from looma_engines.resume.worker import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Litestar

    from looma_core.auth import TokenVerifier
    from looma_core.settings import EngineSettings

FORM_BYTES = 64 * 1024
"""Room for a form's other fields beside the file."""


def create(
    settings: EngineSettings,
    *,
    verifier: TokenVerifier | None = None,
    talents: TalentClient | None = None,
) -> Litestar:
    """Return the application.

    Args:
        settings: from the environment.
        verifier: checks tokens; made from the settings if not given.
        talents: client of talent-sync; made from the settings if not given.

    Raises:
        SettingsError: `LOOMA_FILE_KEYS` or `spec.config` is wrong.
    """
    config = load_config(settings.config, ResumeConfig)
    try:
        cipher = FileCipher(settings.file_keys)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    metrics = Metrics(service=settings.service, revision=settings.revision)
    database = Database(
        settings.database_url,
        pool_size=settings.database_pool,
        pool_seconds=settings.database_pool_seconds,
        statement_seconds=settings.database_statement_seconds,
        metrics=metrics,
        application_name=f"{settings.service}-{settings.revision}",
    )
    pool = WorkerPool(config)
    client = talents or TalentClient(settings.api_url)
    resumes = ResumeService(
        pool=pool, config=config, metrics=metrics, database=database, cipher=cipher, talents=client
    )
    metrics.gauge("looma_resume_workers_replaced", "Workers that were ended and replaced.").set_function(
        lambda: float(pool.replaced)
    )

    idempotency = Idempotency(
        database,
        schema=SCHEMA,
        cipher=cipher,
        hours=settings.idempotency_hours,
        metrics=metrics,
        service=settings.service,
    )

    @asynccontextmanager
    async def alive(_: Litestar) -> AsyncIterator[None]:
        try:
            # Workers build their pipelines while the schema is waited for.
            await pool.start()
            await wait_for_schema(
                database, branch=BRANCH, needed=head_of(BRANCH), seconds=settings.schema_wait_seconds
            )
            yield
        finally:
            await pool.close()
            await client.close()
            await database.close()

    return create_app(
        name="resume",
        description="Résumés: files and texts become people with jobs, schools and skills.",
        settings=settings,
        route_handlers=[ResumeController, ExtractController],
        metrics=metrics,
        verifier=verifier,
        readiness={"database": database.ping, "workers": pool.check},
        lifespan=[alive],
        dependencies={"resumes": Provide(lambda: resumes, sync_to_thread=False)},
        idempotency=idempotency,
        max_body_bytes=config.max_bytes + FORM_BYTES,
    )
