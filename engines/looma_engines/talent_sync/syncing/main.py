"""`looma-engine records-worker`: one shard of a SyncJob's run that brings records in."""

from __future__ import annotations

import os
import sys

from looma_core.settings import variable
from looma_engines.sync_worker.inputs import BadInputError, Inputs
from looma_engines.sync_worker.main import start
from looma_engines.talent_sync.privacy.ring import RingError, read
from looma_engines.talent_sync.privacy.sealing import Sealer
from looma_engines.talent_sync.rights.ledger import LedgerKey

from .worker import RecordsWorker


def make(inputs: Inputs) -> RecordsWorker:
    """The worker of what this pod was told.

    Raises:
        BadInputError: without a target, a database or a key ring, or with a key of the ledger that is too short.
    """
    if inputs.target is None:
        raise BadInputError("spec.target is missing: this worker writes records, and needs to know where")
    url = os.environ.get(variable("database_url"), "")
    if not url:
        raise BadInputError(f"{variable('database_url')} is missing: it is in the secret of the engines")
    name = variable("key_ring_file")
    try:
        ring = read(os.environ.get(name, ""), setting=name)
    except RingError as error:
        raise BadInputError(str(error)) from error
    secret = os.environ.get(variable("ledger_key"), "")
    try:
        ledger = LedgerKey(secret) if secret else None
    except ValueError as error:
        raise BadInputError(str(error)) from error
    return RecordsWorker(url, inputs.target, sealer=Sealer(ring), ledger=ledger)


def main(name: str) -> None:
    """Entry point; ends the process."""
    del name
    sys.exit(start(make))
