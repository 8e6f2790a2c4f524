"""A mark is made of each skill once, however many records of a statement name it: they name much the same."""

import sqlalchemy as sa
from alembic import op

from looma_engines.talent_sync.migrations.versions.talent_sync_0012 import LIVE, MARKED, NOTE_MARKS, SCHEMA

revision = "talent_sync_0019"
down_revision = "talent_sync_0018"
branch_labels = None
depends_on = None

# How many skills a record has the planner does not know, and takes for many: what it would compile for so many takes
# longer than all of the statement (0017).
_MARKED = f"""named AS MATERIALIZED (
            SELECT n.tenant, n.id, s.name
            FROM new_rows n CROSS JOIN LATERAL jsonb_array_elements_text(n.skills) AS s (name)
            WHERE n.{LIVE}{{which}}
        ), keyed AS MATERIALIZED (
            SELECT d.tenant, d.name, {SCHEMA}.skill_key(d.name) AS key
            FROM (SELECT DISTINCT tenant, name FROM named) AS d
        ), known AS MATERIALIZED (
            SELECT k.tenant, k.name, {SCHEMA}.skill_mark(k.tenant || '/' || TG_ARGV[0], k.key) AS mark
            FROM keyed AS k WHERE k.key <> ''
        ), marked AS MATERIALIZED (
            SELECT n.tenant, n.id, array_agg(k.mark) AS marks
            FROM named AS n JOIN known AS k ON k.tenant = n.tenant AND k.name = n.name
            GROUP BY n.tenant, n.id
        )"""  # noqa: S608 - our own names
NOTE_NOW = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.note_skill_marks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    changed uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        WITH {_MARKED.format(which="")}
        INSERT INTO {SCHEMA}.{MARKED} (tenant, record_id, marks)
        SELECT m.tenant, m.id, m.marks FROM marked m;
    ELSIF TG_OP = 'UPDATE' THEN
        -- Each new row beside each old one would be a million pairs of a thousand, where a plan was made for one.
        SET LOCAL enable_nestloop = off;
        SELECT array_agg(n.id) INTO changed FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.deleted_at IS NOT NULL OR n.skills IS DISTINCT FROM o.skills OR o.deleted_at IS NOT NULL;
        SET LOCAL enable_nestloop = on;
        IF changed IS NULL THEN
            RETURN NULL;
        END IF;
        WITH {_MARKED.format(which=" AND n.id = ANY (changed)")}, gone AS (
            DELETE FROM {SCHEMA}.{MARKED} r USING new_rows n
            WHERE n.id = ANY (changed) AND r.tenant = n.tenant AND r.record_id = n.id
                AND NOT EXISTS (SELECT FROM marked m WHERE m.tenant = n.tenant AND m.id = n.id)
        )
        INSERT INTO {SCHEMA}.{MARKED} (tenant, record_id, marks)
        SELECT m.tenant, m.id, m.marks FROM marked m
        ON CONFLICT (tenant, record_id) DO UPDATE SET marks = excluded.marks;
    ELSE
        DELETE FROM {SCHEMA}.{MARKED} r USING old_rows o WHERE r.tenant = o.tenant AND r.record_id = o.id;
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names


def upgrade() -> None:
    """Make them so from now on; what is there is the same."""
    op.execute(sa.text(NOTE_NOW))


def downgrade() -> None:
    """Make them of each record's own skills again."""
    op.execute(sa.text(NOTE_MARKS.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)))
