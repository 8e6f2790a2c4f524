"""An entry of a creation holds nothing that the record and its later entries tell; a text's grams are kept once each.

A record's values at its creation are those that it has, with what each field was before its first change in place of
what it is. Entries that are there already stay as they are.
"""

import sqlalchemy as sa
from alembic import op

from looma_core.db.policies import APP_ROLE, without_tenant_isolation

revision = "talent_sync_0022"
down_revision = "talent_sync_0021"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
HISTORY = "record_history"
TABLES = {
    "talent": "talents",
    "company": "companies",
    "job": "jobs",
    "relation": "relations",
    "skill": "skills",
}
HIDDEN = "{id,tenant,version,created_at,updated_at,deleted_at,search,email_hash,phone_hash}"
WHOLE = f"to_jsonb(n) - '{HIDDEN}'::text[]"
NOTHING = "'{}'::jsonb"
# As the function has it: the line ends after the comma.
CREATION = "'create',\n               "

# With the rights of whoever asks: both tables' policies hold. The first entry that has a field is the oldest one.
CREATED_AS = f"""
CREATE FUNCTION {SCHEMA}.created_as(of_entity text, of_record uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stands jsonb;
    before jsonb;
BEGIN
    EXECUTE format(
        'SELECT to_jsonb(r) - %L::text[] FROM {SCHEMA}.%I r WHERE r.id = $1', '{HIDDEN}',
        CASE of_entity WHEN 'company' THEN 'companies' ELSE of_entity || 's' END
    ) INTO stands USING of_record;
    SELECT jsonb_object_agg(f.key, f.value -> 'before') INTO before FROM (
        SELECT DISTINCT ON (c.key) c.key, c.value
        FROM {SCHEMA}.{HISTORY} h, jsonb_each(h.changes) c
        WHERE h.record_id = of_record AND h.entity = of_entity AND h.action <> 'create'
        ORDER BY c.key, h.changed_at, h.id
    ) AS f;
    RETURN coalesce(stands, '{{}}') || coalesce(before, '{{}}');
END
$$
"""  # noqa: S608 - our own names
ALL_GRAMS = f"{SCHEMA}.all_of(k.grams)"
EACH_GRAM = f"ARRAY(SELECT DISTINCT g.gram FROM unnest({ALL_GRAMS}) AS g (gram))"  # noqa: S608 - our own names


def upgrade() -> None:
    """Have creations noted without their values, and each gram of a text kept once."""
    _change("note_history()", f"{CREATION} {WHOLE}", f"{CREATION} {NOTHING}")
    _change("note_grams()", ALL_GRAMS, EACH_GRAM, times=2)
    op.execute(sa.text(CREATED_AS.replace(":", "\\:")))
    op.execute(sa.text(f"REVOKE ALL ON FUNCTION {SCHEMA}.created_as(text, uuid) FROM PUBLIC"))
    op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {SCHEMA}.created_as(text, uuid) TO {APP_ROLE}"))


def downgrade() -> None:
    """Give each entry the values back; whatever was written since, those of the creation are told by it alone again."""
    for entity, table in TABLES.items():
        with without_tenant_isolation(op, SCHEMA, table), without_tenant_isolation(op, SCHEMA, HISTORY):
            op.execute(
                sa.text(
                    f"UPDATE {SCHEMA}.{HISTORY} SET changes = {SCHEMA}.created_as(entity, record_id)"  # noqa: S608
                    f" WHERE action = 'create' AND entity = '{entity}' AND changes = '{{}}'"
                )
            )
    op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.created_as(text, uuid)"))
    _change("note_grams()", EACH_GRAM, ALL_GRAMS, times=2)
    _change("note_history()", f"{CREATION} {NOTHING}", f"{CREATION} {WHOLE}")


def _change(function: str, before: str, after: str, *, times: int = 1) -> None:
    """Change a step of a function; all else of it stays as it is by now."""
    definition = op.get_bind().scalar(
        sa.text("SELECT pg_get_functiondef(CAST(:name AS regprocedure))"), {"name": f"{SCHEMA}.{function}"}
    )
    if (found := definition.count(before)) != times:
        raise RuntimeError(f"{function} has the step {before!r} {found} times, and not {times}")
    op.execute(sa.text(definition.replace(before, after).replace(":", "\\:")))
