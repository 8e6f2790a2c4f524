"""Skills: a taxonomy of each tenant, and who has a skill by whatever name.

What people and jobs have is kept as it was typed. A mark for each of these texts stands beside it, made of the text's
normalised form alone, so that no change of the taxonomy makes one wrong.
"""

import re

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from looma_core.db.policies import (
    APP_ROLE,
    enable_tenant_isolation,
    isolation,
    tenant_columns,
    without_tenant_isolation,
)

revision = "talent_sync_0012"
down_revision = "talent_sync_0011"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
LIVE = "deleted_at IS NULL"
HISTORY = "record_history"
MARKED = "record_skills"
HAVING = {"talents": "talent", "jobs": "job"}
EVENTS = {
    "insert": "NEW TABLE AS new_rows",
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
}
SEARCH = (
    "lower(key || E'\\n' || coalesce(name_en, '') || E'\\n' || coalesce(name_zh, '')"
    " || E'\\n' || jsonb_path_query_array(aliases, '$[*].name')::text)"
)

# What texts are compared by. Of two ways to write a name one is left: compatible signs are one (full width, ligatures),
# case, space and the signs that are written now and then (Node.js, NodeJS, node-js) do not count. `+`, `#` and `&` do:
# C, C++ and C# are three. The first sign of the second text stands for that of the third, the others go.
IGNORED = (
    " \t\n\r\u00a0._-\u2010\u2011\u2012\u2013\u2014/\\·•‧・,;:()[]{}\"'`\u2018\u2019\u201c\u201d|、，。；："
)
KEY = f"""
CREATE FUNCTION {SCHEMA}.skill_key(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN translate(lower(normalize(name, NFKC)), '♯{IGNORED.replace("'", "''")}', '#')
"""
# Half of a digest tells apart all texts that there will ever be; two that have the same were made so on purpose, within
# one tenant. Tenant and kind are mixed in, so that what is looked through is one tenant's.
MARK = f"""
CREATE FUNCTION {SCHEMA}.skill_mark(kin text, key text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('x' || substr(md5(kin || '/' || key), 1, 16))::bit(64)::bigint
"""
_MARKS = (
    f"(SELECT array_agg({SCHEMA}.skill_mark({{kin}}, s.key)) FROM (SELECT {SCHEMA}.skill_key(value) AS key"  # noqa: S608 - our own names
    " FROM jsonb_array_elements_text({skills})) AS s WHERE s.key <> '')"
)
MARKS = f"""
CREATE FUNCTION {SCHEMA}.skill_marks(kin text, skills jsonb) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce({_MARKS.format(kin="kin", skills="skills")}, '{{}}')
"""

# Once a statement, whatever the number of rows, as what is searched (0011): a batch of a sync pays for one statement.
_ITS_MARKS = _MARKS.format(kin="n.tenant || '/' || TG_ARGV[0]", skills="n.skills")
NOTE_MARKS = f"""
CREATE FUNCTION {SCHEMA}.note_skill_marks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    changed uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {SCHEMA}.{MARKED} (tenant, record_id, marks)
        SELECT m.tenant, m.id, m.marks FROM (
            SELECT n.tenant, n.id, {_ITS_MARKS} AS marks FROM new_rows n WHERE n.{LIVE} AND n.skills <> '[]'
        ) AS m WHERE m.marks IS NOT NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        -- Each new row beside each old one would be a million pairs of a thousand, where a plan was made for one.
        SET LOCAL enable_nestloop = off;
        SELECT array_agg(n.id) INTO changed FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.deleted_at IS NOT NULL OR n.skills IS DISTINCT FROM o.skills OR o.deleted_at IS NOT NULL;
        SET LOCAL enable_nestloop = on;
        IF changed IS NULL THEN
            RETURN NULL;
        END IF;
        WITH marked AS MATERIALIZED (
            SELECT n.tenant, n.id, CASE WHEN n.{LIVE} AND n.skills <> '[]' THEN {_ITS_MARKS} END AS marks
            FROM new_rows n WHERE n.id = ANY (changed)
        ), gone AS (
            DELETE FROM {SCHEMA}.{MARKED} r USING marked m
            WHERE r.tenant = m.tenant AND r.record_id = m.id AND m.marks IS NULL
        )
        INSERT INTO {SCHEMA}.{MARKED} (tenant, record_id, marks)
        SELECT m.tenant, m.id, m.marks FROM marked m WHERE m.marks IS NOT NULL
        ON CONFLICT (tenant, record_id) DO UPDATE SET marks = excluded.marks;
    ELSE
        DELETE FROM {SCHEMA}.{MARKED} r USING old_rows o WHERE r.tenant = o.tenant AND r.record_id = o.id;
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names

# As look_up (0011): row-level security would have each row's tenant compared before its marks, as `&&` might tell of a
# row that it was asked about, so that no index of marks could be used. This one compares the tenant itself.
WITH_MARKS = f"""
CREATE FUNCTION {SCHEMA}.with_marks(wanted bigint[], most int) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER
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
    EXECUTE format(
        'SELECT coalesce(array_agg(record_id), ''{{}}'') FROM ('
        'SELECT record_id FROM {SCHEMA}.{MARKED} WHERE marks && %L::bigint[] AND tenant = %L LIMIT %s) AS f',
        wanted, asking, most + 1
    ) INTO found;
    RETURN CASE WHEN cardinality(found) <= most THEN found END;
