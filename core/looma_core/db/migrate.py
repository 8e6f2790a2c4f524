"""`looma-migrate`: brings every engine's tables to the newest revision, then ends.

Runs as a Job before the engines start, as the owner of the tables. Each package with tables names its folder of
migrations in the entry point group `looma.migrations`; each branch has its own version table (see
`schema.version_table`). A PostgreSQL advisory lock lets one run at a time. There is no way down: migrations
expand first and contract a release later, so that the previous revision runs on the new tables.

Beside a package's `versions` there may be a module `upkeep`: what its tables need again and again, done each time.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from looma_core import logging
from looma_core.db.policies import APP_ROLE
from looma_core.db.schema import VERSION_SCHEMA, number_of, version_table
from looma_core.settings import (
    DELETED_DAYS,
    HISTORY_MONTHS,
    UNLINKED_DAYS,
    WRITES_DAYS,
    MigrateSettings,
    SettingsError,
    load,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GROUP = "looma.migrations"
LOCK_KEY = 0x100A  # any number, the same in every release
LOCK_TIMEOUT_MS = 20_000
"""A migration that waits for a busy table must not hold up the requests queued behind it."""

log = logging.get(__name__)


class MigrationError(Exception):
    """The database cannot be migrated; the message says what to do."""


class Branch(msgspec.Struct, frozen=True):
    """One package's line of migrations."""

    name: str
    folder: Path
    upkeep: str = ""
    """Module with `upkeep(connection, *, history_months, ...)`, where the package has one."""

    def config(self, connection: Connection | None = None) -> Config:
        """Alembic's configuration for this branch alone."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "alembic"))
        config.set_main_option("version_locations", str(self.folder))
        config.set_main_option("path_separator", "newline")
        config.attributes["connection"] = connection
        config.attributes["version_table"] = version_table(self.name)
        return config

    def head(self) -> str:
        """Newest revision in the folder.

        Raises:
            MigrationError: there is none, or the line forks.
        """
        heads = ScriptDirectory.from_config(self.config()).get_heads()
        if len(heads) != 1:
            msg = f"branch {self.name} has {len(heads)} newest revisions ({', '.join(heads)}), one is needed"
            raise MigrationError(msg)
        number_of(heads[0], self.name)
        return heads[0]


def branches() -> list[Branch]:
    """All branches of the packages that are installed, in the order of their names."""
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            spec = find_spec(point.value)
        except ModuleNotFoundError:
            spec = None
        places = (spec.submodule_search_locations if spec else None) or []
        folders = [folder for place in places if any((folder := Path(place) / "versions").glob("*.py"))]
        if not folders:
            log.warning("package with migrations is not installed", branch=point.name, package=point.value)
            continue
        upkeep = f"{point.value}.upkeep" if (folders[0].parent / "upkeep.py").is_file() else ""
        found.append(Branch(name=point.name, folder=folders[0], upkeep=upkeep))
    return found


def head_of(branch: str) -> str:
    """Newest revision of one branch; what an engine gives to `wait_for_schema`.

    Raises:
        MigrationError: no installed package has this branch.
    """
    for candidate in branches():
        if candidate.name == branch:
            return candidate.head()
    msg = f"no installed package has the migrations branch {branch}"
    raise MigrationError(msg)


def migrate(
    url: str,
    *,
    wait_seconds: float = 0,
    only: Sequence[Branch] | None = None,
    history_months: int = HISTORY_MONTHS,
    deleted_days: int = DELETED_DAYS,
    writes_days: int = WRITES_DAYS,
    unlinked_days: int = UNLINKED_DAYS,
    ledger_key: str = "",
    key_ring_file: str = "",
) -> dict[str, str]:
    """Bring all branches to their newest revision, and do what their tables need again and again.

    Args:
        url: SQLAlchemy URL of the owner.
        wait_seconds: how long to wait for the database to answer.
        only: branches to migrate; default all that are installed.
        history_months: how many months of the records' history are kept, beside this one.
        deleted_days: after how many days a deleted record is erased.
        writes_days: for how many days settled writes to sources are kept.
        unlinked_days: after how many days a file of nobody is deleted; with 0 it stays.
        ledger_key: of the digests of what is erased; without one nothing is.
        key_ring_file: opens what is sealed of those who are erased; without one nothing is.

    Returns:
        The revision of each branch afterwards.

    Raises:
        MigrationError: the database does not answer, or lacks the application's role.
    """
    engine = create_engine(url, hide_parameters=True, connect_args={"connect_timeout": 5})
    try:
        _wait(engine, wait_seconds)
        with _locked(engine):
            _prepare(engine)
            chosen = only or branches()
            revisions = {branch.name: _upgrade(engine, branch) for branch in chosen}
            for branch in chosen:
                _keep_up(
                    engine,
                    branch,
                    history_months=history_months,
                    deleted_days=deleted_days,
                    writes_days=writes_days,
                    unlinked_days=unlinked_days,
                    ledger_key=ledger_key,
                    key_ring_file=key_ring_file,
                )
            return revisions
    finally:
        engine.dispose()


def main() -> None:
    """Entry point of `looma-migrate`; settings come from the environment."""
    try:
        settings = load(MigrateSettings)
    except SettingsError as error:
        sys.exit(f"looma-migrate cannot start:\n{error}")
    logging.configure(service="looma-migrate", level=settings.log_level)
    try:
        revisions = migrate(
            settings.owner_database_url,
            wait_seconds=settings.database_wait_seconds,
            history_months=settings.history_months,
            deleted_days=settings.deleted_days,
            writes_days=settings.writes_days,
            unlinked_days=settings.unlinked_days,
            ledger_key=settings.ledger_key,
            key_ring_file=settings.key_ring_file,
        )
    except MigrationError as error:
        log.error("not migrated", error=str(error))  # noqa: TRY400 - the message is all there is to know
        sys.exit(1)
    log.info("migrated", revisions=revisions)


def _wait(engine: Engine, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            with engine.connect():
                return
        except OperationalError as error:
            if time.monotonic() >= until:
                reason = str(error.orig).strip().splitlines()[0]
                msg = f"the database does not answer: {reason}"
                raise MigrationError(msg) from error
            log.info("waiting for the database")
            time.sleep(1)


@contextmanager
def _locked(engine: Engine) -> Iterator[None]:
    """Hold the advisory lock on a connection of its own: it goes with the connection, however this process ends."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})


