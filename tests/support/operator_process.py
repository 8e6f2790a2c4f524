"""The operator as a process against the test's control plane, with just the rights that `rbac.py` lists.

`operator` is one replica with its webhook in a namespace of its own, for a whole module of tests. Pods are played:
`Looma.play` writes Deployments' status as if every pod came up, but for images that a test calls broken.
"""

from __future__ import annotations

import base64
import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from looma_operator.rbac import NODES_RULES, OPERATOR_RULES

from .control_plane import ControlPlane, free_port

Object = dict[str, Any]
BIN = Path(sys.executable).parent
WEBHOOKS = {"admit-aiservice": "aiservices", "admit-syncjob": "syncjobs"}
START_SECONDS = 60
PLAY_SECONDS = 0.05
_counter = itertools.count(1)


def grant(plane: ControlPlane, namespace: str, user: str) -> None:
    """Give a user the operator's rights in a namespace, and no more; nodes and pods it lists everywhere."""
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    role: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "operator"},
        "rules": [rule.to_json() for rule in OPERATOR_RULES],
    }
    binding: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"operator-{user}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    }
    everywhere = "/apis/rbac.authorization.k8s.io/v1"
    lists = {**role, "kind": "ClusterRole", "rules": [rule.to_json() for rule in NODES_RULES]}
    bound = {
        **binding,
        "kind": "ClusterRoleBinding",
        "roleRef": {**binding["roleRef"], "kind": "ClusterRole"},
    }
    for path, granted in (
        (f"{base}/roles/operator", role),
        (f"{base}/rolebindings/operator-{user}", binding),
        (f"{everywhere}/clusterroles/operator", lists),
        (f"{everywhere}/clusterrolebindings/operator-{user}", bound),
    ):
        assert plane.apply(path, granted)[0] in (200, 201)


@dataclass
class Replica:
    """One operator process."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    http: int

    def get(self, path: str) -> str:
        """Body of a GET to the operator's own HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """End the process in order, or with SIGKILL if it stays; answers its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


