"""One spelling for each value, and a digest of it."""

from __future__ import annotations

import hashlib
import json

HASH_LENGTH = 12  # 48 bits: two of a service's at most 52 revisions collide once in 10^11 services.


def canonical(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object, length: int = HASH_LENGTH) -> str:
    """The first `length` hexadecimal digits of the value's SHA-256."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]
