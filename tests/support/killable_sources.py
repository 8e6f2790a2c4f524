"""Real servers that sources are read from, each behind a road that can be cut: they are killed, and come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from .database import DatabaseServer, killable_server
from .remote_sources import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, SourceServer, s3_server, source_server
from .source_server import CLIENT, SECRET
from .wire import Wire, wire

Record = dict[str, Any]
TABLE = "people"


class KillableSource(Protocol):
    """A source; `spec` is what a SyncJob says of it, `secret` what its Secret has."""

    wire: Wire
    spec: dict[str, Any]
    secret: dict[str, str]

    def put(self, rows: list[Record]) -> None:
        """Have these from now on."""

    def kill(self) -> None:
        """End its processes as the kernel would."""

    def start(self) -> None:
        """Be there again, with what it had."""


class Platform:
    """Zervigo's list of talents, or a file of a web server: one process has both."""

    def __init__(self, server: SourceServer, road: Wire, kind: str) -> None:
        self._server = server
        self.wire = road
        url = f"http://127.0.0.1:{road.port}"
        self.secret = {"client_id": CLIENT, "client_secret": SECRET} if kind == "zervigo" else {}
        self.spec: dict[str, Any] = {"type": "http", "url": f"{url}/files/people.jsonl", "format": "jsonl"}
        if kind == "zervigo":
            token = f"{url}/oauth/token"
            self.spec = {
                "type": kind,
                "url": url,
                "tokenUrl": token,
                "pageSize": 13,
                "requestsPerSecond": 100,
            }

    def put(self, rows: list[Record]) -> None:
        """Both kinds at once."""
        self._server.put("talents", rows)
        self._server.file("people.jsonl").write_bytes(lines(rows))

    def kill(self) -> None:
        """The server forgets its tokens."""
        self._server.kill()

    def start(self) -> None:
        """On the same port."""
        self._server.start()


class Bucket:
    """An object in an S3 server."""

    def __init__(self, server: S3Server, road: Wire) -> None:
        self._server = server
        self.wire = road
        self.secret = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
        self.spec: dict[str, Any] = {
            "type": "s3",
            "url": f"s3://{BUCKET}/people.jsonl",
            "format": "jsonl",
            "endpoint": f"http://127.0.0.1:{road.port}",
        }

    def put(self, rows: list[Record]) -> None:
        """Another version of the object."""
        self._server.put("people.jsonl", lines(rows))

    def kill(self) -> None:
        """Its only process."""
        self._server.kill()

    def start(self) -> None:
        """On the same port."""
        self._server.start()


class Table:
    """A table of a PostgreSQL that is not Looma's."""

    def __init__(self, server: DatabaseServer, road: Wire) -> None:
        self._server = server
        self.wire = road
        given = psycopg.conninfo.conninfo_to_dict(server.uri)
        self.secret = {"username": str(given["user"])}
        url = f"postgresql://127.0.0.1:{road.port}/{given['dbname']}"
        self.spec: dict[str, Any] = {"type": "postgresql", "url": url, "table": TABLE, "key": "id"}

    def put(self, rows: list[Record]) -> None:
        """Other rows from now on, all at once."""
        names = ("id", "full_name", "email", "headline", "skills")
        with psycopg.connect(self._server.uri) as connection:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (id text PRIMARY KEY, full_name text, email text,"
                " headline text, skills text[])"
            )
            connection.execute(f"DELETE FROM {TABLE}")  # noqa: S608 - a name of ours
            with connection.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO {TABLE} VALUES (%s, %s, %s, %s, %s)",  # noqa: S608 - a name of ours
                    [[row[name] for name in names] for row in rows],
                )

    def kill(self) -> None:
        """The first of its processes; the others follow."""
        self._server.kill()

    def start(self) -> None:
        """It recovers."""
        self._server.start()


def lines(rows: list[Record]) -> bytes:
    """Rows as a file has them."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


class Sources:
    """One of each kind, begun when it is first asked for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._begun: dict[str, KillableSource] = {}

    def get(self, kind: str) -> KillableSource:
        """The source of a kind: zervigo, http, s3 or postgresql."""
        if kind not in self._begun:
            self._begun[kind] = self._begin(kind)
        return self._begun[kind]

    def _begin(self, kind: str) -> KillableSource:
        enter = self._stack.enter_context
        if kind == "postgresql":
            table = enter(killable_server(survives_power_loss=False))
            return Table(table, enter(wire(table.socket())))
        if kind == "s3":
            store = enter(s3_server(self._folder / kind))
            return Bucket(store, enter(wire(store.port)))
        server = enter(source_server(self._folder / kind))
        return Platform(server, enter(wire(server.port)), kind)


@contextmanager
def killable_sources(folder: Path) -> Iterator[Sources]:
    """Sources that are ended at the end."""
    with ExitStack() as stack:
        yield Sources(folder, stack)
