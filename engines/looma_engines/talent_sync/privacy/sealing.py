"""One value sealed, opened or hashed. Pure.

A value is sealed by AES-256 in SIV mode (RFC 5297, from `cryptography`): authenticated, and deterministic on purpose.
The same value of the same field of the same record gives the same text, so that the database's own triggers see what
changed and what did not; there is no nonce that could be used twice. What a text is bound to goes into it as associated
data: the same value looks otherwise in another record, and what was moved there does not open.

    sealed:1:KEY:BASE64        as it is stored, with the id of its key

A hash finds a record by its whole address or number: HMAC-SHA-256 under a key of its own, with the tenant mixed in, so
that two tenants with one person do not show it.

    KEY:BASE64
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from looma_engines.talent_sync.privacy.ring import Ring
from looma_engines.talent_sync.quality.contact import e164

PREFIX = "sealed:1:"
PLAIN_DIGEST_BYTES = 16
"""A digest that no key was in; one with a key has 32."""
DIGESTS_KEPT = 4096
"""More than a batch of a sync job has rows."""
_SEALED = re.compile(r"sealed:1:(?P<key>[a-z0-9][a-z0-9-]{0,31}):(?P<text>[A-Za-z0-9_-]+)")


class SealError(Exception):
    """A stored value does not open: its key is not in the ring, it was changed, or it is not where it was sealed."""


class Place(NamedTuple):
    """What a sealed value is bound to: it opens in this field of this row of this tenant alone."""

    tenant: str
    entity: str
    id: str
    field: str


class SealedBytes(NamedTuple):
    """Bytes as they are stored, and the id of their key, which stands beside them."""

    key: str
    data: bytes


class Sealer:
    """Seals under the first key of a ring and opens under all.

    Args:
        ring: the keys.
        noted: told of each value that was sealed or opened, by the action and the key's id.
    """

    def __init__(self, ring: Ring, *, noted: Callable[[str, str], None] | None = None) -> None:
        self._ciphers = {key.id: AESSIV(key.secret) for key in ring.seal}
        self._hashing = [(key.id, key.secret) for key in ring.hash]
        self.active = ring.seal[0].id
        self.active_hash = ring.hash[0].id
        self._noted = noted or (lambda _action, _key: None)
        self._digests = lru_cache(maxsize=DIGESTS_KEPT)(self._all_digests)

    def seal(self, value: str, place: Place) -> str:
        """The value as it is stored at a place."""
        sealed = self._ciphers[self.active].encrypt(value.encode(), [_bound(place)])
        self._noted("seal", self.active)
        return f"{PREFIX}{self.active}:{_text(sealed)}"

    def open(self, stored: str, place: Place) -> str:
        """The value that is stored at a place; one that was never sealed is what it says.

        Raises:
            SealError: it does not open.
        """
        found = _SEALED.fullmatch(stored)
        if found is None:
            self._noted("open", "")
            return stored
        try:
            return self._opened(found["key"], _bytes(found["text"]), place).decode()
        except ValueError as error:
            raise _does_not_open(place) from error

    def seal_bytes(self, value: bytes, place: Place) -> SealedBytes:
        """Bytes as they are stored at a place."""
        sealed = self._ciphers[self.active].encrypt(value, [_bound(place)])
        self._noted("seal", self.active)
        return SealedBytes(self.active, sealed)

    def open_bytes(self, stored: SealedBytes, place: Place) -> bytes:
        """The bytes that are stored at a place; without a key they are what they are.

        Raises:
            SealError: they do not open.
        """
        if not stored.key:
            self._noted("open", "")
            return stored.data
        return self._opened(stored.key, stored.data, place)

    def hash(self, kind: str, value: str, *, tenant: str, language: str = "en") -> str:
        """What is stored to find a value by: `kind` is `email`, `phone` or, of a file's digest, `file`."""
        return self._hashes(kind, value, tenant, language)[0]

    def hashes(self, kind: str, value: str, *, tenant: str) -> list[str]:
        """All that may be stored for a value that is looked for, under each key of the ring.

        Who looks for a number without its country may mean one of several.
        """
        languages = ("en", "zh") if kind == "phone" else ("en",)
        found = (self._hashes(kind, value, tenant, language) for language in languages)
        return sorted({one for some in found for one in some})

    def digests(self, digest: bytes, *, tenant: str) -> tuple[bytes, ...]:
        """What may be stored for a digest of a whole record, the active key's first; at last the digest itself.

        Of a record whose other fields stand in the clear a digest without a key would give the sealed ones away.
        """
        # A batch asks for the one of a row that it wrote, and of a row that it found again, more than once.
        return self._digests(digest, tenant)

    def _all_digests(self, digest: bytes, tenant: str) -> tuple[bytes, ...]:
        message = msgspec.json.encode([tenant, "digest"]) + digest
        return (*(hmac.digest(secret, message, "sha256") for _, secret in self._hashing), digest)

    def _opened(self, key: str, data: bytes, place: Place) -> bytes:
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise SealError(f"sealed under the key {key}, which is not in the key ring")
        try:
            value = cipher.decrypt(data, [_bound(place)])
        except (InvalidTag, ValueError) as error:
            raise _does_not_open(place) from error
        self._noted("open", key)
        return value

    def _hashes(self, kind: str, value: str, tenant: str, language: str) -> list[str]:
        message = msgspec.json.encode([tenant, kind, normalised(kind, value, language=language)])
        return [
            f"{key_id}:{_text(hmac.digest(secret, message, 'sha256'))}" for key_id, secret in self._hashing
        ]


def normalised(kind: str, value: str, *, language: str = "en") -> str:
    """What counts of a value that is looked for: an address in lower case, a number with its country."""
    plain = unicodedata.normalize("NFKC", value).strip()
    return e164(plain, language) if kind == "phone" else plain.lower()


def key_of(stored: str) -> str | None:
    """The id of the key that a stored value is sealed under; None for a plain one."""
    found = _SEALED.fullmatch(stored)
    return found["key"] if found else None


def _does_not_open(place: Place) -> SealError:
    return SealError(
        f"a value of {place.entity} {place.id} does not open: changed, or sealed for another place"
    )


def _bound(place: Place) -> bytes:
    # JSON, since no two places give the same one.
    return msgspec.json.encode(place)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
