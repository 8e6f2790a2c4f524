"""Names of skills found by an index, and who has words and a skill at once found in one step."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import APP_ROLE, isolation, without_tenant_isolation

revision = "talent_sync_0020"
down_revision = "talent_sync_0019"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
NAMES = "skill_names"
GRAMS = "skill_name_grams"
CANDIDATES = 500
WALKED = 10_000
KEPT = 100
SURELY_MORE = 4

# As note_grams (0011). A name is never changed: all of a skill's are written anew.
NOTE = f"""
CREATE FUNCTION {SCHEMA}.note_skill_name_grams() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {SCHEMA}.{GRAMS} (tenant, skill_id, place, grams)
        SELECT tenant, skill_id, place, {SCHEMA}.grams_of(tenant || '/skill-name', key, false) FROM new_rows;
    ELSE
        DELETE FROM {SCHEMA}.{GRAMS} g USING old_rows o
        WHERE g.tenant = o.tenant AND g.skill_id = o.skill_id AND g.place = o.place;
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names

# With its owner's rights, as look_up (0011), for the same reason; so it compares the tenant itself.
#
# Whoever asks puts in order what this gives, each skill once. Of a beginning or a part that more than 500 names
# have it gives 500, and the shortest ones besides: an answer shows fifty at most, the shortest first.
NAMES_LIKE = f"""
CREATE FUNCTION {SCHEMA}.names_like(asked text) RETURNS SETOF {SCHEMA}.{NAMES}
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    asking text := nullif(current_setting('looma.tenant', true), '');
    beyond text := asked || chr(1114111);
    wanted int[];
    skills uuid[];
    found bigint;
BEGIN
    IF asking IS NULL OR asked = '' THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT n.* FROM {SCHEMA}.{NAMES} n
        WHERE n.tenant = asking AND n.key >= asked AND n.key < beyond ORDER BY n.key LIMIT {CANDIDATES};
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found = {CANDIDATES} THEN
        RETURN QUERY SELECT s.* FROM (
            SELECT n.* FROM {SCHEMA}.{NAMES} n WHERE n.tenant = asking ORDER BY length(n.key), n.key LIMIT {WALKED}
        ) AS s WHERE starts_with(s.key, asked) LIMIT {KEPT};
    END IF;
    wanted := {SCHEMA}.grams_of(asking || '/skill-name', asked, true);
    IF wanted IS NOT NULL THEN
        -- As a text of the statement's own: what is frequent among grams is known, and so how they are best looked up.
        -- By itself, since the names' policy holds their owner too: beside them no index of grams could be used.
        EXECUTE format(
            'SELECT coalesce(array_agg(skill_id), ''{{}}'') FROM ('
            'SELECT skill_id FROM {SCHEMA}.{GRAMS} WHERE grams @> %L::int[] AND tenant = %L LIMIT {CANDIDATES}) AS f',
            wanted, asking
        ) INTO skills;
        RETURN QUERY SELECT n.* FROM {SCHEMA}.{NAMES} n
            WHERE n.tenant = asking AND n.skill_id = ANY (skills) AND strpos(n.key, asked) > 1;
        IF cardinality(skills) < {CANDIDATES} THEN
            RETURN;
        END IF;
    END IF;
    RETURN QUERY SELECT s.* FROM (
        SELECT n.* FROM {SCHEMA}.{NAMES} n WHERE n.tenant = asking ORDER BY length(n.key), n.key LIMIT {WALKED}
    ) AS s WHERE strpos(s.key, asked) > 1 LIMIT {KEPT};
END
$$
"""  # noqa: S608 - our own names

