"""Who may do what: roles give permissions, and every route names the one it needs.

A route is decorated with `requires(Permission.X)` or `public(reason)`; one that is neither is refused to
everybody (`required_of` answers None and the guard in `web.guard` fails closed). A test walks all routes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from looma_core.auth import Role

__all__ = ["GRANTS", "Permission", "Public", "Role", "permissions_of", "public", "required_of", "requires"]

View = TypeVar("View", bound=Callable[..., Any])

_ATTRIBUTE = "__looma_access__"


class Permission(enum.StrEnum):
    """One thing that a route lets a person do."""

    SIGNED_IN = "signed-in"
    PEOPLE_READ = "people.read"
    PEOPLE_WRITE = "people.write"
    PEOPLE_RIGHTS = "people.rights"
    SERVICES_READ = "services.read"
    SERVICES_CHANGE = "services.change"
    SYNCS_READ = "syncs.read"
    SYNCS_CHANGE = "syncs.change"
    USERS_MANAGE = "users.manage"
    AUDIT_READ = "audit.read"
    DATABASE_READ = "database.read"


_OPERATING = frozenset(
    {
        Permission.SIGNED_IN,
        Permission.SERVICES_READ,
        Permission.SERVICES_CHANGE,
        Permission.SYNCS_READ,
        Permission.SYNCS_CHANGE,
    }
)
GRANTS: dict[Role, frozenset[Permission]] = {
    Role.RECRUITER: frozenset({Permission.SIGNED_IN, Permission.PEOPLE_READ, Permission.PEOPLE_WRITE}),
    Role.OPERATOR: _OPERATING,
    # Administering accounts is not a licence to read people's résumés: an admin who recruits has both roles. What a
    # person asks for about the own data is an officer's work: an export is a file for that person, and is audited.
    Role.ADMIN: _OPERATING
    | {
        Permission.USERS_MANAGE,
        Permission.AUDIT_READ,
        Permission.PEOPLE_RIGHTS,
        Permission.DATABASE_READ,
    },
}


@dataclass(frozen=True)
class Public:
    """Marks a route that anyone may call; the reason is for the reader and for the test's message.

    `knows_person` says whether it still wants to know who is signed in, which costs a query.
    """

    reason: str
    knows_person: bool = False


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """All permissions that the roles give together.

    | roles                | answer                                   |
    | -------------------- | ---------------------------------------- |
    | none                 | nothing, not even a page of one's own    |
    | recruiter            | people                                   |
    | recruiter, operator  | people and services                      |
    | one we do not know   | nothing: a token may come from elsewhere |
    """
    known = {role.value for role in Role}
    granted: frozenset[Permission] = frozenset()
    for role in roles:
        if role in known:
            granted |= GRANTS[Role(role)]
    return granted


def requires(permission: Permission) -> Callable[[View], View]:
    """Declare that a route needs `permission`."""

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, permission)
        return view

    return mark


def public(reason: str, *, knows_person: bool = False) -> Callable[[View], View]:
    """Declare that a route is for anyone, and why."""

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, Public(reason, knows_person))
        return view

    return mark


def required_of(view: Callable[..., Any]) -> Permission | Public | None:
    """What a view declared, or None if its author forgot."""
    access = getattr(view, _ATTRIBUTE, None)
    return access if isinstance(access, Permission | Public) else None
