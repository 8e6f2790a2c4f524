"""Where a token says for which tenant and with which roles its holder calls: issuers name these claims as they like.

A name with dots leads into objects: `realm_access.roles` is `{"realm_access": {"roles": [...]}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

NAME = r"^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}\Z"
"""What a name may be: neither HAProxy nor a JSON path reads anything else into it."""


class ClaimNames(msgspec.Struct, frozen=True, kw_only=True):
    """Names of the claims that are the issuer's own choice."""

    tenant: str = "tenant"
    roles: str = "roles"


def claim(claims: Mapping[str, Any], name: str) -> object:
    """Return the claim of that name, or None if it is not there."""
    value: object = claims
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return claims of these names, as objects where names have dots."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return made
