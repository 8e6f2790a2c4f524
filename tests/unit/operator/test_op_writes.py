"""Carrying a plan out and reading for one, where the API server refuses, forgets, conflicts, or is away."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from looma_core.kube import KubeError
from looma_operator import definitions
from looma_operator.kube import kinds
from looma_operator.kube.client import ConflictError, NotFoundError, RefusedError
from looma_operator.kube.read import find_foreign, parse_service, pods_of, read_service, stored_revision
from looma_operator.kube.write import NOTE_LIMIT, carry_out, post_events, write_status
from looma_operator.names import EventReason, Reason
from looma_operator.plan.children import Apply, Delete, Notice
from looma_operator.render.route import ParentGateway

Json = dict[str, Any]


class Kube:
    """The API server's client: objects in a dict, errors as told, and what was asked in its order."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors
        self.objects: dict[tuple[str, str], Json] = {}
        self.asked: list[tuple[str, ...]] = []
        self.bodies: list[Json] = []
        self.refused_namespaces: dict[str, Exception] = {}

    def _ask(self, verb: str, *words: str) -> None:
        self.asked.append((verb, *words))
        error = self.errors.get(words[-1]) or self.errors.get(verb)
        if error:
            raise error

    async def apply(self, kind: kinds.Kind, manifest: Json, **named: Any) -> None:
        self.bodies.append({"manifest": manifest, **named})
        self._ask("apply", kind.name, manifest["metadata"]["name"])

    async def delete(self, kind: kinds.Kind, _namespace: str, name: str, **named: Any) -> None:
        self.bodies.append(named)
        self._ask("delete", kind.name, name)

    async def create(self, kind: kinds.Kind, _namespace: str, body: Json) -> None:
        self.bodies.append(body)
        self._ask("create", kind.name, body["reason"])

    async def list(self, kind: kinds.Kind, namespace: str, **_named: Any) -> list[Json]:
        self._ask("list", kind.name)
        if namespace in self.refused_namespaces:
            raise self.refused_namespaces[namespace]
        return [found for (name, _), found in self.objects.items() if name == kind.name]

    async def get(self, kind: kinds.Kind, _namespace: str, name: str) -> Json:
        self._ask("get", kind.name, name)
        try:
            return self.objects[kind.name, name]
        except KeyError:
            raise NotFoundError(404, f"{name} not found") from None


def child(kind: str, name: str) -> Json:
    return {"kind": kind, "metadata": {"name": name}}


def count(kind: str, action: str, result: str) -> float:
    labels = {"kind": kind, "action": action, "result": result}
    return REGISTRY.get_sample_value("looma_operator_actions_total", labels) or 0.0


WRITE = Apply(manifest=child("Service", "resume-stable"), resource_version="7")
REMOVE = Delete(kind="Deployment", name="resume-r1", uid="u", resource_version="9")


async def test_actions_are_carried_out_in_their_order_and_on_the_state_that_was_judged():
    kube, before = Kube(), count("Service", "apply", "done")
    assert await carry_out(kube, "looma", [WRITE, REMOVE]) == []
    assert kube.asked == [("apply", "Service", "resume-stable"), ("delete", "Deployment", "resume-r1")]
    assert kube.bodies == [
        {"manifest": WRITE.manifest, "resource_version": "7", "absent": False, "manager": "looma"},
        {"uid": "u", "resource_version": "9"},
    ]
    assert count("Service", "apply", "done") == before + 1


async def test_a_refused_child_is_told_and_the_others_are_written_all_the_same():
    kube, before = Kube(apply=RefusedError(422, "quota exceeded")), count("Service", "apply", "refused")
    (refusal,) = await carry_out(kube, "looma", [WRITE, REMOVE])
    assert (refusal.kind, refusal.name, refusal.message) == ("Service", "resume-stable", "quota exceeded")
    assert refusal.reason == Reason.CHILD_REFUSED
    assert kube.asked[-1] == ("delete", "Deployment", "resume-r1")
    assert count("Service", "apply", "refused") == before + 1


async def test_what_is_gone_needs_no_deleting():
    kube, before = Kube(delete=NotFoundError(404, "gone")), count("Deployment", "delete", "gone")
    assert await carry_out(kube, "looma", [REMOVE, WRITE]) == []
    assert kube.asked[-1][0] == "apply"
    assert count("Deployment", "delete", "gone") == before + 1


@pytest.mark.parametrize(
    ("error", "result"),
    [(ConflictError(409, "changed"), "conflict"), (KubeError(0, "no answer"), "failed")],
    ids=["changed meanwhile", "no answer"],
)
async def test_the_rest_waits_where_the_state_is_not_known(error: KubeError, result: str):
    kube, before = Kube(apply=error), count("Service", "apply", result)
    with pytest.raises(type(error)):
        await carry_out(kube, "looma", [WRITE, REMOVE])
    assert len(kube.asked) == 1
    assert count("Service", "apply", result) == before + 1


