"""What pods and their operators expect of any Kubernetes: names, services, logs, exec, port-forward, top, storage."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from looma_cluster import paths, record
from looma_cluster.builtin import node
from support.cluster import Cluster, ExpectationError, Object

pytestmark = [pytest.mark.cluster, pytest.mark.beside]
NAMESPACE = "e2e-cluster"
SCRATCH = "/tmp"  # noqa: S108 - the pod's own, an emptyDir
METRICS_SECONDS = 90  # metrics-server needs two samples of a new pod, 10 s apart, and its cache another 15.
SAY_HELLO = "import urllib.request; print(urllib.request.urlopen('http://web/', timeout=10).status)"


def restricted(name: str, image: str, **container: object) -> Object:
    """A pod that the restricted level admits, which serves its /tmp over HTTP."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "command": ["python3.13", "-u", "-m", "http.server", "8080", "--directory", SCRATCH],
                    "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": SCRATCH}],
                    **container,
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def a_service(name: str, *, of: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": of}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


class Place:
    """kubectl in the tests' own namespace."""

    def __init__(self, cluster: Cluster, image: str) -> None:
        self.cluster, self.image = cluster, image

    def kubectl(self, *arguments: str, **options: object) -> str:
        return self.cluster.run(str(self.cluster.kubectl_path), "-n", NAMESPACE, *arguments, **options)

    def apply(self, *objects: Object) -> None:
        self.kubectl(
            "apply", "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
        )

    def python(self, pod: str, code: str) -> str:
        return self.kubectl("exec", pod, "--", "python3.13", "-c", code).strip()


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Place]:
    nodes = json.loads(cluster.run(str(cluster.kubectl_path), "get", "nodes", "-o", "json"))["items"]
    names = [name for image in nodes[0]["status"]["images"] for name in image["names"]]
    image = next(name for name in names if "/looma-engine:" in name)
    made = Place(cluster, image)
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": level}}
    cluster.apply(namespace)
    # Not of one name: a pod takes its own name from /etc/hosts, and would never ask for the service.
    made.apply(restricted("server", image), a_service("web", of="server"))
    made.kubectl("wait", "pod/server", "--for=condition=Ready", "--timeout=60s")
    yield made
    cluster.run(str(cluster.kubectl_path), "delete", "namespace", NAMESPACE, "--wait=false")


def test_names_of_services_resolve_in_pods(place: Place) -> None:
    address = place.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    for name in ("web", f"web.{NAMESPACE}", f"web.{NAMESPACE}.svc.cluster.local"):
        assert place.python("server", f"import socket; print(socket.gethostbyname({name!r}))") == address


def test_a_name_that_nobody_has_is_refused_at_once(place: Place) -> None:
    code = """
import socket, time
began = time.monotonic()
try:
    socket.gethostbyname('nobody.e2e-cluster.svc.cluster.local')
except socket.gaierror:
    print(time.monotonic() - began < 2)
"""
    assert place.python("server", code) == "True"


def test_a_pod_reaches_a_service_even_its_own(place: Place) -> None:
    assert place.python("server", SAY_HELLO) == "200"


def test_a_pod_reaches_another_through_the_service(place: Place) -> None:
    place.apply(restricted("caller", place.image))
    place.kubectl("wait", "pod/caller", "--for=condition=Ready", "--timeout=60s")
    assert place.python("caller", SAY_HELLO) == "200"
    place.kubectl("delete", "pod", "caller", "--wait=false")


def test_logs_show_what_the_pod_wrote(place: Place) -> None:
    mark = secrets.token_hex(4)
    place.python(
        "server", f"import urllib.request as r\ntry: r.urlopen('http://web/{mark}')\nexcept OSError: pass"
    )
    assert f"GET /{mark}" in place.kubectl("logs", "server")


def test_exec_carries_input_and_exit_code(place: Place) -> None:
    echo = "import sys; print(sys.stdin.read().upper()); sys.exit(3)"
    with pytest.raises(ExpectationError, match=r"ended with 3:\nHELLO"):
        place.kubectl("exec", "-i", "server", "--", "python3.13", "-c", echo, stdin="hello")


