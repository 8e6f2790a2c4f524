"""What `looma-migrate` does to the schema `talent_sync` each time it runs, beside migrating it."""

from __future__ import annotations

from sqlalchemy import Connection

from looma_core import logging
from looma_core.db.migrate import MigrationError
from looma_engines.talent_sync.retention.plan import AUDIT, HISTORY, MOVES
from looma_engines.talent_sync.retention.upkeep import keep
from looma_engines.talent_sync.rights.expiring import erase_deleted
from looma_engines.talent_sync.rights.ledger import LedgerKey

log = logging.get(__name__)


def upkeep(connection: Connection, *, history_months: int, deleted_days: int, ledger_key: str) -> None:
    """Make and drop partitions, and erase what was deleted long ago, in a transaction of the owner.

    Raises:
        MigrationError: the ledger's key is too short.
    """
    for table in (HISTORY, AUDIT, MOVES):
        keep(connection, months=history_months, of=table)
    if not ledger_key:
        # Without the ledger's entry the next sync would bring them back.
        log.warning("deleted records stay: LOOMA_LEDGER_KEY is not set")
        return
    try:
        key = LedgerKey(ledger_key)
    except ValueError as error:
        raise MigrationError(str(error)) from error
    erase_deleted(connection, days=deleted_days, key=key)
