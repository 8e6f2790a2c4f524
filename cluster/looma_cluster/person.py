"""Whoever ran `looma` by sudo: what they must read afterwards is given to them, and nothing else.

The node needs root, its kubeconfig must be a person's own. Under sudo the folders of the home that we make on the way
(`~/.local`, `~/.cache`) would be root's too, and other programs could then keep nothing there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from looma_cluster import binaries, paths
from looma_cluster.commands import run
from looma_cluster.context import NAMESPACE
from looma_cluster.paths import Instance


def behind_sudo(environ: Mapping[str, str], *, euid: int) -> tuple[int, int] | None:
    """User and group of the person behind sudo, or None if there is none or they are root.

    | euid | SUDO_UID | answer        |
    | ---- | -------- | ------------- |
    | 0    | 1000     | 1000, their group |
    | 0    | 0        | None          |
    | 0    | not set  | None          |
    | 1000 | 0        | None          |
    """
    uid, gid = environ.get("SUDO_UID", ""), environ.get("SUDO_GID", "")
    if euid != 0 or not uid.isdecimal() or not gid.isdecimal() or int(uid) == 0:
        return None
    return int(uid), int(gid)


def tools_environment() -> dict[str, str]:
    """Where kubectl and helm keep what they remember: in our cache, never in the home of whoever runs them."""
    cache = paths.cache()
    return {
        "KUBECACHEDIR": str(cache / "kubectl"),
        "HELM_CACHE_HOME": str(cache / "helm" / "cache"),
        "HELM_CONFIG_HOME": str(cache / "helm" / "config"),
        "HELM_DATA_HOME": str(cache / "helm" / "data"),
    }


def hand_over(instance: Instance, *, home: Path, to: tuple[int, int] | None) -> None:
    """Give the instance's folder, kubeconfig and record, and the folders of the home on the way there, to a person.

    The folder keeps its mode, so that nobody else may enter; keys, databases and volumes in it stay root's.

    Args:
        instance: one that is up.
        home: folders below it that root owns, down to ours, become the person's.
        to: user and group, or None to leave all as it is.

    Raises:
        OSError: if the file system refuses.
    """
    if to is None:
        return
    for ours in (paths.state_root(), paths.cache()):
        for folder in (ours, *ours.parents):
            if folder != home and folder.is_relative_to(home) and folder.stat().st_uid == 0:
                os.chown(folder, *to)
    for path in (instance.state, instance.kubeconfig, instance.record, *built_in(paths.ROOT)):
        if path.exists():
            os.chown(path, *to)


def built_in(checkout: Path) -> list[Path]:
    """What building the images leaves in a checkout: the console's scripts and catalogues, which `make` builds too."""
    console = checkout / "console" / "looma_console"
    vendor = console / "static" / "vendor"
    return [vendor, *vendor.glob("*"), *console.glob("translations/*/LC_MESSAGES/*.mo")]


def link_kubectl(*, folder: Path | None = None) -> None:
    """Put kubectl beside `looma`, as the README says it is: most machines have none, or one of another age."""
    link = (folder or Path(sys.executable).parent) / "kubectl"
    target = binaries.path("kubectl")
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def choose_namespace(instance: Instance) -> None:
    """Make Looma's namespace the one that the kubeconfig means, so that `kubectl get looma` shows what runs.

    Raises:
        CommandError: if the kubeconfig is damaged.
    """
    run(
        [
            *(binaries.path("kubectl"), "--kubeconfig", instance.kubeconfig),
            *("config", "set-context", "--current", f"--namespace={NAMESPACE}"),
        ]
    )
