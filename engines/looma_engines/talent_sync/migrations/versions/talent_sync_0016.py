"""How good a record was when a run last wrote it, beside what the source gave: so a run knows what it made better."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "talent_sync_0016"
down_revision = "talent_sync_0015"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"


def upgrade() -> None:
    """Add the column. Without a value the next run that meets the record finds it out, and keeps it."""
    # The score, and ids of the rules that found something: nothing of the person.
    op.add_column("sync_states", sa.Column("quality", postgresql.JSONB()), schema=SCHEMA)


def downgrade() -> None:
    """Take it away; nothing else needs it."""
    op.drop_column("sync_states", "quality", schema=SCHEMA)
