"""Going back to an earlier revision, and asking for an action of a rollout, each with its audit entry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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

    Raises:
        ValueError: the reason is too short or too long.
        UnknownRevision, KubernetesError: as `ClusterActions.rollback`.
    """
    check(reason)
    detail = {"to": revision, "reason": reason}
    about = f"aiservice/{service}"
    with audited(db, person, action="rollback", about=about, detail=detail, request_id=request_id):
        return cluster.rollback(person, service=service, revision=revision, reason=reason)


def ask(
    db: Database,
    cluster: ClusterActions,
    person: Person,
    *,
    service: str,
    action: str,
    reason: str,
    request_id: str,
) -> None:
    """Ask the operator for an action, as `promote` or `abort`.

    Raises:
        ValueError: the reason is too short or too long.
        KubernetesError: as `ClusterActions.ask`.
    """
    check(reason)
    about, detail = f"aiservice/{service}", {"reason": reason}
    with audited(db, person, action=action, about=about, detail=detail, request_id=request_id):
        cluster.ask(person, service=service, action=action, reason=reason)


def check(reason: str) -> None:
    """Raises ValueError if the reason is too short or too long."""
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise ValueError("reason")


@contextmanager
def audited(
    db: Database, person: Person, *, action: str, about: str, detail: dict[str, str], request_id: str
) -> Iterator[None]:
    """Record what is tried within, refusals too: that somebody tried is worth knowing."""
    outcome, why = "done", ""
    try:
        yield
    except (KubernetesError, UnknownRevision) as error:
        outcome, why = "refused", getattr(error, "reason", "") or "UnknownRevision"
        raise
    finally:
        with db.transaction() as session:
            record(
                session,
                tenant=db.tenant,
                who=person.login,
                action=action,
                object=about,
                outcome=outcome,
                detail={**detail, **({"error": why} if why else {})},
                request_id=request_id,
            )
