"""Tokens: what holds, what does not, and how the issuer's keys are cached."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from looma_core.auth import (
    LEEWAY_SECONDS,
    MAX_AGE_SECONDS,
    MIN_REFRESH_SECONDS,
    JwksKeys,
    Principal,
    StaticKeys,
    TokenIssuer,
    TokenVerifier,
    public_jwks,
)
from looma_core.problems import NotReady, Unauthenticated
from support.tokens import AUDIENCE, ISSUER, private_key

NOW = 1_800_000_000
KEY = RSAKey.import_key(private_key())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ada",
    "tenant": "demo",
    "roles": ["recruiter"],
    "exp": NOW + 60,
}


def _verifier(now: float = NOW) -> TokenVerifier:
    keys = StaticKeys(public_jwks(private_key()))
    return TokenVerifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, now=lambda: now)


def _signed(claims: dict[str, Any], *, key: Any = KEY, **header: object) -> str:
    full = {"alg": "RS256", "kid": KEY.thumbprint(), **header}
    return jwt.encode(
        {k: v for k, v in full.items() if v is not None}, claims, key, algorithms=[str(full["alg"])]
    )


async def test_an_issued_token_says_who_calls() -> None:
    issuer = TokenIssuer(private_key(), issuer=ISSUER, audience=AUDIENCE)
    token = issuer.issue(subject="ada", tenant="demo", roles=["recruiter", "admin"], now=NOW)
    principal = await _verifier().verify(token)
    assert principal == Principal(subject="ada", tenant="demo", roles=frozenset({"admin", "recruiter"}))


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"aud": [AUDIENCE, "other"]}, True),
        ({"roles": []}, True),
        ({"exp": NOW - LEEWAY_SECONDS + 2}, True),
        ({"exp": NOW - LEEWAY_SECONDS - 2}, False),
        ({"nbf": NOW + LEEWAY_SECONDS - 2}, True),
        ({"nbf": NOW + LEEWAY_SECONDS + 2}, False),
        ({"iss": "https://elsewhere"}, False),
        ({"aud": "other"}, False),
        ({"aud": ["other"]}, False),
        ({"exp": "tomorrow"}, False),
        ({"roles": "admin"}, False),
        ({"roles": [1]}, False),
        ({"tenant": ""}, False),
        ({"tenant": 7}, False),
        *[({name: None}, False) for name in CLAIMS],
    ],
    ids=str,
)
async def test_claims(change: dict[str, Any], holds: bool) -> None:
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    token = _signed(claims)
    if holds:
        assert (await _verifier().verify(token)).subject == "ada"
    else:
        with pytest.raises(Unauthenticated):
            await _verifier().verify(token)


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _forgeries() -> dict[str, str]:
    public_pem = KEY.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    good = _signed(CLAIMS)
    head, body, signature = good.split(".")
    other = RSAKey.import_key(private_key("other"))
    admin = _encoded({**CLAIMS, "roles": ["admin"]})
    hmac_key = OctKey.import_key(base64.urlsafe_b64encode(public_pem).decode())
    return {
        "no algorithm": f"{_encoded({'alg': 'none', 'kid': KEY.thumbprint()})}.{body}.",
        "HS256 with the public key": _signed(CLAIMS, key=hmac_key, alg="HS256"),
        "RS512": _signed(CLAIMS, alg="RS512"),
        "another key under this kid": _signed(CLAIMS, key=other),
        "unknown kid": _signed(CLAIMS, key=other, kid=other.thumbprint()),
        "no kid": _signed(CLAIMS, kid=None),
        "changed claims": f"{head}.{admin}.{signature}",
        "no signature": f"{head}.{body}.",
        "kid that is no text": f"{_encoded({'alg': 'RS256', 'kid': 7})}.{body}.{signature}",
        "header that is no object": f"{_encoded([1])}.{body}.{signature}",
        "not base64": "\u00e9.b.c",
        "nothing": "",
        "words": "not a token",
        "endless": "a" * 100_000,
    }


@pytest.mark.parametrize("name", list(_forgeries()))
async def test_forgeries_are_refused(name: str) -> None:
    token = _forgeries()[name]
    with pytest.raises(Unauthenticated) as caught:
        await _verifier().verify(token)
    assert not token or token not in str(caught.value), "a token is never repeated"


def test_the_jwk_set_has_nothing_private() -> None:
    (key,) = public_jwks(private_key())["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
    assert key["kid"] == KEY.thumbprint()


class _Issuer:
    """An issuer's JWK Set that a test can change, break and watch, with a clock that it moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.names = ["issuer"]
        self.broken = False
        self.stuck: asyncio.Event | None = None

    async def fetch(self, _url: str) -> bytes:
        self.asked += 1
        if self.stuck:
            await self.stuck.wait()
        if self.broken:
            raise OSError
        return json.dumps(public_jwks(*(private_key(name) for name in self.names))).encode()

    def keys(self) -> JwksKeys:
        return JwksKeys("https://issuer/jwks", fetch=self.fetch, clock=lambda: self.now)


