"""What syncs under faults share: a real operator on a real API server, workers, PostgreSQL, and roads between them."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from looma_core.db.migrate import migrate

from .control_plane import ControlPlane
from .database import PASSWORD, DatabaseServer, DatabaseUrls, killable_server, make_database
from .killable_sources import Sources, killable_sources
from .operator_process import Looma, make
from .wire import Wire, wire
from .worker_pods import Pods, worker_pods

Object = dict[str, Any]


@dataclass
class Plant:
    """What the seeds of one process share; each of them has a tenant and a SyncJob of its own."""

    looma: Looma
    to_operator: Wire
    to_workers: Wire
    server: DatabaseServer
    to_database: Wire
    urls: DatabaseUrls
    pods: Pods
    sources: Sources
    folder: Path
    client: httpx.Client
    """The administrator's, with one connection for thousands of questions."""

    def syncjob(self, name: str) -> Object:
        """A SyncJob as it is now."""
        answer: Object = self.client.get(self.looma.path("syncjobs", name)).raise_for_status().json()
        return answer

    def jobs(self, name: str) -> dict[str, Object]:
        """The Jobs of a SyncJob, by their names."""
        asked = {"labelSelector": f"app.kubernetes.io/instance={name}"}
        answer = self.client.get(self.looma.path("jobs", group="batch/v1"), params=asked).raise_for_status()
        return {item["metadata"]["name"]: item for item in answer.json()["items"]}

    def start_operator(self, *, wait: bool) -> None:
        """One more replica, which reaches the API server over a road of its own."""
        looma = self.looma
        user = f"{looma.namespace}-operator-{len(looma.replicas)}"
        given = looma.plane.kubeconfig_for(user, namespace=looma.namespace).read_text()
        behind = self.folder / f"{user}.kubeconfig"
        behind.write_text(given.replace(looma.plane.server, f"https://127.0.0.1:{self.to_operator.port}"))
        looma.start(wait=wait, KUBECONFIG=str(behind))

    def operator(self, number: signal.Signals) -> None:
        """Send the operator a signal."""
        self.looma.replicas[-1].signal(number)

    @property
    def database_url(self) -> str:
        """As the application's role, over the road that can be cut."""
        return f"postgresql+psycopg://looma_app:{PASSWORD}@127.0.0.1:{self.to_database.port}/{self.urls.name}"

    def asked(self, tenant: str, query: str, *values: Any) -> list[Object]:
        """What the database has of a tenant, asked for beside the road."""
        with (
            psycopg.connect(self.urls.app_libpq, row_factory=dict_row) as connection,
            connection.transaction(),
        ):
            connection.execute("SELECT set_config('looma.tenant', %s, true)", (tenant,))
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def _administrator(plane: ControlPlane) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(plane.pki.folder / "ca.crt"))
    context.load_cert_chain(plane.pki.folder / "admin.crt", plane.pki.folder / "admin.key")
    return context


@contextmanager
def plant(control_plane: ControlPlane, folder: Path) -> Iterator[Plant]:
    """Everything runs, and nothing is wrong yet."""
    looma = make(control_plane, folder)
    with (
        wire(control_plane.port) as to_operator,
        wire(control_plane.port) as to_workers,
        killable_server(survives_power_loss=False) as server,
        wire(server.socket()) as to_database,
        worker_pods(folder) as pods,
        killable_sources(folder / "sources") as sources,
        httpx.Client(base_url=control_plane.server, verify=_administrator(control_plane)) as client,
    ):
        urls = make_database(server.uri)
        migrate(urls.owner)
        found = Plant(
            looma, to_operator, to_workers, server, to_database, urls, pods, sources, folder, client
        )
        try:
            found.start_operator(wait=True)
            yield found
        finally:
            looma.stop()
