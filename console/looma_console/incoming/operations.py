"""The work behind the pages about incoming records: asking the engine, settling with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient
from looma_core.api.sync import QuarantineEntry, SyncConflict, SyncWrite


def replay(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    *,
    entry_id: UUID,
    version: int,
    draft: Mapping[str, Any],
) -> QuarantineEntry:
    """Store a record as a person put it right. Raises EngineError; the audit names no field's value."""
    entry = engines.settle_entry(caller, entry_id, "replay", version=version, body={"draft": draft})
    _note(db, caller, "replay-record", f"quarantine/{entry_id}", {"record": str(entry.record_id)})
    return entry


def discard(
    db: Database, engines: EngineClient, caller: Caller, *, entry_id: UUID, version: int
) -> QuarantineEntry:
    """Throw an entry away. Raises EngineError."""
    entry = engines.settle_entry(caller, entry_id, "discard", version=version)
    _note(db, caller, "discard-record", f"quarantine/{entry_id}", {})
    return entry


def settle(
    db: Database, engines: EngineClient, caller: Caller, *, conflict_id: UUID, take: str
) -> SyncConflict:
    """Say whose value stands. Raises EngineError."""
    conflict = engines.settle_conflict(caller, conflict_id, take=take)
    detail = {"field": conflict.field, "take": take, "record": str(conflict.record_id)}
    _note(db, caller, "settle-conflict", f"conflict/{conflict_id}", detail)
    return conflict


def write_again(db: Database, engines: EngineClient, caller: Caller, *, write_id: UUID) -> SyncWrite:
    """Have the next run write what a source refused. Raises EngineError."""
    write = engines.write_again(caller, write_id)
    _note(db, caller, "write-again", f"write/{write_id}", {"record": str(write.record_id)})
    return write


def _note(db: Database, caller: Caller, action: str, what: str, detail: dict[str, Any]) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=action,
            object=what,
            detail=detail,
            request_id=caller.request_id,
        )
