"""Asking for something to be done with a SyncJob, with its audit entry."""

from __future__ import annotations

from looma_console.cluster.actions import ClusterActions
from looma_console.cluster.api import Person
from looma_console.db.store import Database
from looma_console.services.operations import audited, check


def ask(
    db: Database,
    cluster: ClusterActions,
    person: Person,
    *,
    job: str,
    action: str,
    reason: str,
    request_id: str,
) -> None:
    """Have a run begin or end, or the SyncJob suspended or go on.

    Raises:
        ValueError: the reason is too short or too long.
        KubernetesError: as `ClusterActions.ask_sync`.
    """
    check(reason)
    about, detail = f"syncjob/{job}", {"reason": reason}
    with audited(db, person, action=action, about=about, detail=detail, request_id=request_id):
        cluster.ask_sync(person, job=job, action=action, reason=reason)