@dataclass
class Looma:
    """A namespace that operators serve, seen as its user sees it."""

    plane: ControlPlane
    namespace: str
    folder: Path
    replicas: list[Replica] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=lambda: [str(BIN / "looma-operator"), "run"])

    def start(self, *, webhook: bool = False, wait: bool = True, **variables: str) -> Replica:
        """Start one more replica; with `webhook` the API server asks it. `variables` are further ones of its own."""
        name = f"operator-{len(self.replicas)}"
        user = f"{self.namespace}-{name}"
        grant(self.plane, self.namespace, user)
        http, port = free_port(), free_port()
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.plane.kubeconfig_for(user, namespace=self.namespace)),
            "LOOMA_NAMESPACES": self.namespace,
            "POD_NAMESPACE": self.namespace,
            "POD_NAME": name,
            "LOOMA_HOST": "127.0.0.1",
            "LOOMA_PORT": str(http),
            **self.environment,
            **variables,
        }
        if webhook:
            certificates = self.folder / f"{name}-tls"
            certificates.mkdir()
            self.plane.pki.issue(f"{user}-webhook", "127.0.0.1")
            for kind in ("crt", "key"):
                source = self.plane.pki.folder / f"{user}-webhook.{kind}"
                (certificates / f"tls.{kind}").write_bytes(source.read_bytes())
            environment |= {"LOOMA_WEBHOOK_CERT_DIR": str(certificates), "LOOMA_WEBHOOK_PORT": str(port)}
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(self.command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        replica = Replica(name, process, log, http)
        self.replicas.append(replica)
        if wait:
            self.wait_ready(replica)
        if webhook:
            self._configure(port)
        return replica

    def wait_ready(self, replica: Replica) -> None:
        """Wait until /readyz answers 200."""

        def ready() -> bool:
            assert replica.process.poll() is None, replica.log.read_text()[-3000:]
            try:
                return "ok" in replica.get("/readyz")
            except OSError:
                return False

        self.until(ready, "the operator is ready", seconds=START_SECONDS)

    def _configure(self, port: int) -> None:
        authority = base64.b64encode((self.plane.pki.folder / "ca.crt").read_bytes()).decode()
        for handler, resource in WEBHOOKS.items():
            webhook = {
                "name": f"{handler}.looma.dev",
                "clientConfig": {"url": f"https://127.0.0.1:{port}/{handler}", "caBundle": authority},
                "rules": [
                    {
                        "apiGroups": ["looma.dev"],
                        "apiVersions": ["v1alpha1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [resource],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
                "failurePolicy": "Ignore",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "timeoutSeconds": 5,
                "admissionReviewVersions": ["v1"],
            }
            body = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": f"{self.namespace}-{handler}"},
                "webhooks": [webhook],
            }
            code, answer = self.plane.apply(self._configuration(handler), body)
            assert code in (200, 201), answer

    def _configuration(self, handler: str) -> str:
        kind = "mutatingwebhookconfigurations"
        return f"/apis/admissionregistration.k8s.io/v1/{kind}/{self.namespace}-{handler}"

    def path(self, plural: str, name: str = "", *, group: str = "looma.dev/v1alpha1") -> str:
        """Path of a namespaced object, or of its collection."""
        prefix = "/api/v1" if group == "v1" else f"/apis/{group}"
        base = f"{prefix}/namespaces/{self.namespace}/{plural}"
        return f"{base}/{name}" if name else base

    def apply(
        self, name: str, *, annotations: dict[str, str] | None = None, **spec: Any
    ) -> tuple[int, Object]:
        """Apply an AIService as a person's manifest has it: what is left out is given up."""
        body = {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "AIService",
            "metadata": {"name": name, **({"annotations": annotations} if annotations else {})},
            "spec": {"engine": "custom", "image": "engine:1", **spec},
        }
        return self.plane.apply(self.path("aiservices", name), body, manager="person")

    def get(self, name: str) -> Object:
        """The AIService."""
        return self.plane.request("GET", self.path("aiservices", name))[1]

    def status(self, name: str) -> Object:
        """Its status, empty before there is one."""
        found: Object = self.get(name).get("status") or {}
        return found

    def child(self, plural: str, name: str, group: str) -> tuple[int, Object]:
        """A child and the answer's code."""
        return self.plane.request("GET", self.path(plural, name, group=group))

    def deployments(self) -> list[Object]:
        """All Deployments."""
        return list(self.plane.request("GET", self.path("deployments", group="apps/v1"))[1]["items"])

    def counts(self, name: str) -> dict[str, int]:
        """Pods asked for, by revision."""
        return {
            item["metadata"]["labels"]["looma.dev/revision"]: item["spec"]["replicas"]
            for item in self.deployments()
            if item["metadata"]["labels"]["app.kubernetes.io/instance"] == name
        }

    def play_once(self, broken: frozenset[str] = frozenset()) -> int:
        """Bring up every pod that can come up; answers how many answer now."""
        serving = 0
        for item in self.deployments():
            wanted = item["spec"]["replicas"]
            status = item.get("status", {})
            before = status.get("availableReplicas", 0)
            image = item["spec"]["template"]["spec"]["containers"][0]["image"]
            available = min(before, wanted) if image in broken else wanted
            serving += min(available, wanted)
            if (status.get("replicas", 0), before) != (wanted, available):
                changed = {"replicas": wanted, "readyReplicas": available, "availableReplicas": available}
                path = self.path("deployments", item["metadata"]["name"], group="apps/v1") + "/status"
                self.plane.request(
                    "PATCH", path, {"status": changed}, content_type="application/merge-patch+json"
                )
        return serving

    def play(
        self,
        until: Callable[[], bool],
        sentence: str,
        *,
        seconds: float = 30,
        broken: frozenset[str] = frozenset(),
        floor: int = 0,
    ) -> None:
        """Play pods until something holds; fails if fewer than `floor` answer meanwhile, or after `seconds`."""

        def step() -> bool:
            serving = self.play_once(broken)
            assert serving >= floor, f"{serving} pods answer, {floor} should"
            return until()

        self.until(step, sentence, seconds=seconds)

    def until(self, holds: Callable[[], bool], sentence: str, *, seconds: float = 30) -> None:
        """Ask until it holds; what the test waits for is another process, which tells nobody here.

        Raises:
            AssertionError: with the sentence, the services and the logs' ends, after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if holds():
                return
            time.sleep(PLAY_SECONDS)
        services = self.plane.kubectl("-n", self.namespace, "get", "ais,sj", "-o", "yaml", check=False)
        logs = "\n".join(f"--- {item.name}\n{item.log.read_text()[-2000:]}" for item in self.replicas)
        raise AssertionError(f"{sentence}: not within {seconds:g} s\n{services}\n{logs}")

    def events(self, name: str) -> list[Object]:
        """Events about the AIService."""
        items = self.plane.request("GET", self.path("events", group="events.k8s.io/v1"))[1]["items"]
        return [item for item in items if item["regarding"]["name"] == name]

    def reasons(self, name: str) -> set[str]:
        """The reasons of the events about the AIService or SyncJob."""
        return {event["reason"] for event in self.events(name)}

    def is_told(self, name: str, *reasons: str) -> None:
        """Wait for events with these reasons, which are posted after the status is written."""
        self.until(lambda: set(reasons) <= self.reasons(name), f"{' and '.join(reasons)} is told")

    def stop(self) -> None:
        """Stop all replicas and take the webhook away."""
        for replica in self.replicas:
            replica.stop()
        for handler in WEBHOOKS:
            self.plane.request("DELETE", self._configuration(handler))


def make(plane: ControlPlane, folder: Path) -> Looma:
    """A namespace of its own, with no operator yet."""
    namespace = f"looma-{next(_counter)}"
    assert plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})[0] == 201
    return Looma(plane, namespace, folder)


@pytest.fixture(scope="module")
def looma(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looma]:
    """A namespace with one replica of the operator and its webhook."""
    made = make(control_plane, tmp_path_factory.mktemp("operator"))
    try:
        made.start(webhook=True)
        yield made
    finally:
        made.stop()


@pytest.fixture
def bare_looma(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Looma]:
    """A namespace in which the test starts replicas itself."""
    made = make(control_plane, tmp_path)
    try:
        yield made
    finally:
        made.stop()
