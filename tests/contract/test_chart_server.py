"""The chart before a real API server: every object of every environment is accepted, under the restricted level."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.chart import CHART, ENVIRONMENTS, HelmRefusedError, Object, helm, pod_specs, render
from support.control_plane import ControlPlane, binary

pytestmark = pytest.mark.control_plane

OTHERS = {"className": "cilium", "url": "http://gateway.infra.svc"}
EXPOSURES = {
    "cluster-ip": {"service": {"type": "ClusterIP"}},
    "node-port": {"service": {"type": "NodePort", "nodePort": 30081, "httpsNodePort": 30444}},
    "load-balancer": {"service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}},
    "ingress": {"ingress": {"enabled": True, "host": "looma.example.org", "className": "any"}},
    "self-signed": {"tls": {"selfSigned": True}},
    "host with a certificate": {"host": "looma.example.org", "tls": {"secret": "mine"}},
    "any host below": {"host": "*.example.org", "tls": {"secret": "mine"}},
    "addresses of further Gateways": {
        "addresses": {
            "second": {
                "gateway": "looma/second",
                "type": "NodePort",
                "annotations": {"example.org/pool": "a"},
                "ports": [
                    {"port": 80, "targetPort": 20080},
                    {"port": 65535, "targetPort": 20081, "nodePort": 30099},
                ],
            },
            "gone": None,
        }
    },
    "another class": OTHERS,
    "another's gateway": {**OTHERS, "namespace": "infra", "name": "shared"},
}


def address(gateway: str, target: int) -> Object:
    """A Gateway's address with one port."""
    return {"gateway": gateway, "ports": [{"port": 80, "targetPort": target}]}


@pytest.fixture(scope="module")
def looma_namespace(control_plane: ControlPlane) -> str:
    """The namespace as the chart brings it, with its Pod Security labels."""
    control_plane.kubectl("apply", "--server-side", "-f", str(CHART / "namespace.yaml"))
    return "looma"


