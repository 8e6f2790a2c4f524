"""Which headers pass the console, in each direction: pure.

A client proves who it is with its bearer token alone. Whatever else claims an identity is dropped here, so an
engine can trust that nothing but the token speaks of the caller.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

# RFC 9110 §7.6.1, and what older clients send.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# The console's own cookies are none of an engine's business; forwarding facts are stated anew below.
_DROPPED = frozenset(
    {
        "host",
        "cookie",
        "forwarded",
        "expect",
        "x-request-id",
        "traceparent",
        "x-real-ip",
        "x-remote-user",
        "x-remote-group",
        "x-remote-groups",
        "x-user",
        "x-user-id",
        "x-email",
        "x-roles",
        "x-tenant",
        "x-ssl-client-cert",
    }
)
_DROPPED_PREFIXES = (
    "x-looma-",
    "x-forwarded-",
    "x-auth-",
    "x-authenticated-",
    "x-webauth-",
    "x-remote-extra-",
    "impersonate-",
    "hx-",
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

Pairs = list[tuple[str, str]]


def request_id_of(given: str | None) -> str:
    """The caller's request id if it is harmless in a log line, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def traceparent_of(given: str | None) -> str:
    """The caller's W3C `traceparent` if it is well-formed, else a new, unsampled one."""
    if given and _TRACEPARENT.fullmatch(given):
        return given
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def to_engine(
    given: Iterable[tuple[str, str]],
    *,
    request_id: str,
    traceparent: str,
    address: str,
    scheme: str,
    host: str,
) -> Pairs:
    """Headers of the request to the engine."""
    pairs = list(given)
    named = _named_by_connection(pairs)
    kept = [
        (name, value)
        for name, value in pairs
        if not _is_dropped(name.lower()) and name.lower() not in HOP_BY_HOP and name.lower() not in named
    ]
    if not any(name.lower() == "accept-encoding" for name, _ in kept):
        # httpx would add its own wish and we would have to decode for a client that cannot.
        kept.append(("Accept-Encoding", "identity"))
    return [
        *kept,
        ("X-Request-Id", request_id),
        ("traceparent", traceparent),
        ("X-Forwarded-For", address),
        ("X-Forwarded-Proto", scheme),
        ("X-Forwarded-Host", host),
    ]


def to_client(given: Iterable[tuple[str, str]]) -> Pairs:
    """Headers of the answer to the client."""
    pairs = list(given)
    named = _named_by_connection(pairs)
    # An engine sets no cookies, and could not: they would be the console's.
    return [
        (name, value)
        for name, value in pairs
        if name.lower() not in HOP_BY_HOP and name.lower() not in named and name.lower() != "set-cookie"
    ]


def _named_by_connection(pairs: Pairs) -> set[str]:
    return {
        token.strip().lower()
        for name, value in pairs
        if name.lower() == "connection"
        for token in value.split(",")
    }


def _is_dropped(name: str) -> bool:
    return name in _DROPPED or name.startswith(_DROPPED_PREFIXES)
