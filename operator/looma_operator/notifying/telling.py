"""Between a look and the delivery: what a look's notices become in status, and what status then wants delivered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from ..kube import kinds
from ..metrics import NOTIFICATIONS
from ..plan.children import Notice
from ..plan.outbox import Subject, decide_outbox, of_model, of_service, of_sync_job
from ..plan.receivers import NotificationSettings
from ..queueing import Key
from ..resources import AIServiceStatus, Metadata, ModelVersionStatus
from ..resources_notifications import Notification
from ..sync_resources import SyncJobStatus
from .delivering import Delivering
from .files import UnusableError, read_address
from .formats import Letter, Outcome, page_of
from .sending import Sender

_log = logging.getLogger(__name__)
News = Sequence[tuple[Notice, Notification]]


class Telling:
    """What looks ask of notifications; without receivers all of it is nothing."""

    def __init__(
        self,
        settings: NotificationSettings,
        folder: Path | None,
        *,
        namespace: str,
        wake: Callable[[Key], None],
        may_send: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        """`namespace` is the release's: the console shows the services there. See `Delivering` for the rest."""
        self._settings = settings
        self._folder = folder
        self._namespace = namespace
        self._sender = Sender(folder or Path(), clock=clock)
        self._delivering = Delivering(
            self._sender, settings.receivers, wake=wake, may_send=may_send, clock=clock
        )

    async def run(self) -> None:
        """Deliver until cancelled."""
        for receiver in self._settings.receivers:
            try:
                await asyncio.to_thread(read_address, self._folder or Path(), receiver)
            except UnusableError as error:
                # No reason to stop: rollouts go on, and the Secret may come.
                _log.error("receiver %s cannot be told yet: %s", receiver.name, error)
        try:
            await self._delivering.run()
        finally:
            await self._sender.close()

    def begin(self) -> None:
        """Leadership begins: what is to be told is read from status."""
        self._delivering.clear()

    def of_service(
        self,
        metadata: Metadata,
        notices: Sequence[Notice],
        *,
        before: AIServiceStatus,
        status: AIServiceStatus,
        now: datetime,
    ) -> tuple[Notification, ...]:
        """What an AIService's status is to have as `notifications` after this look."""
        subject = _subject(kinds.AI_SERVICE, metadata)
        news = of_service(subject, notices, before=before, status=status, now=now)
        return self._outbox(subject, before.notifications, news, now)

    def of_sync_job(
        self,
        metadata: Metadata,
        notices: Sequence[Notice],
        *,
        before: SyncJobStatus,
        status: SyncJobStatus,
        now: datetime,
    ) -> tuple[Notification, ...]:
        """The same for a SyncJob."""
        subject = _subject(kinds.SYNC_JOB, metadata)
        news = of_sync_job(subject, notices, status=status, now=now)
        return self._outbox(subject, before.notifications, news, now)

    def of_model(
        self,
        metadata: Metadata,
        notices: Sequence[Notice],
        *,
        before: ModelVersionStatus,
        status: ModelVersionStatus,
        now: datetime,
    ) -> tuple[Notification, ...]:
        """The same for a ModelVersion."""
        subject = _subject(kinds.MODEL_VERSION, metadata)
        news = of_model(subject, notices, phase=status.phase, now=now)
        return self._outbox(subject, before.notifications, news, now)

    def order(self, key: Key, waits: Sequence[Notification]) -> None:
        """Deliver what status now has; called once it is written, since what is sent must not be forgotten."""
        link = page_of(
            self._settings.console_url,
            kind=key.kind,
            namespace=key.namespace,
            name=key.name,
            own_namespace=self._namespace,
        )
        letters = [
            (
                Letter(
                    kind=key.kind,
                    namespace=key.namespace,
                    name=key.name,
                    message=item,
                    link=link,
                    cluster=self._settings.cluster,
                ),
                item.to,
            )
            for item in waits
        ]
        self._delivering.order(key, letters)

    def _outbox(
        self, subject: Subject, before: Sequence[Notification], news: News, now: datetime
    ) -> tuple[Notification, ...]:
        outbox = decide_outbox(
            subject=subject,
            before=before,
            news=news,
            receivers=self._settings.receivers,
            told=self._delivering.told(Key(subject.kind, subject.namespace, subject.name)),
            now=now,
        )
        types = {receiver.name: receiver.type for receiver in self._settings.receivers}
        for name in outbox.lost:
            NOTIFICATIONS.labels(name, types.get(name, ""), Outcome.DROPPED).inc()
            _log.error(
                "%s will not be told of all of %s/%s: too old or too many",
                name,
                subject.namespace,
                subject.name,
            )
        return outbox.waits


def _subject(kind: kinds.Kind, metadata: Metadata) -> Subject:
    return Subject(kind=kind.name, namespace=metadata.namespace, name=metadata.name, uid=metadata.uid)
