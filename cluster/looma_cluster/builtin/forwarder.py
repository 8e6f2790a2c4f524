"""The one process of a built-in cluster outside its node: from loopback ports of the machine into the node."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from looma_cluster import binaries, processes
from looma_cluster.builtin import facts, network, node
from looma_cluster.builtin.network import Link
from looma_cluster.paths import Instance
from looma_cluster.processes import Known


class ForwardError(RuntimeError):
    """The ports cannot be listened on."""


def arguments(*, link: Link, console_port: int, https_port: int, api_port: int) -> list[str]:
    """What is forwarded where; 127.0.0.1 and nothing else, so that only this machine's users reach it."""
    return [
        f"127.0.0.1:{api_port}={link.node}:{facts.API_PORT}",
        f"127.0.0.1:{console_port}={link.node}:{facts.GATEWAY_NODE_PORT}",
        f"127.0.0.1:{https_port}={link.node}:{facts.GATEWAY_HTTPS_NODE_PORT}",
    ]


def find(instance: Instance, wanted: list[str]) -> Known | None:
    """The forwarder: the one on record, or one with these arguments that an interrupted start left off the record."""
    known = node.started(instance).forwarder
    if processes.alive(known):
        return known
    for folder in Path("/proc").glob("[0-9]*"):
        words = processes.arguments(int(folder.name))
        if words[1:] == wanted and Path(words[0]).name == "looma-forward":
            return processes.know(int(folder.name))
    return None


def runs(instance: Instance, wanted: list[str]) -> bool:
    """Whether it runs, with these arguments."""
    known = find(instance, wanted)
    return known is not None and processes.arguments(known.pid)[1:] == wanted


def start(instance: Instance, wanted: list[str], *, ports: tuple[int, ...]) -> None:
    """Start it and wait until it listens on `ports`.

    Raises:
        ForwardError: if it does not within 5 s.
    """
    log = instance.logs / "looma-forward.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(binaries.path("looma-forward")), *wanted],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    now = node.started(instance)
    now.forwarder = processes.know(process.pid)
    node.record(instance, now)
    deadline = time.monotonic() + 5
    while any(network.port_is_free(port) for port in ports):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ForwardError(f"127.0.0.1 cannot be listened on at {ports}; see {log}")
        time.sleep(0.02)


def stop(instance: Instance, wanted: list[str]) -> None:
    """Stop it, if it runs."""
    processes.end(find(instance, wanted), grace=1)
    now = node.started(instance)
    if now.forwarder is not None:
        now.forwarder = None
        node.record(instance, now)
