"""What is written back to sources: what was looked at, what is meant to be written, and what became of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import enable_tenant_isolation, tenant_columns

revision = "talent_sync_0015"
down_revision = "talent_sync_0014"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
LISTS = {"state": "state", "job": "job", "entity": "entity", "record": "record_id"}
STATES = "'intended', 'written', 'refused', 'moved', 'dropped'"


def upgrade() -> None:
    """Make the table, and note with each key what of it was looked at."""
    # A record is looked at again once it has another version, or the source gave something else.
    op.add_column("sync_states", sa.Column("offered_version", sa.Integer()), schema=SCHEMA)
    op.add_column("sync_states", sa.Column("offered_digest", sa.LargeBinary()), schema=SCHEMA)
    op.create_table(
        "sync_writes",
        *tenant_columns(),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        # Of the record, as it was meant to be there.
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fields", postgresql.JSONB(), nullable=False),
        # Base and value of each field, sealed as a whole, for as long as nobody knows whether it was written.
        sa.Column("intended", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False, server_default="intended"),
        sa.Column("reason", sa.Text()),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(f"state IN ({STATES})", name="state_known"),
        sa.CheckConstraint("(state = 'intended') = (intended IS NOT NULL)", name="kept_while_intended"),
        # What is known of a key goes with its record, and this with it.
        sa.ForeignKeyConstraint(
            ["tenant", "entity", "origin", "key"],
            [f"{SCHEMA}.sync_states.{name}" for name in ("tenant", "entity", "origin", "key")],
            name="fk_sync_writes_key_sync_states",
            ondelete="CASCADE",
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_sync_writes_tenant_key",
        "sync_writes",
        ["tenant", "entity", "origin", "key", "created_at", "id"],
        schema=SCHEMA,
    )
    op.create_index(
        "ix_sync_writes_tenant_created", "sync_writes", ["tenant", "created_at", "id"], schema=SCHEMA
    )
    for name, column in LISTS.items():
        op.create_index(
            f"ix_sync_writes_tenant_{name}",
            "sync_writes",
            ["tenant", column, "created_at", "id"],
            schema=SCHEMA,
        )
    enable_tenant_isolation(op, SCHEMA, "sync_writes", grants=("SELECT", "INSERT", "UPDATE"))


def downgrade() -> None:
    """Only for tests: takes the table away, and what was looked at."""
    op.drop_table("sync_writes", schema=SCHEMA)
    for name in ("offered_digest", "offered_version"):
        op.drop_column("sync_states", name, schema=SCHEMA)
