"""The chart's Prometheus: its configuration before the real program, over pods, metrics and rights that are real.

The API server is the real one, and pods are what the operator and the chart make; no kubelet runs them, so this module
writes their status, and stands in for what listens there: with the metrics of the very modules that count in a pod.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from looma_core.metrics import CONTENT_TYPE, Metrics
from looma_engines.gateway.counting import Counts
from looma_engines.gateway.metrics import GatewayMetrics
from looma_operator import metrics as operator_metrics
from looma_operator.kube.read import parse_service
from looma_operator.plan.observed import StoredRevision
from looma_operator.render.deployment import render_template
from support.chart import CHART, Object, pick, render
from support.control_plane import ControlPlane
from support.operator_world import spec
from support.prometheus import Prometheus, PrometheusApi, prometheuses

pytestmark = pytest.mark.control_plane
ACCOUNT = "system:serviceaccount:looma:looma-prometheus"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HAPROXYS = b"# TYPE haproxy_process_nbthread gauge\nhaproxy_process_nbthread 2\n"
Target = tuple[str, str, str | None, str]
TARGETS: set[Target] = {
    ("engines", "resume", "r1", "resume-r1"),
    ("engines", "resume", "r2", "resume-r2"),
    ("engines", "liar", "r1", "liar-r1"),
    ("engines", "elsewhere", "r1", "elsewhere-r1"),
    ("gateways", "gateway", "r1", "gateway-r1"),
    ("haproxy", "gateway", "r1", "gateway-r1"),
    ("looma", "looma-operator", None, "operator"),
    ("looma", "looma-console", None, "console"),
}


@pytest.fixture(scope="module")
def make(prometheus_root: Path) -> Iterator[Callable[[], Prometheus]]:
    """A factory of Prometheus processes."""
    with prometheuses(prometheus_root) as factory:
        yield factory


def configuration(objects: list[Object]) -> str:
    text: str = pick(objects, "ConfigMap", "looma-prometheus")["data"]["prometheus.yml"]
    return text


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        pytest.param("dev", {}, id="dev"),
        pytest.param("staging", {}, id="staging"),
        pytest.param("production", {"prometheus": {"enabled": True}}, id="production with its own"),
        pytest.param("dev", {"operator": {"namespaces": ["one", "two"]}}, id="several namespaces"),
        pytest.param("dev", {"prometheus": {"interval": "500ms"}}, id="half a second"),
    ],
)
def test_promtool_takes_the_configuration(
    environment: str, settings: Object, make: Callable[[], Prometheus], tmp_path: Path
) -> None:
    prometheus = make()
    prometheus.write(
        {"prometheus.yml": configuration(render(tmp_path, environment=environment, settings=settings))}
    )
    assert prometheus.check() == ""


def test_promtool_refuses_what_is_wrong(make: Callable[[], Prometheus], tmp_path: Path) -> None:
    """The check above can fail: one unknown word is enough."""
    prometheus = make()
    prometheus.write(
        {"prometheus.yml": configuration(render(tmp_path, environment="dev")).replace("job_name", "job_nam")}
    )
    assert "job_nam" in prometheus.check()


class Pages:
    """A process of a pod: GET answers from `pages`, by path."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def engines_metrics(service: str, revision: str, requests: int) -> bytes:
    """What an engine that says so of itself has counted."""
    metrics = Metrics(service=service, revision=revision)
    for _ in range(requests):
        metrics.observe_request(route="/api/v1/resumes", code=200, seconds=0.01)
    return metrics.exposition()


def gateways_metrics() -> bytes:
    """What a gateway has counted of a service behind it."""
    metrics = Metrics(service="gateway", revision="r1")
    counts = GatewayMetrics(metrics)
    counts.attempts("looma/resume", "r2", Counts(unanswered=7))
    counts.refusals("looma/resume", "limit", 3)
    return metrics.exposition()


def operators_metrics() -> bytes:
    operator_metrics.PHASE.labels("shop", "resume", "Ready").set(1)
    return generate_latest()


def template(service: str, revision: int, *, engine: str = "resume", **changes: Any) -> Object:
    """The pod template that the operator makes."""
    content = spec(engine=engine, **changes)
    read = parse_service(
        {"metadata": {"name": service, "namespace": "looma", "uid": "u1", "generation": 1}, "spec": content}
    )
    stored = StoredRevision(number=revision, hash="h", content=content, created_at=NOW, activated_at=NOW)
    return render_template(read, stored)


