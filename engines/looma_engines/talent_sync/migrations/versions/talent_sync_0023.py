"""Relations that a sync brought: what was noted of them goes with them, when a record that they are about is erased."""

import sqlalchemy as sa
from alembic import op

revision = "talent_sync_0023"
down_revision = "talent_sync_0022"
branch_labels = None
depends_on = None

SCHEMA = "talent_sync"
FUNCTION = f"{SCHEMA}.erase_record(uuid, text, uuid, uuid[], uuid[])"
# $2 are the relations that go with the record, looked up before any of them does. A write refers to the state of its
# key, and has its step before that one's.
OF_TIES = "record_id = ANY ($2)"
STORES = ("sync_writes", "sync_states", "sync_conflicts", "quarantine")


def upgrade() -> None:
    """Have the steps that take what syncs noted of a record take what they noted of its relations."""
    for store in STORES:
        _change(f"'{SCHEMA}.{store}', 'record_id = $1", f"'{SCHEMA}.{store}', 'record_id = $1 OR {OF_TIES}")


def downgrade() -> None:
    """Have them take what is of the record itself alone; what was erased stays so."""
    for store in STORES:
        _change(f"'{SCHEMA}.{store}', 'record_id = $1 OR {OF_TIES}", f"'{SCHEMA}.{store}', 'record_id = $1")


def _change(before: str, after: str) -> None:
    """Change a step of `erase_record`; all else of it stays as it is by now."""
    definition = op.get_bind().scalar(
        sa.text("SELECT pg_get_functiondef(CAST(:name AS regprocedure))"), {"name": FUNCTION}
    )
    if (found := definition.count(before)) != 1:
        raise RuntimeError(f"erase_record has the step {before!r} {found} times, and not once")
    op.execute(sa.text(definition.replace(before, after).replace(":", "\\:")))
