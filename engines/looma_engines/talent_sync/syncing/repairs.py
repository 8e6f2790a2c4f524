"""How the history tells of records that a run put right: what it found in the database was not what the source has."""

from __future__ import annotations

from typing import Final

REPAIR: Final = "repair"
"""`origin` of such an entry, as the index of them has it."""


def actor_of(job: str) -> str:
    """`actor` of what a SyncJob (NAMESPACE/NAME) writes."""
    return f"syncjob:{job}"
