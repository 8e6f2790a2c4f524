"""What the built-in cluster needs from the machine: says what is missing, and installs it where that is allowed.

Debian and its relatives only: elsewhere, or with LOOMA_NO_INSTALL=1, it names the packages and stops.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from looma_cluster.commands import run

# Package, and what shows that it is there: a program's name, or a path.
PACKAGES: Mapping[str, str] = {
    "buildah": "buildah",
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "iproute2": "ip",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "runc": "runc",
    "util-linux": "nsenter",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class PrerequisiteError(RuntimeError):
    """The machine lacks something that Looma may not, or cannot, install."""


def is_present(probe: str) -> bool:
    """Whether a program (by name) or a file (by path) is there; sbin counts even if it is not in PATH."""
    if probe.startswith("/"):
        return Path(probe).exists()
    return shutil.which(probe, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}") is not None


def missing_packages(present: Callable[[str], bool] = is_present) -> list[str]:
    """Debian packages that are wanted and not there."""
    return [package for package, probe in PACKAGES.items() if not present(probe)]


def install_command(packages: list[str]) -> list[str]:
    """What installs them, without anything they merely recommend."""
    return ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]


def refusal(packages: list[str], *, may_install: bool, has_apt: bool) -> str | None:
    """Why nothing is installed, as a sentence with what to do instead; None if it can be.

    | may_install | has_apt | answer                      |
    | ----------- | ------- | --------------------------- |
    | yes         | yes     | None                        |
    | no          | yes     | the command to run yourself |
    | any         | no      | the names of the packages   |
    """
    if not has_apt:
        return (
            f"not there: {', '.join(packages)} (Debian's names). This machine has no apt-get: install them by its "
            "own means, then run `looma up` again"
        )
    if not may_install:
        return f"LOOMA_NO_INSTALL is set, so install what is missing yourself: {' '.join(install_command(packages))}"
    return None


def install(report: Callable[[str], None], *, log: Path) -> None:
    """Install what is missing.

    Raises:
        PrerequisiteError: if that is not allowed or there is no apt-get.
        CommandError: if apt-get fails.
    """
    packages = missing_packages()
    may_install = os.environ.get("LOOMA_NO_INSTALL", "") in {"", "0"}
    if why := refusal(packages, may_install=may_install, has_apt=is_present("apt-get")):
        raise PrerequisiteError(why)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    report("reading the lists of packages")
    run(["apt-get", "update", "--quiet"], environment=environment, log=log)
    report(f"installing {' '.join(packages)}")
    run(install_command(packages), environment=environment, log=log)
    if still := missing_packages():
        raise PrerequisiteError(f"installed, and still not there: {', '.join(still)}")
