"""Installs Looma's release into a cluster by Helm, as the Chartfile says, and waits until it works.

`looma up` calls `install` on every road (built-in cluster, kind, a named context). What is installed already in the
same state is left alone; an installation that was interrupted is taken up again. `helmfile -f Chartfile -e X sync`
gives the same release: `looma_cluster.helmfile` proves it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from looma_cluster import binaries, chartfile, commands, paths, readiness, yaml_text
from looma_cluster.images import Image
from looma_cluster.images import values as image_values
from looma_cluster.images.content import digest, tree

Report = Callable[[str], None]

DIGEST_LABEL = "looma-digest"
"""Label of Helm's own record of a release, by which the same state is known again."""

POLL_SECONDS = 2.0
"""How often the state of the objects is asked for: kubectl takes a third of a core's second each time, from those
that are waited for."""


class ReleaseError(RuntimeError):
    """The release is not installed or does not become ready; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class _Cluster:
    """Helm and kubectl for one cluster and namespace."""

    kubeconfig: Path
    namespace: str

    def helm(self, *arguments: str | Path) -> str:
        """Output of helm."""
        helm = binaries.path("helm")
        return commands.run(
            [helm, *arguments, "--namespace", self.namespace, "--kubeconfig", self.kubeconfig]
        )

    def kubectl(self, *arguments: str | Path) -> str:
        """Output of kubectl."""
        kubectl = binaries.path("kubectl")
        return commands.run(
            [kubectl, *arguments, "--namespace", self.namespace, "--kubeconfig", self.kubeconfig]
        )


def install(
    *,
    kubeconfig: Path,
    environment: str,
    images: Iterable[Image],
    settings: Mapping[str, Any],
    report: Report,
) -> None:
    """Install or upgrade the release of an environment, and wait until all of it is ready.

    Fields of the release's objects that somebody else has set go back to what the environment says: its values are
    the record of how Looma should be. Objects that are not of the release stay as they are.

    Args:
        kubeconfig: Cluster to install into, as its administrator.
        environment: One of the Chartfile's.
        images: What `looma_cluster.images.build` or `push` returned.
        settings: Values of the chart laid over the environment's own; may be empty.
        report: Takes one line for each thing that is waited for.

    Raises:
        ChartfileError: If the environment is unknown.
        ReleaseError: If Helm refuses, or something does not become ready in the Chartfile's time; the message says
            why, with the end of the logs of the pods concerned.
    """
    release = chartfile.read(paths.ROOT, environment)
    cluster = _Cluster(kubeconfig=kubeconfig, namespace=release.namespace)
    overlay = merge(image_values(images), settings)
    state = digest(
        [
            *tree(release.chart),
            *tree(paths.ROOT / "crds"),
            *((path.name, path.read_bytes()) for path in release.values),
            ("overlay", json.dumps(overlay, sort_keys=True).encode()),
        ]
    )
    began = ""
    if not _is_current(cluster, release, state):
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        report("preparing the namespace")
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", release.chart / "namespace.yaml")
        _forget_interrupted(cluster, release)
        report("installing the chart")
        with tempfile.TemporaryDirectory(prefix="looma-") as folder:
            file = Path(folder) / "values.yaml"
            file.write_text(yaml_text.dump(overlay), encoding="utf-8")
            try:
                cluster.helm(*command(release, file), "--labels", f"{DIGEST_LABEL}={state}")
            except commands.CommandError as error:
                # Helm tells that a hook failed; why, only its pod knows.
                objects = json.loads(cluster.kubectl("get", readiness.KINDS, "--output", "json"))["items"]
                raise ReleaseError(f"{error}\n{_last_words(cluster, objects)}".rstrip()) from error
    wait(
        kubeconfig=kubeconfig,
        namespace=release.namespace,
        seconds=release.timeout,
        report=report,
        since=began,
    )


def uninstall(*, kubeconfig: Path, environment: str, report: Report) -> None:
    """Remove the release; its Secrets, the database's volume and the definitions stay, so that no data is lost.

    Raises:
        CommandError: If Helm fails.
    """
    release = chartfile.read(paths.ROOT, environment)
    cluster = _Cluster(kubeconfig=kubeconfig, namespace=release.namespace)
    report("removing the release")
    cluster.helm(
        "uninstall", release.name, "--ignore-not-found", "--wait", "--timeout", f"{release.timeout}s"
    )


def command(release: chartfile.Release, overlay: Path) -> list[str | Path]:
    """Helm's arguments for a release: its value files, then `overlay`, which wins."""
    return [
        *("upgrade", "--install", *identity(release, overlay)),
        *(
            "--create-namespace",
            "--server-side=true",
            "--force-conflicts",
            "--timeout",
            f"{release.timeout}s",
        ),
    ]


def identity(release: chartfile.Release, overlay: Path) -> list[str | Path]:
    """What makes a release what it is, as Helm's arguments: name, chart, value files."""
    files: list[str | Path] = []
    for path in (*release.values, overlay):
        files += ["--values", path]
    return [release.name, release.chart, *files]


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over values as Helm does: maps are merged, everything else is replaced."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both and isinstance(below, Mapping) else value
    return merged


def wait(*, kubeconfig: Path, namespace: str, seconds: float, report: Report, since: str = "") -> None:
    """Wait until every workload, Job and AIService of the namespace is ready.

    Pods from before `since` (RFC 3339, by this machine's clock) are on their way out and may fail as they like.

    Raises:
        ReleaseError: After `seconds`, or as soon as a pod is seen that will never start.
    """
    cluster = _Cluster(kubeconfig=kubeconfig, namespace=namespace)
    deadline = time.monotonic() + seconds
    while True:
        objects = json.loads(cluster.kubectl("get", readiness.KINDS, "--output", "json"))["items"]
        left = readiness.unready(objects)
        if not left:
            return
        stuck = readiness.hopeless(objects, since=since)
        if stuck or time.monotonic() > deadline:
            after = "" if stuck else f" after {seconds:.0f} s"
            message = f"not ready{after}: {'; '.join([*stuck, *left])}"
            raise ReleaseError(f"{message}\n{_last_words(cluster, objects)}".rstrip())
        report("waiting for " + ", ".join(line.partition(":")[0] for line in left))
        time.sleep(POLL_SECONDS)


def _is_current(cluster: _Cluster, release: chartfile.Release, state: str) -> bool:
    found = cluster.helm("list", "--deployed", "--short", "--selector", f"{DIGEST_LABEL}={state}")
    return release.name in found.split()


def _forget_interrupted(cluster: _Cluster, release: chartfile.Release) -> None:
    """Remove Helm's record of an operation that was cut off; Helm would refuse to begin another.

    Nothing is lost: what that operation had made is found and taken over by the one that follows.
    """
    for status in ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling"):
        selector = f"owner=helm,name={release.name},status={status}"
        cluster.kubectl("delete", "secret", "--selector", selector, "--ignore-not-found")


def _last_words(cluster: _Cluster, objects: Iterable[Mapping[str, Any]]) -> str:
    """The end of the logs of pods that are not ready: what a person would ask for next."""
    words = []
    for found in objects:
        if found["kind"] != "Pod" or found.get("status", {}).get("phase") == "Succeeded":
            continue
        statuses = found.get("status", {}).get("containerStatuses", [])
        if statuses and not all(status.get("ready") for status in statuses):
            name = found["metadata"]["name"]
            try:
                words.append(f"--- {name}\n{cluster.kubectl('logs', name, '--tail=8', '--all-containers')}")
            except commands.CommandError:
                continue
    return "\n".join(words)
