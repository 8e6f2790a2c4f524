"""What the engine does beside its records, each as the routes of one room with the services behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from litestar import Router
from litestar.di import Provide

from looma_engines.talent_sync.care.routes import DatabaseController
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.duplicates.merges import Merges
from looma_engines.talent_sync.duplicates.metrics import duplicate_metrics
from looma_engines.talent_sync.duplicates.review import DuplicateReviews
from looma_engines.talent_sync.duplicates.routes import DuplicateController, MergeController
from looma_engines.talent_sync.files.routes import FileController, PersonFileController
from looma_engines.talent_sync.files.service import FileService, file_metrics
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.pipeline.applications import ApplicationService
from looma_engines.talent_sync.pipeline.bulk import BulkMoves
from looma_engines.talent_sync.pipeline.funnel import FunnelService
from looma_engines.talent_sync.pipeline.metrics import pipeline_metrics
from looma_engines.talent_sync.pipeline.routes import (
    ApplicationController,
    FunnelController,
    StageController,
)
from looma_engines.talent_sync.pipeline.stages import StageService
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.rights.consents import ConsentService
from looma_engines.talent_sync.rights.erasures import ErasureService
from looma_engines.talent_sync.rights.events import AuditService
from looma_engines.talent_sync.rights.person import PersonService
from looma_engines.talent_sync.rights.routes import (
    AuditController,
    ConsentController,
    ErasureController,
    PersonController,
)
from looma_engines.talent_sync.skills.importing import SkillImporter, skill_metrics
from looma_engines.talent_sync.skills.lookups import SkillLookups
from looma_engines.talent_sync.syncing.reviewing import ReviewService
from looma_engines.talent_sync.syncing.routes import (
    ConflictController,
    QuarantineController,
    RunController,
    WriteController,
)
from looma_engines.talent_sync.talents import TALENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import ControllerRouterHandler

    from looma_core.crypto import FileCipher
    from looma_core.db import Database
    from looma_core.metrics import Metrics
    from looma_engines.talent_sync.config import TalentConfig
    from looma_engines.talent_sync.duplicates.scanning import Scanner
    from looma_engines.talent_sync.rights.ledger import LedgerKey


@dataclass(frozen=True)
class Rooms:
    """Makes the rooms on one database; each counts what it does in `metrics`."""

    database: Database
    metrics: Metrics
    config: TalentConfig

    def sync_runs(self) -> Router:
        """What sync runs did, and what they left for people."""
        reviews = ReviewService(
            self.database,
            {entity.name: entity for entity in (TALENTS, COMPANIES, JOBS, RELATIONS)},
            self.metrics.counter(
                "looma_sync_settled_total",
                "What people settled after sync runs: entries of the quarantine, conflicts and writes, by how.",
                ["what", "how"],
            ),
            max_page_size=self.config.max_page_size,
        )
        return _router(
            [QuarantineController, ConflictController, WriteController, RunController], reviews=reviews
        )

    def duplicates(self, cipher: FileCipher, scanner: Scanner) -> Router:
        """People who are there twice."""
        counted = duplicate_metrics(self.metrics)
        return _router(
            [DuplicateController, MergeController],
            reviews=DuplicateReviews(
                self.database, scanner, counted, max_page_size=self.config.max_page_size
            ),
            merges=Merges(self.database, cipher, scanner, counted),
        )

    def rights(self, cipher: FileCipher, ledger: LedgerKey | None) -> Router:
        """What a person may ask for of their own data, and the audit."""
        return _router(
            [ErasureController, PersonController, ConsentController, AuditController],
            erasures=ErasureService(
                self.database,
                key=ledger,
                cipher=cipher,
                erased=self.metrics.counter(
                    "looma_erasures_total",
                    "Records that were erased over HTTP, by kind, reason and whether the search found nothing left.",
                    ["entity", "reason", "complete"],
                ),
                max_page_size=self.config.max_page_size,
            ),
            consents=ConsentService(
                self.database,
                changed=self.metrics.counter(
                    "looma_consents_changed_total",
                    "Bases for the use of people's data that were given or withdrawn, by purpose.",
                    ["purpose", "action"],
                ),
            ),
            persons=PersonService(
                self.database,
                cipher=cipher,
                exported=self.metrics.counter(
                    "looma_persons_exported_total", "Exports of all that is held of one person."
                ),
            ),
            audit=AuditService(self.database, max_page_size=self.config.max_page_size),
        )

    def files(self) -> Router:
        """Files of people."""
        files = FileService(
            self.database, file_metrics(self.metrics), max_page_size=self.config.max_page_size
        )
        return _router([FileController, PersonFileController], files=files)

    def applications(self) -> Router:
        """Applications and the stages that they go through."""
        applications = ApplicationService(
            self.database, pipeline_metrics(self.metrics), max_page_size=self.config.max_page_size
        )
        return _router(
            [StageController, ApplicationController, FunnelController],
            stages=StageService(self.database),
            applications=applications,
            bulk=BulkMoves(self.database, applications, most=self.config.max_batch_items),
            funnels=FunnelService(self.database),
        )

    def skills(self, records: Router) -> Router:
        """The taxonomy of skills; `records` has its entries as any other record."""
        return _router(
            [records],
            skills=SkillLookups(self.database),
            taxonomies=SkillImporter(self.database, skill_metrics(self.metrics)),
        )

    def the_database(self) -> Router:
        """How the database is."""
        return _router([DatabaseController], database=self.database)


def _router(handlers: Sequence[ControllerRouterHandler], **services: object) -> Router:
    """Routes, and the services that they name."""
    return Router(
        path="/",
        route_handlers=handlers,
        dependencies={name: _given(service) for name, service in services.items()},
    )


def _given(service: object) -> Provide:
    return Provide(lambda: service, sync_to_thread=False)