END
$$
"""  # noqa: S608 - our own names
COUNT_MARKS = f"""
CREATE FUNCTION {SCHEMA}.count_marks(wanted bigint[]) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_indexscan = off
AS $$
DECLARE
    asking text := coalesce(current_setting('looma.tenant', true), '');
    found bigint;
BEGIN
    EXECUTE format(
        'SELECT count(*) FROM {SCHEMA}.{MARKED} WHERE marks && %L::bigint[] AND tenant = %L', wanted, asking
    ) INTO found;
    RETURN found;
END
$$
"""  # noqa: S608 - our own names

# What is derived of a skill: its names with what they are compared by, and what is above it. With the rights of whoever
# writes, so that the policies hold.
NOTE_SKILLS = f"""
CREATE FUNCTION {SCHEMA}.note_skills() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM {SCHEMA}.skill_names d USING new_rows n WHERE d.tenant = n.tenant AND d.skill_id = n.id;
        DELETE FROM {SCHEMA}.skill_links d USING new_rows n WHERE d.tenant = n.tenant AND d.skill_id = n.id;
    END IF;
    INSERT INTO {SCHEMA}.skill_names (tenant, skill_id, place, language, name, key)
    SELECT n.tenant, n.id, one.place, one.language, one.name, {SCHEMA}.skill_key(one.name)
    FROM new_rows n CROSS JOIN LATERAL (
        SELECT 0 AS place, 'en' AS language, n.name_en AS name
        UNION ALL SELECT 1, 'zh', n.name_zh
        UNION ALL SELECT 1 + a.place::int, a.value ->> 'language', a.value ->> 'name'
        FROM jsonb_array_elements(n.aliases) WITH ORDINALITY AS a (value, place)
    ) AS one
    WHERE n.{LIVE} AND {SCHEMA}.skill_key(one.name) <> '';
    INSERT INTO {SCHEMA}.skill_links (tenant, skill_id, above_id, how)
    SELECT n.tenant, n.id, parent.value::uuid, 'parent'
    FROM new_rows n CROSS JOIN LATERAL jsonb_array_elements_text(n.parents) AS parent WHERE n.{LIVE}
    UNION ALL
    SELECT n.tenant, n.id, n.replaced_by, 'replaced' FROM new_rows n WHERE n.{LIVE} AND n.replaced_by IS NOT NULL;
    RETURN NULL;
