"""What an instance says of itself, and what a person at the command line is told."""

from __future__ import annotations

import json

import httpx
import msgspec
import pytest
import respx
from typer.testing import CliRunner

from looma_cluster import access, cli, doctor, logs, paths, record, status
from looma_cluster.kubernetes import Kubectl
from looma_cluster.record import Record
from looma_cluster.status import Service, Workload, problems, service, workload


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return paths.instance("one")


def an_aiservice(*, ready="True", observed=2, generation=2, **status_fields):
    return {
        "metadata": {"name": "resume", "generation": generation},
        "status": {
            "observedGeneration": observed,
            "phase": "Ready",
            "stableRevision": "r3",
            "conditions": [{"type": "Ready", "status": ready, "message": "says why"}],
            **status_fields,
        },
    }


@pytest.mark.parametrize(
    ("found", "ready"),
    [
        pytest.param(an_aiservice(), True, id="ready"),
        pytest.param(an_aiservice(ready="False"), False, id="not ready"),
        pytest.param(an_aiservice(ready="Unknown"), False, id="unknown is not ready"),
        pytest.param(an_aiservice(observed=1), False, id="a status of an earlier generation says nothing"),
        pytest.param({"metadata": {"name": "resume", "generation": 1}}, False, id="no status yet"),
    ],
)
def test_a_service_is_ready(found, ready):
    assert service(found).ready is ready


def test_a_workload_that_does_not_say_counts_none():
    assert workload({"metadata": {"name": "a"}, "spec": {"replicas": 2}, "status": {}}) == Workload(
        name="a", ready=0, wanted=2
    )


GOOD = {
    "services": [Service(name="resume", ready=True)],
    "workloads": [Workload(name="looma-console", ready=1, wanted=1)],
    "processes": {"etcd": True},
    "console": "",
}


def test_nothing_wrong_is_ready():
    assert problems(**GOOD) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"services": []}, "no service"),
        ({"services": [Service(name="resume", phase="Degraded", message="no image")]}, "Degraded: no image"),
        ({"workloads": [Workload(name="looma-operator", ready=1, wanted=2)]}, "looma-operator: 1 of 2"),
        ({"processes": {"etcd": True, "kubelet": False}}, "kubelet does not run"),
        ({"console": "connection refused"}, "connection refused"),
    ],
)
def test_each_thing_wrong_is_one_sentence(change, says):
    found = problems(**(GOOD | change))
    assert len(found) == 1
    assert says in found[0]


INGRESS = {"kind": "Ingress", "spec": {"rules": [{"host": "looma.example.org"}], "tls": [{}]}}


def a_gateway(*hosts, addresses=()):
    listeners = [{"protocol": "HTTP"}, *({"protocol": "HTTPS", "hostname": host} for host in hosts)]
    listed = [{"type": "IPAddress", "value": address} for address in addresses]
    return {"kind": "Gateway", "spec": {"listeners": listeners}, "status": {"addresses": listed}}


BALANCED = {"kind": "Service", "spec": {}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}


@pytest.mark.parametrize(
    ("chosen", "exposed", "address"),
    [
        (Record(cluster="builtin", console_port=8080), [BALANCED], "http://127.0.0.1:8080"),
        (Record(cluster="builtin"), [], ""),
        (Record(cluster="context"), [BALANCED, INGRESS], "https://looma.example.org"),
        (Record(cluster="context"), [BALANCED], "http://192.0.2.7"),
        (Record(cluster="context"), [a_gateway("looma.example.org"), BALANCED], "https://looma.example.org"),
        (Record(cluster="context"), [a_gateway("*.example.org"), BALANCED], "http://192.0.2.7"),
        (Record(cluster="context"), [a_gateway(), BALANCED], "http://192.0.2.7"),
        (Record(cluster="context"), [a_gateway(addresses=["192.0.2.9"])], "http://192.0.2.9"),
        (Record(cluster="context"), [a_gateway()], ""),
        (Record(cluster="context"), [{"kind": "Service", "spec": {}}], ""),
    ],
)
def test_the_one_address(chosen, exposed, address):
    assert status.address(chosen, exposed=exposed) == address


WITH_TLS = {"kind": "Service", "spec": {"ports": [{"nodePort": 30080}, {"nodePort": 30443}]}}


