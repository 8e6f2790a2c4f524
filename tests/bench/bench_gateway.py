"""Requests per second through the gateway, beside a static HAProxy and the engine alone, in one run.

Twice: before talent-sync with its database, which is what the promise is of, and before a bare application (see
bench_http) as an AIService, so that next to nothing but the way there is measured. A token is asked for and a limit
counted that nobody reaches. The static HAProxy is a pod of the gateway's own image with a configuration by hand: the
token's algorithm and signature, one server, nothing else. wrk runs in the node's network namespace against the pods'
addresses; it shares their cores.
"""

from __future__ import annotations

import json
import statistics

import httpx
from joserfc.jwk import RSAKey

from bench.bench_http import BARE, SCRATCH, wrk, wrk_paced
from bench.report import Row
from support.cluster import Cluster, Object
from support.faults import until
from support.probe_service import Probe

SIZE = 1000
NAME = "benched"
PATH = f"/api/v1/{NAME}"
STATIC = """
global
  nbthread 2
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend static
  bind :8080
{token}  default_backend engine
backend engine
  server one {address}:8080
"""
TOKEN = """\
  http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify(txn.alg,"/static/key.pem") -m int 1 }
"""
TURNS, TURN_SECONDS = 27, 3
"""Many and short: two neighbours differ by a tenth either way on a shared machine, their median by a fiftieth."""
REAL = "/api/v1/talents?limit=20"
LIMIT = {"requestsPerSecond": 100000, "burst": 100000, "per": "subject"}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def engine(cluster: Cluster) -> str:
    """Start the bare engine as an AIService with a token and a limit; answers its pod's address."""
    probe = Probe(cluster, NAME)
    code = BARE.format(size=SIZE).replace('@get("/"', f'@get(["{PATH}", "/readyz", "/healthz"]')
    container = {
        "name": "engine",
        "command": ["python3.13", "-c", code],
        "env": [{"name": "PYTHONPATH", "value": SCRATCH}],
    }
    route = {
        "pathPrefixes": [PATH],
        "auth": {"required": True},
        "rateLimit": LIMIT,
    }
    limits = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    probe.apply(replicas=1, route=route, resources=limits, podTemplate={"spec": {"containers": [container]}})
    probe.wait(stable="r1", sentence="the bare engine serves")
    probe.wait_routed()
    return address_of(cluster.list("pods", f"app.kubernetes.io/instance={NAME}")[0])


def address_of(pod: Object) -> str:
    return str(pod["status"]["podIP"])


def static_pod(cluster: Cluster, gateway: Object, address: str, *, token: bool = True) -> str:
    """Start the static HAProxy before the engine, with its check of the token or none; answers its address.

    It has the image and the resources of the gateway's pod: one without requests would be of another class, whose
    share of a busy processor is a fiftieth, and two schedules would be compared instead of two configurations.
    """
    keys = httpx.get(f"{cluster.address}/.well-known/jwks.json", timeout=30).raise_for_status().json()["keys"]
    pem = RSAKey.import_key(keys[0]).as_pem(private=False).decode()
    written = STATIC.replace("{address}", address).replace("{token}", TOKEN if token else "")
    files = {"haproxy.cfg": written, "key.pem": pem}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bench-static"}, "data": files}
    )
    container = {
        "name": "static",
        "image": gateway["spec"]["containers"][0]["image"],
        "resources": gateway["spec"]["containers"][0]["resources"],
        "command": ["haproxy", "-W", "-f", "/static/haproxy.cfg"],
        "volumeMounts": [{"name": "static", "mountPath": "/static"}],
        "securityContext": RESTRICTED,
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "static", "configMap": {"name": "bench-static"}}],
    }
    # A pod of Looma, or the engine's network policy would keep it away where policies are enforced.
    labels = {"app.kubernetes.io/part-of": "looma"}
    meta = {"name": "bench-static", "labels": labels}
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/bench-static", "--timeout=90s")
    return address_of(cluster.get("pod", "bench-static"))


def remove_static(cluster: Cluster) -> None:
    cluster.kubectl("delete", "pod", "bench-static", "--ignore-not-found", "--grace-period=1")
    cluster.kubectl("delete", "configmap", "bench-static", "--ignore-not-found")


