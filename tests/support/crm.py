"""A table `people` of PostgreSQL as the source of a SyncJob: a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from support.database import DatabaseUrls, drop_database, make_database

Json = dict[str, Any]


class Crm:
    """The source."""

    def __init__(self, urls: DatabaseUrls) -> None:
        self.urls = urls

    def do(self, statement: str, *values: Any) -> None:
        """Change something there."""
        with psycopg.connect(self.urls.owner_libpq, autocommit=True) as connection:
            connection.execute(statement, values or None)  # type: ignore[arg-type]

    def rows(self, query: str = "SELECT * FROM people ORDER BY name") -> list[Json]:
        """What a query gives, by default all people."""
        with psycopg.connect(self.urls.owner_libpq, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def source(self, folder: Path, **more: Any) -> Json:
        """What a SyncJob says of it; its account is that of the database's owner, in the folder `credentials`."""
        given = psycopg.conninfo.conninfo_to_dict(self.urls.owner_libpq)
        (folder / "credentials").mkdir(exist_ok=True)
        (folder / "credentials" / "username").write_text(f"{given['user']}\n")
        (folder / "credentials" / "password").write_text(f"{given['password']}\n")
        url = f"postgresql:///{given['dbname']}?host={given['host']}"
        return {"type": "postgresql", "url": url, "table": "people", **more}


@contextmanager
def crm_at(admin: str, *statements: str) -> Iterator[Crm]:
    """A source whose database is there for a while."""
    urls = make_database(admin)
    source = Crm(urls)
    for statement in statements:
        source.do(statement)
    yield source
    drop_database(admin, urls.name)
