"""Résumés: one row a file, encrypted, apart by tenant from the first day."""

import sqlalchemy as sa
from alembic import op

from looma_core.db.policies import create_schema, enable_tenant_isolation, tenant_columns

revision = "resume_0001"
down_revision = None
branch_labels = ("resume",)
depends_on = None

SCHEMA = "resume"


def upgrade() -> None:
    """Make schema and table."""
    create_schema(op, SCHEMA)
    op.create_table(
        "resumes",
        *tenant_columns(),
        sa.Column("talent_id", sa.Uuid()),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        # A file's name says as much of a person as the file does, so it is encrypted as well.
        sa.Column("file_name", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("parsed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("size >= 0", name="size_positive"),
        sa.CheckConstraint("length(sha256) = 64", name="sha256_length"),
        schema=SCHEMA,
    )
    # The same bytes again are the same résumé.
    op.create_index("uq_resumes_tenant_sha256", "resumes", ["tenant", "sha256"], unique=True, schema=SCHEMA)
    # The list goes by id, which sorts by time; a talent's résumés are a range of the second.
    op.create_index("ix_resumes_tenant_id", "resumes", ["tenant", "id"], schema=SCHEMA)
    op.create_index("ix_resumes_tenant_talent", "resumes", ["tenant", "talent_id", "id"], schema=SCHEMA)
    # Encrypted bytes do not compress; trying costs time.
    for column in ("content", "parsed"):
        op.execute(sa.text(f"ALTER TABLE {SCHEMA}.resumes ALTER COLUMN {column} SET STORAGE EXTERNAL"))
    enable_tenant_isolation(op, SCHEMA, "resumes")


def downgrade() -> None:
    """Only for tests: takes the table and its files away."""
    op.drop_table("resumes", schema=SCHEMA)
    op.execute(sa.text(f"DROP SCHEMA {SCHEMA}"))
