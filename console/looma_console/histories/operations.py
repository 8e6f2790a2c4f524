"""The work behind the page of a history: asking the engine to restore, with an audit entry."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from looma_console.db.store import Database, record

if TYPE_CHECKING:
    from looma_console.engines import Caller, EngineClient
    from looma_console.histories.told import Told

AUDITED = {"talents": ("person", "talent"), "jobs": ("job", "job"), "companies": ("company", "company")}
"""What the console's audit calls one of each kind: in the action, and in the object."""


def restore(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    told: Told,
    record_id: UUID,
    *,
    version: int,
    key: str,
) -> None:
    """Bring back what was deleted at `version`; the same `key` does so once. Raises EngineError."""
    restored = engines.restore_record(caller, told.api, record_id, version=version, key=key)
    called, kind = AUDITED[told.api]
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=f"restore-{called}",
            object=f"{kind}/{record_id}",
            detail={"version": restored["version"]},
            request_id=caller.request_id,
        )
