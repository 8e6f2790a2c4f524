"""What sync runs put right is found in the histories by an index of its own."""

import sqlalchemy as sa
from alembic import op

revision = "talent_sync_0021"
down_revision = "talent_sync_0020"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
TABLE = "record_history"
NAME = f"ix_{TABLE}_repairs"


def upgrade() -> None:
    """Make the index, which holds few entries: each partition's, and those that are yet to come."""
    op.create_index(
        NAME,
        TABLE,
        ["tenant", "actor", "changed_at", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("origin = 'repair'"),
    )


def downgrade() -> None:
    """Have them looked for in all of the histories."""
    op.drop_index(NAME, table_name=TABLE, schema=SCHEMA)
