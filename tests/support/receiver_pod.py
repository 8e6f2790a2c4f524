"""A pod of the tests' own that is asked or told things: it keeps what it got, and answers what the test says.

Unlike `webhook_receiver`, it is a Service of the cluster, so the operator's own pods reach it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.cluster import Cluster, Object

PORT = 8080
SERVER = """
import http.server, json, os, signal, sys, threading
wanted, answer = os.environ["WANTED"], os.environ["ANSWER"].encode()
got, lock = [], threading.Lock()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/got":
            return self.say(200, json.dumps(got).encode())
        with lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            got.append({"path": self.path, "headers": headers, "body": body})
        if wanted and self.headers.get("Authorization") != wanted:
            return self.say(401, b"{}")
        self.say(200, answer)
    do_GET = do_POST
    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
LOOK = """
import urllib.request as request
print(request.urlopen("http://127.0.0.1:8080/got").read().decode())
"""


@dataclass(frozen=True)
class ReceiverPod:
    """The Deployment and Service `name`; `url` is where pods of the cluster reach it."""

    cluster: Cluster
    name: str

    @property
    def url(self) -> str:
        """Its address in the cluster, without a path."""
        return f"http://{self.name}.{self.cluster.namespace}.svc:{PORT}"

    def got(self) -> list[Object]:
        """What its pod was asked since it began: `path`, `headers` (lower case) and `body` of each request."""
        said = self.cluster.kubectl("exec", f"deployment/{self.name}", "--", "python3", "-c", LOOK)
        found: list[Object] = json.loads(said)
        return found

    def scale(self, replicas: int) -> None:
        """Take its pod away, or bring another; return when that is so."""
        self.cluster.kubectl("scale", f"deployment/{self.name}", f"--replicas={replicas}")
        if replicas:
            self.wait()
        else:
            labels = ("-l", f"app.kubernetes.io/name={self.name}")
            self.cluster.kubectl("wait", "--for=delete", "pod", *labels, "--timeout=60s")

    def wait(self) -> None:
        """Wait until its pod answers."""
        self.cluster.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=90s")


def _manifests(cluster: Cluster, name: str, *, wanted: str, answer: Any, replicas: int) -> Object:
    labels = {"app.kubernetes.io/name": name}
    head: Object = {"name": name, "labels": labels}
    container = {
        "name": "receiver",
        "image": cluster.get("aiservice", "resume")["spec"]["image"],
        "command": ["python3", "-c", SERVER],
        "env": [{"name": "WANTED", "value": wanted}, {"name": "ANSWER", "value": json.dumps(answer)}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pods = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    template = {"metadata": {"labels": labels}, "spec": pods}
    selector = {"matchLabels": labels}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": head,
                "spec": {"selector": labels, "ports": [{"port": PORT}]},
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": head,
                "spec": {"replicas": replicas, "selector": selector, "template": template},
            },
        ],
    }


@contextmanager
def receiving(
    cluster: Cluster, name: str, *, wanted: str = "", answer: Any = None, replicas: int = 1
) -> Iterator[ReceiverPod]:
    """A receiver whose pod answers `answer`, as JSON, to who has `wanted` as Authorization, and 401 to others.

    With `replicas` 0 it has no pod yet.
    """
    made = ReceiverPod(cluster, name)
    try:
        cluster.apply(_manifests(cluster, name, wanted=wanted, answer=answer, replicas=replicas))
        if replicas:
            made.wait()
        yield made
    finally:
        cluster.kubectl(
            "delete", f"deployment/{name}", f"service/{name}", "--ignore-not-found", "--wait=false"
        )
