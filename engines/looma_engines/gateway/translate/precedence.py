"""Which of two rules that both fit a request decides: the order of Gateway API, as a key to sort by."""

from __future__ import annotations

from looma_engines.gateway.model import Match, MatchKind
from looma_engines.gateway.objects import HttpRoute
from looma_engines.gateway.translate.hostnames import exactness

_KINDS = {MatchKind.EXACT: 0, MatchKind.REGEX: 1, MatchKind.PREFIX: 2}

Key = tuple[tuple[int, int], int, int, int, int, int, str, str, str, int, int]


def precedence(hostname: str, match: Match, route: HttpRoute, rule: int, position: int) -> Key:
    """A key that is smaller for what decides first. It compares, continuing on ties.

    1. a hostname without a wildcard, then the longer one;
    2. an exact path, then a regular expression, then a prefix; of two of a kind the longer;
    3. a match by method;
    4. more headers, then more query parameters;
    5. the older route, then the first by namespace and name;
    6. the rule, then the match, that comes first in its list.
    """
    return (
        exactness(hostname),
        _KINDS[match.path_kind],
        -len(match.path),
        0 if match.method else 1,
        -len(match.headers),
        -len(match.query),
        route.metadata.creation_timestamp,
        route.metadata.namespace,
        route.metadata.name,
        rule,
        position,
    )
