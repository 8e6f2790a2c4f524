"""Where an instance keeps what it has: its state, its builds, its logs.

Every other module asks here and builds no path of its own. State ($XDG_STATE_HOME/looma/NAME) is what a person
would miss: the database, certificates, the kubeconfig. The cache ($XDG_CACHE_HOME/looma) can be deleted at any time.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

NAME_PATTERN = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "cluster"


class InvalidNameError(ValueError):
    """An instance's name that cannot be part of a cgroup's, an interface's or a folder's name."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance of Looma on this machine; `state` is its folder."""

    name: str
    state: Path

    @property
    def pki(self) -> Path:
        """Folder of keys and certificates."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Folder of the files that the parts of the cluster read."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """Folder of one log per part, kept over restarts."""
        return self.state / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in, from the host; never merged into the user's own."""
        return self.state / "kubeconfig"

    @property
    def record(self) -> Path:
        """What was chosen for this instance: kind of cluster, environment, ports, network."""
        return self.state / "instance.json"

    @property
    def processes(self) -> Path:
        """Which processes it started, with their start times."""
        return self.state / "processes.json"

    @property
    def volumes(self) -> Path:
        """Folder of the persistent volumes."""
        return self.state / "volumes"


def state_root() -> Path:
    """Folder of all instances."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "looma"


def forwarding_mark() -> Path:
    """Says whose packet forwarding an instance switched on, for the last one to switch it off.

    It is the machine's, as what it tells of, not one user's; and gone with it at the next start of the machine.
    """
    return Path("/run/looma.forwarding")


def cache() -> Path:
    """Folder of builds, shared by all instances; made if it is not there."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "looma"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def instance(name: str) -> Instance:
    """The instance of that name, whether it exists or not.

    Raises:
        InvalidNameError: if the name has anything but a-z, 0-9 and inner hyphens, or is longer than 30.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} cannot name an instance: use up to 30 of a-z, 0-9 and -, not at either end a hyphen"
        )
    return Instance(name=name, state=state_root() / name)


def known_instances() -> list[Instance]:
    """The instances that have state on this machine, by name."""
    if not state_root().is_dir():
        return []
    return [
        Instance(name=folder.name, state=folder)
        for folder in sorted(state_root().iterdir())
        if (folder / "instance.json").exists()
    ]