SERVICE: Json = {
    "kind": "AIService",
    "metadata": {
        "name": "resume",
        "namespace": "looma",
        "uid": "u1",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": "2026-11-20T10:00:00Z",
    },
    "spec": {"engine": "resume", "image": "a:1"},
}


@pytest.mark.parametrize(
    ("error", "result"),
    [(None, "done"), (ConflictError(409, "changed"), "conflict"), (KubeError(500, "etcd"), "failed")],
    ids=["written", "changed meanwhile", "failed"],
)
async def test_a_status_is_written_on_the_state_that_it_was_made_from(error: KubeError | None, result: str):
    kube, before = Kube(**({"apply": error} if error else {})), count("AIService", "status", result)
    metadata = parse_service(SERVICE).metadata
    written = write_status(kube, kinds.AI_SERVICE, metadata, {"phase": "Ready"}, resource_version="7")
    if error is None:
        await written
    else:
        with pytest.raises(type(error)):
            await written
    (body,) = kube.bodies
    assert (body["resource_version"], body["subresource"]) == ("7", "status")
    assert body["manifest"]["status"] == {"phase": "Ready"}
    assert count("AIService", "status", result) == before + 1


async def test_an_event_that_cannot_be_posted_keeps_none_of_the_others_back(caplog: pytest.LogCaptureFixture):
    first, second = list(EventReason)[:2]
    kube = Kube(**{str(first): KubeError(403, "forbidden")})
    notices = [
        Notice(reason=first, note="one", warning=True),
        Notice(reason=second, note="字" * (NOTE_LIMIT + 1)),
    ]
    metadata = parse_service(SERVICE).metadata
    await post_events(kube, kind=kinds.AI_SERVICE, metadata=metadata, notices=notices, instance="pod-a")
    assert [(body["reason"], body["type"]) for body in kube.bodies] == [
        (str(first), "Warning"),
        (str(second), "Normal"),
    ]
    assert "forbidden" in caplog.text
    assert kube.bodies[0]["regarding"]["uid"] == "u1"
    # The API server's limit is one of bytes.
    assert kube.bodies[1]["note"] == "字" * (NOTE_LIMIT // 3)


# ---- reading -----------------------------------------------------------------------------------------------


async def test_a_service_that_is_gone_or_going_has_no_plan():
    kube = Kube()
    assert await read_service(kube, "looma", "resume", gateway=ParentGateway()) is None
    going = {**SERVICE["metadata"], "deletionTimestamp": "2026-11-20T11:00:00Z"}
    kube.objects["AIService", "resume"] = {**SERVICE, "metadata": going}
    assert await read_service(kube, "looma", "resume", gateway=ParentGateway()) is None


OWNED: Json = {
    "metadata": {"name": "resume", "ownerReferences": [{"uid": "u1", "controller": True}]},
    "kind": "HTTPRoute",
}


async def test_a_route_is_read_like_any_other_child():
    kube = Kube()
    kube.objects["AIService", "resume"] = SERVICE
    kube.objects["HTTPRoute", "resume"] = OWNED
    reading = await read_service(kube, "looma", "resume", gateway=ParentGateway())
    assert reading is not None
    assert ("HTTPRoute", "resume") in reading.observed.children
    assert reading.observed.gateway_api is True


async def test_a_cluster_without_the_gateway_api_is_read_all_the_same():
    kube = Kube(HTTPRoute=NotFoundError(404, "the server could not find the requested resource"))
    kube.objects["AIService", "resume"] = SERVICE
    reading = await read_service(kube, "looma", "resume", gateway=ParentGateway())
    assert reading is not None
    assert reading.observed.gateway_api is False


def a_gateway(name: str, replicas: int) -> Json:
    return {
        "metadata": {"name": name, "namespace": "looma", "uid": name},
        "spec": {"engine": "gateway"},
        "status": {"replicas": replicas, "readyReplicas": 1},
    }


async def test_gateway_pods_are_counted_where_the_gateway_is():
    kube = Kube()
    kube.objects["AIService", "resume"] = SERVICE
    kube.objects["AIService", "edge"] = a_gateway("edge", 2)
    kube.objects["AIService", "inner"] = a_gateway("inner", 1)
    for gateway in (ParentGateway(), ParentGateway(namespace="looma"), ParentGateway(namespace="edges")):
        reading = await read_service(kube, "looma", "resume", gateway=gateway)
        assert reading is not None
        assert reading.observed.gateways == 3


async def test_where_gateways_may_not_be_read_their_number_is_not_known():
    kube = Kube()
    kube.objects["AIService", "resume"] = SERVICE
    kube.refused_namespaces = {"edges": KubeError(403, "forbidden")}
    reading = await read_service(kube, "looma", "resume", gateway=ParentGateway(namespace="edges"))
    assert reading is not None
    assert reading.observed.gateways is None
    kube.refused_namespaces = {"edges": KubeError(0, "no answer")}
    with pytest.raises(KubeError, match="no answer"):
        await read_service(kube, "looma", "resume", gateway=ParentGateway(namespace="edges"))


async def test_another_kind_that_is_missing_is_an_error():
    kube = Kube(Service=NotFoundError(404, "no Services"))
    kube.objects["AIService", "resume"] = SERVICE
    with pytest.raises(NotFoundError):
        await read_service(kube, "looma", "resume", gateway=ParentGateway())


async def test_children_of_others_are_told_from_our_own_and_from_those_that_are_not_there():
    kube = Kube()
    for name, reference in (("ours", {"uid": "u1", "controller": True}), ("theirs", {"uid": "u2"})):
        found = child("Service", name)
        found["metadata"]["ownerReferences"] = [reference]
        kube.objects["Service", name] = found
    kube.objects["Service", "nobody's"] = child("Service", "nobody's")
    names = [("Service", name) for name in ("ours", "theirs", "nobody's", "missing")]
    assert await find_foreign(kube, "looma", "u1", names) == {("Service", "theirs"), ("Service", "nobody's")}


def a_revision(**changes: Any) -> Json:
    meta = {
        "labels": {"looma.dev/revision": "r3"},
        "annotations": {},
        "creationTimestamp": "2026-11-20T10:00:00Z",
    }
    return {"kind": "ControllerRevision", "metadata": meta, "data": {"image": "a:1"}, **changes}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(a_revision(metadata={"labels": {"looma.dev/revision": "three"}}), id="no number"),
        pytest.param(a_revision(metadata={}), id="no label"),
        pytest.param(a_revision(data=None), id="no content"),
        pytest.param(a_revision(kind="Deployment"), id="a Deployment that does not say its content"),
    ],
)
def test_what_holds_no_revision_is_none(raw: Json):
    assert stored_revision(raw) is None


