"""Tokens: who calls, for which tenant, with which roles. No framework here; `http` adapts it to Litestar.

`TokenVerifier` checks RS256 JSON Web Tokens against the issuer's public keys (`JwksKeys`: cached, asked again
when a token names an unknown key, at most once in `MIN_REFRESH_SECONDS`). `TokenIssuer` is the development
issuer's side: the console, `looma token` and `looma-demo` sign with it.
"""

from __future__ import annotations

import asyncio
import enum
import json
import math
import time
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from joserfc.jws import JWSRegistry

from looma_core import logging
from looma_core.claims import ClaimNames, claim, nested
from looma_core.problems import NotReady, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

ALGORITHM = "RS256"
LEEWAY_SECONDS = 10
"""Clocks of nodes differ by a little; more than this is a broken clock."""

MAX_AGE_SECONDS = 300.0
"""A key that the issuer withdrew is trusted no longer than this."""

MIN_REFRESH_SECONDS = 5.0
"""Tokens with made-up key ids must not turn into a flood on the issuer."""

FIRST_REFRESH_SECONDS = 0.5
"""Pause between attempts while no key was ever read."""

MAX_TOKEN_LENGTH = 8192

log = logging.get(__name__)


class Role(enum.StrEnum):
    """Roles of people; each is the Kubernetes group `looma:ROLE` as well."""

    RECRUITER = "recruiter"
    OPERATOR = "operator"
    ADMIN = "admin"


class Principal(msgspec.Struct, frozen=True):
    """The caller, as the token says."""

    subject: str
    tenant: str
    roles: frozenset[str]


class KeySource(Protocol):
    """Where the issuer's public keys come from."""

    async def find(self, kid: str) -> RSAKey | None:
        """Return the public key with this id, or None."""
        ...


class StaticKeys:
    """Keys that are known from the start; for the issuer itself and for tests.

    Args:
        jwks: a JWK Set, as `public_jwks` returns it.
    """

    def __init__(self, jwks: dict[str, Any]) -> None:
        self._keys = _import_keys(jwks)

    async def find(self, kid: str) -> RSAKey | None:
        """Return the public key with this id, or None."""
        return self._keys.get(kid)


class JwksKeys:
    """The issuer's keys by HTTP, cached.

    Args:
        url: address of the JWK Set.
        fetch: reads an address; the default uses httpx with a timeout of 5 s.
        clock: seconds, monotonic; for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch or fetch_with_httpx
        self._clock = clock
        self._keys: dict[str, RSAKey] = {}
        self._loaded_at: float | None = None
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> RSAKey | None:
        """Return the public key with this id, or None if the issuer does not have it.

        Raises:
            NotReady: no keys could be had at all, so that nothing can be said about the token.
        """
        age = self._age()
        if kid in self._keys and age <= MAX_AGE_SECONDS:
            if age > MAX_AGE_SECONDS / 2:
                self._refresh_meanwhile()
            return self._keys[kid]
        await self._refresh_once()
        if self._age() > MAX_AGE_SECONDS:
            detail = "The issuer's keys cannot be read right now."
            raise NotReady(detail, headers={"Retry-After": str(int(MIN_REFRESH_SECONDS))})
        return self._keys.get(kid)

    async def warm(self) -> None:
        """Read the keys before the first request needs them; a failure is logged and left to that request."""
        await self._refresh_once()

    async def loaded(self) -> None:
        """Readiness check: holds once the keys were read; a process that never had them could answer nobody.

        Raises:
            NotReady: they were never read. A later failure does not count: the cached keys still hold.
        """
        if self._loaded_at is None:
            await self._refresh_once()
        if self._loaded_at is None:
            raise NotReady("The issuer's keys were not read yet.")

    def _age(self) -> float:
        return math.inf if self._loaded_at is None else self._clock() - self._loaded_at

    def _may_ask(self) -> bool:
        # Without any keys every request fails, so that asking again is worth more than sparing the issuer.
        pause = FIRST_REFRESH_SECONDS if self._loaded_at is None else MIN_REFRESH_SECONDS
        return self._asked_at is None or self._clock() - self._asked_at >= pause

    async def _refresh_once(self) -> None:
        async with self._lock:
            # Another request may have refreshed while this one waited.
            if self._may_ask():
                await self._refresh()

    def _refresh_meanwhile(self) -> None:
        """Refresh without keeping a request waiting whose key is known: a slow issuer must not slow callers."""
        if self._may_ask() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._refresh_once())

    async def _refresh(self) -> None:
        self._asked_at = self._clock()
        try:
            self._keys = _import_keys(json.loads(await self._fetch(self._url)))
            self._loaded_at = self._clock()
        except Exception as error:  # noqa: BLE001 - whatever the issuer does, the cached keys still hold
            log.warning("issuer keys not read", url=self._url, error=type(error).__name__)


class TokenVerifier:
    """Checks tokens.

    Args:
        issuer: required value of `iss`.
        audience: required member of `aud`.
        keys: the issuer's public keys.
        names: how the issuer names tenant and roles.
        now: Unix time in seconds; for tests.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: KeySource,
        names: ClaimNames | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._names = names or ClaimNames()
        self._registry = JWSRegistry(algorithms=[ALGORITHM])
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def verify(self, token: str) -> Principal:
        """Return who the token speaks for.

        Raises:
            Unauthenticated: the token does not hold; the detail says why, without repeating it.
            NotReady: the issuer's keys cannot be read.
        """
        kid = _key_id(token)
        key = await self._keys.find(kid)
        if key is None:
            raise Unauthenticated("The token is signed with a key that the issuer does not have.")
        try:
            decoded = jwt.decode(token, key, registry=self._registry)
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise Unauthenticated(f"The token does not hold: {error}.") from error
        return _principal(decoded.claims, self._names)