class Pods:
    """Makes pods as they look when they run on this machine."""

    def __init__(self, plane: ControlPlane, ends: contextlib.ExitStack) -> None:
        self.plane = plane
        self.ends = ends

    def run(
        self,
        name: str,
        template: Object,
        ports: Mapping[str, Mapping[str, bytes]],
        *,
        namespace: str = "looma",
        phase: str = "Running",
    ) -> None:
        """A pod of the template in which each of `ports`, by its name, answers with its pages."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        for container in template["spec"]["containers"]:
            for port in container.get("ports", []):
                served = Pages(ports.get(port["name"], {}))
                self.ends.callback(served.stop)
                port["containerPort"] = served.port
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": name},
            "spec": template["spec"],
        }
        code, answer = self.plane.request("POST", path, pod)
        assert code == 201, answer["message"]
        self.ends.callback(self.plane.request, "DELETE", f"{path}/{name}?gracePeriodSeconds=0")
        status = {"phase": phase, "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        code, answer = self.plane.request(
            "PATCH",
            f"{path}/{name}/status",
            {"status": status},
            content_type="application/merge-patch+json",
        )
        assert code == 200, answer

    def engine(self, service: str, revision: int, metrics: bytes, **options: Any) -> None:
        """A pod of an engine."""
        made = template(service, revision, **options)
        self.run(f"{service}-r{revision}", made, {"http": {"/metrics": metrics}})


def annotated(name: str, value: str) -> Object:
    """A podTemplate with an annotation."""
    return {"podTemplate": {"metadata": {"annotations": {name: value}}}}


@pytest.fixture(scope="module")
def pods(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Pods of a release in `looma`, and others that are none of its business."""
    chart = render(tmp_path_factory.mktemp("pods"), environment="dev")
    control_plane.kubectl("apply", "--server-side", "-f", str(CHART / "namespace.yaml"))
    with contextlib.ExitStack() as ends:
        pods = Pods(control_plane, ends)
        pods.engine("resume", 1, engines_metrics("resume", "r1", 5))
        pods.engine("resume", 2, engines_metrics("resume", "r2", 2))
        # Of another service it says that it is the one above.
        pods.engine("liar", 1, engines_metrics("resume", "r2", 1000), engine="custom")
        pods.engine("silent", 1, b"", engine="custom", **annotated("prometheus.io/scrape", "false"))
        pods.run(
            "elsewhere-r1",
            template("elsewhere", 1, engine="custom", **annotated("prometheus.io/path", "/other")),
            {"http": {"/other": engines_metrics("elsewhere", "r1", 1)}},
        )
        pods.run(
            "gateway-r1",
            template("gateway", 1, engine="gateway"),
            {"controller": {"/metrics": gateways_metrics()}, "probes": {"/metrics": HAPROXYS}},
        )
        for name, metrics in (("operator", operators_metrics()), ("console", b"")):
            made = pick(chart, "Deployment", f"looma-{name}")["spec"]["template"]
            pods.run(name, made, {"http": {"/metrics": metrics}})
        database = pick(chart, "StatefulSet", "looma-postgres")["spec"]["template"]
        # A StatefulSet's own claims are volumes of its pods.
        database["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
        pods.run("database", database, {})
        pods.run("ended", template("ended", 1), {}, phase="Succeeded")
        pods.run("foreign", template("foreign", 1), {}, namespace="default")
        yield pods


@pytest.fixture(scope="module")
def asked(
    control_plane: ControlPlane,
    pods: Pods,
    make: Callable[[], Prometheus],
    tmp_path_factory: pytest.TempPathFactory,
) -> PrometheusApi:
    """Prometheus as the chart runs it, with the rights of its account; the API server's address alone is another."""
    objects = render(tmp_path_factory.mktemp("dev"), environment="dev")
    for kind in ("Role", "RoleBinding"):
        made = pick(objects, kind, "looma-prometheus")
        control_plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(made))
    control_plane.kubeconfig_for(ACCOUNT)
    prometheus = make()
    stem = control_plane.pki.folder / ACCOUNT.replace(":", "-")
    config = yaml.safe_load(configuration(objects))
    for job in config["scrape_configs"]:
        job.setdefault("scrape_interval", "1s")
        for found in job["kubernetes_sd_configs"]:
            found["api_server"] = control_plane.server
            found["tls_config"] = {
                name: f"{prometheus.inside}/{name}" for name in ("ca_file", "cert_file", "key_file")
            }
    prometheus.write(
        {
            "prometheus.yml": yaml.safe_dump(config),
            "ca_file": (control_plane.pki.folder / "ca.crt").read_text(),
            "cert_file": stem.with_suffix(".crt").read_text(),
            "key_file": stem.with_suffix(".key").read_text(),
        }
    )
    (container,) = pick(objects, "Deployment", "looma-prometheus")["spec"]["template"]["spec"]["containers"]
    own = ("--config.file=", "--storage.tsdb.path=")
    asked = prometheus.start(*(option for option in container["args"] if not option.startswith(own)))
    asked.until(lambda: found_targets(asked) >= TARGETS, "all pods of Looma are found")
    asked.until(lambda: all(one["health"] != "unknown" for one in asked.targets()), "all of them are asked")
    return asked


