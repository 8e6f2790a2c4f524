"""PostgreSQL for all deployables: sessions that know their tenant, row-level security, migrations.

Map: `base` has the declarative conventions, `session` opens sessions (`Database.tenant_session`), `policies` are
the steps that migrations use, `migrate` is `looma-migrate`, `schema` lets an engine wait for its tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from looma_core.db.ids import new_id

if TYPE_CHECKING:
    from looma_core.db.base import Base, TenantMixin
    from looma_core.db.schema import SchemaMissing, wait_for_schema
    from looma_core.db.session import Database, tenant_of

__all__ = ["Base", "Database", "SchemaMissing", "TenantMixin", "new_id", "tenant_of", "wait_for_schema"]
_MODULES = {
    "Base": "base",
    "Database": "session",
    "SchemaMissing": "schema",
    "TenantMixin": "base",
    "tenant_of": "session",
    "wait_for_schema": "schema",
}


def __getattr__(name: str) -> object:
    """What maps tables and opens sessions, when it is first asked for.

    A worker of a sync job needs ids alone, and is done sooner than all of this is imported.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
