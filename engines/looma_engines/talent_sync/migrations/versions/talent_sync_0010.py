"""Where a source goes on, in its own words, and from when on its next run reads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "talent_sync_0010"
down_revision = "talent_sync_0009"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
COLUMNS = ("cursor", "span", "latest", "watermark")


def upgrade() -> None:
    """Add the columns; a run that began before has a position, and that is its cursor."""
    op.add_column(
        "sync_shards",
        sa.Column("cursor", sa.Text(), nullable=False, server_default=""),
        schema=SCHEMA,
    )
    # Which part of the source the run reads; the first shard says so, and the others do the same.
    op.add_column("sync_shards", sa.Column("span", postgresql.JSONB()), schema=SCHEMA)
    # The latest change that the shard has read, and once it is done, up to when it knows of all.
    op.add_column("sync_shards", sa.Column("latest", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.add_column("sync_shards", sa.Column("watermark", sa.DateTime(timezone=True)), schema=SCHEMA)


def downgrade() -> None:
    """Take them away; what was read of databases is read from the beginning again."""
    for name in reversed(COLUMNS):
        op.drop_column("sync_shards", name, schema=SCHEMA)
