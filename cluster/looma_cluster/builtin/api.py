"""Questions and orders to a built-in cluster's API server, straight to the node, as its administrator.

No client library here: `looma up` on a running instance must answer within seconds, and importing one takes longer
than all these questions together.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from looma_cluster import certificates
from looma_cluster.builtin import addons, facts
from looma_cluster.commands import run

Object = dict[str, Any]

PATHS = {
    "aiservices.looma.dev": "/apis/looma.dev/v1alpha1/namespaces/looma/aiservices",
    "deployments.apps": "/apis/apps/v1/namespaces/looma/deployments",
    "services": "/api/v1/namespaces/looma/services",
    "statefulsets.apps": "/apis/apps/v1/namespaces/looma/statefulsets",
}


def ready_since(conditions: Sequence[Mapping[str, str]], since: float) -> bool:
    """Whether a node's conditions say Ready, in a heartbeat not older than `since` (seconds since 1970)."""
    return any(
        item["type"] == "Ready"
        and item["status"] == "True"
        and datetime.fromisoformat(item["lastHeartbeatTime"]).timestamp() >= since
        for item in conditions
    )


def distrusted(pod: Object) -> Object | None:
    """The status to write for a pod that is said to be ready on a node that was made anew; None if it is not said."""
    conditions = {item["type"]: item["status"] for item in pod["status"].get("conditions", [])}
    if conditions.get("Ready") != "True":
        return None
    return {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "NodeRestarted"}]}}


@dataclass(frozen=True, kw_only=True)
class Api:
    """The API server at `address` (the node's), with the certificates in `pki`."""

    address: str
    pki: Path

    @property
    def url(self) -> str:
        """Where it is, past the forwarder."""
        return f"https://{self.address}:{facts.API_PORT}"

    def client(self, *, seconds: float = 5) -> httpx.Client:
        """An administrator's HTTP client."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(str(self.pki / "admin.crt"), str(self.pki / "admin.key"))
        return httpx.Client(base_url=self.url, verify=context, timeout=seconds, trust_env=False)

    def answers(self, path: str, says: Callable[[httpx.Response], bool]) -> bool:
        """Whether `path` is answered with 200 and `says` agrees; False, never an error, if there is no answer."""
        try:
            with self.client() as client:
                answer = client.get(path)
                return answer.status_code == 200 and says(answer)
        except (httpx.HTTPError, OSError):
            return False

    def ready(self) -> bool:
        """Whether the API server says of itself that it is ready."""
        return self.answers("/readyz", lambda answer: answer.text.strip() == "ok")

    def node_ready(self, *, since: float) -> bool:
        """Whether the node is Ready, by a heartbeat that is not from before `since`."""
        return self.answers(
            f"/api/v1/nodes/{facts.NODE}",
            lambda answer: ready_since(answer.json()["status"].get("conditions", []), since),
        )

    def objects(self, kind: str) -> list[Object]:
        """Looma's objects of a kind, named as `PATHS` does; none if the cluster does not know the kind yet.

        Raises:
            httpx.HTTPError: if the API server does not answer.
        """
        with self.client() as client:
            answer = client.get(PATHS[kind])
        if answer.status_code == 404:
            return []
        found: list[Object] = answer.raise_for_status().json()["items"]
        return found

    def definitions(self, names: Sequence[str]) -> list[Object]:
        """The cluster's CustomResourceDefinitions of these names, as far as they are there.

        Raises:
            httpx.HTTPError: if the API server does not answer.
        """
        where = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        with self.client() as client:
            answers = [client.get(f"{where}/{name}") for name in names]
        return [answer.raise_for_status().json() for answer in answers if answer.status_code != 404]

    def deployment_runs(self, name: str, image: str) -> bool:
        """Whether a Deployment of kube-system is there with that image."""
        return self.answers(
            f"/apis/apps/v1/namespaces/{addons.NAMESPACE}/deployments/{name}",
            lambda answer: answer.json()["spec"]["template"]["spec"]["containers"][0]["image"] == image,
        )

    def dns_ready(self) -> bool:
        """Whether CoreDNS says so itself, asked through the API server; its pod's status may be of before a crash."""
        where = f"/api/v1/namespaces/{addons.NAMESPACE}/pods"
        try:
            with self.client() as client:
                listed = client.get(where, params={"labelSelector": "app.kubernetes.io/name=coredns"}).json()
                return any(
                    client.get(f"{where}/{pod['metadata']['name']}:8181/proxy/ready").status_code == 200
                    for pod in listed.get("items", [])
                )
        except (httpx.HTTPError, OSError, ValueError):
            return False

    def distrust_pods(self) -> None:
        """Before a new node's kubelet starts: no pod of before is ready, whatever was written of it.

        Kubernetes does the same to a node that it has lost. Until the kubelet has looked, services would send
        requests to addresses that nobody has, and `looma up` would end too early.

        Raises:
            httpx.HTTPError: if the API server does not answer.
        """
        with self.client(seconds=15) as client:
            for pod in client.get("/api/v1/pods").raise_for_status().json()["items"]:
                if (patch := distrusted(pod)) is not None:
                    meta = pod["metadata"]
                    client.patch(
                        f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status",
                        json=patch,
                        headers={"Content-Type": "application/strategic-merge-patch+json"},
                    )

    def apply(self, objects: Sequence[Object], *, kubectl: Path, kubeconfig: Path) -> None:
        """Apply objects server-side; `kubeconfig` is a file to write for it.

        Raises:
            CommandError: if one is refused.
        """
        text = certificates.kubeconfig(self.pki, client="admin", server=self.url)
        certificates.write_private(kubeconfig, text)
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        words = ["apply", "--server-side", "--force-conflicts", "--field-manager=looma-cluster", "-f", "-"]
        run([kubectl, "--kubeconfig", kubeconfig, *words], stdin=document)
