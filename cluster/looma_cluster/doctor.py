"""`looma doctor`: looks at the machine and the instance, and says what is wrong and what helps.

Each check is a function that returns a Finding; none changes anything.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from looma_cluster import lifecycle, paths, prerequisites, record
from looma_cluster.builtin import cgroups, layout
from looma_cluster.builtin.cluster import BuiltIn
from looma_cluster.commands import CommandError, run
from looma_cluster.paths import Instance

GO_LEAST = (1, 26)
# A cold build: Go's cache 3, root file systems 1, images 1, containerd's copy of them 1.
DISK_LEAST_GB = 8
MEMORY_LEAST_GB = 4


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    """What one check found; `help` says what to do if it is not good."""

    check: str
    good: bool
    found: str
    help: str = ""


def go_version(output: str) -> tuple[int, int] | None:
    """(1, 26) of `go version go1.26.8 linux/amd64`; None if it is not that."""
    match = re.search(r"\bgo(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else None


def check_go() -> Finding:
    """The compiler."""
    wanted = f"Go {GO_LEAST[0]}.{GO_LEAST[1]} or newer"
    try:
        output = run(["go", "version"], environment={"GOTOOLCHAIN": "local"}).strip()
    except CommandError:
        return Finding(check="Go", good=False, found="not in PATH", help=f"install {wanted}")
    version = go_version(output)
    return Finding(
        check="Go", good=version is not None and version >= GO_LEAST, found=output, help=f"install {wanted}"
    )


def check_packages() -> Finding:
    """Debian's packages."""
    missing = prerequisites.missing_packages()
    return Finding(
        check="Debian packages",
        good=not missing,
        found=f"missing: {', '.join(missing)}" if missing else "all there",
        help=" ".join(prerequisites.install_command(missing)),
    )


def check_root() -> Finding:
    """The rights."""
    good = os.geteuid() == 0
    return Finding(
        check="rights", good=good, found="root" if good else "not root", help="use `make up`, which asks sudo"
    )


def check_cgroups() -> Finding:
    """Control groups."""
    found = cgroups.hierarchies()
    version = "version 2" if found == [cgroups.MOUNT] else f"version 1, {len(found)} hierarchies"
    return Finding(
        check="control groups",
        good=bool(found),
        found=version if found else f"none at {cgroups.MOUNT}",
        help="mount cgroup2 there, as systemd does",
    )


def check_disk() -> Finding:
    """Room for builds and data."""
    free = (
        min(shutil.disk_usage(folder).free for folder in (paths.cache(), _existing(paths.state_root()))) / 1e9
    )
    return Finding(
        check="disk",
        good=free >= DISK_LEAST_GB,
        found=f"{free:.0f} GB free",
        help=f"a first build needs {DISK_LEAST_GB} GB; XDG_CACHE_HOME and XDG_STATE_HOME can point elsewhere",
    )


def check_memory() -> Finding:
    """Memory."""
    match = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
    free = int(match[1]) / 1e6 if match else 0.0
    return Finding(
        check="memory",
        good=free >= MEMORY_LEAST_GB,
        found=f"{free:.1f} GB available",
        help=f"Looma and its cluster use about {MEMORY_LEAST_GB} GB",
    )


def check_names() -> Finding:
    """Name servers for pods."""
    servers = layout.host_name_servers()
    return Finding(
        check="names outside",
        good=bool(servers),
        found=", ".join(servers) or "no name server that pods could reach",
        help="pods resolve names of the cluster alone; put a name server that is not on loopback into resolv.conf",
    )


def check_instance(instance: Instance) -> list[Finding]:
    """The instance, if there is one."""
    chosen = record.load(instance)
    if chosen is None:
        return [
            Finding(check="instance", good=True, found=f"{instance.name} was never brought up (`looma up`)")
        ]
    findings: list[Finding] = []
    if chosen.cluster == "builtin":
        for name, runs in BuiltIn(instance=instance).states().items():
            log = instance.logs / f"{name}.log"
            findings.append(
                Finding(
                    check=name,
                    good=runs,
                    found="runs" if runs else f"does not run; log: {log}",
                    help="`looma up` starts what does not run",
                )
            )
    document = lifecycle.read_status(instance)
    findings.append(
        Finding(
            check="Looma",
            good=document.ready,
            found=document.address if document.ready else "; ".join(document.problems),
            help="`looma logs` tells more",
        )
    )
    return findings


MACHINE: tuple[Callable[[], Finding], ...] = (
    check_root,
    check_packages,
    check_go,
    check_cgroups,
    check_disk,
    check_memory,
    check_names,
)


def examine(instance: Instance, checks: Iterable[Callable[[], Finding]] = MACHINE) -> list[Finding]:
    """All findings, the machine's first."""
    return [*(check() for check in checks), *check_instance(instance)]


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
