"""An issuer for tests: a key made once, tokens for any tenant and role, and a verifier that trusts it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from looma_core.auth import StaticKeys, TokenVerifier, issue_token, public_jwks

if TYPE_CHECKING:
    from collections.abc import Sequence

ISSUER = "https://looma.local"
AUDIENCE = "looma"


@cache
def private_key(name: str = "issuer") -> bytes:
    """RSA key as PEM; another name gives another key."""
    del name
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def bearer(
    *, tenant: str = "demo", roles: Sequence[str] = ("recruiter",), subject: str = "ada", seconds: int = 900
) -> dict[str, str]:
    """The header `Authorization` with a token of the test issuer."""
    token = issue_token(
        private_key(),
        issuer=ISSUER,
        audience=AUDIENCE,
        subject=subject,
        tenant=tenant,
        roles=roles,
        seconds=seconds,
    )
    return {"Authorization": f"Bearer {token}"}


def verifier() -> TokenVerifier:
    """A verifier that trusts `private_key()`."""
    return TokenVerifier(issuer=ISSUER, audience=AUDIENCE, keys=StaticKeys(public_jwks(private_key())))
