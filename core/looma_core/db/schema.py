"""Which revision of its tables a database has, and waiting for it.

Revisions are called `BRANCH_NNNN`, counted from 1. So a process can tell a database that is behind (wait for the
migration job) from one that is ahead (a newer release migrated it; migrations expand before they contract, so the
older code still runs) without knowing the newer release's files.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from looma_core import logging

if TYPE_CHECKING:
    from looma_core.db.session import Database

VERSION_SCHEMA = "looma"
POLL_SECONDS = 1.0

log = logging.get(__name__)
_REVISION = re.compile(r"(?P<branch>[a-z][a-z0-9_]*)_(?P<number>\d{4})")


class SchemaMissing(Exception):
    """The tables did not reach the needed revision in time."""


def version_table(branch: str) -> str:
    """Table in schema `looma` that holds a branch's revision.

    One table a branch: Alembic fails on a revision that it does not know, and a rolled back release must still be
    able to migrate the branches that it does know.
    """
    return f"version_{branch}"


def number_of(revision: str, branch: str) -> int:
    """Position of a revision in its branch: `talent_sync_0003` is 3.

    Raises:
        ValueError: it is not called `BRANCH_NNNN`.
    """
    match = _REVISION.fullmatch(revision)
    if match is None or match["branch"] != branch:
        msg = f"revision {revision!r} must be called {branch}_NNNN"
        raise ValueError(msg)
    return int(match["number"])


def is_enough(*, found: str | None, needed: str, branch: str) -> bool:
    """Whether a database at revision `found` serves code that needs `needed`.

    | found  | needed | answer |
    | ------ | ------ | ------ |
    | none   | x_0002 | False  |
    | x_0001 | x_0002 | False  |
    | x_0002 | x_0002 | True   |
    | x_0003 | x_0002 | True   |
    """
    return found is not None and number_of(found, branch) >= number_of(needed, branch)


async def wait_for_schema(database: Database, *, branch: str, needed: str, seconds: float) -> None:
    """Return when the database has revision `needed` of `branch`, or a later one.

    Args:
        database: where to look, with the application's role.
        branch: the engine's branch, such as `talent_sync`.
        needed: the newest revision that this code knows.
        seconds: how long to wait.

    Raises:
        SchemaMissing: it did not come in time; the message says what to look at.
    """
    until = time.monotonic() + seconds
    said = ""
    while True:
        try:
            found = await _found(database, branch)
            state = f"is at {found}" if found else "was never migrated"
            if is_enough(found=found, needed=needed, branch=branch):
                return
        except (DBAPIError, OSError, TimeoutError) as error:
            state = f"does not answer ({type(error).__name__})"
        if state != said:
            log.info("waiting for the schema", branch=branch, needed=needed, database=state)
            said = state
        if time.monotonic() >= until:
            msg = f"schema {branch} {state}, {needed} is needed: look at the job looma-migrate"
            raise SchemaMissing(msg)
        await asyncio.sleep(POLL_SECONDS)


async def _found(database: Database, branch: str) -> str | None:
    table = f"{VERSION_SCHEMA}.{version_table(branch)}"
    async with database.engine.connect() as connection:
        exists = await connection.scalar(text("SELECT to_regclass(:table)"), {"table": table})
        if exists is None:
            return None
        found: str | None = await connection.scalar(text(f"SELECT version_num FROM {table}"))  # noqa: S608 - our own name
        return found
