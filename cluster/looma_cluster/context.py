"""Looma on a cluster that is there already, reached by the context that LOOMA_CONTEXT names.

Looma keeps a copy of that one context in its own state, and changes nothing in the user's kubeconfig. Images go
through a registry that the cluster can pull from. `down` takes the release away, never the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

from looma_cluster import binaries, certificates
from looma_cluster.commands import run
from looma_cluster.paths import Instance
from looma_cluster.record import Record
from looma_cluster.steps import Report, Step

NAMESPACE = "looma"


class RegistryMissingError(RuntimeError):
    """An existing cluster cannot take images from this machine's disk."""


def copy_command(kubectl: str, context: str) -> list[str]:
    """Prints a kubeconfig that has one context and needs no other file."""
    return [kubectl, "config", "view", "--minify", "--flatten", "--context", context]


@dataclass(frozen=True, kw_only=True)
class ContextCluster:
    """A cluster that somebody else runs."""

    instance: Instance

    def choose(self, chosen: Record) -> Record:
        """Check that images have a way into the cluster.

        Raises:
            RegistryMissingError: if no registry is known.
        """
        if not chosen.registry:
            raise RegistryMissingError(
                "an existing cluster pulls its images: name a registry that it can reach in LOOMA_REGISTRY "
                "(as registry.example.org/looma); `looma up` pushes them there"
            )
        return chosen

    def running(self) -> bool:
        """Whether the cluster answers."""
        if not self.instance.kubeconfig.exists():
            return False
        kubectl = [str(binaries.path("kubectl")), "--kubeconfig", str(self.instance.kubeconfig)]
        return (
            run([*kubectl, "get", "--raw", "/readyz", "--request-timeout=10s"], check=False).strip() == "ok"
        )

    def steps(self, record: Record) -> list[Step]:
        """Copy the context, and see that the cluster answers."""
        return [
            binaries.step(),
            Step(
                name=f"context {record.context}",
                needs=("programs",),
                action=lambda _: self._copy(record),
                cure=f"`kubectl --context {record.context} get nodes` must answer",
            ),
        ]

    def _copy(self, record: Record) -> None:
        text = run(copy_command(str(binaries.path("kubectl")), record.context))
        certificates.write_private(self.instance.kubeconfig, text)
        run([binaries.path("kubectl"), "--kubeconfig", self.instance.kubeconfig, "version"], seconds=30)

    def down(self, report: Report, *, purge: bool = False) -> None:
        """Uninstall the release; with `purge`, remove its namespace and with it the data."""
        if not self.instance.kubeconfig.exists():
            return
        report("release")
        reach = ["--kubeconfig", str(self.instance.kubeconfig), "--namespace", NAMESPACE]
        run([binaries.path("helm"), *reach, "uninstall", "looma", "--ignore-not-found", "--wait"])
        if purge:
            report("namespace")
            run([binaries.path("kubectl"), *reach, "delete", "namespace", NAMESPACE, "--ignore-not-found"])
