"""A worker's connection to the database, and what ends one that is in the way of others."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_dumps, set_json_loads

STATEMENT_TIMEOUT_MS = 60_000
IDLE_TIMEOUT_MS = 60_000
"""For a transaction in which nothing comes any more: its worker was stopped, and a newer run waits for the fence."""
_LOST = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""So the server gives up a worker whose node is gone, and what it holds, within half a minute."""


def connect(url: str, *, application_name: str) -> psycopg.Connection[Any]:
    """A connection as the application's role; `url` is SQLAlchemy's or libpq's.

    Raises:
        psycopg.OperationalError: the database does not answer.
    """
    connection = psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        application_name=application_name,
        connect_timeout=5,
        tcp_user_timeout=20_000,
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c TimeZone=UTC -c jit=off {_LOST}"
        f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS}",
        autocommit=True,
        row_factory=namedtuple_row,
    )
    set_json_loads(msgspec.json.decode, connection)
    set_json_dumps(msgspec.json.encode, connection)
    return connection
