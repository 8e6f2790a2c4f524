"""Going back to an earlier revision, with its audit entry."""

from __future__ import annotations

from looma_console.cluster.actions import ClusterActions, UnknownRevision
from looma_console.cluster.api import KubernetesError, Person
from looma_console.db.store import Database, record

MIN_REASON = 3
MAX_REASON = 500


def roll_back(
    db: Database,
    cluster: ClusterActions,
    person: Person,
    *,
    service: str,
    revision: str,
    reason: str,
    request_id: str,
) -> bool:
    """Ask the cluster for an earlier revision; answer whether anything had to change.

    The audit has refusals, too: that somebody tried is worth knowing.

    Raises:
        ValueError: the reason is too short or too long.
        UnknownRevision, KubernetesError: as `ClusterActions.rollback`.
    """
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise ValueError("reason")
    outcome, why = "done", ""
    try:
        return cluster.rollback(person, service=service, revision=revision, reason=reason)
    except (KubernetesError, UnknownRevision) as error:
        outcome, why = "refused", getattr(error, "reason", "") or "UnknownRevision"
        raise
    finally:
        with db.transaction() as session:
            record(
                session,
                tenant=db.tenant,
                who=person.login,
                action="rollback",
                object=f"aiservice/{service}",
                outcome=outcome,
                detail={"to": revision, "reason": reason, **({"error": why} if why else {})},
                request_id=request_id,
            )
