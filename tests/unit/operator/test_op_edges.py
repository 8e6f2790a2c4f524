"""Where the operator meets the outside: admission requests, watch events, the environment, the command's patches."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import aiohttp
import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from looma_core.api.aiservice import annotation_patch, rollback_patch
from looma_core.kube import KubeError
from looma_operator import health, main, rbac
from looma_operator.handlers import RouteBook, owner_key, sync_key
from looma_operator.kube.client import Kube, RefusedError
from looma_operator.names import REQUEST, REQUESTED_BY
from looma_operator.options import read_options
from looma_operator.plan.author import spec_digest
from looma_operator.queueing import Key
from looma_operator.resources import AIService
from looma_operator.rollback_patch import choose_revision
from looma_operator.webhooks import (
    check_service,
    has_types,
    named,
    note_change,
    note_request,
    path_owner,
    requester,
    trial_deployment,
)

WHO, DIGEST, WHY = "looma.dev/changed-by", "looma.dev/changed-digest", "looma.dev/change-reason"


def raw(image: str = "a:1", annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "resume", "namespace": "looma", "annotations": annotations or {}},
        "spec": {"engine": "custom", "image": image, **spec},
    }


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"username": "ada"}, "ada"),
        ({"username": "looma:console", "extra": {"person": ["grace"]}}, "grace"),
        ({"username": "looma:console", "extra": {}}, "looma:console"),
        ({}, ""),
    ],
)
def test_who_asked(user, expected):
    assert requester(user) == expected


def test_a_change_is_signed():
    new = raw("a:2")
    assert note_change(old=raw(), new=new, who="ada") == {WHO: "ada", DIGEST: spec_digest(new["spec"])}


def test_a_reason_that_is_not_renewed_goes():
    old, new = raw(annotations={WHY: "old"}), raw("a:2", annotations={WHY: "old"})
    assert note_change(old=old, new=new, who="ada")[WHY] is None
    renewed = raw("a:2", annotations={WHY: "new"})
    assert WHY not in note_change(old=old, new=renewed, who="ada")


def test_without_a_change_the_signature_stays():
    signed = {WHO: "ada", DIGEST: "d"}
    assert note_change(old=raw(annotations=signed), new=raw(annotations=signed), who="bob") == {}
    forged = raw(annotations={WHO: "bob", DIGEST: "d"})
    assert note_change(old=raw(annotations=signed), new=forged, who="bob") == {WHO: "ada"}
    assert note_change(old=raw(), new=raw(annotations={WHO: "eve"}), who="eve") == {WHO: None}


def test_a_request_is_signed_with_the_name_of_who_made_it():
    text = '{"id":"one","action":"promote"}'
    signed = note_request(old=raw(), new=raw(annotations={REQUEST: text}), who="ada")
    assert signed == {REQUESTED_BY: '{"id":"one","by":"ada"}'}
    before = raw(annotations={REQUEST: text, **signed})
    assert note_request(old=before, new=before, who="bob") == {}
    forged = raw(annotations={REQUEST: text, REQUESTED_BY: '{"id":"one","by":"eve"}'})
    assert note_request(old=before, new=forged, who="eve") == signed
    assert note_request(old=raw(), new=raw(annotations={REQUESTED_BY: "eve"}), who="eve") == {
        REQUESTED_BY: None
    }
    assert note_request(old=None, new=raw(annotations={REQUEST: "no JSON"}), who="ada") == {}


def test_who_has_a_path():
    mine = raw(route={"pathPrefixes": ["/api/v1/a", "/api/v1/b"]})
    other = copy.deepcopy(mine)
    other["metadata"]["name"] = "other"
    other["spec"]["route"]["pathPrefixes"] = ["/api/v1/b"]
    going = copy.deepcopy(other)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert path_owner(raw=mine, others=[mine, going]) is None
    assert path_owner(raw=mine, others=[mine, other]) == ("/api/v1/b", "other")


class Peers:
    """The part of Kube that the webhook uses."""

    def __init__(self, *, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.tried: list[dict[str, Any]] = []

    async def list(self, *_: Any) -> list[dict[str, Any]]:
        return []

    async def apply(self, _kind: Any, manifest: dict[str, Any], *, dry_run: bool) -> None:
        assert dry_run
        self.tried.append(manifest)
        if self.refusal:
            raise self.refusal


async def test_a_template_is_tried_only_when_it_changes():
    peers = Peers()
    template = {"spec": {"nodeSelector": {"a": "b"}}}
    await check_service(peers, raw(podTemplate=template), raw(podTemplate=template))
    assert peers.tried == []
    await check_service(peers, raw(podTemplate=template), raw())
    assert peers.tried[0]["metadata"]["name"] == "resume-r0"
    assert "ownerReferences" not in peers.tried[0]["metadata"]


async def test_a_refused_template_says_where_to_look():
    peers = Peers(refusal=RefusedError(422, "restartPolicy: Unsupported value"))
    with pytest.raises(kopf.AdmissionError, match=r"spec.podTemplate: .*restartPolicy"):
        await check_service(peers, raw(podTemplate={"spec": {"restartPolicy": "x"}}), None)


async def test_a_reason_has_an_end():
    with pytest.raises(kopf.AdmissionError, match="at most 1000 characters"):
        await check_service(Peers(), raw(annotations={WHY: "x" * 1001}), None)


def test_a_trial_has_the_users_parts():
    manifest = trial_deployment(raw(podTemplate={"spec": {"nodeSelector": {"a": "b"}}}))
    assert manifest["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}


def reference(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "name": "resume",
        "controller": True,
        **changes,
    }


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ([reference()], Key("AIService", "looma", "resume")),
        ([reference(controller=False)], None),
        ([reference(apiVersion="apps/v1")], None),
        (None, None),
    ],
)
def test_whom_a_child_wakes(references, expected):
    assert owner_key({"metadata": {"namespace": "looma", "ownerReferences": references}}) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            {"app.kubernetes.io/name": "sync-job", "app.kubernetes.io/instance": "people"},
            Key("SyncJob", "looma", "people"),
        ),
        ({"app.kubernetes.io/name": "looma-migrate", "app.kubernetes.io/instance": "looma"}, None),
        ({"app.kubernetes.io/name": "sync-job"}, None),
        (None, None),
    ],
)
def test_whom_a_run_wakes(labels, expected):
    assert sync_key({"metadata": {"namespace": "looma", "labels": labels}}) == expected


def test_whom_a_changed_service_wakes():
    book = RouteBook()
    a, b, c = (Key("AIService", "looma", name) for name in "abc")
    elsewhere = Key("AIService", "other", "d")

    def spec(path: str, *models: str) -> dict[str, Any]:
        return {"route": {"pathPrefixes": [path]}, "modelRefs": [{"name": name} for name in models]}

    assert book.note(a, spec("/x", "ner")) == ({"ner"}, frozenset())
    assert book.note(b, spec("/x")) == (frozenset(), {a})
    assert book.note(elsewhere, spec("/x")) == (frozenset(), frozenset())
    assert book.note(c, spec("/y")) == (frozenset(), frozenset())
    assert book.note(a, spec("/x", "ner"), "r1") == ({"ner"}, frozenset()), "the model says by which revision"
    assert book.users_of("looma", "ner") == {a}
    assert book.note(a, None) == ({"ner"}, {b}), "b may have the path now"
    assert book.users_of("looma", "ner") == frozenset()


def test_a_service_that_comes_or_goes_wakes_those_whose_routes_lead_to_it():
    book = RouteBook()
    a, b, spare = (Key("AIService", "looma", name) for name in ("a", "b", "spare"))
    book.note(a, {"route": {"pathPrefixes": ["/x"], "fallback": {"service": "spare"}}})
    book.note(b, {"route": {"pathPrefixes": ["/y"], "shadow": {"service": "spare", "percent": 1}}})
    book.note(Key("AIService", "other", "a"), {"route": {"fallback": {"service": "spare"}}})
    assert book.note(spare, {"engine": "custom"}) == (frozenset(), {a, b})
    assert book.note(spare, {"engine": "custom", "replicas": 2}) == (frozenset(), frozenset())
    assert book.note(spare, None) == (frozenset(), {a, b})
    assert book.note(spare, None) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"LOOMA_NAMESPACES": " , "}, "LOOMA_NAMESPACES"),
        ({"LOOMA_PORT": "http"}, "LOOMA_PORT: write a port"),
        ({"LOOMA_WEBHOOK_PORT": "70000"}, "LOOMA_WEBHOOK_PORT"),
        ({"LOOMA_PROMETHEUS_URL": "prometheus:9090"}, "write an address as http://prometheus:9090"),
        ({"LOOMA_PROMETHEUS_URL": "ftp://prometheus"}, "LOOMA_PROMETHEUS_URL: write an address"),
    ],
)
def test_a_wrong_environment_says_what_to_write(environment, message):
    with pytest.raises(ValueError, match=message):
        read_options(environment)


def test_options_have_defaults():
    options = read_options({"POD_NAMESPACE": "ns", "POD_NAME": "p"})
    assert (options.namespaces, options.identity, options.certificates) == (("ns",), "p", None)
    assert (options.http_port, options.webhook_port) == (8080, 8443)
    assert (options.gateway_name, options.gateway_namespace) == ("looma", "ns")
    assert (options.prometheus_url, options.notifications) == ("", None)
    assert read_options({"LOOMA_NAMESPACES": "a, b"}).namespaces == ("a", "b")
    elsewhere = read_options({"LOOMA_GATEWAY_NAME": "edge", "LOOMA_GATEWAY_NAMESPACE": "infra"})
    assert (elsewhere.gateway_name, elsewhere.gateway_namespace) == ("edge", "infra")


def test_kopf_notes_nothing_of_what_it_sees():
    storage = main.kopf_settings(read_options({})).persistence.diffbase_storage
    body, patch = kopf.Body({"metadata": {"name": "resume"}, "spec": {"replicas": 3}}), kopf.Patch()
    essence = storage.build(body=body)
    storage.store(body=body, patch=patch, essence=essence)
    assert (essence, dict(patch), storage.fetch(body=body)) == ({}, {}, None)


def test_kopf_only_watches():
    settings = main.kopf_settings(read_options({}))
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.admission.server is None
    assert settings.admission.managed is None
    with_webhook = main.kopf_settings(read_options({"LOOMA_WEBHOOK_CERT_DIR": "/certs"}))
    assert isinstance(with_webhook.admission.server, kopf.WebhookServer)


def test_rights_have_no_wildcard_and_one_secret():
    for rule in (*rbac.OPERATOR_RULES, *rbac.NODES_RULES, *rbac.DEFINITIONS_RULES):
        words = {rule.group, *rule.resources, *rule.verbs}
        assert "*" not in words
        assert "pods/exec" not in words
        # Why an init container could not fetch a model is in its pod alone.
        assert "pods" not in words or rule.verbs == ("list",)
        if {"secrets", "configmaps"} & words:
            assert (rule.verbs, len(rule.names)) == (("get",), 1)
    assert rbac.OPERATOR_RULES[-1].to_json()["resourceNames"] == ["looma-operator"]


def test_a_gateway_reads_one_secret_and_writes_statuses_alone():
    for rule in (*rbac.GATEWAY_RULES, *rbac.GATEWAY_CLUSTER_RULES):
        assert "*" not in {rule.group, *rule.resources, *rule.verbs}
        assert not {"create", "delete"} & set(rule.verbs)
        if {"patch", "update"} & set(rule.verbs):
            assert all(resource.endswith("/status") for resource in rule.resources)
        if "secrets" in rule.resources:
            assert rule.verbs == ("get",)
            assert rule.names == (rbac.GATEWAY_CERTIFICATE,)


def test_rules_are_printed(capsys):
    main.main(["rules"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["operator"][0] == rbac.OPERATOR_RULES[0].to_json()
    assert printed["operatorNodes"] == [rule.to_json() for rule in rbac.NODES_RULES]
    assert printed["gateway"] == [rule.to_json() for rule in rbac.GATEWAY_RULES]
    assert printed["gatewayClasses"] == [rule.to_json() for rule in rbac.GATEWAY_CLUSTER_RULES]


def test_definitions_are_printed(capsys):
    main.main(["definitions", "show"])
    assert capsys.readouterr().out.count("kind: CustomResourceDefinition") == 3


@pytest.mark.parametrize("arguments", [[], ["dance"], ["definitions"]])
def test_a_wrong_command_line_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main.main(arguments)
    assert end.value.code == 2


CONTENT = {"engine": "custom", "image": "a:1", "config": {"x": 1}, "models": [{"name": "ner", "uri": "u"}]}


def apply_patch(document: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """The operations that the patches use."""
    result = copy.deepcopy(document)
    for step in patch:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        place = result
        for part in parents:
            place = place[part]
        if step["op"] == "test":
            assert place[last] == step["value"]
        elif step["op"] == "remove":
            del place[last]
        else:
            place[last] = step["value"]
    return result


@pytest.mark.parametrize(
    "spec",
    [
        {"image": "a:2"},
        {"image": "a:2", "config": {"x": 2, "y": 3}},
        {"image": "a:2", "podTemplate": {"spec": {}}, "resources": {"limits": {"cpu": "1"}}},
        {"image": "a:1", "modelRefs": [{"name": "other"}]},
    ],
)
def test_a_rollback_patch_asks_for_the_content_and_nothing_else(spec):
    service = {
        "metadata": {"resourceVersion": "5"},
        "spec": {"engine": "custom", "replicas": 7, "paused": True, **spec},
    }
    after = apply_patch(service, rollback_patch(service=service, content=CONTENT, reason="why"))
    assert after["spec"] == {
        "engine": "custom",
        "replicas": 7,
        "paused": True,
        "image": "a:1",
        "config": {"x": 1},
        "modelRefs": [{"name": "ner"}],
    }
    assert after["metadata"]["annotations"] == {WHY: "why"}


def test_a_rollback_without_a_reason_takes_the_old_reason_away():
    metadata = {"resourceVersion": "5", "annotations": {WHY: "old", "keep": "me"}}
    patch = annotation_patch(metadata=metadata, values={WHY: ""})
    assert apply_patch({"metadata": metadata}, patch)["metadata"]["annotations"] == {"keep": "me"}
    assert annotation_patch(metadata={"resourceVersion": "5"}, values={WHY: ""}) == []


@pytest.mark.parametrize(
    ("asked", "expected"), [("", "r1"), ("r3", "r3"), ("3", "r3"), ("r2", "r2"), ("r9", None), ("last", None)]
)
def test_which_revision_is_meant(asked, expected):
    revisions = [
        {
            "metadata": {
                "labels": {"looma.dev/revision": name},
                "annotations": {"looma.dev/activated-at": f"2026-01-0{day}T00:00:00Z"},
            }
        }
        for name, day in (("r1", 3), ("r2", 4), ("r3", 2))
    ]
    found = choose_revision(revisions=revisions, target="r2", asked=asked)
    assert (found and found["metadata"]["labels"]["looma.dev/revision"]) == expected


@pytest.fixture
async def operators_http():
    state = health.Health()
    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", state.healthz),
            web.get("/readyz", state.readyz),
            web.get("/metrics", health.metrics),
        ]
    )
    async with TestClient(TestServer(app)) as client:
        yield state, client


async def test_ready_once_nothing_is_missing(operators_http):
    state, client = operators_http
    state.missing.add("webhook")
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert (await answer.json())["status"] == "waits for watches, webhook"
    state.missing.clear()
    assert (await client.get("/readyz")).status == 200
    assert "looma_operator_leader" in await (await client.get("/metrics")).text()


async def test_a_loop_that_does_not_turn_is_not_healthy(operators_http):
    state, client = operators_http
    assert (await client.get("/healthz")).status == 200
    state._beat -= health.STUCK_SECONDS + 1
    assert (await client.get("/healthz")).status == 500


async def test_no_answer_is_an_error_of_its_own():
    from kubernetes.aio.client.configuration import Configuration

    configuration = Configuration()
    configuration.host = "http://127.0.0.1:1"
    kube = Kube(configuration)
    try:
        with pytest.raises(KubeError) as error:
            await asyncio.wait_for(kube.request("GET", "/readyz"), 10)
        assert error.value.code == 0
    finally:
        await kube.close()


@pytest.mark.parametrize("there", [False, True])
async def test_a_proxy_of_the_environment_is_gone_through_and_looked_for_only_where_one_is(
    monkeypatch, there
):
    from kubernetes.aio.client.configuration import Configuration

    asked: list[str] = []
    looked: list[str] = []
    found = aiohttp.client.get_env_proxy_for_url

    def look(url: Any) -> Any:
        looked.append(str(url))
        return found(url)

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"kind": "Status"})

    monkeypatch.setattr(aiohttp.client, "get_env_proxy_for_url", look)
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    app = web.Application()
    app.add_routes([web.get("/version", answer)])
    async with TestServer(app) as server:
        address = str(server.make_url("")).rstrip("/")
        configuration = Configuration()
        configuration.host = "http://api.invalid" if there else address
        if there:
            monkeypatch.setenv("HTTP_PROXY", address)
        kube = Kube(configuration)
        try:
            assert await kube.request("GET", "/version") == {"kind": "Status"}
        finally:
            await kube.close()
    assert asked == ["/version"]
    assert bool(looked) == there


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ({"engine": "custom", "image": "a:1", "replicas": 2}, True),
        ({"engine": "custom", "image": "a:1", "route": {"pathPrefixes": ["/a"]}}, True),
        ({"engine": "custom", "image": "a:1", "route": "/a"}, False),
        ({"engine": "custom", "image": "a:1", "replicas": "two"}, False),
        (None, False),
        ([], False),
    ],
)
def test_only_what_has_the_definitions_types_is_checked(spec, answer):
    assert has_types({"metadata": {"name": "x"}, "spec": spec}, AIService) is answer


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"name": "x"}, "x"),
        ({"generateName": "x-"}, "x"),
        ({"generateName": "--"}, "unnamed"),
        ({}, "unnamed"),
    ],
)
def test_what_has_no_name_yet_is_checked_under_one_that_it_might_get(metadata, name):
    assert named({"metadata": metadata})["metadata"]["name"] == name
