"""What `looma-migrate` does to the schema `talent_sync` each time it runs, beside migrating it."""

from __future__ import annotations

from sqlalchemy import Connection

from looma_core import logging
from looma_core.db.migrate import MigrationError
from looma_core.settings import variable
from looma_engines.talent_sync.files.expiring import drop_deleted, drop_unlinked
from looma_engines.talent_sync.privacy.ring import RingError
from looma_engines.talent_sync.privacy.ring import read as read_ring
from looma_engines.talent_sync.privacy.sealing import Sealer, SealError
from looma_engines.talent_sync.retention.plan import AUDIT, HISTORY, MOVES
from looma_engines.talent_sync.retention.upkeep import keep
from looma_engines.talent_sync.rights.expiring import erase_deleted
from looma_engines.talent_sync.rights.ledger import LedgerKey
from looma_engines.talent_sync.syncing.clearing import drop_settled

log = logging.get(__name__)


def upkeep(
    connection: Connection,
    *,
    history_months: int,
    deleted_days: int,
    writes_days: int,
    unlinked_days: int,
    ledger_key: str,
    key_ring_file: str,
) -> None:
    """Make and drop partitions, and erase what was deleted long ago, files too, in a transaction of the owner.

    Files of nobody and settled writes to sources go after a time of their own.

    Raises:
        MigrationError: the ledger's key is too short, the key ring cannot be used, or it lacks a key.
    """
    for table in (HISTORY, AUDIT, MOVES):
        keep(connection, months=history_months, of=table)
    drop_deleted(connection, days=deleted_days)
    drop_unlinked(connection, days=unlinked_days)
    drop_settled(connection, days=writes_days)
    # Without the ledger's entry the next sync would bring them back; without the ring some of theirs would stay.
    for setting, given in (("ledger_key", ledger_key), ("key_ring_file", key_ring_file)):
        if not given:
            log.warning("deleted records stay: a setting is missing", setting=variable(setting))
            return
    try:
        key = LedgerKey(ledger_key)
        sealer = Sealer(read_ring(key_ring_file, setting=variable("key_ring_file")))
        erase_deleted(connection, days=deleted_days, key=key, sealer=sealer)
    except (ValueError, RingError, SealError) as error:
        raise MigrationError(str(error)) from error
