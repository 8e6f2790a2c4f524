"""Users, sessions, audit and login failures, apart by tenant from the first day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import create_schema, enable_tenant_isolation

revision = "console_0001"
down_revision = None
branch_labels = ("console",)
depends_on = None

SCHEMA = "console"
TIME = sa.DateTime(timezone=True)


def _tenant() -> sa.Column[str]:
    return sa.Column(
        "tenant", sa.Text(), server_default=sa.text("current_setting('looma.tenant')"), nullable=False
    )


def upgrade() -> None:
    """Make schema and tables."""
    create_schema(op, SCHEMA)
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _tenant(),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("created_at", TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", TIME, nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint("tenant", "login", name="uq_users_tenant_login"),
        sa.CheckConstraint("tenant <> ''", name="ck_users_tenant_named"),
        sa.CheckConstraint(
            "roles <@ array['recruiter', 'operator', 'admin']::text[]", name="ck_users_roles_known"
        ),
        schema=SCHEMA,
    )
    op.create_table(
        "sessions",
        sa.Column("id_hash", sa.LargeBinary(), primary_key=True),
        _tenant(),
        sa.Column(
            "user_id",
            sa.Uuid(),
            sa.ForeignKey(f"{SCHEMA}.users.id", ondelete="CASCADE", name="fk_sessions_user_id_users"),
            nullable=False,
        ),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], schema=SCHEMA)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        _tenant(),
        sa.Column("at", TIME, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.Column("request_id", sa.Text(), nullable=False, server_default=""),
        schema=SCHEMA,
    )
    op.create_index("ix_audit_tenant_id", "audit", ["tenant", sa.text("id DESC")], schema=SCHEMA)
    op.create_table(
        "login_failures",
        _tenant(),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", name="pk_login_failures"),
        schema=SCHEMA,
    )
    enable_tenant_isolation(op, SCHEMA, "users", grants=("SELECT", "INSERT", "UPDATE"))
    enable_tenant_isolation(op, SCHEMA, "sessions")
    # Nobody who breaks into the console can take back what it wrote down.
    enable_tenant_isolation(op, SCHEMA, "audit", grants=("SELECT", "INSERT"))
    enable_tenant_isolation(op, SCHEMA, "login_failures")


def downgrade() -> None:
    """Only for tests: takes the tables and their rows away."""
    for table in ("login_failures", "audit", "sessions", "users"):
        op.drop_table(table, schema=SCHEMA)
    op.execute(sa.text(f"DROP SCHEMA {SCHEMA}"))