def test_port_forward_reaches_the_pod(place: Place) -> None:
    command = [str(place.cluster.kubectl_path), "-n", NAMESPACE, "port-forward", "pod/server", ":8080"]
    forward = subprocess.Popen(
        [*command, "--address", "127.0.0.1"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KUBECONFIG": str(place.cluster.kubeconfig)},
    )
    try:
        assert forward.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert found
        assert httpx.get(f"http://127.0.0.1:{found[1]}/", trust_env=False).status_code == 200
    finally:
        forward.terminate()
        forward.wait()
        forward.stdout.close()


def test_top_shows_what_pods_and_nodes_use(place: Place) -> None:
    wanted = {"pods": r"server +\d+m +\d+Mi", "nodes": r"\d+m +\d+% +\d+Mi"}
    deadline = time.monotonic() + METRICS_SECONDS
    for kind, line in wanted.items():
        while not re.search(line, told := place.kubectl("top", kind, "--no-headers", check=False)):
            assert time.monotonic() < deadline, f"no metrics of {kind}: {told}"
            time.sleep(1)


def test_the_metrics_api_describes_its_objects(cluster: Cluster) -> None:
    """Its documents name the types as the API server's own do, or kubectl could not explain them."""
    words = (str(cluster.kubectl_path), "get", "--raw", "/openapi/v3/apis/metrics.k8s.io/v1beta1")
    deadline = time.monotonic() + METRICS_SECONDS
    while not (told := cluster.run(*words, check=False)).startswith("{"):
        assert time.monotonic() < deadline, f"no documents of the metrics API: {told}"
        time.sleep(1)
    document = json.loads(told)
    node = document["components"]["schemas"]["io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics"]
    assert {"usage", "window", "timestamp"} <= set(node["properties"])


def test_a_pod_of_root_is_refused(place: Place) -> None:
    pod = restricted("root", place.image)
    pod["spec"]["securityContext"] = {"runAsUser": 0}
    with pytest.raises(ExpectationError, match="violates PodSecurity"):
        place.apply(pod)


def test_a_claim_keeps_its_data_for_a_pod_that_is_not_root_and_goes_with_its_folder(
    place: Place, builtin: record.Record
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept", "namespace": NAMESPACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    mark = secrets.token_hex(8)
    folders = paths.instance(place.cluster.name).volumes
    for act in (f"open('/kept/mark', 'w').write('{mark}')", "print(open('/kept/mark').read())"):
        pod = restricted("keeper", place.image)
        pod["spec"]["volumes"].append({"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}})
        pod["spec"]["containers"][0]["volumeMounts"].append({"name": "kept", "mountPath": "/kept"})
        place.apply(claim, pod)
        place.kubectl("wait", "pod/keeper", "--for=condition=Ready", "--timeout=60s")
        told = place.python("keeper", act)
        place.kubectl("delete", "pod", "keeper", "--timeout=60s")
    assert told == mark
    [folder] = folders.glob(f"{NAMESPACE}_kept_*")
    volume = place.kubectl("get", "pvc", "kept", "-o", "jsonpath={.spec.volumeName}")
    place.kubectl("delete", "pvc", "kept", "--timeout=60s")
    place.kubectl("wait", "pv", volume, "--for=delete", "--timeout=60s")
    assert not folder.exists()


def test_a_secret_is_not_to_be_read_in_etcds_files(place: Place, builtin: record.Record) -> None:
    open_text, hidden = (f"mark-{secrets.token_hex(16)}" for _ in range(2))
    place.kubectl("create", "configmap", "open", f"--from-literal=mark={open_text}")
    place.kubectl("create", "secret", "generic", "hidden", f"--from-literal=mark={hidden}")
    place.kubectl("get", "secret", "hidden")
    files = [
        file.read_bytes()
        for file in (paths.instance(place.cluster.name).state / "etcd").rglob("*")
        if file.is_file()
    ]

    def in_files(text: str) -> bool:
        return any(text.encode() in content for content in files)

    # The write-ahead log holds both by now, so the first line shows that looking there finds something.
    assert in_files(open_text)
    assert not in_files(hidden)
    assert not in_files(base64.b64encode(hidden.encode()).decode())


def test_the_machine_is_listened_on_at_loopback_alone(cluster: Cluster, builtin: record.Record) -> None:
    known = node.started(paths.instance(cluster.name)).forwarder
    assert known is not None
    listening = {
        (item.laddr.ip, item.laddr.port)
        for item in psutil.Process(known.pid).net_connections("tcp")
        if item.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", port) for port in builtin.ports()}
    assert len(listening) == 3, "the console, with TLS, and the API server"


def test_the_kubeconfig_is_loomas_own_and_its_owners_alone(cluster: Cluster) -> None:
    assert cluster.kubeconfig.is_relative_to(paths.instance(cluster.name).state)
    assert cluster.kubeconfig != Path.home() / ".kube" / "config"
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
