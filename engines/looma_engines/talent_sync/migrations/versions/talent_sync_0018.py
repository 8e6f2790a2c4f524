"""Records that are made and deleted in sources, what a source refuses, and what was put right in the quarantine."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import without_tenant_isolation

revision = "talent_sync_0018"
down_revision = "talent_sync_0017"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
PENDING = "ix_sync_writes_pending_creations"
SETTLED = "ix_sync_writes_settled"
FUNCTION = f"{SCHEMA}.erase_record(uuid, text, uuid, uuid[], uuid[])"
AFTER = f"(2, '{SCHEMA}.relations', 'id = ANY ($2)'),"
# A record that is to be made in a source has no key there, and so none that its row could go with.
STEP = f"(2, '{SCHEMA}.sync_writes', 'record_id = $1'),"


def upgrade() -> None:
    """Let writes be of other kinds, and the quarantine take what a source refuses."""
    op.add_column(
        "sync_writes",
        sa.Column("kind", sa.Text(), nullable=False, server_default="change"),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        "kind_known", "sync_writes", "kind IN ('change', 'create', 'delete')", schema=SCHEMA
    )
    # The source gives the key of what is made there.
    op.alter_column("sync_writes", "key", nullable=True, schema=SCHEMA)
    op.create_check_constraint(
        "key_unless_created", "sync_writes", "key IS NOT NULL OR kind = 'create'", schema=SCHEMA
    )
    # Asked for with each batch that a run reads; there are none unless a worker was killed.
    op.create_index(
        PENDING,
        "sync_writes",
        ["tenant", "entity", "origin"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'intended' AND kind = 'create'"),
    )
    # The upkeep takes away what was settled long ago.
    op.create_index(SETTLED, "sync_writes", ["tenant", "settled_at"], schema=SCHEMA)
    # Names of fields that a person put right in the quarantine, and that the source has otherwise.
    op.add_column("sync_states", sa.Column("put_right", postgresql.JSONB(none_as_null=True)), schema=SCHEMA)
    op.add_column(
        "quarantine",
        sa.Column("direction", sa.Text(), nullable=False, server_default="in"),
        schema=SCHEMA,
    )
    op.create_check_constraint("direction_known", "quarantine", "direction IN ('in', 'back')", schema=SCHEMA)
    op.create_index(
        "ix_quarantine_back",
        "quarantine",
        ["tenant", "record_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("direction = 'back'"),
    )
    _have_erasures(AFTER, f"{AFTER}\n        {STEP}")


def _have_erasures(before: str, after: str) -> None:
    """Change one step of `erase_record`; all else of it stays as it is by now."""
    definition = op.get_bind().scalar(
        sa.text("SELECT pg_get_functiondef(CAST(:name AS regprocedure))"), {"name": FUNCTION}
    )
    if before not in definition:
        raise RuntimeError(f"erase_record has no step {before}")
    op.execute(sa.text(definition.replace(before, after).replace(":", "\\:")))


def downgrade() -> None:
    """Only for tests: takes what is made or deleted in sources away, and what they refused."""
    _have_erasures(f"{AFTER}\n        {STEP}", AFTER)
    op.drop_index("ix_quarantine_back", "quarantine", schema=SCHEMA)
    op.drop_column("quarantine", "direction", schema=SCHEMA)
    op.drop_column("sync_states", "put_right", schema=SCHEMA)
    op.drop_index(SETTLED, "sync_writes", schema=SCHEMA)
    op.drop_index(PENDING, "sync_writes", schema=SCHEMA)
    with without_tenant_isolation(op, SCHEMA, "sync_writes"):
        op.execute(sa.text(f"DELETE FROM {SCHEMA}.sync_writes WHERE key IS NULL"))  # noqa: S608 - our own name
    op.drop_column("sync_writes", "kind", schema=SCHEMA)
    op.alter_column("sync_writes", "key", nullable=False, schema=SCHEMA)
