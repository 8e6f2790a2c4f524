"""Talents: one row a person, apart by tenant from the first day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import create_schema, enable_tenant_isolation, tenant_columns

revision = "talent_sync_0001"
down_revision = None
branch_labels = ("talent_sync",)
depends_on = None

SCHEMA = "talent_sync"

# What `q` looks into, one lower-case text kept by the database itself. lower() is immutable for a fixed
# collation; jsonb_path_query_array(...)::text keeps the skills' words.
SEARCH = (
    "lower(full_name || E'\\n' || coalesce(headline, '') || E'\\n' || coalesce(location, '')"
    " || E'\\n' || coalesce(email, '') || E'\\n' || skills::text)"
)


def upgrade() -> None:
    """Make schema and table."""
    create_schema(op, SCHEMA)
    op.create_table(
        "talents",
        *tenant_columns(),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("phone", sa.Text()),
        sa.Column("location", sa.Text()),
        sa.Column("headline", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("skills", postgresql.JSONB(), nullable=False, server_default="[]"),
        sa.Column("experience", postgresql.JSONB(), nullable=False, server_default="[]"),
        sa.Column("education", postgresql.JSONB(), nullable=False, server_default="[]"),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text()),
        sa.Column("search", sa.Text(), sa.Computed(SEARCH, persisted=True)),
        sa.CheckConstraint("version >= 1", name="version_positive"),
        schema=SCHEMA,
    )
    # Creating again from the same source answers the talent that is there; a deleted one may come again.
    op.create_index(
        "uq_talents_tenant_source",
        "talents",
        ["tenant", "source_type", "source_ref"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL AND source_ref IS NOT NULL"),
    )
    # One index per sort order, tenant first: every page is a range of it.
    for name, columns in (
        ("ix_talents_tenant_created", ["tenant", "created_at", "id"]),
        ("ix_talents_tenant_updated", ["tenant", "updated_at", "id"]),
        ("ix_talents_tenant_name", ["tenant", "full_name", "id"]),
    ):
        op.create_index(
            name, "talents", columns, schema=SCHEMA, postgresql_where=sa.text("deleted_at IS NULL")
        )
    enable_tenant_isolation(op, SCHEMA, "talents", grants=("SELECT", "INSERT", "UPDATE"))


def downgrade() -> None:
    """Only for tests: takes the table and its people away."""
    op.drop_table("talents", schema=SCHEMA)
    op.execute(sa.text(f"DROP SCHEMA {SCHEMA}"))
