"""A service of the tests' own on a running cluster: a few lines of Python in Looma's engine image, engine `custom`.

It answers every GET with its revision, so that a test sees which pods serve, and leaves Looma's own engines alone. A
pod that was told so (`Probe.tell`, or `told` of the version) answers a share of its callers with an error, late or with
something else, or ends at once; its health checks stay good.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.cluster import Cluster, Object

PATH = "/api/v1/probe"
"""Where `probe` answers; one of another name answers at its own `Probe.path`."""
SERVER = """
import http.server, json, os, random, signal, sys, time
told = {"status": 200, "share": 1, "seconds": 0, "spread": 0, "answer": {}, "crash": False}
told.update(json.loads(os.environ.get("PROBE_TOLD", "{}")))
if told["crash"]:
    sys.exit("told to")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body go out as one: nobody could ask again for an answer that was killed in between.
    def do_PUT(self):
        told.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200)
    def do_GET(self):
        called = self.path.startswith("/api/")
        time.sleep(told["seconds"] * random.uniform(1 - told["spread"], 1 + told["spread"]) if called else 0)
        self.answer(told["status"] if called and random.random() < told["share"] else 200)
    def answer(self, status):
        body = json.dumps(told["answer"]).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Looma-Revision", os.environ["LOOMA_REVISION"])
        self.send_header("X-Probe-Version", os.environ["PROBE_VERSION"])
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # As engines have it; Python's five is soon full on a busy machine.
Server(("", 8080), Handler).serve_forever()
"""
TELL = """
import sys, urllib.request as request
request.urlopen(request.Request("http://127.0.0.1:8080/", data=sys.argv[1].encode(), method="PUT")).read()
"""


class Probe:
    """The AIService `name` and what a test does with it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.path = f"/api/v1/{name}"
        self._image = cluster.get("aiservice", "resume")["spec"]["image"]

    def manifest(
        self, *, version: str = "1", image: str | None = None, told: Object | None = None, **spec: Any
    ) -> Object:
        """The AIService as a person's file has it; another `version` is another revision, `told` how it behaves."""
        variables = {"PROBE_VERSION": version} | ({"PROBE_TOLD": json.dumps(told)} if told else {})
        container = {
            "name": "engine",
            "command": ["python3", "-c", SERVER],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
        }
        return {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "AIService",
            "metadata": {"name": self.name},
            "spec": {
                "engine": "custom",
                "image": image or self._image,
                "replicas": 2,
                "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
                # Traffic of the tests has no token.
                "route": {
                    "pathPrefixes": [self.path],
                    "auth": {"required": False},
                },
                "podTemplate": {"spec": {"containers": [container]}},
                **spec,
            },
        }

    def apply(self, **changes: Any) -> None:
        """`kubectl apply` of it."""
        self.cluster.apply(self.manifest(**changes))

    def tell(self, pod: str, *, status: int = 200, seconds: float = 0) -> None:
        """From now on this pod answers its callers with `status`, after `seconds`."""
        told = json.dumps({"status": status, "seconds": seconds})
        self.cluster.kubectl("exec", pod, "-c", "engine", "--", "python3", "-c", TELL, told)

    def wait(self, *, stable: str, sentence: str, seconds: float = 180) -> Object:
        """Wait until it is Ready, for the spec as it is now, and `stable` serves."""

        def holds(service: Object) -> bool:
            status = service.get("status", {})
            return (
                status.get("observedGeneration") == service["metadata"]["generation"]
                and status.get("phase") == "Ready"
                and status.get("stableRevision") == status.get("targetRevision") == stable
            )

        return self.cluster.watch("aiservice", self.name, holds, sentence=sentence, seconds=seconds)

    def wait_routed(self) -> Object:
        """Wait until the gateway forwards to it, as its route is now."""

        def holds(service: Object) -> bool:
            return any(
                item["type"] == "RouteProgrammed"
                and item["status"] == "True"
                and item.get("observedGeneration") == service["metadata"]["generation"]
                for item in service.get("status", {}).get("conditions", [])
            )

        return self.cluster.watch(
            "aiservice", self.name, holds, sentence=f"the gateway forwards to {self.name}", seconds=60
        )

    def wait_phase(self, phase: str, *, sentence: str, seconds: float = 120) -> Object:
        """Wait for a phase."""
        return self.cluster.watch(
            "aiservice",
            self.name,
            lambda service: service.get("status", {}).get("phase") == phase,
            sentence=sentence,
            seconds=seconds,
        )


def uids(cluster: Cluster, probe: Probe) -> set[str]:
    """The probe's pods that stay, as they are and have begun: another uid or start is another pod or process."""
    return {
        f"{pod['metadata']['uid']}/{status['restartCount']}"
        for pod in cluster.list("pod", f"app.kubernetes.io/instance={probe.name}")
        if "deletionTimestamp" not in pod["metadata"]
        for status in pod["status"].get("containerStatuses", [])
    }


@contextmanager
def probing(cluster: Cluster, name: str = "probe") -> Iterator[Probe]:
    """A probe with two pods at r1; taken away at the end."""
    made = Probe(cluster, name)
    cluster.kubectl("delete", "aiservice", name, "--ignore-not-found", "--wait")
    cluster.kubectl(
        "wait", "--for=delete", "deployment", "-l", f"app.kubernetes.io/instance={name}", "--timeout=120s"
    )
    try:
        made.apply()
        made.wait(stable="r1", sentence="the probe serves")
        # Pods that answer and a gateway that leads there are two things; without it the console answers 404.
        made.wait_routed()
        yield made
    finally:
        cluster.kubectl("delete", "aiservice", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def probe(cluster: Cluster) -> Iterator[Probe]:
    """A probe of this test's alone."""
    with probing(cluster) as made:
        yield made
