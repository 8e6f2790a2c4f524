"""What people may ask for: consents, erasure with its ledger, and a log of what was done with people's data."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import APP_ROLE, enable_tenant_isolation, tenant_columns
from looma_engines.talent_sync.retention.plan import AUDIT
from looma_engines.talent_sync.retention.statements import make_default
from looma_engines.talent_sync.retention.upkeep import keep

revision = "talent_sync_0009"
down_revision = "talent_sync_0008"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
MONTHS = 36  # nothing can be too old on the day the table is made
ADDED_ONLY = ("erasures", "erased_keys", "erasure_lifts", "audit_events")
RECORDS = ("talents", "companies", "jobs", "relations")

# Whoever owns the tables is refused as well: an entry that can be changed proves nothing.
REFUSE = f"""
CREATE FUNCTION {SCHEMA}.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$ BEGIN
    RAISE EXCEPTION '%.% is only added to', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$
"""

# The application may delete no row by itself; this takes all that belongs to one record, and nothing without an entry
# of the ledger. The policies hold inside as well, so that it reaches the session's tenant alone.
#
# The record's row is locked first: whoever is about to refer to it waits, and finds it gone.
ERASE = f"""
CREATE FUNCTION {SCHEMA}.erase_record(erasure uuid, its_kind text, its_id uuid, entries uuid[], files uuid[])
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its_table text := CASE its_kind WHEN 'talent' THEN 'talents' WHEN 'company' THEN 'companies'
        WHEN 'job' THEN 'jobs' WHEN 'relation' THEN 'relations' END;
    ties uuid[];
    counts jsonb := '{{}}';
    number bigint;
    step record;
BEGIN
    IF its_table IS NULL OR NOT EXISTS (SELECT FROM {SCHEMA}.erased_keys k WHERE k.erasure_id = erasure) THEN
        RAISE EXCEPTION 'the ledger has no entry of this erasure' USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM {SCHEMA}.%I WHERE id = $1 FOR UPDATE) r', its_table)
        INTO number USING its_id;
    SELECT coalesce(array_agg(id), '{{}}') INTO ties FROM (
        SELECT id FROM {SCHEMA}.relations
        WHERE its_id = ANY (ARRAY[id, talent_id, company_id, job_id, other_talent_id]) ORDER BY id FOR UPDATE
    ) r;
    IF its_kind = 'company' THEN
        UPDATE {SCHEMA}.jobs SET company_id = NULL, version = version + 1, updated_at = now()
            WHERE company_id = its_id;
    END IF;
    FOR step IN SELECT * FROM (VALUES
        (1, '{SCHEMA}.record_history', 'record_id = $1 OR record_id = ANY ($2)'),
        (2, '{SCHEMA}.relations', 'id = ANY ($2)'),
        (3, '{SCHEMA}.sync_states', 'record_id = $1'),
        (4, '{SCHEMA}.sync_conflicts', 'record_id = $1'),
        (5, '{SCHEMA}.quarantine', 'record_id = $1 OR id = ANY ($3)'),
        (6, '{SCHEMA}.consents', 'talent_id = $1'),
        (7, 'resume.resumes', '$5 = ''talent'' AND (talent_id = $1 OR id = ANY ($4))'),
        (8, '{SCHEMA}.' || its_table, 'id = $1')
    ) AS steps (place, store, chosen) ORDER BY place LOOP
        CONTINUE WHEN to_regclass(step.store) IS NULL;
        EXECUTE format('DELETE FROM %s WHERE %s', step.store, step.chosen) USING its_id, ties, entries, files, its_kind;
        GET DIAGNOSTICS number = ROW_COUNT;
        counts := counts || jsonb_build_object(step.store,
            number + coalesce((counts ->> step.store)::bigint, 0));
    END LOOP;
    RETURN counts;
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


