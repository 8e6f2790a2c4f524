"""Tokens that must not hold, by what is wrong with them, and the parts to make more."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import RSAKey

from support.tokens import AUDIENCE, ISSUER, private_key

KEY = RSAKey.import_key(private_key())
PUBLIC = KEY.as_pem(private=False)
OTHER = private_key("somebody else")
NOW = int(time.time())
HEADER = {"alg": "RS256", "typ": "JWT", "kid": KEY.thumbprint()}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ada",
    "tenant": "demo",
    "roles": ["recruiter", "admin"],
    "nbf": NOW - 5,
    "exp": NOW + 3600,
}


def part(value: Any) -> str:
    """A part of a token: base64 of bytes as they are, or of anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: Any = CLAIMS, header: Any = HEADER, pem: bytes = private_key()) -> str:
    """A token with whatever header and claims, signed by RS256 all the same."""
    text = f"{part(header)}.{part(claims)}"
    key: Any = serialization.load_pem_private_key(pem, None)
    return f"{text}.{part(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def by_secret(secret: bytes) -> str:
    """A token signed with a shared secret (HS256), which names our key."""
    text = f"{part(HEADER | {'alg': 'HS256'})}.{part(CLAIMS)}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def without(name: str) -> dict[str, Any]:
    """Good claims but one."""
    return {known: value for known, value in CLAIMS.items() if known != name}


GOOD = signed()
HEAD, BODY, SIGNATURE = GOOD.split(".")

# What the header Authorization says, by what is wrong with it, and then by what it is in particular.
FORGED: dict[str, dict[str, str | None]] = {
    "no token": {
        "no header": None,
        "an empty header": "",
        "the scheme alone": "Bearer",
        "another scheme": f"Basic {GOOD}",
        "no scheme": GOOD,
    },
    "malformed": {
        "two spaces": f"Bearer  {GOOD}",
        "something after it": f"Bearer {GOOD} x",
        "two parts": f"Bearer {HEAD}.{BODY}",
        "four parts": f"Bearer {GOOD}.x",
        "garbage": "Bearer a.b.c",
        "garbage in the header": f"Bearer !!!.{BODY}.{SIGNATURE}",
        "standard base64": f"Bearer {HEAD}.{BODY}+/.{SIGNATURE}",
        "padding": f"Bearer {HEAD}=.{BODY}.{SIGNATURE}",
    },
    "forged": {
        "no signature": f"Bearer {HEAD}.{BODY}.",
        "a changed claim": f"Bearer {HEAD}.{part(CLAIMS | {'sub': 'eve'})}.{SIGNATURE}",
        "a changed signature": f"Bearer {HEAD}.{BODY}.{SIGNATURE[:-6]}AAAAAA",
        "a shortened signature": f"Bearer {HEAD}.{BODY}.{SIGNATURE[:-8]}",
        "somebody else's key": f"Bearer {signed(pem=OTHER)}",
        "an unknown key": f"Bearer {signed(header=HEADER | {'kid': 'unknown'}, pem=OTHER)}",
        "no key's id": f"Bearer {signed(header={'alg': 'RS256'})}",
        "a path for a key's id": f"Bearer {signed(header=HEADER | {'kid': '../../etc/passwd'})}",
        "a list for a key's id": f"Bearer {signed(header=HEADER | {'kid': [KEY.thumbprint()]})}",
        "a critical extension": f"Bearer {signed(header=HEADER | {'crit': ['exp']})}",
    },
    "alg none": {
        "alg none": f"Bearer {part(HEADER | {'alg': 'none'})}.{BODY}.",
        "alg none with a signature": f"Bearer {part(HEADER | {'alg': 'none'})}.{BODY}.{SIGNATURE}",
        "alg None, signed": f"Bearer {signed(header=HEADER | {'alg': 'None'})}",
    },
    "HS256 with the public key": {
        "the public key as a secret": f"Bearer {by_secret(PUBLIC)}",
        "an empty secret": f"Bearer {by_secret(b'')}",
        "another algorithm's name": f"Bearer {signed(header=HEADER | {'alg': 'RS512'})}",
        "no algorithm": f"Bearer {signed(header={'kid': KEY.thumbprint()})}",
    },
    "wrong issuer": {
        "another issuer": f"Bearer {signed(CLAIMS | {'iss': 'https://evil.example'})}",
        "an issuer that begins like ours": f"Bearer {signed(CLAIMS | {'iss': ISSUER + '.evil'})}",
        "no issuer": f"Bearer {signed(without('iss'))}",
        "a list of issuers": f"Bearer {signed(CLAIMS | {'iss': [ISSUER]})}",
    },
    "wrong audience": {
        "another audience": f"Bearer {signed(CLAIMS | {'aud': 'others'})}",
        "audiences without ours": f"Bearer {signed(CLAIMS | {'aud': ['others', 'looma-x']})}",
        "no audience": f"Bearer {signed(without('aud'))}",
        "an empty list of audiences": f"Bearer {signed(CLAIMS | {'aud': []})}",
        "a text that looks like a list": f"Bearer {signed(CLAIMS | {'aud': json.dumps([AUDIENCE])})}",
        "an audience within another": "Bearer " + signed(CLAIMS | {"aud": ['x","looma","y']}),
        "an object for an audience": f"Bearer {signed(CLAIMS | {'aud': {'0': AUDIENCE}})}",
    },
    "expired": {
        "expired": f"Bearer {signed(CLAIMS | {'exp': NOW - 60})}",
        "no end": f"Bearer {signed(without('exp'))}",
        "an end as a text": f"Bearer {signed(CLAIMS | {'exp': str(NOW + 3600)})}",
        "an end that is true": f"Bearer {signed(CLAIMS | {'exp': True})}",
        "an end that is null": f"Bearer {signed(CLAIMS | {'exp': None})}",
        "an end before all time": f"Bearer {signed(CLAIMS | {'exp': -1})}",
        "an end beyond all time": f"Bearer {signed(CLAIMS | {'exp': 10**30})}",
        "not yet": f"Bearer {signed(CLAIMS | {'nbf': NOW + 600})}",
        "a beginning as a text": f"Bearer {signed(CLAIMS | {'nbf': str(NOW - 5)})}",
    },
    "claims": {
        "no subject": f"Bearer {signed(without('sub'))}",
        "a subject of two lines": "Bearer " + signed(CLAIMS | {"sub": "ada\r\nX-Looma-Roles: admin"}),
        "no tenant": f"Bearer {signed(without('tenant'))}",
        "an empty tenant": f"Bearer {signed(CLAIMS | {'tenant': ''})}",
        "no roles": f"Bearer {signed(without('roles'))}",
        "roles as a text": f"Bearer {signed(CLAIMS | {'roles': 'admin'})}",
        "roles as a text that looks like a list": "Bearer " + signed(CLAIMS | {"roles": '["admin"]'}),
        "roles as an object": f"Bearer {signed(CLAIMS | {'roles': {'admin': True}})}",
        "a role that fakes another": "Bearer " + signed(CLAIMS | {"roles": ['x","admin']}),
        "a role with a comma": f"Bearer {signed(CLAIMS | {'roles': ['x,admin']})}",
        "claims that are no object": f"Bearer {signed(b'[]')}",
        "claims that are no JSON": f"Bearer {signed(b'nonsense')}",
    },
    "oversized": {
        "too long": f"Bearer {signed(CLAIMS | {'x': 'y' * 7000})}",
    },
}
