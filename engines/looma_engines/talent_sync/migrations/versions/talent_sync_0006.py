"""What sync runs know of their sources, what they could not take, and what people are to decide.

And relations have a history, as the other kinds of record have.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import (
    APP_ROLE,
    enable_tenant_isolation,
    tenant_columns,
    without_tenant_isolation,
)

revision = "talent_sync_0006"
down_revision = "talent_sync_0005"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
HISTORY = f"{SCHEMA}.record_history"
# As the function itself leaves out of what changed.
HIDDEN = "'{id,tenant,version,created_at,updated_at,deleted_at,search}'::text[]"


def _tenant() -> sa.Column[str]:
    return sa.Column(
        "tenant", sa.Text(), nullable=False, server_default=sa.text("current_setting('looma.tenant')")
    )


def _time(name: str, *, now: bool = False, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=nullable,
        server_default=sa.func.now() if now else None,
    )


def _relations_have_a_history() -> None:
    for event, seen in (("insert", ""), ("update", "OLD TABLE AS old_rows ")):
        op.execute(
            sa.text(
                f"CREATE TRIGGER note_{event} AFTER {event.upper()} ON {SCHEMA}.relations"
                f" REFERENCING {seen}NEW TABLE AS new_rows"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.note_history('relation')"
            )
        )
    into = f"INSERT INTO {HISTORY} (tenant, entity, record_id, version, changed_at, origin, action, changes)"
    with (
        without_tenant_isolation(op, SCHEMA, "relations"),
        without_tenant_isolation(op, SCHEMA, "record_history"),
    ):
        op.execute(
            sa.text(
                f"{into} SELECT r.tenant, 'relation', r.id,"  # noqa: S608 - our own texts
                " CASE WHEN r.deleted_at IS NULL THEN r.version ELSE greatest(r.version - 1, 1) END,"
                f" now(), 'migration', 'create', to_jsonb(r) - {HIDDEN} FROM {SCHEMA}.relations r"
            )
        )
        op.execute(
            sa.text(
                f"{into} SELECT r.tenant, 'relation', r.id, r.version, now(), 'migration', 'delete', '{{}}'"  # noqa: S608
                f" FROM {SCHEMA}.relations r WHERE r.deleted_at IS NOT NULL"
            )
        )


def _temporary_tables(statement: str) -> None:
    """Let the application's role make temporary tables, or no more: COPY goes into one, as it works on no other.

    It writes nothing there that it could not write anyway: functions that run with more rights find none of them.
    """
    # Whoever is not the database's owner is only warned here; docs/chart.md says what to grant then.
    op.execute(sa.text(f"DO $$ BEGIN EXECUTE format('{statement}', current_database()); END $$"))


def upgrade() -> None:
    """Make the tables."""
    _temporary_tables(f"GRANT TEMPORARY ON DATABASE %I TO {APP_ROLE}")
    _relations_have_a_history()
    # Which run is later, also of two SyncJobs of one name that were there one after the other.
    op.execute(sa.text(f"CREATE SEQUENCE {SCHEMA}.sync_generations"))
    op.execute(sa.text(f"GRANT USAGE ON SEQUENCE {SCHEMA}.sync_generations TO {APP_ROLE}"))
    # One row a SyncJob. Its workers hold it shared while they write; a newer run takes it for itself, and so waits
    # for what is being written and stops all that comes after.
    op.create_table(
        "sync_fences",
        _tenant(),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column(
            "generation",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text(f"nextval('{SCHEMA}.sync_generations')"),
        ),
        _time("updated_at", now=True),
        sa.PrimaryKeyConstraint("tenant", "job", name="pk_sync_fences"),
        schema=SCHEMA,
    )
    # How far a shard of a run came: written in the transaction of each batch, so neither runs ahead of the other.
    op.create_table(
        "sync_shards",
        *tenant_columns(),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("counts", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.Column("verification", postgresql.JSONB()),
        _time("updated_at", now=True),
        _time("ended_at", nullable=True),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_sync_shards_tenant_run",
        "sync_shards",
        ["tenant", "job", "uid", "epoch", "shard"],
        unique=True,
        schema=SCHEMA,
    )
    op.create_index(
        "ix_sync_shards_tenant_generation", "sync_shards", ["tenant", "generation"], schema=SCHEMA
    )
    # What the source last gave for a key: the third side of a merge.
    op.create_table(
        "sync_states",
        _tenant(),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("base", postgresql.JSONB()),
        sa.Column("raw_digest", sa.LargeBinary()),
        sa.Column("written_version", sa.Integer(), nullable=False),
        sa.Column("written_digest", sa.LargeBinary(), nullable=False),
        sa.Column("seen_generation", sa.BigInteger(), nullable=False),
        sa.Column("seen_position", sa.BigInteger(), nullable=False),
        sa.Column("shard_hash", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False, server_default="false"),
        sa.PrimaryKeyConstraint("tenant", "entity", "origin", "key", name="pk_sync_states"),
        schema=SCHEMA,
        # Each run notes on each row that it saw it: room on the page keeps the indexes out of that.
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("ix_sync_states_record", "sync_states", ["tenant", "record_id"], schema=SCHEMA)
    op.create_table(
        "quarantine",
        *tenant_columns(),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("shard_hash", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("raw_digest", sa.LargeBinary(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("errors", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default="open"),
        sa.Column("times", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("record_id", sa.Uuid()),
        sa.Column("settled_by", sa.Text()),
        _time("seen_at", now=True),
        _time("settled_at", nullable=True),
        sa.CheckConstraint("state IN ('open', 'replayed', 'discarded', 'superseded')", name="state_known"),
        schema=SCHEMA,
    )
    # The same wrong record is one entry, however often a run brings it, also when somebody threw it away.
    op.create_index(
        "uq_quarantine_tenant_row",
        "quarantine",
        ["tenant", "entity", "origin", "key", "raw_digest"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state <> 'superseded'"),
    )
    op.create_table(
        "sync_conflicts",
        *tenant_columns(),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("base", postgresql.JSONB(none_as_null=True)),
        sa.Column("source", postgresql.JSONB(none_as_null=True)),
        sa.Column("target", postgresql.JSONB(none_as_null=True)),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("settled_by", sa.Text()),
        _time("settled_at", nullable=True),
        sa.CheckConstraint("resolution IN ('source', 'target', 'merged', 'open')", name="resolution_known"),
        schema=SCHEMA,
    )
    for table, word in (("quarantine", "state"), ("sync_conflicts", "resolution")):
        op.create_index(
            f"ix_{table}_tenant_{word}", table, ["tenant", word, "created_at", "id"], schema=SCHEMA
        )
        op.create_index(f"ix_{table}_tenant_created", table, ["tenant", "created_at", "id"], schema=SCHEMA)
        op.create_index(f"ix_{table}_tenant_generation", table, ["tenant", "generation"], schema=SCHEMA)
    op.create_index("ix_sync_conflicts_record", "sync_conflicts", ["tenant", "record_id"], schema=SCHEMA)
    for table in ("sync_fences", "sync_shards", "sync_states", "quarantine", "sync_conflicts"):
        enable_tenant_isolation(op, SCHEMA, table, grants=("SELECT", "INSERT", "UPDATE"))


def downgrade() -> None:
    """Only for tests: takes the tables and what is in them away."""
    _temporary_tables(f"REVOKE TEMPORARY ON DATABASE %I FROM {APP_ROLE}")
    for event in ("insert", "update"):
        op.execute(sa.text(f"DROP TRIGGER note_{event} ON {SCHEMA}.relations"))
    with without_tenant_isolation(op, SCHEMA, "record_history"):
        op.execute(sa.text(f"DELETE FROM {HISTORY} WHERE entity = 'relation'"))  # noqa: S608 - our own texts
    for table in ("sync_conflicts", "quarantine", "sync_states", "sync_shards", "sync_fences"):
        op.drop_table(table, schema=SCHEMA)
    op.execute(sa.text(f"DROP SEQUENCE {SCHEMA}.sync_generations"))
