"""The gateway on a real cluster: one address, shares as asked for, nobody in without a token, nothing lost."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from support.cluster import Cluster, Object
from support.gateways import gateway_pods, route_split, scaled
from support.probe_service import Probe
from support.traffic import Traffic

pytestmark = pytest.mark.cluster
SPLIT = "/api/v1/split"
# The one address (plain and TLS), HAProxy's probes, the controller's, and the other gateway pods.
PORTS = {8080, 8443, 8404, 8081, 10000}
OWN_PORTS = range(20000, 30000)  # Of Gateways that have an address of their own.
# Who listens in this pod's network, in the kernel's words: the port in hexadecimal, and 0A for "listens".
LISTENING = """
import json
lines = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{name}")]
print(json.dumps(sorted({int(words[1].split(":")[1], 16) for words in lines if words[3] == "0A"})))
"""
# What HAProxy's command sockets say, and who may open them.
COMMANDED = """
import json, os, socket, stat
said = {}
for name in ("worker.sock", "master.sock"):
    path = f"/run/looma/{name}"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(b"show info\\n" if name == "worker.sock" else b"show proc\\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    said[name] = [oct(stat.S_IMODE(os.stat(path).st_mode)), answer[:200]]
print(json.dumps(said))
"""
# What each of these ports says to the same commands, and whether the sockets' folder is there.
ASKED_FROM_OUTSIDE = """
import json, os, socket, sys
said = {}
for port in map(int, sys.argv[2:]):
    answer = b""
    try:
        with socket.create_connection((sys.argv[1], port), timeout=5) as connection:
            connection.sendall(b"show info\\nshow proc\\n\\n")
            while part := connection.recv(65536):
                answer += part
    except OSError:
        pass
    said[port] = answer.decode("latin-1")[:1000]
print(json.dumps({"said": said, "folder": os.path.exists("/run/looma")}))
"""
PYTHON = "python3.13"  # As the images call it.
ASKED = 1000  # Requests for one share: the choice is exact over a thousand at each gateway pod.


def conditions(found: Object) -> dict[str, str]:
    return {item["type"]: item["status"] for item in found.get("status", {}).get("conditions", [])}


def programmed(found: Object) -> bool:
    return conditions(found).get("RouteProgrammed") == "True"


@pytest.fixture(scope="module")
def two_gateways(cluster: Cluster) -> Iterator[None]:
    """Two gateway pods that serve; as many as before afterwards."""
    with scaled(cluster, 2):
        yield


@pytest.fixture
def left_and_right(cluster: Cluster) -> Iterator[tuple[Probe, Probe]]:
    """Two services without routes of their own, for a route that splits between them."""
    pair = (Probe(cluster, "left"), Probe(cluster, "right"))
    for probe in pair:
        probe.apply(version=probe.name, replicas=1, route={"pathPrefixes": []})
    for probe in pair:
        probe.wait(stable="r1", sentence=f"{probe.name} serves")
    yield pair
    cluster.kubectl("delete", "httproute", "split", "--ignore-not-found", "--wait=false")
    for probe in pair:
        cluster.kubectl("delete", "aiservice", probe.name, "--ignore-not-found", "--wait=false")


def split(cluster: Cluster, *, right: int) -> None:
    """Ask for a share of the requests, in percent, for the service `right`."""
    route_split(cluster, "split", path=SPLIT, shares={"left": 100 - right, "right": right})


def shares(cluster: Cluster, count: int) -> Counter[str]:
    """Which version answered, for `count` requests, each over a connection of its own so that both pods get some."""
    threads = 4
    where = httpx.URL(cluster.address)

    def ask(requests: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        for _ in range(requests):
            # Thousands of connections: httpx takes ten times as long to make one.
            with closing(HTTPConnection(where.host, where.port or 80, timeout=30)) as connection:
                connection.request("GET", SPLIT)
                answer = connection.getresponse()
                said = f"status {answer.status}: {answer.read()[:200]!r}"
                seen[answer.headers.get("X-Probe-Version", said)] += 1
        return seen

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return sum(pool.map(ask, [count // threads] * threads), Counter())


def test_given_looma_when_it_is_up_then_every_route_is_programmed(cluster: Cluster):
    for name in ("resume", "talent-sync"):
        service = cluster.watch("aiservice", name, programmed, sentence=f"{name}'s route is programmed")
        route = cluster.get("httproute", name)
        prefixes = [match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]]
        assert prefixes == service["spec"]["route"]["pathPrefixes"]
    gateway = cluster.get("gateway", "looma")
    assert conditions(gateway)["Programmed"] == "True"


def test_given_no_token_or_a_forged_one_when_an_engine_is_asked_then_the_gateway_refuses(cluster: Cluster):
    for headers in ({}, {"Authorization": "Bearer a.b.c"}, {"X-Looma-Subject": "admin"}):
        answer = httpx.get(f"{cluster.address}/api/v1/talents", headers=headers, timeout=30)
        assert answer.status_code == 401, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Looma-Source"] == "gateway"
        assert answer.json()["instance"] == answer.headers["X-Request-Id"]


def test_given_tls_when_an_engine_is_asked_then_the_answer_is_the_same_and_the_engine_knows(cluster: Cluster):
    if not cluster.https_address:
        pytest.skip("no port of this machine leads to the gateway's TLS")
    headers = {"Authorization": f"Bearer {cluster.token()}"}
    # The certificate of dev is its own issuer: nobody vouches for it.
    client = httpx.Client(base_url=cluster.https_address, headers=headers, verify=False, timeout=30)  # noqa: S501
    with client:
        secured = client.get("/api/v1/talents?limit=1")
        page = client.get("/login")
    with cluster.api() as api:
        plain = api.get("/api/v1/talents?limit=1")
    assert (secured.status_code, secured.json()) == (200, plain.json())
    assert page.status_code == 200
    assert "Strict-Transport-Security" in page.headers, "the console knows that the caller came by TLS"


def test_given_a_request_id_when_an_engine_answers_then_it_is_the_same(cluster: Cluster):
    with cluster.api() as api:
        answer = api.get("/api/v1/talents", headers={"X-Request-Id": "one-two-three"})
    assert answer.status_code == 200
    assert answer.headers["X-Request-Id"] == "one-two-three"
    assert answer.headers["X-Looma-Revision"]


def test_given_two_gateway_pods_when_a_share_is_asked_for_then_that_share_comes(
    cluster: Cluster, two_gateways: None, left_and_right: tuple[Probe, Probe]
):
    assert len(gateway_pods(cluster)) == 2
    for right in (1, 10, 50, 90):
        split(cluster, right=right)
        seen = shares(cluster, ASKED)
        assert set(seen) == {"left", "right"}, seen
        # Within one percent of all requests, the goal; the rest of a round at each of two pods is less.
        assert abs(seen["right"] - ASKED * right / 100) <= ASKED / 100, (right, seen)
    split(cluster, right=0)
    assert set(shares(cluster, 200)) == {"left"}


def test_given_requests_when_a_gateway_pod_is_deleted_then_none_fails(cluster: Cluster, two_gateways: None):
    stable = cluster.get("aiservice", "talent-sync")["status"]["stableRevision"]
    with cluster.api() as api, Traffic(api, "/api/v1/talents?limit=1") as traffic:
        traffic.wait_for_revision(stable)
        cluster.kubectl("delete", "pod", min(gateway_pods(cluster)), "--wait=true", timeout=180)
        traffic.wait_for_revision(stable)
    assert traffic.failures() == []


def test_given_two_gateway_pods_when_status_is_read_then_each_has_told_its_share(
    cluster: Cluster, two_gateways: None
):
    pods = set(gateway_pods(cluster))
    assert len(pods) == 2

    def told(found: Object) -> bool:
        return {entry["gateway"] for entry in found.get("status", {}).get("traffic", [])} >= pods

    service = cluster.watch("aiservice", "talent-sync", told, sentence="both gateway pods tell", seconds=90)
    stable = service["status"]["stableRevision"]
    mine = [entry for entry in service["status"]["traffic"] if entry["gateway"] in pods]
    assert {(entry["revision"], entry["weight"]) for entry in mine} == {(stable, 100)}, json.dumps(mine)


@pytest.mark.parametrize(
    "target", ["/%61pi/v1/talents", "/api/v1/talents/../talents", "/api/v1//talents", "//api/v1/talents"]
)
def test_given_a_path_in_disguise_when_it_is_asked_for_then_it_is_no_way_past_the_gateway(
    cluster: Cluster, target: str
):
    host, port = cluster.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        # As it is: a client library would tidy the path.
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:300]
    assert b"urn:looma:problem:bad-request" in answer


def test_given_a_gateway_pod_when_another_pod_looks_for_haproxys_sockets_then_it_finds_none(cluster: Cluster):
    name = min(gateway_pods(cluster))
    pod = cluster.get("pod", name)
    # The folder with the sockets is the pod's own, and nothing of the node.
    mounted = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "run"]
    assert mounted == [{"name": "run", "emptyDir": {}}]
    assert not any("hostPath" in volume for volume in pod["spec"]["volumes"])
    assert not any(pod["spec"].get(field) for field in ("hostNetwork", "hostPID", "hostIPC"))

    def inside(script: str) -> Any:
        return json.loads(cluster.kubectl("exec", name, "-c", "controller", "--", PYTHON, "-c", script))

    commanded = inside(COMMANDED)
    assert {mode for mode, _ in commanded.values()} == {"0o600"}
    assert commanded["worker.sock"][1].startswith("Name: HAProxy")
    assert commanded["master.sock"][1].startswith("#<PID>")
    ports = inside(LISTENING)
    assert 8080 in ports
    assert [port for port in ports if port not in PORTS and port not in OWN_PORTS] == []
    other = cluster.list("pods", "app.kubernetes.io/instance=talent-sync")[0]["metadata"]["name"]
    arguments = [pod["status"]["podIP"], *(str(port) for port in ports)]
    found = json.loads(
        cluster.kubectl("exec", other, "-c", "engine", "--", PYTHON, "-c", ASKED_FROM_OUTSIDE, *arguments)
    )
    assert not found["folder"]
    assert [port for port, said in found["said"].items() if "HAProxy" in said or "worker" in said] == []