@cache
def _kid(name: str) -> str:
    return RSAKey.import_key(private_key(name)).thumbprint()


async def test_keys_are_read_once_and_then_from_memory() -> None:
    issuer = _Issuer()
    keys = issuer.keys()
    for _ in range(5):
        assert await keys.find(_kid("issuer")) is not None
    assert issuer.asked == 1


async def test_a_new_key_is_found_but_made_up_ones_do_not_flood_the_issuer() -> None:
    issuer = _Issuer()
    keys = issuer.keys()
    await keys.find(_kid("issuer"))
    issuer.names.append("second")
    for _ in range(100):
        assert await keys.find("made up") is None
    assert issuer.asked == 1
    issuer.now += MIN_REFRESH_SECONDS + 1
    assert await keys.find(_kid("second")) is not None
    assert issuer.asked == 2


async def test_a_withdrawn_key_is_forgotten() -> None:
    issuer = _Issuer()
    keys = issuer.keys()
    await keys.find(_kid("issuer"))
    issuer.names = ["second"]
    issuer.now += MAX_AGE_SECONDS / 2 + 1
    assert await keys.find(_kid("issuer")) is not None, "no request waits while its key is known"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert issuer.asked == 2, "it is asked for meanwhile"
    assert await keys.find(_kid("issuer")) is None


async def test_a_slow_issuer_does_not_slow_callers_whose_key_is_known() -> None:
    issuer = _Issuer()
    keys = issuer.keys()
    await keys.find(_kid("issuer"))
    issuer.stuck = asyncio.Event()
    issuer.now += MAX_AGE_SECONDS / 2 + 1
    async with asyncio.timeout(10):
        for _ in range(10):
            assert await keys.find(_kid("issuer")) is not None
            await asyncio.sleep(0)
    assert issuer.asked == 2
    issuer.stuck.set()
    await asyncio.sleep(0)


async def test_keys_can_be_read_before_the_first_request() -> None:
    issuer = _Issuer()
    keys = issuer.keys()
    await keys.warm()
    issuer.broken = True
    assert await keys.find(_kid("issuer")) is not None
    assert issuer.asked == 1


async def test_many_first_requests_ask_once() -> None:
    issuer = _Issuer()
    keys = issuer.keys()
    found = await asyncio.gather(*(keys.find(_kid("issuer")) for _ in range(20)))
    assert None not in found
    assert issuer.asked == 1


async def test_a_broken_issuer_is_bridged_for_a_while_and_then_said() -> None:
    issuer = _Issuer()
    keys = issuer.keys()
    await keys.find(_kid("issuer"))
    issuer.broken = True
    issuer.now += MAX_AGE_SECONDS - 1
    assert await keys.find(_kid("issuer")) is not None
    issuer.now += MIN_REFRESH_SECONDS + 2
    with pytest.raises(NotReady):
        await keys.find(_kid("issuer"))
    issuer.broken = False
    issuer.now += MIN_REFRESH_SECONDS + 1
    assert await keys.find(_kid("issuer")) is not None


async def test_an_issuer_that_never_answered_is_not_a_wrong_token() -> None:
    issuer = _Issuer()
    issuer.broken = True
    keys = issuer.keys()
    with pytest.raises(NotReady):
        await keys.find(_kid("issuer"))
    issuer.broken = False
    issuer.now += 1
    assert await keys.find(_kid("issuer")) is not None, "without any keys it asks again soon"


def test_the_default_clock_is_the_worlds() -> None:
    issuer = TokenIssuer(private_key(), issuer=ISSUER, audience=AUDIENCE)
    body = issuer.issue(subject="a", tenant="t", roles=[], seconds=60).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert abs(claims["exp"] - time.time() - 60) < 5


async def test_a_process_that_never_had_the_keys_is_not_ready_and_one_that_had_them_stays_so() -> None:
    issuer = _Issuer()
    issuer.broken = True
    keys = issuer.keys()
    with pytest.raises(NotReady):
        await keys.loaded()
    issuer.broken = False
    issuer.now += MAX_AGE_SECONDS
    await keys.loaded()
    issuer.broken = True
    issuer.now += MAX_AGE_SECONDS * 2
    await keys.loaded()


async def test_a_process_is_ready_once_it_has_any_key() -> None:
    issuer = _Issuer()
    issuer.broken = True
    keys = issuer.keys()
    with pytest.raises(NotReady):
        await keys.loaded()
    issuer.broken = False
    issuer.now += 1
    await keys.loaded()
    # Later faults of the issuer do not take it out of service again: known keys still hold.
    issuer.broken = True
    issuer.now += MIN_REFRESH_SECONDS + 1
    await keys.loaded()
