"""kind's and other people's clusters, kubectl, and what goes through it: commands, and what is made of answers."""

from __future__ import annotations

import base64
import json

import pytest

from looma_cluster import access, context, kind, kubernetes, record
from looma_cluster.builtin import facts
from looma_cluster.commands import CommandError
from looma_cluster.context import ContextCluster
from looma_cluster.kind import KindCluster
from looma_cluster.kubernetes import Kubectl
from looma_cluster.record import Record


class Programs:
    """Stands for kind, docker and kubectl: answers by a part of the command, and remembers the whole of it."""

    def __init__(self):
        self.answers = {}
        self.asked = []

    def __call__(self, command, *, stdin=None, **options):
        line = " ".join(str(word) for word in command)
        self.asked.append((line, stdin))
        answer = next((found for part, found in self.answers.items() if part in line), "")
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def lines(self):
        return [line for line, _ in self.asked]


@pytest.fixture
def programs(instance, monkeypatch):
    made = Programs()
    for module in (kind, context, kubernetes):
        monkeypatch.setattr(module, "run", made)
        monkeypatch.setattr(module.binaries, "path", lambda name: name)
        monkeypatch.setattr(module.binaries, "ensure", lambda report, log=None: report("programs"))
    return made


def steps_of(cluster, chosen):
    return {step.name: step for step in cluster.steps(chosen)}


# ---- kind --------------------------------------------------------------------------------------------------


@pytest.fixture
def kind_cluster(instance):
    return KindCluster(instance=instance)


def test_kind_makes_a_cluster_with_the_port_that_was_chosen(programs, kind_cluster, instance):
    step = steps_of(kind_cluster, Record(cluster="kind", console_port=8099))["kind cluster"]
    told = []
    step.action(told.append)
    (line, stdin) = programs.asked[-1]
    assert line == " ".join(kind.create_command(instance))
    mapping = json.loads(stdin)["nodes"][0]["extraPortMappings"][0]
    assert (mapping["hostPort"], mapping["containerPort"]) == (8099, facts.GATEWAY_NODE_PORT)
    assert told == ["creating it"]


@pytest.mark.parametrize(("answer", "running"), [("true\n", True), ("false\n", False), ("", False)])
def test_kind_runs_when_its_container_does(programs, kind_cluster, answer, running):
    programs.answers["docker inspect"] = answer
    assert kind_cluster.running() is running
    assert programs.lines[0].endswith("looma-one-control-plane")


def test_kinds_port_is_chosen_once(kind_cluster):
    chosen = kind_cluster.choose(Record(cluster="kind"))
    assert chosen.console_port >= kind.CONSOLE_PORT
    kept = kind_cluster.choose(Record(cluster="kind", console_port=1))
    assert kept.console_port == 1


def test_images_go_into_kinds_node_and_are_listed_there(programs, kind_cluster, tmp_path):
    programs.answers["images list"] = "localhost/a:1\nlocalhost/b:1\n"
    assert kind_cluster.present_images() == {"localhost/a:1", "localhost/b:1"}
    assert programs.lines[0].startswith("docker exec looma-one-control-plane ctr -n k8s.io")
    told = []
    kind_cluster.import_image(tmp_path / "a.tar", told.append)
    assert programs.lines[1] == f"kind load image-archive {tmp_path / 'a.tar'} --name looma-one"
    assert told == ["a.tar"]


@pytest.mark.parametrize(
    "cluster", [pytest.param(KindCluster, id="kind"), pytest.param(ContextCluster, id="context")]
)
def test_programs_are_built_for_every_kind_of_cluster(programs, instance, cluster):
    told = []
    steps_of(cluster(instance=instance), Record(cluster="x"))["programs"].action(told.append)
    assert told == ["programs"]


# ---- somebody else's cluster -------------------------------------------------------------------------------


@pytest.fixture
def others(instance):
    return ContextCluster(instance=instance)


def test_a_context_is_copied_into_the_instance_and_asked(programs, others, instance):
    programs.answers["config view"] = "kind: Config\n"
    chosen = Record(cluster="context", context="prod", registry="registry.example.org")
    assert others.choose(chosen) is chosen
    step = steps_of(others, chosen)["context prod"]
    assert not step.done()
    step.action(lambda text: None)
    assert instance.kubeconfig.read_text() == "kind: Config\n"
    # What may be an administrator's key is for the owner alone.
    assert instance.kubeconfig.stat().st_mode & 0o077 == 0
    assert programs.lines[1] == f"kubectl --kubeconfig {instance.kubeconfig} version"