# Marks have their tenant in them, so what the whole table's statistics say of them is that tenant's. Nothing is read.
# Volatile, since PostgreSQL explains in no other function.
EXPECT_MARKS = f"""
CREATE FUNCTION {SCHEMA}.expect_marks(wanted bigint[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM {SCHEMA}.record_skills WHERE marks && %L::bigint[]', wanted)
    INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END
$$
"""
# What look_up (0011) and with_marks (0012) do, by the one of both that fewer records have. Those stay for the pods of
# the release before.
#
# Ids of all that have the marks, or of all that have the words: whoever asks looks at the records for both. What the
# statistics know of marks holds; of several grams at once they know too little to have both joined.
LOOK_UP = f"""
CREATE FUNCTION {SCHEMA}.look_up(entity text, words text[], marks bigint[], most int) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_indexscan = off
AS $$
DECLARE
    asking text := nullif(current_setting('looma.tenant', true), '');
    found uuid[];
BEGIN
    IF asking IS NULL THEN
        RETURN '{{}}';
    END IF;
    IF marks IS NOT NULL AND {SCHEMA}.expect_marks(marks) <= {SURELY_MORE} * most THEN
        EXECUTE format(
            'SELECT coalesce(array_agg(record_id), ''{{}}'') FROM ('
            'SELECT record_id FROM {SCHEMA}.record_skills WHERE marks && %L::bigint[] AND tenant = %L LIMIT %s) AS f',
            marks, asking, most + 1
        ) INTO found;
        IF cardinality(found) <= most THEN
            RETURN found;
        END IF;
    END IF;
    RETURN CASE WHEN cardinality(words) > 0 THEN {SCHEMA}.look_up(entity, words, most) END;
END
$$
"""  # noqa: S608 - our own names
CALLED = ("names_like(text)", "look_up(text, text[], bigint[], int)", "expect_marks(bigint[])")


def upgrade() -> None:
    """Make the indexes of names, and the functions that ask them."""
    op.create_table(
        GRAMS,
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("skill_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("grams", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.PrimaryKeyConstraint("tenant", "skill_id", "place", name=f"pk_{GRAMS}"),
        schema=SCHEMA,
    )
    # Not forced on its owner, and granted to nobody: see names_like.
    enable, _, policy = isolation(SCHEMA, GRAMS)
    for statement in (enable, policy, NOTE, NAMES_LIKE, EXPECT_MARKS, LOOK_UP):
        op.execute(sa.text(statement.replace(":", "\\:")))
    with without_tenant_isolation(op, SCHEMA, NAMES):
        op.execute(
            sa.text(
                f"INSERT INTO {SCHEMA}.{GRAMS} (tenant, skill_id, place, grams)"  # noqa: S608 - our own names
                f" SELECT tenant, skill_id, place, {SCHEMA}.grams_of(tenant || '/skill-name', key, false)"
                f" FROM {SCHEMA}.{NAMES}"
            )
        )
    for event, seen in (("insert", "NEW TABLE AS new_rows"), ("delete", "OLD TABLE AS old_rows")):
        op.execute(
            sa.text(
                f"CREATE TRIGGER grams_{event} AFTER {event.upper()} ON {SCHEMA}.{NAMES} REFERENCING {seen}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.note_skill_name_grams()"
            )
        )
    op.create_index(
        f"ix_{GRAMS}_grams",
        GRAMS,
        ["grams"],
        schema=SCHEMA,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": "1024"},
    )
    op.create_index(
        f"ix_{NAMES}_tenant_length", NAMES, ["tenant", sa.text("length(key)"), "key"], schema=SCHEMA
    )
    for function in ("note_skill_name_grams()", *CALLED):
        op.execute(sa.text(f"REVOKE ALL ON FUNCTION {SCHEMA}.{function} FROM PUBLIC"))
    for function in CALLED:
        op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {SCHEMA}.{function} TO {APP_ROLE}"))


def downgrade() -> None:
    """Have names looked through one by one again."""
    for function in CALLED:
        op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.{function}"))
    for event in ("insert", "delete"):
        op.execute(sa.text(f"DROP TRIGGER grams_{event} ON {SCHEMA}.{NAMES}"))
    op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.note_skill_name_grams()"))
    op.drop_table(GRAMS, schema=SCHEMA)
    op.drop_index(f"ix_{NAMES}_tenant_length", NAMES, schema=SCHEMA)
