"""Addresses and numbers of people can be sealed, and are found by a hash.

No key is here, so what is stored stays as it is: `looma-engine records-reseal` seals it, and until it has run both are
read. It works as the owner of the tables, over all tenants, and leaves no entry in the history.
"""

import sqlalchemy as sa
from alembic import op

from looma_engines.talent_sync.migrations.versions.talent_sync_0001 import SEARCH
from looma_engines.talent_sync.migrations.versions.talent_sync_0004 import FUNCTION, HIDDEN

revision = "talent_sync_0007"
down_revision = "talent_sync_0006"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
FIELDS = ("email", "phone")
TABLES = ("talents", "sync_states", "sync_conflicts", "quarantine", "record_history")
POLICY = "resealing"
ORIGIN = "reseal"
SEALED = "sealed:1:"

# A sealed address has no words.
WORDS = SEARCH.replace(" || E'\\n' || coalesce(email, '')", "")
HIDDEN_NOW = HIDDEN.replace("search}", "search,email_hash,phone_hash}")
# The function runs as the owner, so whoever is logged in as that one is it, and no application.
SKIPPING = f"""BEGIN
    IF its_origin = '{ORIGIN}' AND session_user = current_user THEN
        RETURN NULL;
    END IF;
    FOR its_tenant IN"""
FUNCTION_NOW = FUNCTION.replace(HIDDEN, HIDDEN_NOW).replace("BEGIN\n    FOR its_tenant IN", SKIPPING)


def upgrade() -> None:
    """Make the columns of the hashes, and let the owner see all tenants while it seals."""
    for field in FIELDS:
        op.add_column("talents", sa.Column(f"{field}_hash", sa.Text()), schema=SCHEMA)
        op.create_index(
            f"ix_talents_tenant_{field}_hash",
            "talents",
            ["tenant", f"{field}_hash"],
            schema=SCHEMA,
            postgresql_where=sa.text("deleted_at IS NULL"),
        )
    _search(WORDS)
    _history(FUNCTION_NOW)
    for table in TABLES:
        op.execute(
            sa.text(
                f"CREATE POLICY {POLICY} ON {SCHEMA}.{table} TO CURRENT_USER"
                f" USING (current_setting('looma.origin', true) = '{ORIGIN}')"
            )
        )


def downgrade() -> None:
    """Only for tests, and only when nothing is sealed: the columns alone go, no address and no number."""
    _refuse_while_sealed()
    for table in TABLES:
        op.execute(sa.text(f"DROP POLICY {POLICY} ON {SCHEMA}.{table}"))
    _history(FUNCTION)
    _search(SEARCH)
    for field in FIELDS:
        op.drop_index(f"ix_talents_tenant_{field}_hash", "talents", schema=SCHEMA)
        op.drop_column("talents", f"{field}_hash", schema=SCHEMA)


def _search(words: str) -> None:
    op.execute(
        sa.text(
            f"ALTER TABLE {SCHEMA}.talents DROP COLUMN search,"
            f" ADD COLUMN search text GENERATED ALWAYS AS ({words}) STORED"
        )
    )


def _history(function: str) -> None:
    op.execute(sa.text(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)))


def _refuse_while_sealed() -> None:
    connection = op.get_bind()
    before = connection.scalar(sa.text("SELECT current_setting('looma.origin', true)"))
    tell = sa.text("SELECT set_config('looma.origin', :origin, true)")
    connection.execute(tell, {"origin": ORIGIN})
    found = {
        "talents": "email LIKE :sealed OR phone LIKE :sealed",
        "sync_states": "base ->> 'email' LIKE :sealed OR base ->> 'phone' LIKE :sealed",
        "sync_conflicts": "concat_ws(' ', base #>> '{}', source #>> '{}', target #>> '{}') LIKE :anywhere",
        "quarantine": "raw LIKE :sealed",
        "record_history": "entity = 'talent' AND concat_ws(' ', changes ->> 'email', changes ->> 'phone')"
        " LIKE :anywhere",
    }
    sealed = [
        table
        for table, condition in found.items()
        if connection.scalar(
            sa.text(f"SELECT EXISTS (SELECT FROM {SCHEMA}.{table} WHERE {condition})"),  # noqa: S608 - our own texts
            {
                name: value
                for name, value in (("sealed", f"{SEALED}%"), ("anywhere", f"%{SEALED}%"))
                if f":{name}" in condition
            },
        )
    ]
    connection.execute(tell, {"origin": before or ""})
    if sealed:
        message = (
            f"sealed values are in {', '.join(sealed)}: stop what writes and run"
            " `looma-engine records-reseal --open`, then go down"
        )
        raise RuntimeError(message)
