"""The chart's Prometheus and monitors, read: when they are there, whom they let in, where the operator asks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from looma_operator.render.common import labels
from looma_operator.resources import AIService
from support.chart import CHART, Object, helm, pick, pod_specs, render

pytestmark = pytest.mark.control_plane
NAME = "looma-prometheus"
THEIRS = "http://prometheus.monitoring.svc:9090"
ASKS = """\
asks: {{ include "looma.prometheusUrl" . | quote }}
"""


def own(objects: list[Object]) -> set[tuple[str, str]]:
    """Kind and name of what there is for a Prometheus of the chart's own."""
    return {(o["kind"], o["metadata"]["name"]) for o in objects if o["metadata"]["name"] == NAME}


def config(objects: list[Object]) -> Object:
    found: Object = yaml.safe_load(pick(objects, "ConfigMap", NAME)["data"]["prometheus.yml"])
    return found


def job(objects: list[Object], name: str) -> Object:
    (found,) = [one for one in config(objects)["scrape_configs"] if one["job_name"] == name]
    return dict(found)


@pytest.mark.parametrize(
    ("environment", "settings", "asks"),
    [
        pytest.param("dev", {}, "http://looma-prometheus.looma.svc:9090", id="dev"),
        pytest.param("staging", {}, "http://looma-prometheus.looma.svc:9090", id="staging"),
        pytest.param("production", {}, "", id="production: none until one is named"),
        pytest.param("production", {"url": THEIRS}, THEIRS, id="an existing one"),
        pytest.param("dev", {"url": THEIRS}, THEIRS, id="an existing one takes the own one's place"),
        pytest.param("dev", {"enabled": False}, "", id="none"),
    ],
)
def test_the_operator_asks_the_own_one_or_an_existing_one(
    environment: str, settings: Object, asks: str, tmp_path: Path
) -> None:
    objects = render(tmp_path, environment=environment, settings={"prometheus": settings})
    assert bool(own(objects)) is asks.startswith("http://looma-prometheus")
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    # In a pod's environment nobody would see whether the helper or the template is wrong.
    (chart / "templates" / "asks.yaml").write_text(ASKS)
    values = tmp_path / "settings.yaml"
    values.write_text(yaml.safe_dump({"prometheus": settings, "secrets": {"create": False}}))
    text = helm(
        tmp_path,
        *("template", "looma", chart, "--namespace", "looma", "--show-only", "templates/asks.yaml"),
        *("--values", CHART / "environments" / f"{environment}.yaml", "--values", values),
    )
    assert yaml.safe_load(text) == {"asks": asks}


def test_it_finds_pods_where_it_may_and_looma_works(tmp_path: Path) -> None:
    settings = {"operator": {"namespaces": ["one", "two"]}, "prometheus": {"enabled": True}}
    objects = render(tmp_path, settings=settings)
    wanted = ["looma", "one", "two"]
    for kind in ("Role", "RoleBinding"):
        there = [
            o["metadata"]["namespace"] for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, NAME)
        ]
        assert there == wanted
    for one in config(objects)["scrape_configs"]:
        (found,) = one["kubernetes_sd_configs"]
        assert found["namespaces"] == {"names": wanted}, one["job_name"]
    assert pod_specs(objects)[f"Deployment/{NAME}"]["serviceAccountName"] == NAME


def test_all_jobs_share_one_watch(tmp_path: Path) -> None:
    """Prometheus keeps one watch for each different way to find pods."""
    jobs = config(render(tmp_path, environment="dev"))["scrape_configs"]
    assert len({msgspec.json.encode(one["kubernetes_sd_configs"], order="sorted") for one in jobs}) == 1


def test_what_an_analysis_reads_is_scraped_at_the_interval_that_is_asked_for(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"prometheus": {"enabled": True, "interval": "7s"}})
    assert {
        name: job(objects, name).get("scrape_interval")
        for name in ("engines", "gateways", "haproxy", "looma")
    } == {
        "engines": "7s",
        "gateways": "7s",
        "haproxy": None,
        "looma": None,
    }


def test_a_changed_configuration_is_a_new_pod(tmp_path: Path) -> None:
    def noted(interval: str) -> str:
        objects = render(tmp_path, settings={"prometheus": {"enabled": True, "interval": interval}})
        made = pick(objects, "Deployment", NAME)["spec"]["template"]["metadata"]
        return str(made["annotations"]["looma.dev/settings"])

    assert noted("7s") == noted("7s") != noted("8s")


