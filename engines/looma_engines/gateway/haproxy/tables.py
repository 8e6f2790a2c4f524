"""Where counters live: stick tables, which a reload keeps and other gateway pods may read. Pure.

With peers, tables are those of the section `gateway`: a reload hands them on to the new worker, and each pod gets a
copy of what the others count. Counters of two writers would overwrite one another, so every table has the name of
the pod that writes it. Without peers they are tables of sections of their own.
"""

from __future__ import annotations

from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.text import Lines, key, quoted, section, socket_address
from looma_engines.gateway.model import DataPlane, Peer

SECTION = "gateway"
SHARED = ("limit", "budget")
"""Beginnings of the kinds of tables that all pods read."""


def own_peer(plane: DataPlane) -> Peer | None:
    """This pod among the peers, or None where counters stay alone."""
    return next((peer for peer in plane.peers if peer.name == plane.pod), None)


def pods(plane: DataPlane) -> list[str]:
    """Names of the pods that share counters: this one first."""
    if own_peer(plane) is None:
        return [plane.pod]
    return [plane.pod, *sorted({peer.name for peer in plane.peers} - {plane.pod})]


def name(plane: DataPlane, kind: str, pod: str | None = None) -> str:
    """Full name of the table of that kind which `pod` (default: this one) writes."""
    written = key(plane.pod if pod is None else pod) if plane.pod or pod else "alone"
    return f"{SECTION}/{kind}_{written}" if own_peer(plane) is not None else f"{kind}_{written}"


def sections(plane: DataPlane, kinds: dict[str, str], settings: Settings) -> Lines:
    """All tables. `kinds` has what follows the name, by kind; those of `SHARED` are read by all pods."""
    own = own_peer(plane)
    if own is None:
        lines: Lines = []
        for kind, shape in kinds.items():
            lines += section(f"backend {name(plane, kind)}", [f"stick-table {shape}"])
        return lines
    servers = [f"bind {socket_address(own.address, settings.peers_port)}", f"server {quoted(own.name)}"]
    servers += [
        f"server {quoted(peer.name)} {socket_address(peer.address, settings.peers_port)}"
        for peer in sorted(plane.peers, key=lambda peer: peer.name)
        if peer.name != own.name
    ]
    tables = [
        f"table {name(plane, kind, pod).removeprefix(f'{SECTION}/')} {shape}"
        for kind, shape in kinds.items()
        for pod in (pods(plane) if kind.startswith(SHARED) else [plane.pod])
    ]
    return section(f"peers {SECTION}", [*servers, *tables])
