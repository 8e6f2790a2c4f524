"""The key ring: a JSON file, as a mounted Secret has it.

    {"seal": [{"id": "2026b", "key": "<64 bytes in base64>"}, {"id": "2026a", "key": "..."}],
     "hash": [{"id": "h1", "key": "<32 bytes in base64>"}]}

Of each list the first key is the active one: it seals, or makes the hashes that are stored. The others only open, and
are only asked for.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

SEAL_BYTES = 64
"""AES-256 in SIV mode takes two keys of 32 bytes."""
HASH_BYTES = 32

KeyId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class RingError(Exception):
    """The ring cannot be used; the message says what to do, and has nothing of a key."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key. Its id stands in the clear beside everything that it sealed, and is never given to another key."""

    id: KeyId
    key: str

    def __repr__(self) -> str:
        """Without the key itself."""
        return f"Key(id={self.id!r})"

    @property
    def secret(self) -> bytes:
        """The key's bytes."""
        return b64decode(self.key, validate=True)


class Ring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys that seal and keys that make hashes, the active one of each first."""

    seal: Annotated[tuple[Key, ...], Meta(min_length=1)]
    hash: Annotated[tuple[Key, ...], Meta(min_length=1)]


def parse(data: bytes) -> Ring:
    """The ring that a file holds.

    Raises:
        RingError: it is none, and why.
    """
    try:
        ring = msgspec.json.decode(data, type=Ring)
    except msgspec.MsgspecError as error:
        # The decoder names the place of what does not fit, never its value.
        raise RingError(f"the key ring is wrong: {error}") from error
    for kind, keys, size in (("seal", ring.seal, SEAL_BYTES), ("hash", ring.hash, HASH_BYTES)):
        if len({key.id for key in keys}) != len(keys):
            raise RingError(f"the key ring has two `{kind}` keys with one id: give each an id of its own")
        for key in keys:
            _check(kind, key, size)
    return ring


def read(path: str, *, setting: str) -> Ring:
    """The ring of the file that a setting names.

    Raises:
        RingError: none is named, it cannot be read, or it is wrong.
    """
    if not path:
        raise RingError(
            f"{setting} is not set: name the file of the key ring that seals addresses and numbers of people;"
            " `looma-engine records-reseal --new-ring` prints a new one"
        )
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise RingError(f"{setting} names {path}, which cannot be read: {error.strerror}") from error
    try:
        return parse(data)
    except RingError as error:
        raise RingError(f"{setting} names {path}: {error}") from error


def new_ring() -> bytes:
    """A ring of fresh keys, as the file has it."""
    ring = Ring(seal=(_new_key(SEAL_BYTES),), hash=(_new_key(HASH_BYTES),))
    return msgspec.json.format(msgspec.json.encode(ring), indent=2)


def _new_key(size: int) -> Key:
    return Key(id=secrets.token_hex(4), key=b64encode(secrets.token_bytes(size)).decode())


def _check(kind: str, key: Key, size: int) -> None:
    try:
        fits = len(key.secret) == size
    except ValueError:
        fits = False
    if not fits:
        raise RingError(f"the `{kind}` key {key.id} of the key ring is not {size} bytes in base64")