def test_a_revision_that_was_never_activated_is_as_old_as_it_is():
    revision = stored_revision(a_revision())
    assert revision is not None
    assert revision.number == 3
    assert revision.activated_at == revision.created_at


def test_pods_that_end_still_count_and_a_failure_says_why():
    failure = {"type": "ReplicaFailure", "status": "True", "message": "quota exceeded"}
    status = {"replicas": 2, "terminatingReplicas": 1, "readyReplicas": 1, "conditions": [failure]}
    pods = pods_of({"spec": {"replicas": 2}, "status": status})
    assert (pods.total, pods.ready, pods.available, pods.failure) == (3, 1, 0, "quota exceeded")
    assert pods_of({"spec": {}}).spec == 1


# ---- the definitions ---------------------------------------------------------------------------------------


class Server:
    """Answers `request` from a list, one after another, and remembers what was asked."""

    def __init__(self, *answers: Json | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.named: list[dict[str, Any]] = []

    async def request(self, method: str, path: str, **named: Any) -> Json:
        self.asked.append((method, path.rsplit("/", 1)[-1]))
        self.named.append(named)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(definitions, "asyncio", SimpleNamespace(sleep=at_once, timeout=asyncio.timeout))


NAMED: Json = {"metadata": {"name": "aiservices.looma.dev"}}
SERVED: Json = {"status": {"conditions": [{"type": "Established", "status": "True"}]}}


async def test_definitions_are_applied_over_what_others_set_and_waited_for():
    server = Server({}, {}, {"status": {"conditions": [{"type": "Established", "status": "False"}]}}, SERVED)
    await definitions.apply(server, [NAMED])
    assert server.asked == [("PATCH", "aiservices.looma.dev")] + [("GET", "aiservices.looma.dev")] * 3
    assert server.named[0]["query"]["force"] == "true"
    assert server.named[0]["body"] == NAMED


async def test_a_refused_definition_is_an_error():
    with pytest.raises(RefusedError):
        await definitions.apply(Server(RefusedError(422, "invalid")), [NAMED])


async def test_a_definition_that_is_never_served_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(definitions, "ESTABLISHED_SECONDS", 0.0)
    with pytest.raises(TimeoutError):
        await definitions.apply(Server({}, *[{}] * 10_000), [NAMED])


async def test_the_operator_waits_for_its_resources_and_says_so_once(caplog: pytest.LogCaptureFixture):
    answers: list[Json | Exception] = [
        KubeError(0, "no answer"),
        NotFoundError(404, "no such group"),
        {"resources": [{"name": "aiservices"}]},
        {"resources": [{"name": "aiservices"}, {"name": "syncjobs"}]},
    ]
    server = Server(*answers)
    await definitions.wait_served(server, ["aiservices", "syncjobs"], group_version="looma.dev/v1alpha1")
    assert len(server.asked) == 4
    assert caplog.text.count("waiting for the definitions") == 1


async def test_a_server_that_forbids_to_look_is_not_waited_for():
    with pytest.raises(KubeError):
        await definitions.wait_served(Server(KubeError(403, "forbidden")), ["x"], group_version="g/v1")


def test_a_package_without_its_definitions_says_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    (tmp_path / "definitions").mkdir()
    monkeypatch.setattr(definitions, "files", lambda _package: tmp_path)
    with pytest.raises(FileNotFoundError, match="definitions"):
        definitions.load()