@pytest.mark.parametrize(
    ("copied", "answer", "running"),
    [(False, "ok", False), (True, "ok\n", True), (True, "", False)],
    ids=["no copy yet", "it answers", "it does not"],
)
def test_somebody_elses_cluster_runs_when_it_answers(programs, others, copied, answer, running):
    if copied:
        others.instance.kubeconfig.write_text("")
    programs.answers["--raw /readyz"] = answer
    assert others.running() is running


def test_down_of_a_cluster_that_was_never_reached_asks_nothing(programs, others):
    others.down(lambda text: None, purge=True)
    assert programs.asked == []


# ---- kubectl -----------------------------------------------------------------------------------------------


@pytest.fixture
def kubectl(programs, instance):
    return Kubectl(instance=instance)


def test_kubectl_uses_the_instances_own_way_in(programs, kubectl, instance):
    kubectl.text("get", "pods")
    assert programs.lines == [f"kubectl --kubeconfig {instance.kubeconfig} --namespace looma get pods"]


@pytest.mark.parametrize(
    ("answer", "objects"),
    [
        pytest.param({"kind": "List", "items": [{"a": 1}, {"b": 2}]}, [{"a": 1}, {"b": 2}], id="a list"),
        pytest.param({"kind": "PodList", "items": []}, [], id="an empty list of a kind"),
        pytest.param({"kind": "Secret", "data": {}}, [{"kind": "Secret", "data": {}}], id="one object"),
    ],
)
def test_objects_are_a_list_whatever_was_asked(programs, kubectl, answer, objects):
    programs.answers["get"] = json.dumps(answer)
    assert kubectl.objects("x") == objects


@pytest.mark.parametrize(
    "said", ["error: the server doesn't have a resource type", "Error from server (NotFound): secrets"]
)
def test_what_the_cluster_does_not_know_is_nothing(programs, kubectl, said):
    programs.answers["get"] = CommandError(["kubectl"], 1, said)
    assert kubectl.objects("x") == []
    assert kubectl.secret("x") == {}


def test_a_cluster_that_refuses_is_an_error(programs, kubectl):
    programs.answers["get"] = CommandError(["kubectl"], 1, "Forbidden")
    with pytest.raises(CommandError, match="Forbidden"):
        kubectl.objects("x")


def test_a_secret_is_decoded(programs, kubectl):
    data = {"admin-password": base64.b64encode(b"\x00first").decode()}
    programs.answers["get secret looma-console"] = json.dumps({"kind": "Secret", "data": data})
    assert kubectl.secret("looma-console") == {"admin-password": b"\x00first"}


def test_the_demonstration_is_loaded_by_a_job_like_the_releases_and_waited_for(programs, kubectl):
    def job(name):
        template = {"metadata": {"labels": {"job-name": name}}, "spec": {"containers": [{"name": name}]}}
        return {"metadata": {"name": name, "namespace": "looma"}, "spec": {"template": template}}

    programs.answers["get jobs"] = json.dumps({"items": [job("looma-migrate-1"), job("looma-demo-1")]})
    access.load_demo(kubectl)
    (_, (created, stdin), (waited, _)) = programs.asked
    assert created.endswith("create -f -")
    made = json.loads(stdin)
    assert made["spec"]["template"]["spec"] == {"containers": [{"name": "looma-demo-1"}]}
    name = made["metadata"]["name"]
    assert name not in {"looma-demo-1", "looma-migrate-1"}
    assert f"wait job/{name} --for=condition=complete" in waited


def test_an_environment_without_a_demonstration_says_which_has_one(programs, kubectl):
    programs.answers["get jobs"] = '{"items": []}'
    with pytest.raises(LookupError, match="looma up -e dev"):
        access.load_demo(kubectl)


def test_a_damaged_record_is_an_error_and_not_a_new_instance(instance):
    instance.record.write_text("{")
    with pytest.raises(record.msgspec.DecodeError):
        record.load(instance)


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        pytest.param("", [], id="of nothing nothing is said"),
        pytest.param(
            '{"kind": "CustomResourceDefinition"}', [{"kind": "CustomResourceDefinition"}], id="one"
        ),
        pytest.param('{"kind": "List", "items": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}], id="two"),
    ],
)
def test_definitions_are_asked_for_by_name(programs, kubectl, answer, there):
    programs.answers["get customresourcedefinitions"] = answer
    assert kubectl.definitions(["a", "b"]) == there
    assert "customresourcedefinitions.apiextensions.k8s.io a b --ignore-not-found" in programs.lines[0]
