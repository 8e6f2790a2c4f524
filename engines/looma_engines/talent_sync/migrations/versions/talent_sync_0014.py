"""Résumé files of people: one row a file, and its content in parts, sealed."""

import sqlalchemy as sa
from alembic import op

from looma_core.db.policies import enable_tenant_isolation, tenant_columns

revision = "talent_sync_0014"
down_revision = "talent_sync_0013"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
LIVE = "deleted_at IS NULL"
ORIGIN = "reseal"
TABLES = ("resume_files", "resume_file_parts")


def _time(name: str, *, now: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=not now,
        server_default=sa.func.now() if now else None,
    )


def _files() -> None:
    op.create_table(
        "resume_files",
        *tenant_columns(),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        _time("updated_at", now=True),
        _time("deleted_at"),
        # Nobody's until somebody says whose.
        sa.Column("talent_id", sa.Uuid()),
        sa.Column("number", sa.Integer()),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False, server_default="stored"),
        sa.Column("reason", sa.Text()),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.CheckConstraint("size > 0", name="size_positive"),
        sa.CheckConstraint("state IN ('stored', 'parsed', 'refused')", name="state_known"),
        sa.CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="refused_with_reason"),
        sa.CheckConstraint("(talent_id IS NULL) = (number IS NULL)", name="numbered_by_person"),
        sa.UniqueConstraint("tenant", "id", name="uq_resume_files_tenant_id"),
        # Who is erased is gone from here as well.
        sa.ForeignKeyConstraint(
            ["tenant", "talent_id"],
            [f"{SCHEMA}.talents.tenant", f"{SCHEMA}.talents.id"],
            name="fk_resume_files_tenant_talent_id_talents",
            ondelete="CASCADE",
        ),
        schema=SCHEMA,
    )
    # The same bytes of the same person are one file; so are the same bytes of nobody.
    op.create_index(
        "uq_resume_files_tenant_content",
        "resume_files",
        ["tenant", "talent_id", "content_hash"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text(LIVE),
        postgresql_nulls_not_distinct=True,
    )
    for name, columns, where in (
        ("created", ["tenant", "created_at", "id"], LIVE),
        ("state", ["tenant", "state", "created_at", "id"], LIVE),
        # With those that are deleted: numbers count on, and an erased person's rows are looked up.
        ("talent", ["tenant", "talent_id", "created_at", "id"], None),
        ("deleted", ["tenant", "deleted_at"], "deleted_at IS NOT NULL"),
    ):
        op.create_index(
            f"ix_resume_files_tenant_{name}",
            "resume_files",
            columns,
            schema=SCHEMA,
            postgresql_where=sa.text(where) if where else None,
        )


def _parts() -> None:
    op.create_table(
        "resume_file_parts",
        sa.Column(
            "tenant", sa.Text(), nullable=False, server_default=sa.text("current_setting('looma.tenant')")
        ),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sealed_under", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.CheckConstraint("position >= 0", name="position_positive"),
        sa.PrimaryKeyConstraint("file_id", "position", name="pk_resume_file_parts"),
        sa.ForeignKeyConstraint(
            ["tenant", "file_id"],
            [f"{SCHEMA}.resume_files.tenant", f"{SCHEMA}.resume_files.id"],
            name="fk_resume_file_parts_tenant_file_id_resume_files",
            ondelete="CASCADE",
        ),
        schema=SCHEMA,
    )
    # Sealed bytes do not compress; trying costs time.
    op.execute(sa.text(f"ALTER TABLE {SCHEMA}.resume_file_parts ALTER COLUMN content SET STORAGE EXTERNAL"))


def upgrade() -> None:
    """Make the tables."""
    _files()
    _parts()
    # The application hides a file, and deletes none: that is the upkeep's, or goes with the person.
    enable_tenant_isolation(op, SCHEMA, "resume_files", grants=("SELECT", "INSERT", "UPDATE"))
    enable_tenant_isolation(op, SCHEMA, "resume_file_parts", grants=("SELECT", "INSERT"))
    for table in TABLES:
        op.execute(
            sa.text(
                f"CREATE POLICY resealing ON {SCHEMA}.{table} TO CURRENT_USER"
                f" USING (current_setting('looma.origin', true) = '{ORIGIN}')"
            )
        )


def downgrade() -> None:
    """Only for tests: takes the tables and the files away."""
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