def test_samples_go_with_the_pod_or_are_on_a_volume(tmp_path: Path) -> None:
    def volume(**storage: object) -> Object:
        settings = {"prometheus": {"enabled": True, "storage": {"size": "3Gi", **storage}}}
        objects = render(tmp_path, settings=settings)
        (found,) = [v for v in pod_specs(objects)[f"Deployment/{NAME}"]["volumes"] if v["name"] == "data"]
        claims = [
            o["spec"]
            for o in objects
            if o["kind"] == "PersistentVolumeClaim" and o["metadata"]["name"] != "looma-backup"
        ]
        return {**found, "claims": claims}

    assert volume() == {"name": "data", "emptyDir": {"sizeLimit": "3Gi"}, "claims": []}
    kept = volume(persistent=True, className="fast")
    assert kept["persistentVolumeClaim"] == {"claimName": NAME}
    (claim,) = kept["claims"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("fast", "3Gi")


def selects(selector: Object, labels: Object) -> bool:
    """Whether a label selector takes an object with these labels."""
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(
        rule["operator"] == "Exists" and rule["key"] in labels
        for rule in selector.get("matchExpressions", [])
    )


def pods(objects: list[Object]) -> dict[str, Object]:
    """Labels of the pods of the chart's workloads, and of those that the operator makes for its AIServices."""
    found = {
        o["metadata"]["name"]: o["spec"]["template"]["metadata"]["labels"]
        for o in objects
        if o["kind"] in {"Deployment", "StatefulSet"}
    }
    services = [msgspec.convert(o, AIService, strict=False) for o in objects if o["kind"] == "AIService"]
    return found | {service.metadata.name: labels(service, "r1") for service in services}


def allowed(policy: Object, objects: list[Object]) -> set[str]:
    """Names of the release's pods that a policy's peers without a namespace let in."""
    (rule,) = policy["spec"]["ingress"]
    return {
        name
        for name, held in pods(objects).items()
        for peer in rule["from"]
        if "namespaceSelector" not in peer and selects(peer["podSelector"], held)
    }


def test_only_operator_and_console_may_ask_it(tmp_path: Path) -> None:
    objects = render(tmp_path, environment="dev")
    policy = pick(objects, "NetworkPolicy", NAME)
    assert selects(policy["spec"]["podSelector"], pods(objects)[NAME])
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": "http"}]
    assert allowed(policy, objects) == {"looma-operator", "looma-console"}


def scraped(objects: list[Object]) -> dict[str, list[Object]]:
    """Peers of the policies that let scrapers in, by namespace."""
    found = [o for o in objects if (o["kind"], o["metadata"]["name"]) == ("NetworkPolicy", "looma-scraped")]
    for policy in found:
        ports = {port["port"] for port in policy["spec"]["ingress"][0]["ports"]}
        assert ports == {8080, 8081, 8404}
        taken = {name for name, held in pods(objects).items() if selects(policy["spec"]["podSelector"], held)}
        assert taken == {"gateway", "resume", "talent-sync"}
    return {o["metadata"]["namespace"]: o["spec"]["ingress"][0]["from"] for o in found}


def home(namespace: str) -> Object:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def test_engines_of_other_namespaces_let_it_in(tmp_path: Path) -> None:
    settings = {"operator": {"namespaces": ["looma", "one"]}}
    objects = render(tmp_path, environment="dev", settings=settings)
    ((namespace, (peer,)),) = scraped(objects).items()
    assert namespace == "one"
    assert peer["namespaceSelector"] == home("looma")
    assert [name for name, held in pods(objects).items() if selects(peer["podSelector"], held)] == [NAME]


def test_an_existing_one_is_let_in_by_its_namespace(tmp_path: Path) -> None:
    settings = {
        "operator": {"namespaces": ["looma", "one"]},
        "prometheus": {"url": THEIRS, "namespace": "monitoring"},
    }
    peer = {"namespaceSelector": home("monitoring")}
    assert scraped(render(tmp_path, settings=settings)) == {"looma": [peer], "one": [peer]}


def test_in_one_namespace_nobody_else_is_let_in(tmp_path: Path) -> None:
    assert scraped(render(tmp_path, environment="dev")) == {}


MONITORS = {"enabled": True, "labels": {"release": "monitoring"}}


def monitors(objects: Iterable[Object]) -> dict[tuple[str, str], Object]:
    return {
        (o["kind"], o["metadata"]["name"]): o
        for o in objects
        if o["apiVersion"].startswith("monitoring.coreos.com/")
    }


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_monitors_are_made_only_where_they_are_asked_for(environment: str, tmp_path: Path) -> None:
    assert monitors(render(tmp_path, environment=environment)) == {}


def test_every_monitor_has_the_labels_by_which_a_prometheus_chooses_it(tmp_path: Path) -> None:
    found = monitors(render(tmp_path, settings={"prometheus": {"serviceMonitors": MONITORS}}))
    assert set(found) == {
        ("PodMonitor", "looma-engines"),
        ("PodMonitor", "looma-gateways"),
        ("PodMonitor", "looma-console"),
        ("ServiceMonitor", "looma-operator"),
    }
    assert {one["metadata"]["labels"]["release"] for one in found.values()} == {"monitoring"}


def test_the_operators_monitor_can_be_had_alone(tmp_path: Path) -> None:
    found = monitors(render(tmp_path, settings={"operator": {"serviceMonitor": MONITORS}}))
    assert list(found) == [("ServiceMonitor", "looma-operator")]
    # Its metrics name the namespace of a service, which is not the operator's own.
    assert found["ServiceMonitor", "looma-operator"]["spec"]["endpoints"][0]["honorLabels"] is True
    assert found["ServiceMonitor", "looma-operator"]["metadata"]["labels"]["release"] == "monitoring"


def in_prometheus_words(rules: list[Object]) -> list[Object]:
    """Relabelings of a monitor as a scrape configuration has them: sourceLabels is source_labels there."""
    return [
        {re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key): value for key, value in rule.items()}
        for rule in rules
    ]