END
$$
"""  # noqa: S608 - our own names


def _tenant() -> sa.Column[str]:
    return sa.Column(
        "tenant", sa.Text(), nullable=False, server_default=sa.text("current_setting('looma.tenant')")
    )


def _skill(table: str, column: str) -> sa.ForeignKeyConstraint:
    # Looked at when the transaction ends: an import writes skills in the order of its file.
    return sa.ForeignKeyConstraint(
        ["tenant", column],
        [f"{SCHEMA}.skills.tenant", f"{SCHEMA}.skills.id"],
        name=f"fk_{table}_tenant_{column}_skills",
        deferrable=True,
        initially="DEFERRED",
    )


def _skills() -> None:
    op.create_table(
        "skills",
        *tenant_columns(),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text()),
        sa.Column("name_zh", sa.Text()),
        sa.Column("aliases", postgresql.JSONB(), nullable=False, server_default="[]"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parents", postgresql.JSONB(), nullable=False, server_default="[]"),
        sa.Column("esco_uri", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False, server_default="active"),
        sa.Column("replaced_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text()),
        sa.Column("search", sa.Text(), sa.Computed(SEARCH, persisted=True)),
        sa.CheckConstraint("version >= 1", name="version_positive"),
        sa.CheckConstraint("num_nonnulls(name_en, name_zh) >= 1", name="named"),
        sa.CheckConstraint("status IN ('active', 'retired')", name="status_known"),
        sa.CheckConstraint("replaced_by IS NULL OR status = 'retired'", name="replaced_is_retired"),
        sa.UniqueConstraint("tenant", "id", name="uq_skills_tenant_id"),
        # Of deleted ones too: a key is given once.
        sa.UniqueConstraint("tenant", "key", name="uq_skills_tenant_key"),
        _skill("skills", "replaced_by"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_skills_tenant_source",
        "skills",
        ["tenant", "source_type", "source_ref"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text(f"{LIVE} AND source_ref IS NOT NULL"),
    )
    for name, columns in (
        ("created", ["created_at", "id"]),
        ("updated", ["updated_at", "id"]),
        ("key", ["key", "id"]),
        ("source", ["source_type", "created_at", "id"]),
        ("kind", ["kind", "created_at", "id"]),
        ("status", ["status", "created_at", "id"]),
    ):
        op.create_index(
            f"ix_skills_tenant_{name}",
            "skills",
            ["tenant", *columns],
            schema=SCHEMA,
            postgresql_where=sa.text(LIVE),
        )
    enable_tenant_isolation(op, SCHEMA, "skills", grants=("SELECT", "INSERT", "UPDATE"))


def _derived() -> None:
    op.create_table(
        "skill_names",
        _tenant(),
        sa.Column("skill_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.PrimaryKeyConstraint("tenant", "skill_id", "place", name="pk_skill_names"),
        _skill("skill_names", "skill_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_skill_names_tenant_key", "skill_names", ["tenant", "key"], schema=SCHEMA)
    op.create_table(
        "skill_links",
        _tenant(),
        sa.Column("skill_id", sa.Uuid(), nullable=False),
        sa.Column("above_id", sa.Uuid(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.CheckConstraint("skill_id <> above_id", name="two_skills"),
        sa.CheckConstraint("how IN ('parent', 'replaced')", name="how_known"),
        sa.PrimaryKeyConstraint("tenant", "skill_id", "above_id", "how", name="pk_skill_links"),
        _skill("skill_links", "skill_id"),
        _skill("skill_links", "above_id"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_skill_links_tenant_above", "skill_links", ["tenant", "above_id", "skill_id"], schema=SCHEMA
    )
    # Which version of a skill an import wrote: what people changed since, the next one leaves alone.
    op.create_table(
        "skill_imports",
        _tenant(),
        sa.Column("skill_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.PrimaryKeyConstraint("tenant", "skill_id", name="pk_skill_imports"),
        _skill("skill_imports", "skill_id"),
        schema=SCHEMA,
    )
    for table in ("skill_names", "skill_links"):
        enable_tenant_isolation(op, SCHEMA, table, grants=("SELECT", "INSERT", "DELETE"))
    enable_tenant_isolation(op, SCHEMA, "skill_imports", grants=("SELECT", "INSERT", "UPDATE"))


def _triggers() -> None:
    for event, seen in EVENTS.items():
        function = {
            "grams": "note_grams('skill')",
            # A row of a skill is never deleted.
            **({} if event == "delete" else {"note": "note_history('skill')", "derive": "note_skills()"}),
        }
        for name, called in function.items():
            op.execute(
                sa.text(
                    f"CREATE TRIGGER {name}_{event} AFTER {event.upper()} ON {SCHEMA}.skills REFERENCING {seen}"
                    f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.{called}"
                )
            )


def _marks() -> None:
    op.create_table(
        MARKED,
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("marks", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
        sa.PrimaryKeyConstraint("tenant", "record_id", name=f"pk_{MARKED}"),
        schema=SCHEMA,
    )
    # Not forced on its owner, whose functions keep it and look it up: see with_marks. An application may read of its
    # own tenant whether one record has a mark.
    enable, _, policy = isolation(SCHEMA, MARKED)
    for statement in (enable, policy):
        op.execute(sa.text(statement))
    op.execute(sa.text(f"GRANT SELECT ON {SCHEMA}.{MARKED} TO {APP_ROLE}"))
    for table, entity in HAVING.items():
        with without_tenant_isolation(op, SCHEMA, table):
            op.execute(
                sa.text(
                    f"INSERT INTO {SCHEMA}.{MARKED} (tenant, record_id, marks) SELECT m.tenant, m.id, m.marks"  # noqa: S608 - our own names
                    f" FROM (SELECT tenant, id, {SCHEMA}.skill_marks(tenant || '/{entity}', skills) AS marks"
                    f" FROM {SCHEMA}.{table} WHERE {LIVE}) AS m WHERE m.marks <> '{{}}'"
                )
            )
        for event, seen in EVENTS.items():
            op.execute(
                sa.text(
                    f"CREATE TRIGGER skills_{event} AFTER {event.upper()} ON {SCHEMA}.{table} REFERENCING {seen}"
                    f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.note_skill_marks('{entity}')"
                )
            )
    op.create_index(
        f"ix_{MARKED}_marks",
        MARKED,
        ["marks"],
        schema=SCHEMA,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": "1024"},
    )


def _kinds_of_history(*, with_skills: bool) -> None:
    """Let the history be of skills as well, or no more, whatever other kinds it is of."""
    bind = op.get_bind()
    name, told = bind.execute(
        sa.text(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"  # noqa: S608 - our own names
            f" WHERE conrelid = '{SCHEMA}.{HISTORY}'::regclass AND conname LIKE '%entity_known'"
        )
    ).one()
    kinds = [kind for kind in re.findall(r"'(\w+)'", told) if kind != "skill"]
    kinds += ["skill"] if with_skills else []
    allowed = ", ".join(f"'{kind}'" for kind in kinds)
    op.execute(sa.text(f'ALTER TABLE {SCHEMA}.{HISTORY} DROP CONSTRAINT "{name}"'))
    op.execute(
        sa.text(f'ALTER TABLE {SCHEMA}.{HISTORY} ADD CONSTRAINT "{name}" CHECK (entity IN ({allowed}))')
    )


def upgrade() -> None:
    """Make the tables, and mark what people and jobs have."""
    _kinds_of_history(with_skills=True)
    for function in (KEY, MARK, MARKS):
        op.execute(sa.text(function.replace(":", "\\:")))
    _skills()
    _derived()
    for function in (NOTE_SKILLS, NOTE_MARKS, WITH_MARKS, COUNT_MARKS):
        op.execute(sa.text(function.replace(":", "\\:")))
    _triggers()
    _marks()
    for function in ("note_skill_marks()", "with_marks(bigint[], int)", "count_marks(bigint[])"):
        op.execute(sa.text(f"REVOKE ALL ON FUNCTION {SCHEMA}.{function} FROM PUBLIC"))
    for function in ("with_marks(bigint[], int)", "count_marks(bigint[])"):
        op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {SCHEMA}.{function} TO {APP_ROLE}"))


def downgrade() -> None:
    """Only for tests: takes the taxonomy away."""
    for table in HAVING:
        for event in EVENTS:
            op.execute(sa.text(f"DROP TRIGGER skills_{event} ON {SCHEMA}.{table}"))
    op.drop_table(MARKED, schema=SCHEMA)
    for table in ("skill_imports", "skill_links", "skill_names", "skills"):
        op.drop_table(table, schema=SCHEMA)
    for function in (
        "count_marks(bigint[])",
        "with_marks(bigint[], int)",
        "note_skill_marks()",
        "note_skills()",
        "skill_marks(text, jsonb)",
        "skill_mark(text, text)",
        "skill_key(text)",
    ):
        op.execute(sa.text(f"DROP FUNCTION {SCHEMA}.{function}"))
    with without_tenant_isolation(op, SCHEMA, HISTORY):
        op.execute(sa.text(f"DELETE FROM {SCHEMA}.{HISTORY} WHERE entity = 'skill'"))  # noqa: S608 - our own texts
    _kinds_of_history(with_skills=False)
