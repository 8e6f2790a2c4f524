"""People who may be there twice: keys by which they are found, pairs, and merges that can be undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import enable_tenant_isolation, tenant_columns, without_tenant_isolation

revision = "talent_sync_0008"
down_revision = "talent_sync_0007"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
# Who looks for duplicates of all tenants must know them, and no table says so of itself: their policies hide the rows
# from the owner too. Once a statement, and nothing but a look at an index where the tenant is known.
FUNCTION = f"""
CREATE FUNCTION {SCHEMA}.note_tenant() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(current_setting('looma.tenant', true), '') <> '' THEN
        INSERT INTO {SCHEMA}.duplicate_scans (tenant) VALUES (current_setting('looma.tenant'))
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names


def _tenant() -> sa.Column[str]:
    return sa.Column(
        "tenant", sa.Text(), nullable=False, server_default=sa.text("current_setting('looma.tenant')")
    )


def _person(table: str, column: str) -> sa.ForeignKeyConstraint:
    # Who is erased is gone from here as well.
    return sa.ForeignKeyConstraint(
        ["tenant", column],
        [f"{SCHEMA}.talents.tenant", f"{SCHEMA}.talents.id"],
        name=f"fk_{table}_tenant_{column}_talents",
        ondelete="CASCADE",
    )


def _time(name: str, *, now: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=not now,
        server_default=sa.func.now() if now else None,
    )


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "duplicate_scans",
        _tenant(),
        _time("seen_at"),
        sa.Column("secret_check", sa.LargeBinary()),
        _time("ended_at"),
        sa.Column("people", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("found", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("skipped", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("tenant", name="pk_duplicate_scans"),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        schema=SCHEMA,
    )
    op.create_table(
        "duplicate_keys",
        _tenant(),
        sa.Column("talent_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "talent_id", "digest", name="pk_duplicate_keys"),
        _person("duplicate_keys", "talent_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_duplicate_keys_tenant_digest", "duplicate_keys", ["tenant", "digest"], schema=SCHEMA)
    op.create_table(
        "duplicates",
        *tenant_columns(),
        sa.Column("first_id", sa.Uuid(), nullable=False),
        sa.Column("second_id", sa.Uuid(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default="open"),
        # Of the fields that were compared: what was told apart is looked at again where it changes.
        sa.Column("compared", sa.LargeBinary(), nullable=False),
        sa.Column("merge_id", sa.Uuid()),
        _time("updated_at", now=True),
        _time("settled_at"),
        sa.Column("settled_by", sa.Text()),
        sa.CheckConstraint("first_id < second_id", name="in_order"),
        sa.CheckConstraint("verdict IN ('certain', 'likely', 'unlikely')", name="verdict_known"),
        sa.CheckConstraint("status IN ('open', 'dismissed', 'merged', 'gone')", name="status_known"),
        _person("duplicates", "first_id"),
        _person("duplicates", "second_id"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_duplicates_tenant_pair",
        "duplicates",
        ["tenant", "first_id", "second_id"],
        unique=True,
        schema=SCHEMA,
    )
    op.create_table(
        "merges",
        *tenant_columns(),
        sa.Column("duplicate_id", sa.Uuid(), nullable=False),
        sa.Column("kept_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("other_source_type", sa.Text(), nullable=False),
        sa.Column("other_source_ref", sa.Text()),
        sa.Column("changed", postgresql.JSONB(), nullable=False),
        sa.Column("relations", postgresql.JSONB(), nullable=False),
        # What it takes to undo it, encrypted: it has what people's records had.
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.Column("merged_by", sa.Text(), nullable=False),
        _time("undone_at"),
        sa.Column("undone_by", sa.Text()),
        sa.CheckConstraint("kept_id <> other_id", name="two_people"),
        _person("merges", "kept_id"),
        _person("merges", "other_id"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_merges_tenant_other",
        "merges",
        ["tenant", "other_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_index(
        "ix_merges_tenant_source",
        "merges",
        ["tenant", "other_source_type", "other_source_ref"],
        schema=SCHEMA,
        postgresql_where=sa.text("undone_at IS NULL AND other_source_ref IS NOT NULL"),
    )
    for name, table, columns in (
        ("ix_duplicates_tenant_second", "duplicates", ["tenant", "second_id"]),
        ("ix_duplicates_tenant_created", "duplicates", ["tenant", "created_at", "id"]),
        ("ix_duplicates_tenant_status", "duplicates", ["tenant", "status", "created_at", "id"]),
        ("ix_duplicates_tenant_verdict", "duplicates", ["tenant", "verdict", "created_at", "id"]),
        ("ix_merges_tenant_kept", "merges", ["tenant", "kept_id"]),
    ):
        op.create_index(name, table, columns, schema=SCHEMA)
    for table in ("duplicate_scans", "merges"):
        enable_tenant_isolation(op, SCHEMA, table, grants=("SELECT", "INSERT", "UPDATE"))
    for table in ("duplicate_keys", "duplicates"):
        enable_tenant_isolation(op, SCHEMA, table)
    _note_tenants()


def _note_tenants() -> None:
    op.execute(sa.text(FUNCTION))
    op.execute(
        sa.text(
            f"CREATE TRIGGER note_tenant AFTER INSERT ON {SCHEMA}.talents"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.note_tenant()"
        )
    )
    with (
        without_tenant_isolation(op, SCHEMA, "talents"),
        without_tenant_isolation(op, SCHEMA, "duplicate_scans"),
    ):
        op.execute(
            sa.text(
                f"INSERT INTO {SCHEMA}.duplicate_scans (tenant) SELECT DISTINCT tenant FROM {SCHEMA}.talents"  # noqa: S608 - our own names
            )
        )


def downgrade() -> None:
    """Only for tests: takes the tables and what is in them away."""
    op.execute(sa.text(f"DROP TRIGGER note_tenant ON {SCHEMA}.talents"))
    op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.note_tenant()"))
    for table in ("merges", "duplicates", "duplicate_keys", "duplicate_scans"):
        op.drop_table(table, schema=SCHEMA)
