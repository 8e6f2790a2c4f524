"""Blocking keys: only people who have one in common are compared. Pure.

Comparing each with each takes as many steps as there are pairs. A key is a keyed digest, so that the table of keys
tells nothing of the people: whoever has it alone cannot even try an address.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from looma_engines.talent_sync.duplicates.features import Features
from looma_engines.talent_sync.duplicates.naming import forms, initials

Kind = Literal[
    "email",
    "mailbox",
    "phone",
    "name",
    "name-employer",
    "name-school",
    "name-place",
    "initials-employer",
    "initials-school",
]
DIGEST_BYTES: Final = 16
MOST_STAYS: Final = 8
"""Companies and schools of one person that make keys: the latest come first in most lists."""
SHORTEST_MAILBOX: Final = 6
SHARED_MAILBOXES: Final = frozenset(
    [
        "admin",
        "careers",
        "contact",
        "enquiries",
        "hello",
        "hiring",
        "info",
        "mail",
        "office",
        "people",
        "recruiting",
        "recruitment",
        "resume",
        "support",
    ]
)
"""Addresses that belong to a desk and no person."""


@dataclass(frozen=True, order=True)
class Key:
    """One key of one person."""

    kind: Kind
    digest: bytes


def keys_of(features: Features, *, secret: bytes, tenant: str) -> frozenset[Key]:
    """The keys of a person; the same values are other keys for another tenant.

    | kind              | who has it in common                                       |
    | ----------------- | ---------------------------------------------------------- |
    | email             | the same address                                           |
    | mailbox           | the same address at another host                           |
    | phone             | the same number                                            |
    | name              | the same name, in whatever order or script                 |
    | name-employer     | the same name, and a company                               |
    | name-school       | the same name, and a school                                |
    | name-place        | the same name in one place                                 |
    | initials-employer | the same first letters, and a company: a slip in the name  |
    | initials-school   | the same first letters, and a school                       |
    """
    return frozenset(
        Key(kind=kind, digest=_digest(secret, tenant, kind, value)) for kind, value in _values(features)
    )


def secret_of(file_keys: str) -> bytes:
    """The secret of the digests, made of the first of the keys that files are encrypted with."""
    first = file_keys.partition(",")[0].strip()
    return hmac.new(first.encode(), b"looma duplicates", sha256).digest()


def _values(features: Features) -> Iterator[tuple[Kind, str]]:
    if features.email:
        yield "email", features.email
        mailbox = features.email.partition("@")[0]
        if len(mailbox) >= SHORTEST_MAILBOX and mailbox not in SHARED_MAILBOXES:
            yield "mailbox", mailbox
    if features.phone:
        yield "phone", features.phone
    employers = {stay.name for stay in features.employers[:MOST_STAYS]}
    schools = {stay.name for stay in features.schools[:MOST_STAYS]}
    for form in sorted(forms(features.name)):
        name = " ".join(form)
        yield "name", name
        for employer in sorted(employers):
            yield "name-employer", f"{name}\n{employer}"
        for school in sorted(schools):
            yield "name-school", f"{name}\n{school}"
        if features.place:
            yield "name-place", f"{name}\n{features.place}"
    for letters in sorted(initials(features.name)):
        for employer in sorted(employers):
            yield "initials-employer", f"{letters}\n{employer}"
        for school in sorted(schools):
            yield "initials-school", f"{letters}\n{school}"


def _digest(secret: bytes, tenant: str, kind: str, value: str) -> bytes:
    message = f"{tenant}\x00{kind}\x00{value}".encode()
    return hmac.new(secret, message, sha256).digest()[:DIGEST_BYTES]
