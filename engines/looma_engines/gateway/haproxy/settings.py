"""What the gateway's own configuration says to HAProxy, beyond what it routes."""

from __future__ import annotations

import msgspec

from looma_core.claims import ClaimNames


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Ports of the pod, sizes and times; the defaults are a gateway pod's.

    `address` is what the listeners and probes bind to. `client_seconds` is how long a caller may be silent within a
    request, `stream_silence_seconds` how long an engine may be silent within a stream of events. `claims` is what the
    tokens' issuer calls tenant and roles.
    """

    address: str = "*"
    probes_port: int = 8404
    peers_port: int = 10000
    threads: int = 2
    max_connections: int = 10_000
    hard_stop_seconds: int = 600
    client_seconds: int = 60
    stream_silence_seconds: int = 3600
    access_log: bool = True
    claims: ClaimNames = ClaimNames()
