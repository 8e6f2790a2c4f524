"""What was chosen for an instance, kept so that it stays the same: kind of cluster, environment, ports, network."""

from __future__ import annotations

import msgspec

from looma_cluster.builtin.network import Link
from looma_cluster.paths import Instance


class Record(msgspec.Struct, kw_only=True):
    """One instance's choices.

    cluster is `builtin`, `kind` or `context`; console_port, https_port and api_port are loopback ports, 0 while not
    chosen.
    """

    cluster: str
    environment: str = "dev"
    context: str = ""
    kubeconfig: str = ""
    registry: str = ""
    console_port: int = 0
    https_port: int = 0
    api_port: int = 0
    link: Link | None = None

    def ports(self) -> tuple[int, ...]:
        """The loopback ports that are chosen."""
        return tuple(port for port in (self.console_port, self.https_port, self.api_port) if port)


class NoInstanceError(RuntimeError):
    """The instance asked for was never brought up."""


def load(instance: Instance) -> Record | None:
    """The record, or None if there is no such instance.

    Raises:
        msgspec.DecodeError: if the file is damaged; the message says what is wrong with it.
    """
    try:
        return msgspec.json.decode(instance.record.read_bytes(), type=Record)
    except FileNotFoundError:
        return None


def require(instance: Instance) -> Record:
    """The record of an instance that must be there.

    Raises:
        NoInstanceError: if it is not.
    """
    found = load(instance)
    if found is None:
        raise NoInstanceError(
            f"there is no instance named {instance.name}: `looma up --name {instance.name}`"
        )
    return found


def save(instance: Instance, record: Record) -> None:
    """Keep it, whole or not at all."""
    instance.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = instance.record.with_suffix(".new")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    temporary.replace(instance.record)
