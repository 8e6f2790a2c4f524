"""Which people a list may show for a purpose: the condition `usable_for` of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, func, or_

from looma_engines.talent_sync.models import TalentRow

from .rows import ConsentRow

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from looma_core.api.rights import Purpose


def usable_for(purpose: Purpose) -> ColumnElement[bool]:
    """Leaves out who had a basis for the purpose and has none in force; who never had one is for people to decide."""
    of_it = and_(ConsentRow.talent_id == TalentRow.id, ConsentRow.purpose == purpose)
    in_force = and_(
        ConsentRow.withdrawn_at.is_(None),
        or_(ConsentRow.expires_at.is_(None), ConsentRow.expires_at > func.now()),
    )
    return or_(~exists().where(of_it), exists().where(of_it, in_force))
