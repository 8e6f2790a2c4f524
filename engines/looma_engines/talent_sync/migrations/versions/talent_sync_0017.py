"""What many records are found by is made of each piece of text once: much of what they say is the same."""

import sqlalchemy as sa
from alembic import op

from looma_engines.talent_sync.migrations.versions.talent_sync_0011 import GRAMS, LIVE, NOTE, SCHEMA

revision = "talent_sync_0017"
down_revision = "talent_sync_0016"
branch_labels = None
depends_on = None

ALL_OF = f"""
CREATE AGGREGATE {SCHEMA}.all_of(int[]) (SFUNC = array_cat, STYPE = int[], INITCOND = '{{}}', PARALLEL = SAFE)
"""

# No gram goes beyond a space or the end of a line, so those of a text are those of its pieces. A piece that a statement
# brings many times, as a skill or a place, is looked at once.
#
# How many pieces a text has the planner does not know, and takes for many: what it would compile for so many takes
# longer than all of the statement.
MADE = f"""WITH pieces AS MATERIALIZED (
            SELECT r.tenant, r.id, p.piece
            FROM ({{rows}}) AS r
                LEFT JOIN LATERAL string_to_table(replace(r.search, E'\\n', ' '), ' ') AS p (piece) ON true
        ), known AS MATERIALIZED (
            SELECT d.tenant, d.piece, {SCHEMA}.grams_of(d.tenant || '/' || TG_ARGV[0], d.piece, false) AS grams
            FROM (SELECT DISTINCT tenant, piece FROM pieces WHERE piece IS NOT NULL) AS d
        )
        INSERT INTO {SCHEMA}.{GRAMS} (tenant, record_id, grams)
        SELECT p.tenant, p.id, {SCHEMA}.all_of(k.grams)
        FROM pieces AS p LEFT JOIN known AS k ON k.tenant = p.tenant AND k.piece = p.piece
        GROUP BY p.tenant, p.id"""  # noqa: S608 - our own names
NEW = f"SELECT tenant, id, search FROM new_rows WHERE {LIVE}"  # noqa: S608 - our own names
CHANGED = """SELECT n.tenant, n.id, n.search FROM new_rows n JOIN old_rows o ON o.id = n.id
                WHERE n.deleted_at IS NULL AND (n.search IS DISTINCT FROM o.search OR o.deleted_at IS NOT NULL)"""
NOTE_NOW = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.note_grams() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        {MADE.format(rows=NEW)};
    ELSIF TG_OP = 'UPDATE' THEN
        DELETE FROM {SCHEMA}.{GRAMS} g USING new_rows n
        WHERE g.tenant = n.tenant AND g.record_id = n.id AND n.deleted_at IS NOT NULL;
        {MADE.format(rows=CHANGED)}
        ON CONFLICT (tenant, record_id) DO UPDATE SET grams = excluded.grams;
    ELSE
        DELETE FROM {SCHEMA}.{GRAMS} g USING old_rows o WHERE g.tenant = o.tenant AND g.record_id = o.id;
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names


def upgrade() -> None:
    """Make them so from now on; what is there is the same."""
    op.execute(sa.text(ALL_OF))
    op.execute(sa.text(f"REVOKE ALL ON FUNCTION {SCHEMA}.all_of(int[]) FROM PUBLIC"))
    op.execute(sa.text(NOTE_NOW))


def downgrade() -> None:
    """Make them of whole texts again."""
    op.execute(sa.text(NOTE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)))
    op.execute(sa.text(f"DROP AGGREGATE {SCHEMA}.all_of(int[])"))
