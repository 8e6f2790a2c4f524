"""The wire between a node's network namespace and the machine, and the way out for pods.

A pair of virtual interfaces with a /30 of its own; outward, addresses are translated (as any home router does), and
forwarding is switched on for the two interfaces concerned, never for the whole machine. Every rule carries the
instance's tag, so that `close_link` removes these and no others.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

import msgspec

from looma_cluster.builtin import facts
from looma_cluster.commands import CommandError, run

# A corner of 10/8 that neither Docker, kind, Kubernetes' defaults nor this cluster's own ranges use.
LINKS = ipaddress.IPv4Network("10.213.0.0/16")
WIRE = "lm-"
"""What the names of all instances' wires begin with, whoever's they are."""


class NoRoomError(RuntimeError):
    """No free network or port is left for the instance."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's addresses, each an IPv4 address within one /30, and the host's interface."""

    interface: str
    host: str
    node: str

    @property
    def subnet(self) -> str:
        """The /30 of both ends."""
        return str(ipaddress.ip_network(f"{self.host}/30", strict=False))


def interface_name(instance: str) -> str:
    """The host's end of the wire: at most 15 characters, whatever the instance is called."""
    return WIRE + hashlib.sha256(instance.encode()).hexdigest()[:8]


def choose_link(instance: str, *, taken: Iterable[str]) -> Link:
    """A /30 that clashes with none of `taken` (networks in CIDR form), the same each time if it can be.

    Raises:
        NoRoomError: if all 16,384 are taken.
    """
    used = [ipaddress.ip_network(network, strict=False) for network in taken]
    count = 2 ** (30 - LINKS.prefixlen)
    start = int(hashlib.sha256(instance.encode()).hexdigest(), 16) % count
    for offset in range(count):
        subnet = ipaddress.ip_network((int(LINKS.network_address) + 4 * ((start + offset) % count), 30))
        if not any(subnet.overlaps(network) for network in used if network.version == 4):
            host, node = subnet.hosts()
            return Link(interface=interface_name(instance), host=str(host), node=str(node))
    raise NoRoomError(f"every network in {LINKS} is in use on this machine")


def networks_in_use(*, but: str = "") -> list[str]:
    """The IPv4 networks that this machine has routes to, without those of the interface `but` and the default."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    return [
        route["dst"]
        for route in routes
        if route.get("dst", "default") != "default"
        and route.get("dev") != but
        and route.get("type") not in {"broadcast", "multicast"}
    ]


def free_port(preferred: int, *, taken: Iterable[int] = ()) -> int:
    """The first loopback port from `preferred` upward that nothing listens on.

    Raises:
        NoRoomError: if 200 in a row are taken.
    """
    avoided = set(taken)
    for port in range(preferred, preferred + 200):
        if port not in avoided and port_is_free(port):
            return port
    raise NoRoomError(f"no free port from {preferred} to {preferred + 199} on 127.0.0.1")


def port_is_free(port: int) -> bool:
    """Whether we could listen on that loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def open_link(link: Link, *, init: int) -> None:
    """Lay the wire into the network namespace of process `init`, whose end is called eth0."""
    close_interface(link)
    run(
        [
            *("ip", "link", "add", link.interface, "type", "veth"),
            *("peer", "name", "eth0", "netns", str(init)),
        ]
    )
    run(["ip", "address", "add", f"{link.host}/30", "dev", link.interface])
    run(["ip", "link", "set", link.interface, "up"])
    inside = ["nsenter", "-t", str(init), "-n", "ip"]
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "address", "add", f"{link.node}/30", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "route", "add", "default", "via", link.host])
    # What kube-proxy has no rule for yet must not leave the node: whoever answers out there would keep the API
    # server's connection, and metrics would stay away for good.
    for chain in ("OUTPUT", "FORWARD"):
        refuse = ("-d", facts.SERVICE_RANGE, "-o", "eth0", "-j", "REJECT")
        run(["nsenter", "-t", str(init), "-n", "iptables", "-w", "-A", chain, *refuse])


