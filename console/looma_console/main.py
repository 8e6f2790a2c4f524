"""`looma-console`: settings from the environment, then gunicorn with one process of many threads.

One process, because the watches, the cap on live pages and the metrics are one each; threads, because a live
page and a forwarded stream wait most of the time. The root file system may be read-only: gunicorn's heartbeat
file and large uploads go to /tmp.
"""

from __future__ import annotations

import sys
from typing import Any

import gunicorn.app.base
import gunicorn.config
import gunicorn.glogging
import gunicorn.workers.gthread
from flask import Flask
from kubernetes.config import ConfigException

from looma_console.app import create_app, parts_from, start
from looma_console.cluster.api import KubeApi
from looma_console.config import ConsoleSettings
from looma_console.web.parts import EXTENSION
from looma_core import logging
from looma_core.settings import SettingsError, load

# Long enough for an upload under way, shorter than the pod's grace of 30 s.
GRACE_SECONDS = 20
KEEPALIVE_SECONDS = 75


class Logs(gunicorn.glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's own lines go the way of all others: as JSON, through the root logger."""

    def setup(self, _cfg: gunicorn.config.Config) -> None:
        """Leave all handlers to the root logger."""
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.access_log.handlers = []
        self.access_log.propagate = False


class Worker(gunicorn.workers.gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Threads, and live pages that let go when the process is asked to stop.

    Gunicorn waits for open requests; a stream that goes on for ever would make it wait to the end of its grace.
    """

    def handle_exit(self, sig: int, frame: object) -> None:
        """SIGTERM came."""
        self.wsgi.extensions[EXTENSION].closing.set()
        super().handle_exit(sig, frame)


class Server(gunicorn.app.base.BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn without its command line and configuration files."""

    def __init__(self, settings: ConsoleSettings) -> None:
        """Serve with `settings`."""
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set what gunicorn reads from its command line otherwise."""
        for name, value in options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application, in the worker: threads do not survive a fork."""
        logging.configure(service="looma-console", level=self._settings.log_level)
        parts = parts_from(self._settings, KubeApi.from_environment(self._settings.kubeconfig or None))
        start(parts)
        return create_app(parts)


def options(settings: ConsoleSettings) -> dict[str, Any]:
    """Gunicorn's settings."""
    return {
        "bind": f"{settings.host}:{settings.port}",
        "worker_class": Worker,
        "workers": 1,
        "threads": settings.threads,
        "worker_connections": settings.threads * 8,
        "keepalive": KEEPALIVE_SECONDS,
        "timeout": 60,
        "graceful_timeout": GRACE_SECONDS,
        "worker_tmp_dir": "/tmp",  # noqa: S108 - a volume of the pod's own
        "control_socket_disable": True,
        "accesslog": None,
        "errorlog": "-",
        "logger_class": Logs,
        "limit_request_line": 8190,
        "proc_name": "looma-console",
    }


def main() -> None:
    """Entry point of `looma-console`."""
    try:
        settings = load(ConsoleSettings)
        # Read here, too, so that a missing mount is said in one line and not by a worker that dies again and again.
        settings.issuer_key  # noqa: B018 - reading is the check
    except (SettingsError, OSError) as error:
        sys.exit(f"looma-console cannot start:\n{error}")
    logging.configure(service="looma-console", level=settings.log_level)
    try:
        Server(settings).run()
    except ConfigException as error:
        sys.exit(
            f"looma-console cannot start: no Kubernetes API: {error}. Outside of a pod, set LOOMA_KUBECONFIG."
        )
