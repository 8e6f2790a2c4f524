"""Which revision a service's spec asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ..names import revision_number
from ..resources import AIServiceStatus
from .author import Author
from .content import content_of, digest, find_revision, next_number
from .models import Fetcher, ModelsMissing, note_fetching, unusable
from .observed import Observed, StoredRevision
from .rollback import RollbackDecision, decide_rollback


@dataclass(frozen=True, kw_only=True)
class Target:
    """The revision that is asked for and the revisions with it in them; `waiting` where a change waits for a pause."""

    name: str
    revisions: tuple[StoredRevision, ...]
    created: bool = False
    waiting: bool = False
    missing: ModelsMissing | None = None
    rollback: RollbackDecision | None = None


def _known_number(observed: Observed, content_hash: str) -> int | None:
    """Number that status remembers for a hash whose ControllerRevision was deleted by hand."""
    names = [revision.name for revision in observed.service.status.revisions if revision.hash == content_hash]
    taken = {revision.name for revision in observed.revisions}
    return next((revision_number(name) for name in names if name not in taken), None)


def _has_not_begun(name: str, status: AIServiceStatus) -> bool:
    """Whether a look wrote the revision and got no further: it is as new as it was then, not one to go back to."""
    return bool(status.target_revision) and not any(row.name == name for row in status.revisions)


def decide_target(observed: Observed, author: Author, fetcher: Fetcher, now: datetime) -> Target:
    """Which revision the spec asks for: one that is there, one that was before, or a new one.

    | content of the spec       | status knows it | answer                                   |
    | ------------------------- | --------------- | ---------------------------------------- |
    | lacks a model             | any             | the target of before, and what is missing |
    | that of the target before | any             | the same target                          |
    | of another revision       | yes             | that one: going back                     |
    | of another revision       | no              | that one, as new: its first look was cut short |
    | of none, paused           | any             | the target of before, waiting            |
    | of none                   | any             | a new revision                           |
    """
    service = observed.service
    previous = service.status.target_revision
    held = previous if any(revision.name == previous for revision in observed.revisions) else ""
    content = content_of(spec=service.spec, models=observed.models)
    if isinstance(content, ModelsMissing):
        return Target(name=held, revisions=observed.revisions, missing=content)
    known = find_revision(content=content, revisions=observed.revisions)
    missing = unusable(spec=service.spec, models=observed.models)
    if known is None and missing is not None:
        return Target(name=held, revisions=observed.revisions, missing=missing)
    if known is not None and (known.name == previous or _has_not_begun(known.name, service.status)):
        return Target(name=known.name, revisions=observed.revisions, created=known.name != previous)

    remembered = _known_number(observed, digest(content)) if known is None else None
    if remembered is None and service.spec.paused and held:
        return Target(name=held, revisions=observed.revisions, waiting=True)
    if known is None:
        highest = max((revision_number(item.name) for item in service.status.revisions), default=0)
        fresh = StoredRevision(
            number=remembered or max(next_number(observed.revisions), highest + 1),
            hash=digest(content),
            content=content,
            created_at=now,
            activated_at=now,
            changed_by=author.name,
            reason=author.reason,
            fetch=note_fetching(fetcher=fetcher, content=content, models=observed.models),
        )
        return Target(name=fresh.name, revisions=(*observed.revisions, fresh), created=remembered is None)
    rollback = decide_rollback(
        previous_target=previous,
        target=known,
        revisions=observed.revisions,
        window=service.spec.rollback_window,
    )
    active = replace(known, activated_at=now, changed_by=author.name, reason=author.reason)
    revisions = tuple(active if revision.name == known.name else revision for revision in observed.revisions)
    return Target(name=known.name, revisions=revisions, rollback=rollback)


def who_moved(observed: Observed, author: Author) -> Author:
    """Who asks for what is not yet there: where the spec was seen as it is, a channel that moved on does."""
    service = observed.service
    seen = service.status.observed_generation == service.metadata.generation
    follows = any(ref.channel for ref in service.spec.model_refs)
    return Author(name="looma", reason="A model's channel moved") if seen and follows else author
