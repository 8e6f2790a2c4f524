"""Every list by an index, whatever it is narrowed to, and the search by words too."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import APP_ROLE, isolation, without_tenant_isolation

revision = "talent_sync_0011"
down_revision = "talent_sync_0010"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
GRAMS = "record_grams"
LIVE = "deleted_at IS NULL"
ENTITIES = {"talents": "talent", "companies": "company", "jobs": "job", "relations": "relation"}
EVENTS = {
    "insert": "NEW TABLE AS new_rows",
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
}

# By table: what a list may be narrowed to and had no index of its own, each with the order that lists have unasked.
FILTERS = {
    "talents": {"source": "source_type"},
    "companies": {"source": "source_type", "size": "size", "location": "location"},
    "jobs": {
        "source": "source_type",
        "workplace": "workplace",
        "employment": "employment",
        "location": "location",
    },
    "relations": {"source": "source_type"},
    "quarantine": {"job": "job", "entity": "entity"},
    "sync_conflicts": {"job": "job", "entity": "entity"},
}

# What of a text is kept to find it by: every two letters that stand beside each other, of scripts with an alphabet
# every three, of others each letter. Each is a number with its tenant and kind of record mixed in, so that what is
# looked through is one tenant's. Numbers of two may be the same: whoever asks looks at the text itself as well.
#
# `asked` gives the fewest that a text with this word must have, NULL if there is none.
#
# 11904 is where the scripts of China, Japan and Korea begin; white space, quotes and commas part words.
GRAMS_OF = f"""
CREATE FUNCTION {SCHEMA}.grams_of(kin text, searched text, asked boolean) RETURNS int[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    salt bigint := ('x' || substr(md5(kin), 1, 7))::bit(28)::int;
    short boolean := asked AND length(searched) <= 2;
    found int[] := '{{}}';
    letter text;
    a bigint;
    b bigint := 0;
    c bigint := 0;
BEGIN
    FOREACH letter IN ARRAY string_to_array(searched, NULL) LOOP
        a := b;
        b := c;
        c := ascii(letter);
        IF c <= 34 OR c = 44 THEN
            c := 0;
            CONTINUE;
        END IF;
        IF c > 127 AND NOT asked THEN
            found := found || ((salt + c * 1000003) % 2147483647)::int;
        END IF;
        CONTINUE WHEN b = 0;
        IF NOT asked OR short OR b >= 11904 THEN
            found := found || ((salt + b * 1000003 + c * 32452843) % 2147483647)::int;
        END IF;
        IF a > 0 AND a < 11904 THEN
            found := found || ((salt + a * 1000003 + b * 32452843 + c * 49979687) % 2147483647)::int;
        END IF;
    END LOOP;
    IF asked AND length(searched) = 1 AND c > 127 THEN
        found := found || ((salt + c * 1000003) % 2147483647)::int;
    END IF;
    IF asked AND found = '{{}}' THEN
        RETURN NULL;
    END IF;
    -- A long word needs no more of them to be rare.
    RETURN CASE WHEN asked THEN found[1:16] ELSE found END;
END
$$
"""

# Once a statement, whatever the number of rows. A plan is made when a session first needs it, perhaps while the table
# is small, and kept: it must not read the table whole later.
NOTE = f"""
CREATE FUNCTION {SCHEMA}.note_grams() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {SCHEMA}.{GRAMS} (tenant, record_id, grams)
        SELECT tenant, id, {SCHEMA}.grams_of(tenant || '/' || TG_ARGV[0], search, false)
        FROM new_rows WHERE {LIVE};
    ELSIF TG_OP = 'UPDATE' THEN
        DELETE FROM {SCHEMA}.{GRAMS} g USING new_rows n
        WHERE g.tenant = n.tenant AND g.record_id = n.id AND n.deleted_at IS NOT NULL;
        INSERT INTO {SCHEMA}.{GRAMS} (tenant, record_id, grams)
        SELECT n.tenant, n.id, {SCHEMA}.grams_of(n.tenant || '/' || TG_ARGV[0], n.search, false)
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.deleted_at IS NULL AND (n.search IS DISTINCT FROM o.search OR o.deleted_at IS NOT NULL)
        ON CONFLICT (tenant, record_id) DO UPDATE SET grams = excluded.grams;
    ELSE
        DELETE FROM {SCHEMA}.{GRAMS} g USING old_rows o WHERE g.tenant = o.tenant AND g.record_id = o.id;
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names

# Row-level security would have each row's tenant compared before its grams, as `@>` might tell of a row that it was
# asked about: no index but one of tenants could be used. So this function is the only way to the table, runs with its
# owner's rights, and compares the tenant itself.
LOOK_UP = f"""
CREATE FUNCTION {SCHEMA}.look_up(entity text, words text[], most int) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_indexscan = off
AS $$
DECLARE
    asking text := nullif(current_setting('looma.tenant', true), '');
    wanted int[] := '{{}}';
    word text;
    found uuid[];
BEGIN
    IF asking IS NULL THEN
        RETURN '{{}}';
    END IF;
    FOREACH word IN ARRAY words LOOP
        wanted := wanted || coalesce({SCHEMA}.grams_of(asking || '/' || entity, word, true), '{{}}');
    END LOOP;
    IF wanted = '{{}}' THEN
        RETURN NULL;
    END IF;
    -- As a text of the statement's own: what is frequent among grams is known, and so how they are best looked up.
    EXECUTE format(
        'SELECT coalesce(array_agg(record_id), ''{{}}'') FROM ('
        'SELECT record_id FROM {SCHEMA}.{GRAMS} WHERE grams @> %L::int[] AND tenant = %L LIMIT %s) AS f',
        wanted, asking, most + 1
    ) INTO found;
    RETURN CASE WHEN cardinality(found) <= most THEN found END;
END
$$
"""  # noqa: S608 - our own names


def _search() -> None:
    op.create_table(
        GRAMS,
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("grams", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.PrimaryKeyConstraint("tenant", "record_id", name=f"pk_{GRAMS}"),
        schema=SCHEMA,
    )
    # Not forced on its owner, and granted to nobody: see look_up.
    enable, _, policy = isolation(SCHEMA, GRAMS)
    for statement in (enable, policy, GRAMS_OF, NOTE, LOOK_UP):
        op.execute(sa.text(statement))
    for function in ("grams_of(text, text, boolean)", "note_grams()", "look_up(text, text[], int)"):
        op.execute(sa.text(f"REVOKE ALL ON FUNCTION {SCHEMA}.{function} FROM PUBLIC"))
    op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {SCHEMA}.look_up(text, text[], int) TO {APP_ROLE}"))
    for table, entity in ENTITIES.items():
        with without_tenant_isolation(op, SCHEMA, table):
            op.execute(
                sa.text(
                    f"INSERT INTO {SCHEMA}.{GRAMS} (tenant, record_id, grams)"  # noqa: S608 - our own names
                    f" SELECT tenant, id, {SCHEMA}.grams_of(tenant || '/{entity}', search, false)"
                    f" FROM {SCHEMA}.{table} WHERE {LIVE}"
                )
            )
        for event, seen in EVENTS.items():
            op.execute(
                sa.text(
                    f"CREATE TRIGGER grams_{event} AFTER {event.upper()} ON {SCHEMA}.{table} REFERENCING {seen}"
                    f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.note_grams('{entity}')"
                )
            )
    op.create_index(
        f"ix_{GRAMS}_grams",
        GRAMS,
        ["grams"],
        schema=SCHEMA,
        postgresql_using="gin",
        # What was written lately is looked through one by one: no more than a batch of a sync job.
        postgresql_with={"gin_pending_list_limit": "1024"},
    )


def upgrade() -> None:
    """Make the indexes, and what the search by words looks into."""
    for table, filters in FILTERS.items():
        for name, column in filters.items():
            op.create_index(
                f"ix_{table}_tenant_{name}",
                table,
                ["tenant", column, "created_at", "id"],
                schema=SCHEMA,
                postgresql_where=sa.text(LIVE) if table in ENTITIES else None,
            )
    op.create_index(
        "ix_sync_shards_tenant_job", "sync_shards", ["tenant", "job", "generation"], schema=SCHEMA
    )
    _search()


def downgrade() -> None:
    """Only for tests: takes the indexes and what the search looked into away."""
    for table in ENTITIES:
        for event in EVENTS:
            op.execute(sa.text(f"DROP TRIGGER grams_{event} ON {SCHEMA}.{table}"))
    for function in ("look_up", "note_grams", "grams_of"):
        op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.{function}"))
    op.drop_table(GRAMS, schema=SCHEMA)
    op.drop_index("ix_sync_shards_tenant_job", "sync_shards", schema=SCHEMA)
    for table, filters in FILTERS.items():
        for name in filters:
            op.drop_index(f"ix_{table}_tenant_{name}", table, schema=SCHEMA)
