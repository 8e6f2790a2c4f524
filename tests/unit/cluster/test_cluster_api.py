"""Questions to the API server, over real TLS with the instance's own certificates on both sides."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml

from looma_cluster import certificates, status
from looma_cluster.builtin import api as api_module
from looma_cluster.builtin import facts
from looma_cluster.builtin.api import Api


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    leaves = certificates.leaves(
        node=facts.NODE, node_address="127.0.0.1", service_address=facts.API_SERVICE_ADDRESS
    )
    certificates.ensure_pki(folder, leaves)
    return folder


class Server:
    """Answers from a table of paths, to clients with a certificate of the cluster's authority alone."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.ready = True

    def handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                subject = dict(pair[0] for pair in self.connection.getpeercert()["subject"])
                server.asked.append((self.command, self.path, self.headers["Content-Type"], body, subject))
                found = server.answers.get(self.path)
                text = found if isinstance(found, str) else json.dumps(found)
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PATCH = answer  # noqa: N815 - the names that the library calls

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def server(pki, monkeypatch):
    made = Server()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), made.handler())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    context.verify_mode = ssl.CERT_REQUIRED
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    monkeypatch.setattr(facts, "API_PORT", listening.server_address[1])
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def api(pki, server):
    return Api(address="127.0.0.1", pki=pki)


@pytest.fixture
def nobody(pki, monkeypatch):
    """The way to an API server that is not there."""
    monkeypatch.setattr(facts, "API_PORT", 1)
    return Api(address="127.0.0.1", pki=pki)


def test_it_is_asked_as_the_administrator(api, server):
    server.answers["/readyz"] = "ok"
    assert api.ready()
    assert server.asked[0][4]["organizationName"] == "system:masters"


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        pytest.param("ok\n", True, id="it says ok"),
        pytest.param("[-]etcd failed", False, id="it says what is wrong"),
        pytest.param(None, False, id="it knows no such path"),
    ],
)
def test_it_is_ready_when_it_says_so(api, server, answer, ready):
    server.answers["/readyz"] = answer
    assert api.ready() is ready


def test_no_server_is_no_error_but_not_ready(nobody):
    assert not nobody.ready()
    assert not nobody.node_ready(since=0)
    assert not nobody.deployment_runs("coredns", "c:1")
    assert not nobody.dns_ready()


def test_a_server_with_another_authority_is_not_believed(server, tmp_path, pki):
    leaves = certificates.leaves(node=facts.NODE, node_address="127.0.0.1", service_address="10.96.0.1")
    certificates.ensure_pki(tmp_path / "other", leaves)
    server.answers["/readyz"] = "ok"
    assert not Api(address="127.0.0.1", pki=tmp_path / "other").ready()


def test_the_node_is_ready_by_a_heartbeat_of_its_own(api, server):
    heartbeat = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2030-01-01T00:00:10Z"}
    server.answers[f"/api/v1/nodes/{facts.NODE}"] = {"status": {"conditions": [heartbeat]}}
    assert api.node_ready(since=1893456010.0)
    assert not api.node_ready(since=1893456011.0)
    server.answers[f"/api/v1/nodes/{facts.NODE}"] = {"status": {}}
    assert not api.node_ready(since=0)


def test_every_kind_that_status_asks_for_has_a_path():
    assert set(status.ON_ONE_MACHINE) == set(api_module.PATHS)


def test_objects_of_a_kind_that_is_not_defined_yet_are_none(api, server):
    assert api.objects("aiservices.looma.dev") == []
    server.answers[api_module.PATHS["deployments.apps"]] = {"items": [{"metadata": {"name": "a"}}]}
    assert api.objects("deployments.apps") == [{"metadata": {"name": "a"}}]


def test_objects_that_cannot_be_asked_for_are_an_error(nobody):
    with pytest.raises(httpx.HTTPError):
        nobody.objects("deployments.apps")


def test_definitions_are_those_of_the_names_that_are_there(api, server):
    server.answers["/apis/apiextensions.k8s.io/v1/customresourcedefinitions/b"] = {"metadata": {"name": "b"}}
    assert api.definitions(["a", "b"]) == [{"metadata": {"name": "b"}}]


def test_a_deployment_runs_with_the_image_it_should_have(api, server):
    pods = {"spec": {"containers": [{"image": "c:1"}]}}
    path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
    server.answers[path] = {"spec": {"template": pods}}
    assert api.deployment_runs("coredns", "c:1")
    assert not api.deployment_runs("coredns", "c:2")
    assert not api.deployment_runs("metrics-server", "c:1")


PODS = "/api/v1/namespaces/kube-system/pods"
COREDNS = f"{PODS}?labelSelector=app.kubernetes.io%2Fname%3Dcoredns"


@pytest.mark.parametrize(
    ("pods", "answering", "ready"),
    [
        pytest.param([], [], False, id="no pod"),
        pytest.param(["a"], [], False, id="a pod that does not answer yet"),
        pytest.param(["a", "b"], ["b"], True, id="one of two is enough"),
    ],
)
def test_dns_is_ready_when_a_pod_says_so_itself(api, server, pods, answering, ready):
    server.answers[COREDNS] = {"items": [{"metadata": {"name": name}} for name in pods]}
    server.answers |= {f"{PODS}/{name}:8181/proxy/ready": "OK" for name in answering}
    assert api.dns_ready() is ready


def test_an_answer_that_is_no_json_is_not_ready(api, server):
    server.answers[COREDNS] = "<html>"
    assert not api.dns_ready()


def test_pods_of_a_node_that_was_made_anew_are_written_as_not_ready(api, server):
    def pod(name, ready):
        conditions = [{"type": "Ready", "status": ready}]
        return {"metadata": {"name": name, "namespace": "looma"}, "status": {"conditions": conditions}}

    server.answers["/api/v1/pods"] = {"items": [pod("was-ready", "True"), pod("was-not", "False")]}
    api.distrust_pods()
    (method, path, kind, body, _) = server.asked[-1]
    assert [asked[0] for asked in server.asked] == ["GET", "PATCH"]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/looma/pods/was-ready/status")
    assert kind == "application/strategic-merge-patch+json"
    assert json.loads(body)["status"]["conditions"][0]["status"] == "False"


def test_applying_overrules_others_and_goes_past_the_forwarder(api, monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(api_module, "run", lambda words, *, stdin: ran.append((words, json.loads(stdin))))
    kubeconfig = tmp_path / "apply.kubeconfig"
    api.apply([{"kind": "A"}, {"kind": "B"}], kubectl=tmp_path / "kubectl", kubeconfig=kubeconfig)
    ((words, document),) = ran
    assert words[:3] == [tmp_path / "kubectl", "--kubeconfig", kubeconfig]
    assert {"--server-side", "--force-conflicts"} < set(words)
    assert document == {"apiVersion": "v1", "kind": "List", "items": [{"kind": "A"}, {"kind": "B"}]}
    written = yaml.safe_load(kubeconfig.read_text())
    assert written["clusters"][0]["cluster"]["server"] == api.url == f"https://127.0.0.1:{facts.API_PORT}"