@pytest.mark.parametrize(
    ("chosen", "exposed", "address"),
    [
        (Record(cluster="builtin", https_port=8444), [WITH_TLS], "https://127.0.0.1:8444"),
        (Record(cluster="kind", https_port=8444), [BALANCED, WITH_TLS], "https://127.0.0.1:8444"),
        (Record(cluster="builtin", https_port=8444), [BALANCED], ""),
        (Record(cluster="builtin"), [WITH_TLS], ""),
        (Record(cluster="context", https_port=8444), [WITH_TLS], ""),
    ],
)
def test_the_address_with_tls_where_something_leads_there(chosen, exposed, address):
    assert status.https_address(chosen, exposed=exposed) == address


@respx.mock
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(200), ""),
        (httpx.Response(503), "/readyz says 503"),
        (httpx.ConnectError("refused"), "refused"),
    ],
)
def test_the_console_is_asked_itself(answer, says):
    route = respx.get("http://127.0.0.1:8080/readyz")
    route.side_effect = answer if isinstance(answer, Exception) else [answer]
    assert status.console_answer("http://127.0.0.1:8080") == says


def test_a_console_without_address_does_not_answer():
    assert "no address" in status.console_answer("")


def test_the_document_has_what_programs_ask_for(instance):
    document = status.read(
        instance, Record(cluster="builtin"), objects=lambda kind: [], processes={}, running=False
    )
    told = json.loads(status.to_json(document))
    assert {"address", "services", "ready"} <= set(told)
    assert told["ready"] is False
    assert "looma up --name one" in status.as_text(document)


def test_a_running_instance_is_told_from_its_objects(instance, monkeypatch):
    monkeypatch.setattr(status, "console_answer", lambda address: "")
    objects = {
        "aiservices.looma.dev": [an_aiservice()],
        "deployments.apps": [
            {"metadata": {"name": "resume-r3"}, "spec": {"replicas": 1}, "status": {"readyReplicas": 1}}
        ],
        "statefulsets.apps": [],
        "services": [BALANCED | {"metadata": {"labels": {"app.kubernetes.io/name": "looma-gateway"}}}],
        "gateways.gateway.networking.k8s.io": [a_gateway("other.example.org") | {"metadata": {}}],
        "ingresses.networking.k8s.io": [INGRESS | {"metadata": {}}],
    }
    document = status.read(
        instance, Record(cluster="context"), objects=objects.__getitem__, processes={}, running=True
    )
    assert document.ready
    # The Ingress and the Gateway are somebody else's: they have not the label.
    assert document.address == "http://192.0.2.7"
    assert "resume" in status.as_text(document)


def test_a_cluster_that_does_not_answer_is_a_problem_and_no_error(instance):
    def broken(kind):
        raise httpx.ConnectError("refused")

    document = status.read(instance, Record(cluster="builtin"), objects=broken, processes={}, running=True)
    assert document.problems == ["the cluster does not answer: refused"]


