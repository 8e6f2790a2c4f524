"""PostgreSQL for all deployables: sessions that know their tenant, row-level security, migrations.

Map: `base` has the declarative conventions, `session` opens sessions (`Database.tenant_session`), `policies` are
the steps that migrations use, `migrate` is `looma-migrate`, `schema` lets an engine wait for its tables.
"""

from looma_core.db.base import Base, TenantMixin, new_id
from looma_core.db.schema import SchemaMissing, wait_for_schema
from looma_core.db.session import Database, tenant_of

__all__ = ["Base", "Database", "SchemaMissing", "TenantMixin", "new_id", "tenant_of", "wait_for_schema"]
