"""What `looma-migrate` does to the schema `talent_sync` each time it runs, beside migrating it."""

from __future__ import annotations

from sqlalchemy import Connection

from looma_engines.talent_sync.retention.upkeep import keep


def upkeep(connection: Connection, *, history_months: int) -> None:
    """Make and drop partitions of the history, in a transaction of the owner."""
    keep(connection, months=history_months)
