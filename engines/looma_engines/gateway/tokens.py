"""The issuer's public keys, by which HAProxy checks tokens: fetched, kept, and kept on disk.

The last good ones hold for as long as there are no newer: the issuer may be away, or behind this very gateway and not
up yet. Only a pod that serves nobody yet waits for the first ones, and for a while (`waiting.FirstKeys`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import httpx
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from looma_core import logging
from looma_engines.gateway.files import write_atomically
from looma_engines.gateway.model import TokenKey

log = logging.get(__name__)

ALGORITHM = "RS256"
REFRESH_SECONDS = 30.0
"""An issuer that signs with a new key before anybody could read it has its tokens refused for so long at most."""
RETRY_SECONDS = 10.0
FIRST_RETRY_SECONDS = 1.0
"""While no key is known at all, as a new pod is not ready for so long."""
FETCH_SECONDS = 5.0
LEAST_BITS = 2048
# It becomes the name of a file.
_KEY_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")

Fetch = Callable[[str], Awaitable[bytes]]


class NoKeysError(Exception):
    """The answer is no JWK Set, or none of its keys can be used."""


def keys_of(document: bytes) -> tuple[TokenKey, ...]:
    """The keys of a JWK Set that sign with RS256, by id.

    | key                                       | taken |
    | ----------------------------------------- | ----- |
    | RSA, with kid, use sig or none            | yes   |
    | alg other than RS256, use enc             | no    |
    | another kind, as EC or oct                | no    |
    | less than 2,048 bits                      | no    |
    | a kid that could not be a file's name     | no    |

    Raises:
        NoKeysError: if none is left; without keys nobody could be told apart from a stranger.
    """
    try:
        given = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError) as error:
        msg = "not a JWK Set"
        raise NoKeysError(msg) from error
    found: dict[str, TokenKey] = {}
    for item in given if isinstance(given, list) else ():
        key = _key(item)
        if key is not None:
            found.setdefault(key.id, key)
    if not found:
        msg = f"no RSA key for {ALGORITHM} among them"
        raise NoKeysError(msg)
    return tuple(found[name] for name in sorted(found))


def _key(item: object) -> TokenKey | None:
    if not isinstance(item, dict) or item.get("kty") != "RSA":
        return None
    kid = item.get("kid")
    if item.get("use", "sig") != "sig" or item.get("alg", ALGORITHM) != ALGORITHM:
        return None
    if not isinstance(kid, str) or not _KEY_ID.fullmatch(kid):
        return None
    try:
        public = RSAKey.import_key({"kty": "RSA", "n": item["n"], "e": item["e"]})
        if public.public_key.key_size < LEAST_BITS:
            return None
        return TokenKey(id=kid, pem=public.as_pem(private=False).decode())
    except (JoseError, ValueError, KeyError, TypeError):
        return None


async def fetch_with_httpx(url: str) -> bytes:
    """Body of a successful GET.

    Raises:
        httpx.HTTPError: if there is no answer or one that is no success.
    """
    async with httpx.AsyncClient(timeout=FETCH_SECONDS) as client:
        answer = await client.get(url)
        answer.raise_for_status()
        return answer.content


def kept_in(url: str) -> str:
    """Name of the file where the keys of that address are kept."""
    return f"issuer-keys-{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"


class IssuerKeys:
    """An issuer's keys as they are known now, and the task that keeps them."""

    def __init__(
        self, url: str, *, folder: Path, on_change: Callable[[], None], fetch: Fetch = fetch_with_httpx
    ) -> None:
        """Begin with what an earlier process kept in `folder`."""
        self.url = url
        self._file = folder / kept_in(url)
        self._on_change = on_change
        self._fetch = fetch
        self.keys: tuple[TokenKey, ...] = self._kept()
        self._asked = False
        self._said = ""

    @property
    def known(self) -> bool:
        """Whether its keys, or that it has none for us, is known."""
        return self._asked or bool(self.keys)

    def _kept(self) -> tuple[TokenKey, ...]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=tuple[TokenKey, ...])
        except (OSError, msgspec.MsgspecError):
            return ()

    async def refresh(self) -> bool:
        """Fetch the keys once; answers whether that went well. The last good ones stay where it did not."""
        try:
            found = keys_of(await self._fetch(self.url))
        except Exception as error:  # noqa: BLE001 - whatever the issuer does, the last good keys hold
            reason = str(error) or type(error).__name__
            if reason != self._said:
                log.warning("issuer keys not read", url=self.url, error=reason)
            self._said = reason
            if not self.known:
                self._asked = True
                # Others' keys may have waited for this answer.
                self._on_change()
            return False
        self._asked = True
        self._said = ""
        if found != self.keys:
            log.info("issuer keys changed", keys=[key.id for key in found])
            self.keys = found
            with contextlib.suppress(OSError):
                write_atomically(self._file, msgspec.json.encode(found))
            self._on_change()
        return True

    async def run(self) -> None:
        """Keep the keys until cancelled."""
        while True:
            well = await self.refresh()
            await asyncio.sleep(
                REFRESH_SECONDS if well else RETRY_SECONDS if self.keys else FIRST_RETRY_SECONDS
            )


def all_keys(issuers: Iterable[IssuerKeys]) -> tuple[TokenKey, ...]:
    """The keys of several issuers, by id; of two with the same id the first issuer's.

    None before each was asked: else a token of the slower one would be refused as a stranger's, and its holder sent
    to sign in anew, where a moment's patience is all that is needed.
    """
    issuers = tuple(issuers)
    if not all(issuer.known for issuer in issuers):
        return ()
    found: dict[str, TokenKey] = {}
    for issuer in issuers:
        for key in issuer.keys:
            found.setdefault(key.id, key)
    return tuple(found[name] for name in sorted(found))