def found_targets(asked: PrometheusApi) -> set[Target]:
    return {
        (labels["job"], labels["service"], labels.get("revision"), labels["pod"])
        for labels in (one["labels"] for one in asked.targets())
    }


def test_what_is_scraped_is_every_pod_of_looma_that_has_metrics_and_nothing_else(
    asked: PrometheusApi,
) -> None:
    assert found_targets(asked) == TARGETS
    assert {one["scrapeUrl"]: one["lastError"] for one in asked.targets() if one["health"] != "up"} == {}
    assert {one["labels"]["namespace"] for one in asked.targets()} == {"looma"}


def test_requests_are_told_by_service_and_revision(asked: PrometheusApi) -> None:
    found = asked.query('looma_http_request_seconds_count{service="resume"}')
    assert {(labels["revision"], labels["pod"], value) for labels, value in found} == {
        ("r1", "resume-r1", 5),
        ("r2", "resume-r2", 2),
    }
    assert found[0][0]["route"] == "/api/v1/resumes"


def test_an_engine_counts_for_itself_whatever_it_calls_itself(asked: PrometheusApi) -> None:
    ((labels, value),) = asked.query('looma_http_request_seconds_count{pod="liar-r1"}')
    assert (labels["service"], labels["revision"], value) == ("liar", "r1", 1000)
    assert not [name for name in labels if name.startswith("exported_")]


def test_an_engine_may_have_its_metrics_elsewhere(asked: PrometheusApi) -> None:
    ((labels, _),) = asked.query('looma_http_request_seconds_count{pod="elsewhere-r1"}')
    assert labels["service"] == "elsewhere"


def test_what_a_gateway_counts_of_a_service_is_that_services(asked: PrometheusApi) -> None:
    ((labels, value),) = asked.query('looma_gateway_attempts_total{code="none",retry="false"}')
    assert (labels["service"], labels["revision"], value) == ("looma/resume", "r2", 7)
    # Counted for the service, whichever its revision: the gateway's own would be a wrong one.
    ((labels, value),) = asked.query("looma_gateway_refused_total")
    assert (labels["service"], labels.get("revision"), value) == ("looma/resume", None, 3)
    assert labels["pod"] == "gateway-r1"
    ((labels, _),) = asked.query('looma_gateway_reloads_total{result="done"}')
    assert (labels["service"], labels["revision"]) == ("gateway", "r1")
    ((labels, _),) = asked.query("haproxy_process_nbthread")
    assert (labels["service"], labels["revision"]) == ("gateway", "r1")


def test_the_operator_is_taken_at_its_word(asked: PrometheusApi) -> None:
    ((labels, _),) = asked.query('looma_operator_service_phase{phase="Ready"}')
    assert (labels["namespace"], labels["name"], labels["pod"]) == ("shop", "resume", "operator")


def test_a_pod_that_comes_later_is_found_by_the_watch(asked: PrometheusApi, pods: Pods) -> None:
    pods.engine("late", 3, engines_metrics("late", "r3", 4))
    asked.until(
        lambda: asked.query('looma_http_request_seconds_count{service="late",revision="r3"} == 4'),
        "the new pod's requests are there",
    )


@pytest.mark.parametrize(
    ("asks", "may"),
    [
        ("list pods -n looma", "yes"),
        ("watch pods -n looma", "yes"),
        ("get secrets -n looma", "no"),
        ("get pods/log -n looma", "no"),
        ("list pods -n default", "no"),
    ],
)
def test_its_account_may_list_the_releases_pods_and_no_more(
    asks: str, may: str, asked: PrometheusApi, control_plane: ControlPlane
) -> None:
    said = control_plane.kubectl("auth", "can-i", *asks.split(), f"--as={ACCOUNT}", check=False)
    assert said.split()[-1] == may, said
