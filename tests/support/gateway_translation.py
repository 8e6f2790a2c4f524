"""The gateway's translation of a test's objects, and what a test asks of it."""

from __future__ import annotations

from typing import Any

from looma_engines.gateway.findings import Translation
from looma_engines.gateway.model import Rule
from looma_engines.gateway.translate import Here, translate
from support.gateway_world import Object, route, rule, snapshot, to


def made(*documents: Object, **here: Any) -> Translation:
    """What these objects are translated to, at a gateway with these settings."""
    return translate(snapshot(*documents), here=Here(**here), keys=())


def the_rule(translation: Translation) -> Rule:
    """The one rule that came of it."""
    (only,) = translation.plane.rules
    return only


def finding(translation: Translation, kind: str, name: str = "resume") -> tuple[bool, str] | None:
    """Whether a condition of a route holds, and its reason; None if nothing is said of it."""
    (found,) = [item for item in translation.routes if item.name == name]
    said = {one.type: (one.holds, one.reason) for one in found.parents[0].findings}
    return said.get(kind)


def with_match(name: str, *matches: Object, **more: Any) -> Object:
    """A route with a rule that has these matches."""
    return route(rule(to("resume-stable"), matches=list(matches)), name=name, **more)
