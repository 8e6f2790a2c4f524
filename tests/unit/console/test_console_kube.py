"""The Kubernetes API as the console speaks it, over real HTTP: who asks, what a refusal says, how a watch reads."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import ConfigException
from werkzeug.wrappers import Request, Response

from looma_console.cluster import sources
from looma_console.cluster.api import KubeApi, KubernetesError, Person
from looma_console.cluster.listwatch import Gone
from looma_console.cluster.sources import ApiSource
from support.console_parts import FakeEngine

SERVICES = "/apis/looma.dev/v1alpha1/namespaces/looma/aiservices"
ADA = Person(login="ada", roles=("operator", "admin"))


def kubeconfig(folder: Path, server: str) -> str:
    user = {"name": "x", "user": {"token": "of-the-console"}}
    document = {
        "clusters": [{"name": "x", "cluster": {"server": server}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [user],
        "current-context": "x",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def api(engine: FakeEngine, tmp_path: Path) -> KubeApi:
    """An API client whose server is `engine`."""
    return KubeApi.from_environment(kubeconfig(tmp_path, engine.address))


def test_a_request_is_the_consoles_own_unless_it_is_a_persons(api: KubeApi, engine: FakeEngine) -> None:
    engine.on("*", f"{SERVICES}/resume", {"kind": "AIService"})
    assert api.request("GET", f"{SERVICES}/resume") == {"kind": "AIService"}
    api.request("PATCH", f"{SERVICES}/resume", body=[{"op": "add"}], content_type="x/patch", person=ADA)
    (own, _), (persons, body) = engine.seen
    assert own.headers["Authorization"] == persons.headers["Authorization"] == "Bearer of-the-console"
    assert "Impersonate-User" not in own.headers
    assert persons.headers["Impersonate-User"] == "looma:console"
    assert persons.headers["Impersonate-Extra-Person"] == "ada"
    assert persons.headers["Content-Type"] == "x/patch"
    assert json.loads(body) == [{"op": "add"}]


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        pytest.param(
            409,
            '{"reason": "Conflict", "message": "changed meanwhile"}',
            ("Conflict", "changed meanwhile"),
            id="in Kubernetes' words",
        ),
        pytest.param(502, "<html>bad gateway", ("Unknown", "<html>bad gateway"), id="something in between"),
        pytest.param(500, '{"message": 1}', ("Unknown", '{"message": 1}'), id="no reason given"),
    ],
)
def test_a_refusal_says_what_the_server_said(
    api: KubeApi, engine: FakeEngine, status: int, answer: str, told: tuple[str, str]
) -> None:
    engine.on("*", SERVICES, lambda _request: Response(answer, status=status))
    for ask in (
        lambda: api.request("GET", SERVICES),
        lambda: api.open(SERVICES, query={}, read_seconds=5),
    ):
        with pytest.raises(KubernetesError) as caught:
            ask()
        assert (caught.value.status, caught.value.reason, caught.value.message) == (status, *told)


def test_no_answer_is_an_error_of_the_same_kind(tmp_path: Path) -> None:
    with pytest.raises(KubernetesError) as caught:
        KubeApi.from_environment(kubeconfig(tmp_path, "http://127.0.0.1:9")).request("GET", SERVICES)
    assert (caught.value.status, caught.value.reason) == (0, "Unreachable")


def test_outside_of_a_pod_no_kubeconfig_is_taken_by_surprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", "/somebody's/kubeconfig")
    with pytest.raises(ConfigException):
        KubeApi.from_environment()


def item(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def test_a_list_is_read_to_its_last_page(api: KubeApi, engine: FakeEngine) -> None:
    def pages(request: Request) -> Response:
        first = "continue" not in request.args
        more = {"continue": "next"} if first else {}
        document = {
            "items": [item("a" if first else "b")],
            "metadata": {"resourceVersion": "7", **more},
        }
        return Response(json.dumps(document))

    engine.on("GET", "/events", pages)
    found, version = ApiSource(api, "/events", field_selector="involvedObject.kind=AIService").list()
    assert (found, version) == ([item("a"), item("b")], "7")
    assert [request.args["fieldSelector"] for request, _ in engine.seen] == [
        "involvedObject.kind=AIService"
    ] * 2
    assert engine.seen[1][0].args["continue"] == "next"


def stream(engine: FakeEngine, *chunks: str) -> None:
    engine.on("GET", SERVICES, lambda _request: Response(chunk.encode() for chunk in chunks))


def line(kind: str, found: dict[str, Any]) -> str:
    return json.dumps({"type": kind, "object": found}) + "\n"


def watched(api: KubeApi, stop: threading.Event | None = None) -> list[tuple[str, Any]]:
    return list(ApiSource(api, SERVICES).watch("7", stop or threading.Event()))


def test_events_are_lines_however_they_are_cut(api: KubeApi, engine: FakeEngine) -> None:
    text = line("ADDED", item("王")) + "\n" + line("DELETED", item("b"))
    stream(engine, text[:9], text[9:40], text[40:])
    assert watched(api) == [("ADDED", item("王")), ("DELETED", item("b"))]
    asked = engine.seen[0][0].args
    assert (asked["watch"], asked["resourceVersion"], asked["allowWatchBookmarks"]) == ("true", "7", "true")
    assert int(asked["timeoutSeconds"]) == sources.WATCH_SECONDS


def test_a_version_that_the_server_forgot_is_told_apart(api: KubeApi, engine: FakeEngine) -> None:
    stream(engine, line("ADDED", item("a")), line("ERROR", {"code": 410, "message": "too old"}))
    with pytest.raises(Gone):
        watched(api)


def test_another_error_within_a_stream_is_none_to_begin_anew_from(api: KubeApi, engine: FakeEngine) -> None:
    stream(engine, line("ERROR", {"code": 500, "message": "etcd is away"}))
    with pytest.raises(RuntimeError, match="etcd is away"):
        watched(api)


def test_a_watch_that_is_asked_to_stop_gives_nothing_more(api: KubeApi, engine: FakeEngine) -> None:
    stop = threading.Event()
    stop.set()
    stream(engine, line("ADDED", item("a")))
    assert watched(api, stop) == []
