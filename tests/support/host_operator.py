"""The operator as a process of this machine, in place of the pods of a running cluster, for one that is to be killed.

The pods are scaled away and come back at the end; the process has the options and the rights of theirs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.cluster import BIN, Cluster
from support.control_plane import free_port
from support.write_proxy import WriteProxy, api_server, proxying

DEPLOYMENT = "looma-operator"
OF_A_POD = {"LOOMA_WEBHOOK_CERT_DIR", "LOOMA_WEBHOOK_PORT", "LOOMA_PORT", "POD_NAME"}


@dataclass
class HostOperator:
    """The process, kept running: one that was killed is followed by another, as a kubelet does it."""

    environment: dict[str, str]
    log: Path
    kills: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _wanted: bool = True
    _keeper: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, and keep it running until `stop`."""
        self._begin()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _begin(self) -> None:
        own = {"POD_NAME": f"host-operator-{self.kills}", "LOOMA_PORT": str(free_port())}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(BIN / "looma-operator"), "run"],
                env={**os.environ, **self.environment, **own},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _keep(self) -> None:
        while self._wanted:
            assert self._process is not None
            self._process.wait()
            if self._wanted:
                self._begin()

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        assert self._process is not None
        self.kills += 1
        os.kill(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it in order, so that the Lease is given back."""
        self._wanted = False
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
        if self._keeper is not None:
            self._keeper.join(timeout=5)


def _options(cluster: Cluster) -> dict[str, str]:
    containers = cluster.get("deployment", DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    found = {
        item["name"]: item["value"]
        for item in containers[0].get("env", [])
        if "value" in item and item["name"] not in OF_A_POD
    }
    return {**found, "POD_NAMESPACE": cluster.namespace, "LOOMA_HOST": "127.0.0.1"}


@contextmanager
def hosted(cluster: Cluster, folder: Path) -> Iterator[tuple[HostOperator, WriteProxy]]:
    """A process in place of the operator's pods, behind a proxy that counts its writes."""
    before = cluster.get("deployment", DEPLOYMENT)["spec"]["replicas"]
    options = _options(cluster)
    token = cluster.kubectl("create", "token", DEPLOYMENT, "--duration=4h").strip()
    server, authority = api_server(cluster.kubeconfig, folder)
    cluster.kubectl("scale", "deployment", DEPLOYMENT, "--replicas=0")
    cluster.kubectl(
        "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=looma-operator", "--timeout=60s"
    )
    try:
        with proxying(server=server, authority=authority, token=token) as proxy:
            kubeconfig = proxy.kubeconfig(folder / "operator.kubeconfig", namespace=cluster.namespace)
            operator = HostOperator({**options, "KUBECONFIG": str(kubeconfig)}, folder / "operator.log")
            operator.start()
            try:
                yield operator, proxy
            finally:
                operator.stop()
    finally:
        cluster.kubectl("scale", "deployment", DEPLOYMENT, f"--replicas={before}")
        cluster.kubectl("rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=120s", timeout=150)


def wait_leading(cluster: Cluster, *, seconds: float = 60) -> None:
    """Wait until a process of this machine leads.

    Raises:
        AssertionError: after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        holder = str(cluster.get("lease", DEPLOYMENT)["spec"].get("holderIdentity") or "")
        if holder.startswith("host-operator"):
            return
        time.sleep(0.2)
    raise AssertionError(f"no process of this machine leads within {seconds:g} s")