def _prepare(engine: Engine) -> None:
    with engine.begin() as connection:
        role = {"role": APP_ROLE}
        row = connection.execute(
            text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = :role"), role
        ).one_or_none()
        if row is None:
            msg = f"role {APP_ROLE} is missing: CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS"
            raise MigrationError(msg)
        if row[0]:
            msg = f"role {APP_ROLE} can see every tenant: ALTER ROLE {APP_ROLE} NOSUPERUSER NOBYPASSRLS"
            raise MigrationError(msg)
        for statement in (
            f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}",
            f"GRANT USAGE ON SCHEMA {VERSION_SCHEMA} TO {APP_ROLE}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {VERSION_SCHEMA} GRANT SELECT ON TABLES TO {APP_ROLE}",
        ):
            connection.execute(text(statement))


def _upgrade(engine: Engine, branch: Branch) -> str:
    head = branch.head()
    with engine.begin() as connection:
        found = _revision(connection, branch)
        if found is not None and number_of(found, branch.name) > number_of(head, branch.name):
            # An older release on newer tables, after a rollback: they still fit it.
            log.info("tables are newer than this release", branch=branch.name, found=found, known=head)
            return found
        connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
        # For the tables' history: what a migration fills in, no person changed.
        connection.execute(text("SELECT set_config('looma.origin', 'migration', true)"))
        command.upgrade(branch.config(connection), "head")
    if found != head:
        log.info("upgraded", branch=branch.name, before=found, after=head)
    return head


def _keep_up(engine: Engine, branch: Branch, **how: int | str) -> None:
    if branch.upkeep:
        with engine.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
            import_module(branch.upkeep).upkeep(connection, **how)


def _revision(connection: Connection, branch: Branch) -> str | None:
    table = f"{VERSION_SCHEMA}.{version_table(branch.name)}"
    if connection.scalar(text("SELECT to_regclass(:table)"), {"table": table}) is None:
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {table}"))  # noqa: S608 - our own name
    return found
