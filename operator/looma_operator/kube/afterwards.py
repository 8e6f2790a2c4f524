"""What would be read now, made of what was read before and of the API server's answers to the writes since.

A plan asked with it tells whether the writes were enough: then nobody needs to read what was just written.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from ..plan.observed import Observed
from ..resources import AIServiceStatus, Json
from .read import _pods, _revisions, owned_by


@dataclass
class Answers:
    """The API server's answers to writes: children as they are now, and children that are gone.

    `changed` where any of them has another version than before: a write that changes nothing is heard of by nobody.
    """

    children: dict[tuple[str, str], Json] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)
    changed: bool = False


def afterwards(observed: Observed, answers: Answers, *, status: AIServiceStatus) -> Observed:
    """The observation that reading again would give, if nobody else wrote meanwhile.

    `status` is what the service's status is to become.
    """
    service = msgspec.structs.replace(observed.service, status=status)
    children = {key: child for key, child in observed.children.items() if key not in answers.gone}
    children |= {
        key: child
        for key, child in answers.children.items()
        if owned_by(child, service.metadata.uid) and not child["metadata"].get("deletionTimestamp")
    }
    counted = _pods(children)
    # What pods said was read from them, and still holds.
    pods = {
        name: replace(pods, failure=pods.failure or observed.pods[name].failure)
        if name in observed.pods
        else pods
        for name, pods in counted.items()
    }
    return replace(
        observed,
        service=service,
        children=children,
        revisions=_revisions(children),
        pods=pods,
        measured=(),
    )
