"""Logs of an instance: of its pods, of the cluster's own processes, or all of it into a folder for a report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from looma_cluster import binaries, paths, record
from looma_cluster.commands import CommandError
from looma_cluster.kubernetes import Kubectl
from looma_cluster.paths import Instance

# What a person who reads a report wants first: what exists, what happened, and why not.
OVERVIEWS: dict[str, Sequence[str]] = {
    "objects.txt": (
        "get",
        "all,aiservices,modelversions,syncjobs,pvc,jobs",
        "--all-namespaces",
        "-o",
        "wide",
    ),
    "events.txt": ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
    "pods.txt": ("describe", "pods", "--all-namespaces"),
    "routes.yaml": ("get", "gatewayclasses,gateways,httproutes", "--all-namespaces", "-o", "yaml"),
    "services.yaml": ("get", "aiservices,controllerrevisions", "-o", "yaml"),
}


def command(instance: Instance, what: str, *, follow: bool, lines: int) -> list[str]:
    """The program that shows the log: kubectl for pods, tail for a process of the cluster.

    Args:
        instance: whose.
        what: a process of the cluster (`kubelet`, `etcd`, ...), an AIService, or a Deployment; all pods of
            Looma's namespace if empty.
        follow: whether to go on with what comes.
        lines: how many lines of each log.
    """
    file = instance.logs / f"{what}.log"
    if what and file.exists():
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), str(file)]
    kubectl = Kubectl(instance=instance)
    options = ["--tail", str(lines), "--prefix", "--all-containers", "--max-log-requests=50"]
    if follow:
        options.append("--follow")
    if not what:
        return kubectl.words("logs", "--selector=app.kubernetes.io/part-of=looma", *options)
    if what in {"coredns", "metrics-server"}:
        selector = f"--selector=app.kubernetes.io/name={what}"
        return kubectl.words("--namespace=kube-system", "logs", selector, *options)
    if what.startswith("looma-"):
        return kubectl.words("logs", f"--selector=app.kubernetes.io/name={what}", *options)
    return kubectl.words("logs", f"--selector=app.kubernetes.io/instance={what}", *options)


def show(instance: Instance, what: str, *, follow: bool, lines: int) -> None:
    """Become the program that shows the log.

    Raises:
        NoInstanceError: if there is no such instance.
    """
    record.require(instance)
    words = command(instance, what, follow=follow, lines=lines)
    os.execvp(words[0], words)  # noqa: S606 - no shell: the words are ours


def save(instance: Instance, folder: Path) -> list[str]:
    """Copy every log and what the cluster says of itself into `folder`; the names of what is missing, and why."""
    folder.mkdir(parents=True, exist_ok=True)
    missing: list[str] = []
    for source, name in ((instance.logs, "processes"), (instance.state / "pods", "pods")):
        if source.is_dir():
            shutil.copytree(source, folder / name, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    builds = paths.cache() / "logs"
    if builds.is_dir():
        shutil.copytree(builds, folder / "builds", dirs_exist_ok=True)
    kubectl = Kubectl(instance=instance)
    for name, words in OVERVIEWS.items():
        try:
            (folder / name).write_text(kubectl.text(*words, seconds=30))
        except (CommandError, binaries.NotBuiltError) as error:
            missing.append(f"{name}: {error}")
    return missing