def dry_run(plane: ControlPlane, documents: list[Object]) -> tuple[int, str]:
    """Exit code and everything said by a server-side dry run of kubectl, in `looma` unless an object says otherwise."""
    for found in documents:
        found["metadata"].setdefault("namespace", "looma")
    done = subprocess.run(
        [
            *(str(binary("kubectl", plane.folder)), f"--kubeconfig={plane.kubeconfig}"),
            *("apply", "--dry-run=server", "-f", "-"),
        ],
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_lint_finds_nothing(environment: str, control_plane: ControlPlane) -> None:
    values = CHART / "environments" / f"{environment}.yaml"
    assert "0 chart(s) failed" in helm(control_plane.folder, "lint", "--strict", CHART, "--values", values)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_server_accepts_every_object(
    environment: str, control_plane: ControlPlane, looma_namespace: str, tmp_path: Path
) -> None:
    objects = render(tmp_path, environment=environment)
    code, said = dry_run(control_plane, objects)
    assert code == 0, said
    # A workload whose pods the level would refuse is accepted with a warning only.
    assert "PodSecurity" not in said, said
    assert said.count("(server dry run)") == len(objects)


@pytest.mark.parametrize("exposure", EXPOSURES)
def test_the_server_accepts_every_exposure(
    exposure: str, control_plane: ControlPlane, looma_namespace: str, tmp_path: Path
) -> None:
    settings = {"gateway": EXPOSURES[exposure], "secrets": {"create": False}}
    code, said = dry_run(control_plane, render(tmp_path, settings=settings))
    assert code == 0, said


def test_the_server_accepts_several_namespaces(
    control_plane: ControlPlane, looma_namespace: str, tmp_path: Path
) -> None:
    code, said = dry_run(
        control_plane, render(tmp_path, settings={"operator": {"namespaces": ["looma", "default"]}})
    )
    assert code == 0, said


def test_the_server_accepts_a_prometheus_with_a_volume_and_several_namespaces(
    control_plane: ControlPlane, looma_namespace: str, tmp_path: Path
) -> None:
    prometheus = {
        "enabled": True,
        "namespace": "default",
        "storage": {"persistent": True, "className": "standard"},
    }
    settings = {"operator": {"namespaces": ["looma", "default"]}, "prometheus": prometheus}
    code, said = dry_run(control_plane, render(tmp_path, settings=settings))
    assert code == 0, said
    assert "PodSecurity" not in said, said


def test_a_pod_that_breaks_the_level_is_told(
    control_plane: ControlPlane, looma_namespace: str, tmp_path: Path
) -> None:
    """The check above can fail: one container that may gain rights is enough."""
    objects = render(tmp_path, environment="dev")
    spec = pod_specs(objects)["Deployment/looma-console"]
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    _, said = dry_run(control_plane, objects)
    assert "would violate PodSecurity" in said


def test_a_service_that_the_definition_refuses_is_refused(
    control_plane: ControlPlane, looma_namespace: str, tmp_path: Path
) -> None:
    settings = {"engines": {"services": {"resume": {"spec": {"engine": "resume", "replicas": -1}}}}}
    code, said = dry_run(control_plane, render(tmp_path, settings=settings))
    assert code != 0
    assert "replicas" in said


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"consol": {}}, "consol", id="unknown value"),
        pytest.param(
            {"gateway": {"service": {"type": "Route"}}}, "/gateway/service/type", id="unknown exposure"
        ),
        pytest.param(
            {"gateway": {"ingress": {"enabled": True}}}, "/gateway/ingress/host", id="ingress without host"
        ),
        pytest.param({"console": {"service": {}}}, "service", id="the console's own address"),
        pytest.param({"gateway": {"className": "cilium"}}, "/gateway/url", id="another class, nowhere"),
        pytest.param(
            {"gateway": {**OTHERS, "ingress": {"enabled": True, "host": "a.b"}}},
            "/gateway/ingress/enabled",
            id="an Ingress without pods behind it",
        ),
        pytest.param(
            {"gateway": {"namespace": "infra"}}, "/gateway/namespace", id="our class, another's Gateway"
        ),
        pytest.param(
            {"postgres": {"url": "postgresql+psycopg://a@b/c"}}, "/postgres/ownerUrl", id="one URL of the two"
        ),
        pytest.param({"postgres": {"url": "postgres://a@b/c"}}, "/postgres/url", id="a URL of another kind"),
        *(
            pytest.param({"gateway": {"addresses": addresses}}, named, id=f"addresses: {case}")
            for case, addresses, named in (
                ("a port of the pods' own", {"a": address("looma/b", 8081)}, "/a/ports/0/targetPort"),
                ("no namespace", {"a": address("second", 20080)}, "/a/gateway"),
                ("no ports", {"a": {"gateway": "looma/b", "ports": []}}, "/a/ports"),
                ("a port by name", {"a": {**address("looma/b", 20080), "port": 80}}, "port"),
                (
                    "one port twice",
                    {"a": address("looma/b", 20080), "c": address("looma/d", 20080)},
                    r"gateway\.addresses\.c\.ports: 20080 is a targetPort of a already; write another",
                ),
                (
                    "one Gateway twice",
                    {"a": address("looma/b", 20080), "c": address("looma/b", 20081)},
                    r"gateway\.addresses\.c\.gateway: looma/b has the address a already; write its ports there",
                ),
                (
                    "a namespace that is not served",
                    {"a": address("shop/public", 20080)},
                    r"no Gateway of the namespace shop is served; write it into operator\.namespaces",
                ),
                (
                    "a name of the release's",
                    {"looma-gateway": address("looma/b", 20080)},
                    r"gateway\.addresses\.looma-gateway: .* write another",
                ),
            )
        ),
        pytest.param(
            {"gateway": {**OTHERS, "addresses": {"a": address("looma/b", 20080)}}},
            "/gateway/addresses",
            id="addresses without pods behind them",
        ),
        pytest.param({"operator": {"replicas": 0}}, "/operator/replicas", id="no operator"),
        *(
            pytest.param({"prometheus": {name: value}}, f"/prometheus/{name}", id=f"prometheus: {case}")
            for case, name, value in (
                ("an address without its scheme", "url", "prometheus:9090"),
                ("an address with a slash at its end", "url", "http://prometheus:9090/"),
                ("an interval without its unit", "interval", "2"),
                ("a time that Prometheus does not know", "retention", "6 hours"),
            )
        ),
        pytest.param(
            {"image": {"registry": "host/"}}, "/image/registry", id="registry with a slash at its end"
        ),
    ],
)
def test_wrong_values_are_refused_by_name(settings: dict[str, object], named: str, tmp_path: Path) -> None:
    with pytest.raises(HelmRefusedError, match=named):
        render(tmp_path, settings=settings)
