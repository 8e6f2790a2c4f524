"""100 AIServices at once: until all their children exist, beside a bare client writing the same objects.

The services ask for no pods, so that the figure is the operator's and not the kubelet's.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from kubernetes import aio

from bench.report import Row
from support.cluster import Cluster

COUNT = 100
AT_ONCE = 16
CHILDREN = (
    "controllerrevisions",
    "deployments",
    "services",
    "serviceaccounts",
    "poddisruptionbudgets",
    "networkpolicies",
)
GROUPS = {
    "controllerrevisions": "apis/apps/v1",
    "deployments": "apis/apps/v1",
    "services": "api/v1",
    "serviceaccounts": "api/v1",
    "poddisruptionbudgets": "apis/policy/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
    "aiservices": "apis/looma.dev/v1alpha1",
}
LONGEST_SECONDS = 180.0


def service(name: str, like: dict[str, Any]) -> dict[str, Any]:
    """A service without pods, of the engine and image that the instance has."""
    return {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "metadata": {"name": name},
        "spec": {"engine": like["engine"], "image": like["image"], "replicas": 0},
    }


class Api:
    """A bare client: JSON over the API server's own paths, one connection pool."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def call(self, method: str, plural: str, name: str = "", body: Any = None, query: str = "") -> Any:
        """The parsed answer of one call."""
        path = f"/{GROUPS[plural]}/namespaces/{self._namespace}/{plural}/{name}".rstrip("/") + query
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        method, url, headers, _, _ = await self._client.param_serialize(
            method, path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        headers["Content-Type"] = kind
        answer = await self._client.rest_client.request(method, url, headers=headers, body=body)
        text = (await answer.response.read()).decode()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:500]}")
        return json.loads(text)

    async def apply_all(self, objects: list[tuple[str, dict[str, Any]]]) -> float:
        """Seconds to server-side apply all objects, AT_ONCE at a time."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def apply(plural: str, body: dict[str, Any]) -> None:
            async with gate:
                await self.call(
                    "PATCH", plural, body["metadata"]["name"], body, "?fieldManager=bench&force=true"
                )

        began = time.perf_counter()
        await asyncio.gather(*(apply(plural, body) for plural, body in objects))
        return time.perf_counter() - began

    async def children(self, plural: str, prefix: str) -> list[dict[str, Any]]:
        """Objects of a kind that belong to this benchmark's services."""
        found = await self.call("GET", plural, query="?labelSelector=app.kubernetes.io/part-of%3Dlooma")
        return [
            item
            for item in found["items"]
            if item["metadata"]["labels"].get("app.kubernetes.io/instance", "").startswith(prefix)
        ]


def copied(item: dict[str, Any], kind: str, version: str) -> dict[str, Any]:
    """The same object under another name, without owner, for the bare client to write."""
    meta = item["metadata"]
    body = {key: value for key, value in item.items() if key not in {"metadata", "status"}}
    if "spec" in body:
        body["spec"] = {k: v for k, v in body["spec"].items() if k not in {"clusterIP", "clusterIPs"}}
    labels = {"bench": "bare"} | {k: v for k, v in meta["labels"].items() if k != "app.kubernetes.io/part-of"}
    return {
        "apiVersion": version,
        "kind": kind,
        **body,
        "metadata": {"name": f"bare-{meta['name']}", "labels": labels},
    }


async def measure(cluster: Cluster) -> list[Row]:
    """The rows; what was made is deleted again."""
    configuration = aio.client.Configuration()
    await aio.config.load_kube_config(config_file=str(cluster.kubeconfig), client_configuration=configuration)
    async with aio.client.ApiClient(configuration) as client:
        api = Api(client, cluster.namespace)
        like = cluster.get("aiservice", "resume")["spec"]
        names = [f"bench-{index:03}" for index in range(COUNT)]
        try:
            began = time.perf_counter()
            gate = asyncio.Semaphore(AT_ONCE)

            async def create(name: str) -> None:
                async with gate:
                    await api.call("POST", "aiservices", body=service(name, like))

            await asyncio.gather(*(create(name) for name in names))
            created = time.perf_counter() - began
            while True:
                counts = [len(await api.children(plural, "bench-")) for plural in CHILDREN]
                if all(count >= COUNT for count in counts):
                    break
                if time.perf_counter() - began > LONGEST_SECONDS:
                    raise TimeoutError(
                        f"children after {LONGEST_SECONDS} s: {dict(zip(CHILDREN, counts, strict=True))}"
                    )
                await asyncio.sleep(0.05)
            ours = time.perf_counter() - began
            objects = []
            for plural in CHILDREN:
                for item in await api.children(plural, "bench-"):
                    kind = {
                        "controllerrevisions": "ControllerRevision",
                        "deployments": "Deployment",
                        "services": "Service",
                        "serviceaccounts": "ServiceAccount",
                        "poddisruptionbudgets": "PodDisruptionBudget",
                        "networkpolicies": "NetworkPolicy",
                    }[plural]
                    version = GROUPS[plural].removeprefix("apis/").removeprefix("api/")
                    objects.append((plural, copied(item, kind, version)))
            bare = await api.apply_all(objects)
        finally:
            cluster.kubectl("delete", "aiservice", *names, "--ignore-not-found", "--wait=false", timeout=180)
            for plural in CHILDREN:
                cluster.kubectl(
                    "delete", plural, "-l", "bench=bare", "--ignore-not-found", "--wait=false", timeout=180
                )
    return [
        Row(
            what=f"{COUNT} AIServices at once, until all {len(objects)} children exist",
            value=ours,
            unit="s",
            baseline=bare,
            baseline_name=f"bare client, same {len(objects)} objects, {AT_ONCE} at once",
            limit="≤ 1.5 × (for 1,000)",
            note=f"creating the services alone took {created:.2f} s of it; children are listed every 50 ms",
        )
    ]


def run(cluster: Cluster) -> list[Row]:
    """Rows of the reconcile benchmark on a running instance."""
    return asyncio.run(measure(cluster))
