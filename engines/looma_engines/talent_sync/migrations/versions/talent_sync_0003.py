"""Companies and jobs, apart by tenant from the first day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import enable_tenant_isolation, tenant_columns

revision = "talent_sync_0003"
down_revision = "talent_sync_0002"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"

# As of talents: one lower-case text that the database itself keeps.
COMPANY_SEARCH = (
    "lower(name || E'\\n' || aliases::text || E'\\n' || coalesce(registration_number, '')"
    " || E'\\n' || coalesce(industry, '') || E'\\n' || coalesce(location, ''))"
)
JOB_SEARCH = (
    "lower(title || E'\\n' || coalesce(company_name, '') || E'\\n' || coalesce(location, '')"
    " || E'\\n' || skills::text)"
)


def _record_columns(search: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text()),
        sa.Column("search", sa.Text(), sa.Computed(search, persisted=True)),
        sa.CheckConstraint("version >= 1", name="version_positive"),
    ]


def _record_indexes(table: str, *, sorted_by: str) -> None:
    op.create_index(
        f"uq_{table}_tenant_source",
        table,
        ["tenant", "source_type", "source_ref"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL AND source_ref IS NOT NULL"),
    )
    # One index per sort order, tenant first: every page is a range of it.
    for name, column in (("created", "created_at"), ("updated", "updated_at"), (sorted_by, sorted_by)):
        op.create_index(
            f"ix_{table}_tenant_{name}",
            table,
            ["tenant", column, "id"],
            schema=SCHEMA,
            postgresql_where=sa.text("deleted_at IS NULL"),
        )


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "companies",
        *tenant_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aliases", postgresql.JSONB(), nullable=False, server_default="[]"),
        sa.Column("registration_number", sa.Text()),
        sa.Column("website", sa.Text()),
        sa.Column("industry", sa.Text()),
        sa.Column("size", sa.Text()),
        sa.Column("location", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("language", sa.Text(), nullable=False),
        *_record_columns(COMPANY_SEARCH),
        # What a job's company refers to, so that it is one of the same tenant.
        sa.UniqueConstraint("tenant", "id", name="uq_companies_tenant_id"),
        schema=SCHEMA,
    )
    _record_indexes("companies", sorted_by="name")
    op.create_table(
        "jobs",
        *tenant_columns(),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Uuid()),
        sa.Column("company_name", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("workplace", sa.Text()),
        sa.Column("employment", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("skills", postgresql.JSONB(), nullable=False, server_default="[]"),
        sa.Column("experience_years", sa.Integer()),
        sa.Column("degree", sa.Text()),
        sa.Column("salary", postgresql.JSONB()),
        sa.Column("openings", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("opens_on", sa.Date()),
        sa.Column("closes_on", sa.Date()),
        sa.Column("language", sa.Text(), nullable=False),
        *_record_columns(JOB_SEARCH),
        sa.CheckConstraint("openings >= 1", name="openings_positive"),
        sa.CheckConstraint("closes_on >= opens_on", name="dates_in_order"),
        sa.ForeignKeyConstraint(
            ["tenant", "company_id"],
            [f"{SCHEMA}.companies.tenant", f"{SCHEMA}.companies.id"],
            name="fk_jobs_tenant_company_id_companies",
        ),
        schema=SCHEMA,
    )
    _record_indexes("jobs", sorted_by="title")
    op.create_index(
        "ix_jobs_tenant_company",
        "jobs",
        ["tenant", "company_id", "created_at", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL AND company_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_tenant_status",
        "jobs",
        ["tenant", "status", "created_at", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    for table in ("companies", "jobs"):
        enable_tenant_isolation(op, SCHEMA, table, grants=("SELECT", "INSERT", "UPDATE"))


def downgrade() -> None:
    """Only for tests: takes the tables and what is in them away."""
    op.drop_table("jobs", schema=SCHEMA)
    op.drop_table("companies", schema=SCHEMA)
