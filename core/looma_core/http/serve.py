"""Runs an application under Granian: one worker, graceful on SIGTERM.

The main process holds the socket and watches; the application is built in the worker by calling `target`. On
SIGTERM the worker takes no new connections, ends the requests under way (at most `GRACE_SECONDS`) and closes the
application's lifespan. A worker that dies ends the process with status 1, and Kubernetes starts it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

if TYPE_CHECKING:
    from looma_core.settings import CoreSettings

GRACE_SECONDS = 20
"""Less than the pod's terminationGracePeriod of 30 s with its pause before SIGTERM."""

# Granian's own lines go through the root logger's JSON handler; its access log stays off, ours tells more.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


def serve(target: str, *, settings: CoreSettings, workers: int = 1) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        target: `module:function` that returns the ASGI application; called in the worker process.
        settings: address, port and log level.
        workers: worker processes.
    """
    Server(
        target=target,
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=workers,
        websockets=False,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=_LOGGING,
        workers_kill_timeout=GRACE_SECONDS,
    ).serve()
