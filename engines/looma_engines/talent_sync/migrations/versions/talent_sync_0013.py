"""Applications of people to jobs: stages, where each application is, and the moves that took it there."""

import sqlalchemy as sa
from alembic import op

from looma_core.db.policies import enable_tenant_isolation, tenant_columns
from looma_engines.talent_sync.retention.plan import MOVES
from looma_engines.talent_sync.retention.statements import make_default
from looma_engines.talent_sync.retention.upkeep import keep

revision = "talent_sync_0013"
down_revision = "talent_sync_0012"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
MONTHS = 36  # nothing can be too old on the day the table is made
LIVE = "deleted_at IS NULL"
KIND = "kind IN ('open', 'hired', 'rejected', 'withdrawn')"

# An application is about what its relation is about, and there as long as that is: whoever changes a relation, by
# hand, by a merge or by a deletion, need not know of applications.
#
# As whoever changes the relation: the policies let a session reach its tenant's applications alone. A plan is made when
# a session first needs it, perhaps while the table is small, and kept: it must not read the table whole later.
FOLLOW = f"""
CREATE FUNCTION {SCHEMA}.follow_relations() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    UPDATE {SCHEMA}.applications a
    SET talent_id = n.talent_id, job_id = coalesce(n.job_id, a.job_id), version = a.version + 1,
        updated_at = greatest(a.updated_at, now()),
        deleted_at = CASE WHEN n.kind = 'applied_to' THEN n.deleted_at ELSE coalesce(n.deleted_at, now()) END
    FROM new_rows n
    WHERE a.tenant = n.tenant AND a.relation_id = n.id AND (
        a.talent_id <> n.talent_id OR a.job_id <> coalesce(n.job_id, a.job_id)
        OR (a.{LIVE}) <> (n.{LIVE} AND n.kind = 'applied_to')
    );
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names


def _time(name: str, *, now: bool = False, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=nullable,
        server_default=sa.func.now() if now else None,
    )


def _stages() -> None:
    op.create_table(
        "stages",
        *tenant_columns(),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        _time("retired_at", nullable=True),
        sa.CheckConstraint(KIND, name="kind_known"),
        sa.UniqueConstraint("tenant", "key", name="uq_stages_tenant_key"),
        # What an application's own key refers to: its kind is that of its stage, whatever writes it.
        sa.UniqueConstraint("tenant", "key", "kind", name="uq_stages_tenant_key_kind"),
        schema=SCHEMA,
    )
    enable_tenant_isolation(op, SCHEMA, "stages", grants=("SELECT", "INSERT", "UPDATE"))


def _key(table: str, columns: list[str], refers: str, *, erased: bool = True) -> sa.ForeignKeyConstraint:
    """A key to something of the same tenant; what is erased takes what refers to it along."""
    there = {"stages": ["tenant", "key", "kind"]}.get(refers, ["tenant", "id"])
    return sa.ForeignKeyConstraint(
        columns,
        [f"{SCHEMA}.{refers}.{name}" for name in there],
        name=f"fk_{table}_tenant_{columns[1]}_{refers}",
        ondelete="CASCADE" if erased else None,
    )


def _applications() -> None:
    op.create_unique_constraint("uq_relations_tenant_id", "relations", ["tenant", "id"], schema=SCHEMA)
    table = "applications"
    op.create_table(
        table,
        *tenant_columns(),
        sa.Column("relation_id", sa.Uuid(), nullable=False),
        sa.Column("talent_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        _time("since"),
        sa.Column("owner", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        _time("updated_at", now=True),
        _time("deleted_at", nullable=True),
        sa.CheckConstraint("version >= 1", name="version_positive"),
        sa.UniqueConstraint("tenant", "id", name="uq_applications_tenant_id"),
        _key(table, ["tenant", "relation_id"], "relations"),
        _key(table, ["tenant", "talent_id"], "talents"),
        _key(table, ["tenant", "job_id"], "jobs"),
        _key(table, ["tenant", "stage", "kind"], "stages", erased=False),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_applications_tenant_open",
        table,
        ["tenant", "talent_id", "job_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text(f"{LIVE} AND kind = 'open'"),
    )
    # One index per order and one per filter, tenant first: every page is a range of one of them.
    for name, column in (("created", "created_at"), ("since", "since")):
        op.create_index(
            f"ix_{table}_tenant_{name}",
            table,
            ["tenant", column, "id"],
            schema=SCHEMA,
            postgresql_where=sa.text(LIVE),
        )
    for column in ("stage", "kind", "owner"):
        op.create_index(
            f"ix_{table}_tenant_{column}",
            table,
            ["tenant", column, "since", "id"],
            schema=SCHEMA,
            postgresql_where=sa.text(LIVE),
        )
    # Of those that are hidden too: erasures and relations find them.
    for name in ("talent", "job", "relation"):
        op.create_index(
            f"ix_{table}_tenant_{name}", table, ["tenant", f"{name}_id", "since", "id"], schema=SCHEMA
        )
    enable_tenant_isolation(op, SCHEMA, table, grants=("SELECT", "INSERT", "UPDATE"))
    op.execute(sa.text(FOLLOW))
    op.execute(
        sa.text(
            f"CREATE TRIGGER follow_update AFTER UPDATE ON {SCHEMA}.relations REFERENCING NEW TABLE AS new_rows"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.follow_relations()"
        )
    )


def _moves() -> None:
    op.create_table(
        MOVES.table,
        sa.Column(
            "tenant", sa.Text(), nullable=False, server_default=sa.text("current_setting('looma.tenant')")
        ),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        _time("moved_at"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("from_stage", sa.Text()),
        sa.Column("to_stage", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("moved_by", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.CheckConstraint(
            "action IN ('create', 'move', 'reopen', 'hand-over')",
            name="action_known",
        ),
        sa.CheckConstraint("(from_stage IS NULL) = (action = 'create')", name="begins_nowhere"),
        _key(MOVES.table, ["tenant", "application_id"], "applications"),
        # One index: it keeps the rows apart, and an application's history is a range of it.
        sa.PrimaryKeyConstraint("tenant", "application_id", "moved_at", "number", name=f"pk_{MOVES.table}"),
        schema=SCHEMA,
        postgresql_partition_by="RANGE (moved_at)",
    )
    enable_tenant_isolation(op, SCHEMA, MOVES.table, grants=("SELECT", "INSERT"))
    for statement in make_default(MOVES):
        op.execute(sa.text(statement))
    keep(op.get_bind(), months=MONTHS, of=MOVES)


def upgrade() -> None:
    """Make the tables, and have applications follow their relations."""
    _stages()
    _applications()
    _moves()


def downgrade() -> None:
    """Only for tests: takes the tables and what is in them away."""
    op.drop_table(MOVES.table, schema=SCHEMA)
    op.execute(sa.text(f"DROP TRIGGER follow_update ON {SCHEMA}.relations"))
    op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.follow_relations()"))
    op.drop_table("applications", schema=SCHEMA)
    op.drop_constraint("uq_relations_tenant_id", "relations", schema=SCHEMA)
    op.drop_table("stages", schema=SCHEMA)