class TokenIssuer:
    """Signs tokens with the development issuer's key.

    Args:
        private_pem: RSA private key, PEM, 2048 bits or more.
        issuer: value of `iss`.
        audience: value of `aud`.
        names: what the claims of tenant and roles are called.
    """

    def __init__(
        self, private_pem: bytes | str, *, issuer: str, audience: str, names: ClaimNames | None = None
    ) -> None:
        self._key = RSAKey.import_key(private_pem)
        self._header = {"alg": ALGORITHM, "typ": "JWT", "kid": self._key.thumbprint()}
        self._issuer = issuer
        self._audience = audience
        self._names = names or ClaimNames()

    def issue(
        self,
        *,
        subject: str,
        tenant: str,
        roles: Iterable[str],
        seconds: int = 900,
        now: float | None = None,
    ) -> str:
        """Return a token that holds for `seconds` from `now` (Unix time; default: this moment)."""
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            **nested({self._names.tenant: tenant, self._names.roles: sorted(roles)}),
            "iat": issued,
            "nbf": issued,
            "exp": issued + seconds,
        }
        return jwt.encode(self._header, claims, self._key, algorithms=[ALGORITHM])


def issue_token(
    private_pem: bytes | str,
    *,
    issuer: str,
    audience: str,
    subject: str,
    tenant: str,
    roles: Iterable[str],
    seconds: int = 900,
) -> str:
    """Sign one token; `TokenIssuer` keeps the parsed key where many are needed."""
    signer = TokenIssuer(private_pem, issuer=issuer, audience=audience)
    return signer.issue(subject=subject, tenant=tenant, roles=roles, seconds=seconds)


def public_jwks(*private_pems: bytes | str) -> dict[str, Any]:
    """Return the JWK Set of these keys' public halves; `kid` is the RFC 7638 thumbprint."""
    keys = []
    for pem in private_pems:
        key = RSAKey.import_key(pem)
        public = dict(key.as_dict(private=False))
        keys.append(public | {"kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM})
    return {"keys": keys}


async def fetch_with_httpx(url: str) -> bytes:
    """Read `url`; raises httpx.HTTPError where that fails."""
    import httpx

    async with httpx.AsyncClient(timeout=5.0) as client:
        response = await client.get(url, headers={"Accept": "application/json"})
        return response.raise_for_status().content


def _key_id(token: str) -> str:
    """Return `kid` by a look at the header alone: other algorithms are refused before any key is read."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("The token is too long.")
    try:
        head = token.split(".", 1)[0]
        header = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        algorithm, kid = header["alg"], header["kid"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unauthenticated("The token is not a signed JSON Web Token with `alg` and `kid`.") from error
    if algorithm != ALGORITHM:
        raise Unauthenticated(f"The token must be signed with {ALGORITHM}.")
    if not isinstance(kid, str):
        raise Unauthenticated("The token's `kid` is not a string.")
    return kid


def _principal(claims: dict[str, Any], names: ClaimNames) -> Principal:
    roles, tenant = claim(claims, names.roles), claim(claims, names.tenant)
    if not isinstance(tenant, str) or not tenant:
        raise Unauthenticated(f"The token's claim `{names.tenant}` is not a name.")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise Unauthenticated(f"The token's claim `{names.roles}` is not a list of names.")
    return Principal(subject=claims["sub"], tenant=tenant, roles=frozenset(roles))


def _import_keys(jwks: dict[str, Any]) -> dict[str, RSAKey]:
    """RSA signature keys of a JWK Set by `kid`; other kinds are passed over."""
    usable = [
        key
        for key in jwks["keys"]
        if key.get("kty") == "RSA"
        and key.get("use", "sig") == "sig"
        and key.get("alg", ALGORITHM) == ALGORITHM
    ]
    found = KeySet.import_key_set({"keys": usable}) if usable else KeySet([])
    return {key.kid: key for key in found if isinstance(key, RSAKey) and key.kid}
