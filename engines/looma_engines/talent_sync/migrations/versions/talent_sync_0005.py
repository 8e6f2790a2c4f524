"""Relations of people to companies, jobs and each other, apart by tenant from the first day."""

import sqlalchemy as sa
from alembic import op

from looma_core.db.policies import enable_tenant_isolation, tenant_columns

revision = "talent_sync_0005"
down_revision = "talent_sync_0004"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
TABLE = "relations"
LIVE = "deleted_at IS NULL"

SEARCH = "lower(coalesce(title, '') || E'\\n' || coalesce(note, ''))"
FITS = (
    "(company_id IS NOT NULL) = (kind IN ('works_at', 'worked_at'))"
    " AND (job_id IS NOT NULL) = (kind IN ('applied_to', 'interviewed_for', 'hired_for'))"
    " AND (other_talent_id IS NOT NULL) = (kind IN ('referred_by', 'reports_to', 'knows'))"
)
# Two who know each other are one relation, whoever of them was named first.
ENDS = (
    "(CASE WHEN kind = 'knows' THEN least(talent_id, other_talent_id) ELSE talent_id END)",
    (
        "(CASE WHEN kind = 'knows' THEN greatest(talent_id, other_talent_id)"
        " ELSE coalesce(company_id, job_id, other_talent_id) END)"
    ),
)
REFERRED_TO = (("talent_id", "talents"), ("company_id", "companies"), ("job_id", "jobs"))


def upgrade() -> None:
    """Make the table, and the keys that its own keys refer to."""
    for table in ("talents", "jobs"):
        op.create_unique_constraint(f"uq_{table}_tenant_id", table, ["tenant", "id"], schema=SCHEMA)
    op.create_table(
        TABLE,
        *tenant_columns(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("talent_id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid()),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("other_talent_id", sa.Uuid()),
        sa.Column("title", sa.Text()),
        sa.Column("starts_on", sa.Date()),
        sa.Column("ends_on", sa.Date()),
        sa.Column("note", sa.Text()),
        # What a list is ordered by: a page goes by key, and a key is never null.
        sa.Column("begins", sa.Date(), sa.Computed("coalesce(starts_on, DATE '0001-01-01')", persisted=True)),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text()),
        sa.Column("search", sa.Text(), sa.Computed(SEARCH, persisted=True)),
        sa.CheckConstraint("version >= 1", name="version_positive"),
        sa.CheckConstraint("num_nonnulls(company_id, job_id, other_talent_id) = 1", name="one_object"),
        sa.CheckConstraint(FITS, name="object_fits_kind"),
        sa.CheckConstraint("ends_on >= starts_on", name="dates_in_order"),
        sa.CheckConstraint("other_talent_id <> talent_id", name="two_people"),
        *(
            sa.ForeignKeyConstraint(
                ["tenant", column],
                [f"{SCHEMA}.{table}.tenant", f"{SCHEMA}.{table}.id"],
                name=f"fk_{TABLE}_tenant_{column}_{table}",
            )
            for column, table in (*REFERRED_TO, ("other_talent_id", "talents"))
        ),
        schema=SCHEMA,
    )
    op.create_index(
        f"uq_{TABLE}_tenant_source",
        TABLE,
        ["tenant", "source_type", "source_ref"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text(f"{LIVE} AND source_ref IS NOT NULL"),
    )
    op.create_index(
        f"uq_{TABLE}_tenant_once",
        TABLE,
        ["tenant", "kind", *(sa.text(end) for end in ENDS), "begins"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text(LIVE),
    )
    _indexes()
    enable_tenant_isolation(op, SCHEMA, TABLE, grants=("SELECT", "INSERT", "UPDATE"))


def _indexes() -> None:
    # One index per sort order and one per filter, tenant first: every page is a range of one of them.
    for name, column in (("created", "created_at"), ("updated", "updated_at"), ("begins", "begins")):
        op.create_index(
            f"ix_{TABLE}_tenant_{name}",
            TABLE,
            ["tenant", column, "id"],
            schema=SCHEMA,
            postgresql_where=sa.text(LIVE),
        )
    for name, column in (
        ("talent", "talent_id"),
        ("company", "company_id"),
        ("job", "job_id"),
        ("other_talent", "other_talent_id"),
        ("kind", "kind"),
    ):
        op.create_index(
            f"ix_{TABLE}_tenant_{name}",
            TABLE,
            ["tenant", column, "created_at", "id"],
            schema=SCHEMA,
            postgresql_where=sa.text(f"{LIVE} AND {column} IS NOT NULL"),
        )


def downgrade() -> None:
    """Only for tests: takes the table and what is in it away."""
    op.drop_table(TABLE, schema=SCHEMA)
    for table in ("jobs", "talents"):
        op.drop_constraint(f"uq_{table}_tenant_id", table, schema=SCHEMA)
