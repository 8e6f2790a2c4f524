"""The history of talents, companies and jobs: what was changed, when and by whom, written by the database itself."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import enable_tenant_isolation, without_tenant_isolation
from looma_engines.talent_sync.retention.statements import make_default
from looma_engines.talent_sync.retention.upkeep import keep

revision = "talent_sync_0004"
down_revision = "talent_sync_0003"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
TABLE = "record_history"
ENTITIES = {"talents": "talent", "companies": "company", "jobs": "job"}
MONTHS = 36  # nothing can be too old on the day the table is made

# What the entry's own columns say, and what the database makes of other columns.
HIDDEN = "'{id,tenant,version,created_at,updated_at,deleted_at,search}'::text[]"

# Once a statement, whatever the number of rows: a bulk insert pays one INSERT ... SELECT.
#
# The policies of the history hold for its owner too, so the entries of each tenant are written in its name. An
# application's statement has one tenant, its own; a superuser's, or a migration's, may have many.
#
# What was created is kept as the row is, a value for each name: {"before": ..., "after": ...} for each of them takes
# PostgreSQL three times as long.
#
# A plan is made when a session first needs it, perhaps for one row, and kept: without nested loops it is no worse for a
# thousand. OFFSET 0 has each row turned into JSON once, not once for each of its columns.
FUNCTION = f"""
CREATE FUNCTION {SCHEMA}.note_history() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    its_tenant text;
    asked text := coalesce(current_setting('looma.tenant', true), '');
    moment timestamptz := clock_timestamp();
    its_actor text := nullif(current_setting('looma.actor', true), '');
    its_origin text := coalesce(nullif(current_setting('looma.origin', true), ''), 'api');
BEGIN
    FOR its_tenant IN SELECT DISTINCT tenant FROM new_rows LOOP
        PERFORM set_config('looma.tenant', its_tenant, true);
        IF TG_OP = 'INSERT' THEN
            INSERT INTO {SCHEMA}.{TABLE}
                (tenant, entity, record_id, version, changed_at, actor, origin, action, changes)
            SELECT n.tenant, TG_ARGV[0], n.id, n.version, moment, its_actor, its_origin, 'create',
                to_jsonb(n) - {HIDDEN}
            FROM new_rows n WHERE n.tenant = its_tenant;
        ELSE
            INSERT INTO {SCHEMA}.{TABLE}
                (tenant, entity, record_id, version, changed_at, actor, origin, action, changes)
            SELECT its_tenant, TG_ARGV[0], d.id, d.version, moment, its_actor, its_origin, d.action, d.changes
            FROM (
                SELECT b.id, b.version, b.was, b.action,
                    CASE WHEN b.was IS NULL THEN b.after
                    ELSE (
                        SELECT coalesce(jsonb_object_agg(c.key,
                            jsonb_build_object('before', b.before -> c.key, 'after', c.value)), '{{}}')
                        FROM jsonb_each(b.after) c WHERE c.value IS DISTINCT FROM b.before -> c.key
                    ) END AS changes
                FROM (
                    SELECT n.id, n.version, o.version AS was,
                        to_jsonb(n) - {HIDDEN} AS after, to_jsonb(o) AS before,
                        CASE WHEN o.id IS NULL THEN 'create'
                            WHEN o.deleted_at IS NULL AND n.deleted_at IS NOT NULL THEN 'delete'
                            WHEN o.deleted_at IS NOT NULL AND n.deleted_at IS NULL THEN 'restore'
                            ELSE 'update' END AS action
                    FROM new_rows n LEFT JOIN old_rows o ON o.id = n.id WHERE n.tenant = its_tenant
                    OFFSET 0
                ) b
                OFFSET 0
            ) d
            WHERE d.action <> 'update' OR d.version <> d.was OR d.changes <> '{{}}';
        END IF;
    END LOOP;
    PERFORM set_config('looma.tenant', asked, true);
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names


def upgrade() -> None:
    """Make the table, have it filled from now on, and take over what is there."""
    op.create_table(
        TABLE,
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        # Relations come two migrations later.
        sa.CheckConstraint("entity IN ('talent', 'company', 'job', 'relation')", name="entity_known"),
        sa.CheckConstraint("action IN ('create', 'update', 'delete', 'restore')", name="action_known"),
        # One index: it keeps the rows apart, and a record's history is a range of it.
        sa.PrimaryKeyConstraint("tenant", "record_id", "changed_at", "id", name=f"pk_{TABLE}"),
        schema=SCHEMA,
        postgresql_partition_by="RANGE (changed_at)",
    )
    # No identity column: a table with partitions has none before PostgreSQL 17.
    op.execute(sa.text(f"CREATE SEQUENCE {SCHEMA}.{TABLE}_id_seq OWNED BY {SCHEMA}.{TABLE}.id"))
    default = f"nextval('{SCHEMA}.{TABLE}_id_seq')"
    op.execute(sa.text(f"ALTER TABLE {SCHEMA}.{TABLE} ALTER COLUMN id SET DEFAULT {default}"))
    enable_tenant_isolation(op, SCHEMA, TABLE, grants=("SELECT",))
    for statement in make_default():
        op.execute(sa.text(statement))
    keep(op.get_bind(), months=MONTHS)

    op.execute(sa.text(FUNCTION))
    # Whoever may make a table of his own, a temporary one is enough, could have it write history.
    op.execute(sa.text(f"REVOKE ALL ON FUNCTION {SCHEMA}.note_history() FROM PUBLIC"))
    for table, entity in ENTITIES.items():
        for event, seen in (("insert", ""), ("update", "OLD TABLE AS old_rows ")):
            op.execute(
                sa.text(
                    f"CREATE TRIGGER note_{event} AFTER {event.upper()} ON {SCHEMA}.{table}"
                    f" REFERENCING {seen}NEW TABLE AS new_rows"
                    f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.note_history('{entity}')"
                )
            )
    for table, entity in ENTITIES.items():
        _take_over(table, entity)


def _take_over(table: str, entity: str) -> None:
    """Entries of what is there: created as it is now, and deleted where it was."""
    into = f"INSERT INTO {SCHEMA}.{TABLE} (tenant, entity, record_id, version, changed_at, origin, action, changes)"
    with (
        without_tenant_isolation(op, SCHEMA, table),
        without_tenant_isolation(op, SCHEMA, TABLE),
    ):
        # A deletion makes a version and changes nothing else.
        op.execute(
            sa.text(
                f"{into} SELECT r.tenant, '{entity}', r.id,"  # noqa: S608 - our own texts
                " CASE WHEN r.deleted_at IS NULL THEN r.version ELSE greatest(r.version - 1, 1) END,"
                f" now(), 'migration', 'create', to_jsonb(r) - {HIDDEN} FROM {SCHEMA}.{table} r"
            )
        )
        op.execute(
            sa.text(
                f"{into} SELECT r.tenant, '{entity}', r.id, r.version, now(), 'migration', 'delete', '{{}}'"  # noqa: S608
                f" FROM {SCHEMA}.{table} r WHERE r.deleted_at IS NOT NULL"
            )
        )


def downgrade() -> None:
    """Only for tests: takes the history away."""
    for table in ENTITIES:
        for event in ("insert", "update"):
            op.execute(sa.text(f"DROP TRIGGER note_{event} ON {SCHEMA}.{table}"))
    op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.note_history()"))
    op.drop_table(TABLE, schema=SCHEMA)
