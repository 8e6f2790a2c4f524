"""The log of what was done with people's data: written in the transaction of what it tells of, and only added to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncSession

from looma_core.api.rights import AuditAction
from looma_core.db import new_id
from looma_core.http.context import current
from looma_engines.talent_sync.models import SCHEMA

_INSERT = text(f"""
    INSERT INTO {SCHEMA}.audit_events (id, action, entity, record_id, actor, reason, request_id, detail)
    VALUES (:id, :action, :entity, :record_id, coalesce(:actor, nullif(current_setting('looma.actor', true), '')),
        :reason, :request_id, CAST(:detail AS jsonb))
""")  # noqa: S608 - our own names


async def note(
    session: AsyncSession,
    action: AuditAction,
    entity: str,
    record_id: UUID | None = None,
    *,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add an event to the log. `detail` is of counts, formats and names, never of values."""
    values = _values(action, entity, record_id, actor=None, reason=reason, detail=detail)
    await session.execute(_INSERT, values)


def note_now(
    connection: Connection,
    action: AuditAction,
    entity: str,
    record_id: UUID | None = None,
    *,
    actor: str | None = None,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """The same, on a connection."""
    connection.execute(_INSERT, _values(action, entity, record_id, actor=actor, reason=reason, detail=detail))


def _values(
    action: AuditAction,
    entity: str,
    record_id: UUID | None,
    *,
    actor: str | None,
    reason: str | None,
    detail: Mapping[str, Any] | None,
) -> dict[str, Any]:
    context = current()
    return {
        "id": new_id(),
        "action": action,
        "entity": entity,
        "record_id": record_id,
        "actor": actor,
        "reason": reason,
        "request_id": context.request_id if context else None,
        "detail": msgspec.json.encode(dict(detail or {})).decode(),
    }
