"""What seals travels with the sessions of a database, so that whoever has one can read what is stored there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looma_core.db import tenant_of
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sealing import Sealer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

_SEALER = "looma_sealer"


def sealing_with(sealer: Sealer) -> dict[str, Any]:
    """`info` of a `Database` whose repositories seal and open with these keys."""
    return {_SEALER: sealer}


def seals_of(session: AsyncSession) -> Seals:
    """What seals and opens for the tenant of a session.

    Raises:
        RuntimeError: its `Database` was made without `info=sealing_with(...)`.
    """
    sealer: Sealer | None = session.info.get(_SEALER)
    if sealer is None:
        msg = "the session's Database has no keys: make it with info=sealing_with(sealer)"
        raise RuntimeError(msg)
    return Seals(sealer, tenant_of(session))
