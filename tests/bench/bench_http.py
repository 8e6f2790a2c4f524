"""Requests per second of an engine directly, beside a bare application in a pod of the same image.

wrk runs in the node's own network namespace against the pods' addresses, a bounded number of seconds each, first
the bare application and then the engine. Both run one worker; the client shares their cores. The bare one is
Litestar under Granian answering a fixed document of the same size: what is left is what the engine's own work
costs (token, tenant, database, validation).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile

from bench.report import Row
from looma_cluster import paths
from looma_cluster.builtin import node
from support.cluster import Cluster

SECONDS = 8
CONNECTIONS = 16
SCRATCH = "/tmp"  # noqa: S108 - the pod's own, an emptyDir
PACED = """
function delay() return %d end
function done(summary, latency, requests) print(string.format("p95 %%d", latency:percentile(95))) end
"""
BARE = """
import pathlib, sys
from granian.constants import Interfaces
from granian.server import Server

pathlib.Path("/tmp/bare.py").write_text('''
from litestar import Litestar, get

@get("/", sync_to_thread=False)
def fixed() -> bytes:
    return b"x" * {size}

app = Litestar([fixed])
''')
if __name__ == "__main__":
    server = Server("bare:app", interface=Interfaces.ASGI, address="0.0.0.0", port=8080, websockets=False)
    server.serve()
"""


def in_node(cluster: Cluster) -> list[str]:
    """Words before a command that runs in the network namespace of the instance's node, where pods' addresses lead.

    Raises:
        RuntimeError: if this machine is not its node.
    """
    init = node.find_init(paths.instance(cluster.name))
    if init is None:
        raise RuntimeError(f"{cluster.name} has no node on this machine")
    return ["nsenter", "-t", str(init.pid), "-n", "--"]


def _wrk(cluster: Cluster, *options: str, seconds: int = SECONDS) -> str:
    """What wrk prints; raises RuntimeError when an answer was not a success."""
    if shutil.which("wrk") is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "wrk"], check=True)
    command = [*in_node(cluster), "wrk", "-t1", f"-d{seconds}s", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"not every answer was a success:\n{done.stdout}")
    return done.stdout


def wrk(cluster: Cluster, url: str, token: str, *, seconds: int = SECONDS) -> tuple[float, str]:
    """Requests per second of so many seconds, and p99 as wrk prints it.

    Raises:
        RuntimeError: when an answer was not a success.
    """
    said = _wrk(
        cluster, f"-c{CONNECTIONS}", "--latency", "-H", f"Authorization: Bearer {token}", url, seconds=seconds
    )
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"^\s+99%\s+(\S+)", said, re.MULTILINE)
    assert rate is not None
    assert p99 is not None
    return float(rate[1]), p99[1]


def wrk_paced(cluster: Cluster, url: str, token: str, *, pause: float) -> tuple[float, float]:
    """Requests per second, and p95 in milliseconds, of four connections that rest `pause` seconds after each answer."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(PACED % (pause * 1000))
        script.flush()
        said = _wrk(cluster, "-c4", "-s", script.name, "-H", f"Authorization: Bearer {token}", url)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p95 = re.search(r"p95 (\d+)", said)
    assert rate is not None
    assert p95 is not None
    return float(rate[1]), int(p95[1]) / 1000


def bare_pod(cluster: Cluster, image: str, size: int) -> str:
    """Address of a pod that answers `size` bytes; the pod is named bench-bare."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bench-bare"},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "bare",
                    "image": image,
                    "command": ["python3.13", "-c", BARE.format(size=size)],
                    "env": [{"name": "PYTHONPATH", "value": SCRATCH}],
                    "volumeMounts": [{"name": "tmp", "mountPath": SCRATCH}],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    cluster.apply(json.dumps(manifest))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/bench-bare", "--timeout=90s")
    return str(cluster.get("pod", "bench-bare")["status"]["podIP"])


def run(cluster: Cluster) -> list[Row]:
    """Rows for a built-in instance."""
    token = cluster.token()
    pod = cluster.list("pods", "app.kubernetes.io/instance=talent-sync")[0]
    engine = f"http://{pod['status']['podIP']}:8080"
    path = "/api/v1/talents?limit=20"
    with cluster.api() as api:
        size = len(api.get(path).content)
    try:
        bare, bare_p99 = wrk(
            cluster, f"http://{bare_pod(cluster, pod['spec']['containers'][0]['image'], size)}:8080/", token
        )
        rate, p99 = wrk(cluster, engine + path, token)
        health, _ = wrk(cluster, engine + "/healthz", token)
    finally:
        cluster.kubectl("delete", "pod", "bench-bare", "--ignore-not-found", "--grace-period=1")
    how = f"wrk, {CONNECTIONS} connections, {SECONDS} s, one worker, client on the same cores"
    name = f"bare Litestar, fixed {size} bytes (p99 {bare_p99})"
    return [
        Row(
            what="talent-sync: GET /talents?limit=20, token, tenant, database",
            value=rate,
            unit="requests/s",
            baseline=bare,
            baseline_name=name,
            note=f"p99 {p99}; {how}",
        ),
        Row(
            what="talent-sync: GET /healthz",
            value=health,
            unit="requests/s",
            baseline=bare,
            baseline_name=name,
            note=how,
        ),
    ]