# What a monitor says by its selector and its port, and what its operator adds by itself.
_SELECTING = re.compile(
    r"__meta_kubernetes_pod_(labelpresent_.*|label_app_kubernetes_io_name|container_port_name)"
)
_ADDED = {"namespace", "pod"}


def relabelings(one: Object) -> list[Object]:
    return [
        rule
        for rule in one["relabel_configs"]
        if rule.get("target_label") not in _ADDED
        and not (rule.get("action") in {"keep", "drop"} and _SELECTING.fullmatch(rule["source_labels"][0]))
    ]


@pytest.mark.parametrize(
    ("name", "monitor", "port"),
    [
        ("engines", "looma-engines", "http"),
        ("gateways", "looma-gateways", "controller"),
        ("haproxy", "looma-gateways", "probes"),
        ("looma", "looma-console", "http"),
    ],
)
def test_a_monitor_says_what_the_own_one_is_told(name: str, monitor: str, port: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "prometheus": {"enabled": True, "interval": "7s", "serviceMonitors": MONITORS}
    }
    objects = render(tmp_path, settings=settings)
    spec = pick(objects, "PodMonitor", monitor)["spec"]
    (endpoint,) = [one for one in spec["podMetricsEndpoints"] if one["port"] == port]
    told = job(objects, name)
    assert in_prometheus_words(endpoint["relabelings"]) == relabelings(told)
    assert in_prometheus_words(endpoint.get("metricRelabelings", [])) == told.get(
        "metric_relabel_configs", []
    )
    assert endpoint.get("interval") == told.get("scrape_interval")
    assert endpoint.get("honorLabels") == told.get("honor_labels")
    assert spec.get("sampleLimit") == told.get("sample_limit")


def test_monitors_take_the_pods_that_they_are_for(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"prometheus": {"serviceMonitors": MONITORS}})

    def taken(monitor: str) -> set[str]:
        selector = pick(objects, "PodMonitor", monitor)["spec"]["selector"]
        rules = selector.get("matchExpressions", [])
        unwanted = {(r["key"], value) for r in rules if r["operator"] == "NotIn" for value in r["values"]}
        rest = {**selector, "matchExpressions": [r for r in rules if r["operator"] != "NotIn"]}
        return {
            name
            for name, held in pods(objects).items()
            if selects(rest, held) and not unwanted & held.items()
        }

    assert taken("looma-engines") == {"resume", "talent-sync"}
    assert taken("looma-gateways") == {"gateway"}
    assert taken("looma-console") == {"looma-console"}
