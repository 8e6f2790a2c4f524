"""`kubectl looma` without a cluster: what it says where the API server refuses, and how it waits."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from typer.testing import CliRunner

from looma_operator import cli, cli_watch
from looma_operator.cli import FAILED, NOT_FOUND, TIMED_OUT, Cluster
from looma_operator.cli_diff import TROUBLE
from looma_operator.cli_watch import look_at
from looma_operator.names import REQUEST

Json = dict[str, Any]


def service(*, target: str = "r2", generation: int = 1, spec: Json | None = None, **status: Any) -> Json:
    return {
        "metadata": {"name": "resume", "generation": generation, "resourceVersion": "7"},
        "spec": {"engine": "resume", "image": "a:2", **(spec or {})},
        "status": {"observedGeneration": generation, "targetRevision": target, **status},
    }


def revision(name: str) -> Json:
    metadata = {
        "labels": {"looma.dev/revision": name},
        "annotations": {"looma.dev/activated-at": "2026-11-20T10:00:00Z"},
    }
    return {"metadata": metadata, "data": {"image": f"a:{name}"}}


class Api:
    """The API server: the service as it is at each question, the last one for ever; and what was patched."""

    def __init__(self) -> None:
        self.services: list[Json | ApiException] = [service()]
        self.refuses: ApiException | None = None
        self.patches: list[list[Json]] = []

    def get_namespaced_custom_object(self, *_path: str) -> Json:
        found = self.services.pop(0) if len(self.services) > 1 else self.services[0]
        if isinstance(found, ApiException):
            raise found
        return self.with_request(found)

    def with_request(self, found: Json) -> Json:
        return found

    def list_namespaced_custom_object(self, *_path: str) -> Json:
        return {"items": [self.get_namespaced_custom_object()]}

    def patch_namespaced_custom_object(self, *given: Any, **_named: Any) -> Json:
        if self.refuses:
            raise self.refuses
        self.patches.append(given[-1])
        return {}

    def list_namespaced_controller_revision(self, *_given: Any, **_named: Any) -> Any:
        if self.refuses:
            raise self.refuses
        return SimpleNamespace(data=json.dumps({"items": [revision("r1"), revision("r2")]}))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()
    cluster = Cluster(made, made, "looma")  # type: ignore[arg-type]
    monkeypatch.setattr(cli, "_connect", lambda namespace, context: cluster)
    clock = iter(range(10_000))
    for module in (cli, cli_watch):
        monkeypatch.setattr(
            module, "time", SimpleNamespace(sleep=lambda seconds: None, monotonic=lambda: next(clock))
        )
    return made


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, list(words), catch_exceptions=False)
    return result.exit_code, result.output


def refusal(status: int, body: str = "", reason: str = "Forbidden") -> ApiException:
    error = ApiException(status=status, reason=reason)
    error.body = body
    return error


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (refusal(404), NOT_FOUND, "no AIService resume in namespace looma"),
        (refusal(403, '{"message": "you may not"}'), FAILED, "you may not"),
        (refusal(502, "<html>", "Bad Gateway"), FAILED, "answered 502 Bad Gateway"),
        (refusal(500, "", "Broken"), FAILED, "answered 500 Broken"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words_where_it_has_any(
    api: Api, error: ApiException, code: int, says: str
) -> None:
    api.services = [error]
    ended, told = run("status", "resume")
    assert ended == code
    assert says in told


def test_services_that_may_not_be_listed_are_an_error(api: Api) -> None:
    api.services = [refusal(403, '{"message": "you may not list"}')]
    assert run("status") == (FAILED, "kubectl looma: you may not list\n")


def test_revisions_that_may_not_be_read_are_an_error(api: Api) -> None:
    api.refuses = refusal(403, '{"message": "no revisions for you"}')
    assert run("diff", "resume", "r1", "r2") == (
        TROUBLE,
        "kubectl looma: no revisions for you\n",
    )


@pytest.mark.parametrize(
    ("back", "says"),
    [
        ({"from": "r2", "to": "r1", "startedAt": "noon"}, "r2 to r1, under way"),
        ({"from": "r2", "to": "r1", "startedAt": "noon", "completedAt": "one"}, "r2 to r1, done one"),
        ({"from": "r2", "to": "r1", "startedAt": "noon", "requestedBy": "ada"}, "asked for by ada at noon"),
        ({"from": "r2", "to": "r1", "startedAt": "noon", "reason": "slow"}, "reason: slow"),
    ],
)
def test_the_last_rollback_is_told(api: Api, back: Json, says: str) -> None:
    api.services = [service(lastRollback=back)]
    assert says in run("status", "resume")[1]


def test_what_an_analysis_found_is_told(api: Api) -> None:
    found = {"run": "step-1", "metric": "errors", "verdict": "Failed", "message": "7 % of 90 requests failed"}
    api.services = [service(analysis=[found])]
    assert "step-1    errors  Failed   7 % of 90 requests failed" in run("status", "resume")[1]


def test_a_service_that_never_ran_has_dashes_and_no_history(api: Api) -> None:
    api.services = [{"metadata": {"name": "resume"}, "spec": {"engine": "resume", "image": "a:1"}}]
    assert "resume  resume  -      0/1    -       -       a:1" in run("status", "resume")[1]
    assert run("history", "resume", "-o", "json") == (0, "[]\n")


def test_a_rollback_that_is_under_somebody_elses_change_is_not_forced(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr(api, "patch_namespaced_custom_object", raising(refusal(409)))
    code, told = run("rollback", "resume")
    assert code == FAILED
    assert "changed by somebody else" in told


def test_a_rollback_that_met_a_change_of_the_status_alone_goes_through(api: Api, monkeypatch: Any) -> None:
    taken = api.patch_namespaced_custom_object
    met = [refusal(409), refusal(409)]

    def patch(*given: Any, **named: Any) -> Json:
        if met:
            api.services = [{**api.services[0], "status": {"traffic": [{"gateway": str(len(met))}]}}]
            raise met.pop()
        answer: Json = taken(*given, **named)
        return answer

    monkeypatch.setattr(api, "patch_namespaced_custom_object", patch)
    assert run("rollback", "resume", "--to", "r1")[0] == 0
    assert met == []


def test_a_rollback_that_met_a_change_of_the_spec_does_not(api: Api, monkeypatch: Any) -> None:
    def patch(*_given: Any, **_named: Any) -> Json:
        changed = {**api.services[0]["spec"], "replicas": 7}
        api.services = [{**api.services[0], "spec": changed}]
        raise refusal(409)

    monkeypatch.setattr(api, "patch_namespaced_custom_object", patch)
    code, told = run("rollback", "resume", "--to", "r1")
    assert code == FAILED
    assert "changed by somebody else" in told


def raising(error: ApiException) -> Any:
    def refuse(*_given: Any, **_named: Any) -> Json:
        raise error

    return refuse


def test_a_refused_rollback_says_why(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        api, "patch_namespaced_custom_object", raising(refusal(422, '{"message": "bad image"}'))
    )
    assert run("rollback", "resume", "--to", "r1") == (FAILED, "kubectl looma: bad image\n")


def test_a_paused_service_says_when_its_rollback_begins(api: Api) -> None:
    api.services = [service(spec={"paused": True})]
    code, told = run("rollback", "resume", "--reason", "slow")
    assert code == 0
    assert "back from r2 to r1" in told
    assert "spec.paused is false again" in told
    assert len(api.patches) == 1


def test_nothing_is_written_where_nothing_changes(api: Api) -> None:
    assert run("rollback", "resume", "--to", "r2") == (0, "resume asks for r2 already\n")
    assert api.patches == []


PODS = {"name": "r1", "availableReplicas": 1, "replicas": 2}


def conditions(*, ready: str = "True", degraded: str = "", progressing: str = "RolledOut") -> list[Json]:
    return [
        {"type": "Ready", "status": ready, "reason": "Available"},
        {"type": "Progressing", "status": "False", "reason": progressing},
        {"type": "Degraded", "status": "True" if degraded else "False", "reason": "R", "message": degraded},
    ]


ROLLING: Json = {"phase": "Progressing", "stableRevision": "r2", "rollout": {"revision": "r1"}}
DONE: Json = {"phase": "Ready", "stableRevision": "r1"}


def test_watching_tells_each_change_once_and_ends_when_it_is_done(api: Api) -> None:
    going = conditions(progressing="RollingBack")
    rolling = service(target="r1", revisions=[PODS], conditions=going, **ROLLING)
    not_seen_yet = {**service(), "metadata": {"name": "resume", "generation": 2, "resourceVersion": "8"}}
    done = service(target="r1", revisions=[{**PODS, "availableReplicas": 2}], conditions=conditions(), **DONE)
    api.services = [service(), not_seen_yet, rolling, rolling, done]
    code, told = run("rollback", "resume", "--to", "r1", "--watch")
    assert code == 0
    assert told.splitlines()[1:] == ["Progressing: r1 1/2", "Ready: r1 2/2"]


def test_watching_ends_with_what_went_wrong(api: Api) -> None:
    bad = conditions(degraded="r1 does not start")
    api.services = [service(), service(target="r1", phase="Degraded", conditions=bad)]
    code, told = run("rollback", "resume", "--to", "r1", "--watch")
    assert code == FAILED
    assert "no pods" in told
    assert "r1 does not start" in told


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (DONE | {"conditions": conditions()}, "done"),
        (DONE | {"phase": "Paused", "conditions": conditions()}, "done"),
        (DONE | {"conditions": conditions(ready="False")}, "waits"),
        (DONE | {"conditions": conditions(progressing="Waiting")}, "waits"),
        (DONE | {"conditions": conditions(progressing="ModelMissing")}, "waits"),
        (DONE | {"conditions": []}, "waits"),
        (ROLLING | {"conditions": conditions()}, "waits"),
        (ROLLING | {"phase": "Paused", "conditions": conditions()}, "waits"),
        (ROLLING | {"conditions": conditions(degraded="aborted")}, "failed"),
        (DONE | {"conditions": conditions(degraded="pods are missing")}, "failed"),
    ],
)
def test_what_is_over_and_how(status: Json, outcome: str) -> None:
    assert look_at(service(target="r1", **status), "").outcome == outcome
    # What status says of an earlier spec ends nothing.
    before = service(target="r1", **status) | {"metadata": {"name": "resume", "generation": 2}}
    assert look_at(before, "").outcome == "waits"


def test_watching_tells_where_a_canary_is(api: Api) -> None:
    canary = {"revision": "r2", "weight": {"requested": 25}, "step": 1, "waits": "its analysis"}
    steps = {"rollout": {"steps": [{"setWeight": 25}, {"analysis": {}}, {"pause": {}}]}}
    rolling = service(spec=steps, revisions=[PODS], canary=canary, conditions=conditions(), **ROLLING)
    done = service(stableRevision="r2", phase="Ready", conditions=conditions())
    api.services = [rolling, done]
    code, told = run("status", "resume", "--watch", "--output", "json")
    assert code == 0
    assert told.startswith(
        "Progressing: r1 1/2; 25 % asked for r2, step 2 of 3, waits for its analysis\nReady: no pods\n"
    )


def test_watching_goes_on_while_the_api_server_is_away(api: Api) -> None:
    done = service(stableRevision="r2", phase="Ready", conditions=conditions())
    api.services = [refusal(503, "", "Service Unavailable"), refusal(429, "", "Too Many"), done]
    code, told = run("status", "resume", "--watch")
    assert code == 0, told
    assert "the API server does not answer: 503 Service Unavailable" in told


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (refusal(404), NOT_FOUND, "no AIService resume"),
        (refusal(403, '{"message": "you may not"}'), FAILED, "you may not"),
    ],
)
def test_watching_ends_where_there_is_nothing_to_see(
    api: Api, error: ApiException, code: int, says: str
) -> None:
    api.services = [service(phase="Pending"), error]
    ended, told = run("status", "resume", "--watch")
    assert ended == code
    assert says in told


def test_watching_without_end_ends_when_it_is_done(api: Api) -> None:
    done = service(stableRevision="r2", phase="Ready", conditions=conditions())
    api.services = [*[service(phase="Pending")] * 2000, done]
    assert run("status", "resume", "--watch", "--timeout", "0")[0] == 0
    assert run("status", "resume", "--watch", "--timeout", "-1")[0] == 2


def test_watching_ends_with_its_time(api: Api) -> None:
    code, told = run("rollback", "resume", "--to", "r1", "--watch", "--timeout", "5")
    assert code == TIMED_OUT
    assert "was not at r1 within 5 s" in told


@pytest.mark.parametrize(
    ("result", "code", "says"),
    [("Done", 0, "resume: all pods are new"), ("Refused", FAILED, "was refused: all pods are new")],
)
def test_a_request_ends_with_the_operators_answer(
    api: Api, monkeypatch: Any, result: str, code: int, says: str
) -> None:
    def answered(found: Json) -> Json:
        if not api.patches:
            return found
        asked = json.loads(api.patches[-1][-1]["value"])
        assert (asked["action"], asked["reason"]) == ("restart", "memory")
        record = {"id": asked["id"], "result": result, "message": "all pods are new"}
        return {**found, "status": {**found["status"], "requests": [{"id": "another's"}, record]}}

    monkeypatch.setattr(api, "with_request", answered)
    ended, told = run("restart", "resume", "--reason", "memory")
    assert ended == code
    assert says in told
    assert REQUEST.replace("/", "~1") in api.patches[-1][-1]["path"]


def test_a_request_that_nobody_answers_asks_for_the_operator(api: Api) -> None:
    code, told = run("retry", "resume")
    assert code == TIMED_OUT
    assert "does the operator run?" in told


def kubeconfig(tmp_path: Any, namespace: str | None) -> str:
    context = {"cluster": "x", "user": "x", **({"namespace": namespace} if namespace else {})}
    document = {
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [
            {"name": "x", "context": context},
            {"name": "y", "context": {**context, "namespace": "y"}},
        ],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("chosen", "kept", "namespace"),
    [
        pytest.param(("mine", None), "kept", "mine", id="the one that is named"),
        pytest.param((None, None), "kept", "kept", id="the current context's"),
        pytest.param((None, "y"), "kept", "y", id="the named context's"),
        pytest.param((None, None), None, "default", id="Kubernetes' own"),
    ],
)
def test_the_namespace_is_kubectls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, chosen: Any, kept: str | None, namespace: str
) -> None:
    path = kubeconfig(tmp_path, kept)
    load, contexts = cli.config.new_client_from_config, cli.config.list_kube_config_contexts
    monkeypatch.setattr(cli.config, "new_client_from_config", lambda context: load(path, context=context))
    monkeypatch.setattr(cli.config, "list_kube_config_contexts", lambda: contexts(path))
    assert cli._connect(*chosen).namespace == namespace
