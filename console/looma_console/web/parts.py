"""What the views work with, put together once by the app factory: no view reaches for a global."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from flask import current_app

from looma_console.api_forward.relay import Relay
from looma_console.auth.operations import Lifetime
from looma_console.auth.passwords import Passwords
from looma_console.cluster.actions import ClusterActions
from looma_console.cluster.listwatch import ListWatch
from looma_console.cluster.model import Service, read_service
from looma_console.config import ConsoleSettings
from looma_console.db.store import Database
from looma_console.engines import EngineClient
from looma_console.gateway.reader import GatewayReader
from looma_console.gateway.shadows import ShadowReader
from looma_core.auth import TokenIssuer
from looma_core.metrics import Metrics

EXTENSION = "looma"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one console; `closing` is set once the process was asked to stop."""

    settings: ConsoleSettings
    db: Database
    passwords: Passwords
    lifetime: Lifetime
    issuer: TokenIssuer
    service_watch: ListWatch
    event_watch: ListWatch
    model_watch: ListWatch
    sync_watch: ListWatch
    sync_event_watch: ListWatch
    cluster: ClusterActions
    relay: Relay
    engines: EngineClient
    gateway: GatewayReader
    shadows: ShadowReader
    metrics: Metrics
    streams: threading.BoundedSemaphore
    is_ready: Callable[[], list[str]]
    closing: threading.Event

    def services(self) -> Sequence[Service]:
        """The AIServices as last seen, by name."""
        return [read_service(item) for item in self.service_watch.objects()]


def parts() -> Parts:
    """The parts of the app that handles this request."""
    return cast("Parts", current_app.extensions[EXTENSION])