def looma(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def test_commands_of_an_instance_that_is_not_there_say_so(instance, monkeypatch, capsys):
    for command in (["status"], ["kubeconfig"], ["token"], ["logs"]):
        monkeypatch.setattr("sys.argv", ["looma", *command, "--name", "one"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        assert "no instance named one" in capsys.readouterr().err


def test_kubeconfig_prints_the_path_and_nothing_else(instance):
    record.save(instance, Record(cluster="builtin"))
    assert looma("kubeconfig", "--name", "one").output == f"{instance.kubeconfig}\n"


def test_down_of_nothing_is_no_failure(instance):
    result = looma("down", "--name", "one")
    assert result.exit_code == 0
    assert "no instance" in result.output


def test_build_knows_what_it_can_build(instance):
    assert looma("build", "--only", "cheese").exit_code == 2


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version devel go1.27-abc", (1, 27)),
        ("gcc 12", None),
    ],
)
def test_go_tells_its_version(output, version):
    assert doctor.go_version(output) == version


def test_the_doctor_says_what_helps(instance):
    checks = [lambda: doctor.Finding(check="disk", good=False, found="1 GB free", help="make room")]
    found = doctor.examine(instance, checks)
    assert [(item.check, item.good) for item in found] == [("disk", False), ("instance", True)]


def test_the_doctors_checks_run_here(instance):
    for check in doctor.MACHINE:
        finding = check()
        assert finding.found
        assert finding.good or finding.help


def test_a_log_of_the_clusters_own_is_read_from_its_file(instance):
    instance.logs.mkdir(parents=True)
    (instance.logs / "etcd.log").write_text("x")
    assert logs.command(instance, "etcd", follow=True, lines=5)[:4] == ["tail", "-n", "5", "-F"]


@pytest.fixture
def kubectl_there(monkeypatch):
    monkeypatch.setattr("looma_cluster.kubernetes.binaries.path", lambda name: f"/bin-x/{name}")


@pytest.mark.parametrize(
    ("what", "selector"),
    [
        ("", "app.kubernetes.io/part-of=looma"),
        ("resume", "app.kubernetes.io/instance=resume"),
        ("gateway", "app.kubernetes.io/instance=gateway"),
        ("looma-console", "app.kubernetes.io/name=looma-console"),
        ("coredns", "app.kubernetes.io/name=coredns"),
    ],
)
def test_a_pods_log_is_found_by_its_label(instance, kubectl_there, what, selector):
    words = logs.command(instance, what, follow=False, lines=5)
    assert f"--selector={selector}" in words


def test_saved_logs_say_what_could_not_be_had(instance, tmp_path, monkeypatch):
    instance.logs.mkdir(parents=True)
    (instance.logs / "etcd.log").write_text("from etcd")

    def not_built(name):
        raise logs.binaries.NotBuiltError(name)

    monkeypatch.setattr("looma_cluster.kubernetes.binaries.path", not_built)
    missing = logs.save(instance, tmp_path / "report")
    assert (tmp_path / "report/processes/etcd.log").read_text() == "from etcd"
    assert len(missing) == len(logs.OVERVIEWS)


@respx.mock
def test_removing_the_demonstration_data_takes_every_page_and_only_that():
    first = {"items": [{"id": "a", "version": 1}, {"id": "b", "version": 4}], "next_cursor": "n"}
    second = {"items": [{"id": "c", "version": 2}], "next_cursor": None}
    pages = respx.get("http://looma/api/v1/talents", params__contains={"source": "demo"})
    pages.side_effect = [httpx.Response(200, json=first), httpx.Response(200, json=second)]
    deletions = respx.delete(url__regex=r"http://looma/api/v1/talents/[abc]")
    deletions.side_effect = [httpx.Response(204), httpx.Response(404), httpx.Response(204)]
    with httpx.Client(base_url="http://looma") as client:
        assert access.remove_demo(client) == 3
    assert pages.calls[1].request.url.params["cursor"] == "n"
    assert [call.request.headers["If-Match"] for call in deletions.calls] == ['"1"', '"4"', '"2"']


def test_the_demo_job_is_the_old_one_without_what_was_the_old_ones_own():
    finished = {
        "metadata": {"name": "looma-demo-1", "namespace": "looma"},
        "spec": {
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
            "template": {
                "metadata": {
                    "labels": {
                        "app.kubernetes.io/component": "demo",
                        "batch.kubernetes.io/controller-uid": "u",
                        "controller-uid": "u",
                        "job-name": "looma-demo-1",
                    }
                },
                "spec": {"containers": [{"name": "demo"}]},
            },
        },
    }
    job = access.demo_job(finished, name="again")
    assert job["spec"]["template"]["metadata"]["labels"] == {"app.kubernetes.io/component": "demo"}
    assert "selector" not in job["spec"]
    assert job["spec"]["template"]["spec"] == finished["spec"]["template"]["spec"]


def test_a_token_is_signed_with_the_clusters_key(instance, monkeypatch):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    monkeypatch.setattr(Kubectl, "secret", lambda self, name: {"private.pem": pem})
    made = access.token(Kubectl(instance=instance), role="operator", tenant="acme")
    claims = jwt.decode(made, RSAKey.import_key(pem), algorithms=["RS256"]).claims
    assert (claims["roles"], claims["tenant"]) == (["operator"], "acme")
    assert claims["exp"] - claims["iat"] == access.TOKEN_SECONDS


def test_without_an_issuer_there_is_no_token(instance, monkeypatch):
    monkeypatch.setattr(Kubectl, "secret", lambda self, name: {})
    with pytest.raises(access.NoIssuerError, match="looma-issuer"):
        access.token(Kubectl(instance=instance), role="operator", tenant="acme")


def test_a_status_survives_json():
    document = status.Status(name="a", cluster="builtin", environment="dev", running=True, problems=["x"])
    assert msgspec.json.decode(status.to_json(document), type=status.Status) == document
