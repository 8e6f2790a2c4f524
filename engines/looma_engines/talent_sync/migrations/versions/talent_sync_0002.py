"""Answers to requests with an `Idempotency-Key`."""

from alembic import op

from looma_core.db.idempotency import TABLE, create_table

revision = "talent_sync_0002"
down_revision = "talent_sync_0001"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"


def upgrade() -> None:
    """Make the table."""
    create_table(op, SCHEMA)


def downgrade() -> None:
    """Only for tests: takes the table and its answers away."""
    op.drop_table(TABLE, schema=SCHEMA)
