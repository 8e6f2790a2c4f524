"""Looma on kind: a cluster in a Docker container, with the same images, chart and address as the built-in one.

The commands are pure functions, checked by unit tests; no test here could run them against a Docker engine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looma_cluster import binaries
from looma_cluster.builtin import facts, network
from looma_cluster.commands import run
from looma_cluster.paths import Instance
from looma_cluster.record import Record
from looma_cluster.steps import Report, Step

CONSOLE_PORT = 8080
HTTPS_PORT = 8443


def cluster_name(instance: str) -> str:
    """What kind calls the instance's cluster."""
    return instance if instance == "looma" else f"looma-{instance}"


def configuration(record: Record) -> dict[str, Any]:
    """Kind's configuration: one node; gateway and API server on loopback alone."""
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": "127.0.0.1"},
        "nodes": [
            {
                "role": "control-plane",
                "extraPortMappings": [
                    {
                        "containerPort": inside,
                        "hostPort": outside,
                        "listenAddress": "127.0.0.1",
                        "protocol": "TCP",
                    }
                    for inside, outside in (
                        (facts.GATEWAY_NODE_PORT, record.console_port),
                        (facts.GATEWAY_HTTPS_NODE_PORT, record.https_port),
                    )
                ],
            }
        ],
    }


def create_command(instance: Instance) -> list[str]:
    """Makes the cluster from a configuration on standard input; the user's own kubeconfig stays as it is."""
    words = ["kind", "create", "cluster", "--name", cluster_name(instance.name)]
    return [*words, "--kubeconfig", str(instance.kubeconfig), "--config", "-", "--wait", "120s"]


def load_command(instance: Instance, archive: Path) -> list[str]:
    """Brings an image into the cluster's node."""
    return ["kind", "load", "image-archive", str(archive), "--name", cluster_name(instance.name)]


def node_container(instance: Instance) -> str:
    """The Docker container that is the node."""
    return f"{cluster_name(instance.name)}-control-plane"


@dataclass(frozen=True, kw_only=True)
class KindCluster:
    """One cluster of kind's."""

    instance: Instance

    def choose(self, chosen: Record) -> Record:
        """Fill in the ports of the address; kind chooses the API server's."""
        if not chosen.console_port:
            chosen.console_port = network.free_port(CONSOLE_PORT)
        if not chosen.https_port:
            chosen.https_port = network.free_port(HTTPS_PORT, taken=[chosen.console_port])
        return chosen

    def exists(self) -> bool:
        """Whether kind knows the cluster, running or not."""
        return cluster_name(self.instance.name) in run(["kind", "get", "clusters"]).split()

    def running(self) -> bool:
        """Whether the node's container runs."""
        words = ["docker", "inspect", "--format", "{{.State.Running}}", node_container(self.instance)]
        return run(words, check=False).strip() == "true"

    def steps(self, record: Record) -> list[Step]:
        """From nothing, or from a stopped container, to a cluster that answers."""
        return [
            binaries.step(),
            Step(
                name="kind cluster",
                done=self.running,
                action=lambda report: self._start(record, report),
                log=self.instance.logs / "kind.log",
                cure="`docker info` must answer, and the images of kind be reachable or present",
            ),
        ]

    def _start(self, record: Record, report: Report) -> None:
        self.instance.logs.mkdir(parents=True, exist_ok=True)
        log = self.instance.logs / "kind.log"
        if self.exists():
            report("starting the container")
            run(["docker", "start", node_container(self.instance)], log=log)
            words = ["kind", "export", "kubeconfig", "--name", cluster_name(self.instance.name)]
            run([*words, "--kubeconfig", self.instance.kubeconfig], log=log)
            return
        report("creating it")
        run(create_command(self.instance), stdin=json.dumps(configuration(record)), log=log)

    def present_images(self) -> set[str]:
        """Full names of the images in the node."""
        words = [
            "docker",
            "exec",
            node_container(self.instance),
            "ctr",
            "-n",
            "k8s.io",
            "images",
            "list",
            "-q",
        ]
        return set(run(words).split())

    def import_image(self, archive: Path, report: Report) -> None:
        """Bring an archive's image into the node."""
        report(archive.name)
        run(load_command(self.instance, archive))

    def down(self, report: Report, *, purge: bool = False) -> None:
        """Stop the container, which keeps the data; or delete the cluster with `purge`."""
        if not self.exists():
            return
        report("kind")
        if purge:
            name = cluster_name(self.instance.name)
            run(["kind", "delete", "cluster", "--name", name, "--kubeconfig", self.instance.kubeconfig])
        else:
            run(["docker", "stop", node_container(self.instance)])