def close_interface(link: Link) -> None:
    """Take the wire away; both ends go."""
    if Path(f"/sys/class/net/{link.interface}").exists():
        run(["ip", "link", "delete", link.interface])


def outward_rules(link: Link) -> list[tuple[str, str, list[str]]]:
    """(table, chain, rule) of the way out, in the order in which they must stand.

    Pods may open connections to the outside; the outside, even another machine that routes to us, may not open any
    to the node: what Looma publishes is on loopback alone.
    """
    tag = ["-m", "comment", "--comment", f"looma {link.interface}"]
    answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    return [
        ("nat", "POSTROUTING", ["-s", link.subnet, "!", "-o", link.interface, *tag, "-j", "MASQUERADE"]),
        ("filter", "FORWARD", ["-o", link.interface, *answers, *tag, "-j", "ACCEPT"]),
        ("filter", "FORWARD", ["-o", link.interface, *tag, "-j", "DROP"]),
        ("filter", "FORWARD", ["-i", link.interface, *tag, "-j", "ACCEPT"]),
    ]


def open_outward(link: Link, *, mark: Path) -> None:
    """Let pods reach the outside. A machine without iptables, or without a way out itself, has none for pods either.

    Args:
        link: the node's wire.
        mark: a file that all instances share, which says whose forwarding one of them switched on.

    Raises:
        CommandError: if iptables is there and refuses.
    """
    if shutil.which("iptables") is None or not (uplink := default_interface()):
        return
    close_outward_rules(link)
    # Each is put first, so the last is inserted first.
    for table, chain, rule in reversed(outward_rules(link)):
        run(["iptables", "-w", "10", "-t", table, "-I", chain, *rule])
    _forwarding(link.interface).write_text("1")
    if _forwarding(uplink).read_text().strip() != "1":
        # Noted before it is done: what a killed `looma up` switched on must still be switched off one day.
        mark.write_text(uplink)
        _forwarding(uplink).write_text("1")


def close_outward(link: Link, *, mark: Path, others_run: bool) -> None:
    """Take the rules away, and the forwarding that an instance switched on unless another still uses it.

    Args:
        link: the node's wire.
        mark: the file of `open_outward`.
        others_run: whether other instances of this state folder run; those of other users are known by their wires.
    """
    close_outward_rules(link)
    if others_run or not mark.exists() or _other_wires(link):
        return
    uplink = mark.read_text().strip()
    if uplink and _forwarding(uplink).exists():
        _forwarding(uplink).write_text("0")
    mark.unlink()


def close_outward_rules(link: Link) -> None:
    """Remove every rule with this instance's tag, however often it stands there."""
    if shutil.which("iptables") is None:
        return
    for table in ("nat", "filter"):
        try:
            listed = run(["iptables", "-w", "10", "-t", table, "-S"])
        except CommandError:
            continue
        for words in tagged_rules(listed, link.interface):
            run(["iptables", "-w", "10", "-t", table, "-D", *words])


def tagged_rules(listed: str, interface: str) -> list[list[str]]:
    """The rules in `iptables -S` output that carry the instance's tag, as words behind `-A`."""
    import shlex

    marked = f'"looma {interface}"'
    return [
        shlex.split(line)[1:] for line in listed.splitlines() if line.startswith("-A ") and marked in line
    ]


def _other_wires(link: Link) -> bool:
    found = json.loads(run(["ip", "-json", "link", "show"]) or "[]")
    return any(one["ifname"].startswith(WIRE) and one["ifname"] != link.interface for one in found)


def default_interface() -> str:
    """The interface of the default route; empty if there is none."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "default"]) or "[]")
    return str(routes[0].get("dev", "")) if routes else ""


def _forwarding(interface: str) -> Path:
    return Path(f"/proc/sys/net/ipv4/conf/{interface}/forwarding")