def _ledger() -> None:
    # What was erased, when, why and by whom: of the record itself no more than digests with a key.
    op.create_table(
        "erasures",
        *tenant_columns(),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text()),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("erased_by", sa.Text()),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.Column("proof", postgresql.JSONB()),
        _time("requested_at"),
        schema=SCHEMA,
    )
    op.create_index("ix_erasures_tenant_created", "erasures", ["tenant", "created_at", "id"], schema=SCHEMA)
    op.create_table(
        "erased_keys",
        sa.Column(
            "tenant", sa.Text(), nullable=False, server_default=sa.text("current_setting('looma.tenant')")
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.CheckConstraint("length(digest) = 32", name="digest_length"),
        sa.CheckConstraint("kind IN ('record', 'source')", name="kind_known"),
        sa.PrimaryKeyConstraint("tenant", "digest", "erasure_id", name="pk_erased_keys"),
        schema=SCHEMA,
    )
    op.create_index("ix_erased_keys_erasure", "erased_keys", ["tenant", "erasure_id"], schema=SCHEMA)
    op.create_table(
        "erasure_lifts",
        *tenant_columns(),
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("purposes", postgresql.JSONB(), nullable=False),
        sa.Column("reference", sa.Text()),
        sa.Column("lifted_by", sa.Text(), nullable=False),
        _time("given_at"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_erasure_lifts_erasure", "erasure_lifts", ["tenant", "erasure_id"], unique=True, schema=SCHEMA
    )


def _consents() -> None:
    # A row for each time that something was given; what ended it is noted in it, and no row is used twice.
    op.create_table(
        "consents",
        *tenant_columns(),
        sa.Column("talent_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text()),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("withdrawn_by", sa.Text()),
        _time("given_at"),
        _time("expires_at", nullable=True),
        _time("withdrawn_at", nullable=True),
        sa.CheckConstraint("expires_at > given_at", name="times_in_order"),
        sa.ForeignKeyConstraint(
            ["tenant", "talent_id"],
            [f"{SCHEMA}.talents.tenant", f"{SCHEMA}.talents.id"],
            name="fk_consents_tenant_talent_id_talents",
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_consents_tenant_talent", "consents", ["tenant", "talent_id", "purpose", "given_at"], schema=SCHEMA
    )


def _audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column(
            "tenant", sa.Text(), nullable=False, server_default=sa.text("current_setting('looma.tenant')")
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        _time("at", now=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid()),
        sa.Column("actor", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("detail", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.PrimaryKeyConstraint("tenant", "at", "id", name="pk_audit_events"),
        schema=SCHEMA,
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(
        "ix_audit_events_tenant_record", "audit_events", ["tenant", "record_id", "at"], schema=SCHEMA
    )


def upgrade() -> None:
    """Make the tables, and the one way to erase."""
    _ledger()
    _consents()
    _audit()
    for table in ("erasures", "erased_keys", "erasure_lifts", "audit_events"):
        enable_tenant_isolation(op, SCHEMA, table, grants=("SELECT", "INSERT"))
    enable_tenant_isolation(op, SCHEMA, "consents", grants=("SELECT", "INSERT"))
    op.execute(
        sa.text(f"GRANT UPDATE (withdrawn_at, withdrawn_by, version) ON {SCHEMA}.consents TO {APP_ROLE}")
    )
    for statement in make_default(AUDIT):
        op.execute(sa.text(statement))
    keep(op.get_bind(), months=MONTHS, of=AUDIT)
    op.execute(sa.text(REFUSE))
    for table in ADDED_ONLY:
        op.execute(
            sa.text(
                f"CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON {SCHEMA}.{table}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_change()"
            )
        )
    op.execute(sa.text(ERASE.replace(":", "\\:")))
    signature = f"{SCHEMA}.erase_record(uuid, text, uuid, uuid[], uuid[])"
    op.execute(sa.text(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"))
    op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {signature} TO {APP_ROLE}"))
    # Who was deleted long ago is looked for each night, in all tenants at once.
    for table in RECORDS:
        op.create_index(
            f"ix_{table}_deleted",
            table,
            ["tenant", "deleted_at"],
            schema=SCHEMA,
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
        )


def downgrade() -> None:
    """Only for tests: takes the tables and what is in them away."""
    for table in RECORDS:
        op.drop_index(f"ix_{table}_deleted", table_name=table, schema=SCHEMA)
    op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.erase_record(uuid, text, uuid, uuid[], uuid[])"))
    for table in ("audit_events", "consents", "erasure_lifts", "erased_keys", "erasures"):
        op.drop_table(table, schema=SCHEMA)
    op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.refuse_change()"))