def rates(cluster: Cluster, path: str, token: str, *, gateway: str, static: str) -> tuple[float, float, str]:
    """Medians of the requests per second of both, and how far the turns' ratios lie apart, in words.

    In turns, since the machine is not the same from one minute to the next.
    """
    seen: dict[str, list[tuple[float, str]]] = {gateway: [], static: []}
    for turn in range(TURNS):
        for address in (gateway, static) if turn % 2 else (static, gateway):
            url = f"http://{address}:8080{path}"
            seen[address].append(wrk(cluster, url, token, seconds=TURN_SECONDS))
    ratios = [ours / theirs for (ours, _), (theirs, _) in zip(seen[gateway], seen[static], strict=True)]
    medians = {address: statistics.median(rate for rate, _ in figures) for address, figures in seen.items()}
    said = (
        f"the median of {TURNS} turns of {TURN_SECONDS} s each, "
        f"whose ratios go from {min(ratios):.2f} to {max(ratios):.2f}, their median {statistics.median(ratios):.2f}; "
        f"p99 of the last {seen[gateway][-1][1]}, static {seen[static][-1][1]}; client on the same cores"
    )
    return medians[gateway], medians[static], said


def real_row(cluster: Cluster, gateway: Object, token: str) -> Row:
    """Requests per second of a list of talents, limit counted, by the gateway and by the static HAProxy."""
    cluster.kubectl("patch", "ais", "talent-sync", "--type=merge", "-p", _limited(LIMIT))
    try:
        engine = address_of(cluster.list("pods", "app.kubernetes.io/instance=talent-sync")[0])
        static = static_pod(cluster, gateway, engine)
        with cluster.api() as api:
            until(lambda: "RateLimit-Limit" in api.get(REAL).headers, "the limit is counted", seconds=30)
        ours, theirs, said = rates(cluster, REAL, token, gateway=address_of(gateway), static=static)
    finally:
        remove_static(cluster)
        cluster.kubectl("patch", "ais", "talent-sync", "--type=merge", "-p", _limited(None))
    return Row(
        what="gateway: token checked, limit by subject, talent-sync with its database",
        value=ours,
        unit="requests/s",
        baseline=theirs,
        baseline_name="static HAProxy with jwt_verify before the same engine",
        limit="≥ 0.95 ×",
        note=said,
    )


def _limited(limit: Object | None) -> str:
    return json.dumps({"spec": {"route": {"rateLimit": limit}}})


def delay_row(cluster: Cluster, gateway: str, token: str) -> Row:
    """The time of a list of talents, with its database, by the gateway and from the engine alone."""
    path = "/api/v1/talents?limit=20"
    engine = address_of(cluster.list("pods", "app.kubernetes.io/instance=talent-sync")[0])
    seen: dict[str, list[tuple[float, float]]] = {engine: [], gateway: []}
    for _ in range(2):
        for address, figures in seen.items():
            figures.append(wrk_paced(cluster, f"http://{address}:8080{path}", token, pause=0.1))
    p95 = {address: min(figure[1] for figure in figures) for address, figures in seen.items()}
    return Row(
        what="talent-sync: GET /talents?limit=20 through the gateway, p95",
        value=p95[gateway],
        unit="ms",
        baseline=p95[engine],
        baseline_name="the engine alone",
        limit="≤ 1.2 ×",
        note=f"about {seen[gateway][0][0]:.0f} requests/s of four connections; the better of two turns each",
    )


def run(cluster: Cluster) -> list[Row]:
    """Rows for a built-in instance."""
    token = cluster.token()
    gateway = cluster.list("pods", "app.kubernetes.io/instance=gateway")[0]
    real = real_row(cluster, gateway, token)
    try:
        bare = engine(cluster)
        static = static_pod(cluster, gateway, bare)
        alone, alone_p99 = wrk(cluster, f"http://{bare}:8080{PATH}", token)
        ours, theirs, said = rates(cluster, PATH, token, gateway=address_of(gateway), static=static)
        delay = delay_row(cluster, address_of(gateway), token)
    finally:
        remove_static(cluster)
        cluster.kubectl("delete", "aiservice", NAME, "--ignore-not-found", "--wait=false")
    return [
        real,
        Row(
            what="gateway: the same before one bare engine",
            value=ours,
            unit="requests/s",
            baseline=theirs,
            baseline_name="static HAProxy with jwt_verify before the same engine",
            limit="> 2000 requests/s",
            note=f"{said}; the engine alone {alone:.0f}/s with p99 {alone_p99}",
        ),
        delay,
    ]
