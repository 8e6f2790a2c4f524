"""The webhook, asked by a real API server: changes are signed, and conflicts refused with words that help."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.operator_process import Looma

pytestmark = pytest.mark.control_plane
WHO, DIGEST, WHY = "looma.dev/changed-by", "looma.dev/changed-digest", "looma.dev/change-reason"


def annotations(looma: Looma, name: str) -> dict[str, str]:
    return looma.get(name)["metadata"].get("annotations", {})


def test_a_path_of_another_service_is_refused(looma: Looma):
    assert looma.apply("owner", route={"pathPrefixes": ["/api/v1/owned"]})[0] in (200, 201)
    code, answer = looma.apply("thief", route={"pathPrefixes": ["/api/v1/owned"]})
    assert code == 409
    assert "/api/v1/owned belongs to AIService owner; write another path" in answer["message"]
    assert looma.apply("thief", route={"pathPrefixes": ["/api/v1/owned/below"]})[0] in (200, 201), (
        "below is no conflict"
    )
    assert looma.apply("owner", image="engine:2", route={"pathPrefixes": ["/api/v1/owned"]})[0] == 200, (
        "its own path"
    )


def test_of_services_that_claim_a_path_together_one_is_let_through(looma: Looma):
    def claim(number: int) -> int:
        return looma.apply(f"together-{number}", route={"pathPrefixes": ["/api/v1/together"]})[0]

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(claim, range(8)))
    assert codes == [201] + [409] * 7


def test_a_path_is_not_claimed_by_a_dry_run(looma: Looma):
    route = {"pathPrefixes": ["/api/v1/tried"]}
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "metadata": {"name": "tries"},
        "spec": {"engine": "custom", "image": "engine:1", "route": route},
    }
    assert looma.plane.request("POST", looma.path("aiservices") + "?dryRun=All", body)[0] == 201
    assert looma.apply("keeps", route=route)[0] == 201


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"route": {"pathPrefixes": "/api/v1/typed"}},
            "spec.route.pathPrefixes in body must be of type array",
        ),
        ({"route": "everywhere"}, "spec.route in body must be of type object"),
        ({"podTemplate": ["engine"]}, "spec.podTemplate in body must be of type object"),
        ({"replicas": "two"}, "spec.replicas in body must be of type integer"),
    ],
)
def test_what_has_other_types_than_the_definition_is_refused_by_it(looma: Looma, spec, words):
    """The webhook is asked before the schema: what it cannot read it leaves to that."""
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "metadata": {"name": "typed"},
        "spec": {"engine": "custom", "image": "engine:1", **spec},
    }
    code, answer = looma.plane.request("POST", looma.path("aiservices"), body)
    assert code == 422
    assert words in answer["message"]
    assert looma.plane.request("POST", looma.path("aiservices"), {**body, "spec": None})[0] == 422


def test_one_whose_name_the_api_server_chooses_is_checked_and_signed_too(looma: Looma):
    def create(path: str) -> tuple[int, dict[str, Any]]:
        body = {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "AIService",
            "metadata": {"generateName": "chosen-"},
            "spec": {"engine": "custom", "image": "engine:1", "route": {"pathPrefixes": [path]}},
        }
        return looma.plane.request("POST", looma.path("aiservices"), body)

    code, made = create("/api/v1/chosen")
    assert code == 201
    assert annotations(looma, made["metadata"]["name"])[WHO] == "admin"
    assert looma.apply(made["metadata"]["name"], route={"pathPrefixes": ["/api/v1/chosen"]})[0] == 200, (
        "its own path, at once"
    )
    code, answer = create("/api/v1/chosen")
    assert code == 409
    assert f"/api/v1/chosen belongs to AIService {made['metadata']['name']}" in answer["message"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"spec": {"containers": [{"name": "extra"}]}}, "image"),
        ({"spec": {"restartPolicy": "Sometimes"}}, "restartPolicy"),
        (
            {"spec": {"volumes": [{"name": "tmp", "hostPath": {"path": "/"}}]}},
            "may not specify more than 1 volume type",
        ),
        ({"spec": {"containers": "none"}}, "containers"),
        (
            {"spec": {"containers": [{"name": "engine", "resources": {"requests": {"cpu": "lots"}}}]}},
            "quantities",
        ),
    ],
)
def test_a_pod_template_that_makes_no_pods_is_refused(looma: Looma, template, words):
    code, answer = looma.apply("pods", podTemplate=template)
    assert code >= 400, answer
    assert "spec.podTemplate: pods could not be made of it" in answer["message"]
    assert words in answer["message"]


def test_a_pod_template_that_fits_is_taken(looma: Looma):
    template = {
        "metadata": {"labels": {"team": "search"}},
        "spec": {
            "containers": [{"name": "engine", "command": ["serve"], "env": [{"name": "A", "value": "1"}]}]
        },
    }
    code, answer = looma.apply("fits", podTemplate=template)
    assert code in (200, 201), answer
    looma.play(lambda: looma.status("fits").get("phase") == "Ready", "it runs")
    pod = looma.child("deployments", "fits-r1", "apps/v1")[1]["spec"]["template"]
    assert pod["metadata"]["labels"]["team"] == "search"
    container = pod["spec"]["containers"][0]
    assert container["command"] == ["serve"]
    assert {"A", "LOOMA_SERVICE"} <= {item["name"] for item in container["env"]}


@pytest.mark.parametrize(
    "request_text",
    [
        "restart",
        '{"id":"1"}',
        '{"id":"1","action":"explode"}',
        '{"id":"","action":"retry"}',
        '{"id":"1","action":"retry","x":1}',
    ],
)
def test_a_request_that_says_nothing_known_is_refused(looma: Looma, request_text):
    code, answer = looma.apply("requests", annotations={"looma.dev/request": request_text})
    assert code == 400
    assert 'write {"id": "ANY-NEW-TEXT", "action": one of restart, retry, promote, ' in answer["message"]


def test_who_and_why_follow_the_change_and_nobody_else(looma: Looma):
    looma.apply("noted", annotations={WHY: "first try"})
    assert annotations(looma, "noted")[WHO] == "admin"
    assert annotations(looma, "noted")[WHY] == "first try"

    patch = {"spec": {"image": "engine:2"}, "metadata": {"annotations": {WHO: "somebody else"}}}
    looma.plane.request(
        "PATCH", looma.path("aiservices", "noted"), patch, content_type="application/merge-patch+json"
    )
    assert annotations(looma, "noted")[WHO] == "admin", "nobody signs with another's name"
    assert WHY not in annotations(looma, "noted"), "the reason of the first change is not that of the second"

    forged = {"metadata": {"annotations": {WHO: "somebody else", DIGEST: "0"}}}
    looma.plane.request(
        "PATCH", looma.path("aiservices", "noted"), forged, content_type="application/merge-patch+json"
    )
    assert annotations(looma, "noted")[WHO] == "admin", "nor without a change"


def test_the_person_behind_the_console_is_named(looma: Looma):
    looma.apply("console")
    looma.plane.kubectl(
        *(
            "-n",
            looma.namespace,
            "--as=looma:console",
            "--as-group=system:masters",
            "--as-user-extra=person=grace",
        ),
        *("patch", "ais", "console", "--type=merge", "-p", '{"spec":{"image":"engine:2"}}'),
    )
    assert annotations(looma, "console")[WHO] == "grace"


def test_without_a_webhook_a_conflict_becomes_a_condition(bare_looma: Looma):
    bare_looma.start()
    bare_looma.apply("older", route={"pathPrefixes": ["/api/v1/both"]})
    bare_looma.until(
        lambda: bare_looma.get("older")["metadata"]["creationTimestamp"] < _now(bare_looma), "a second passes"
    )
    bare_looma.apply("younger", route={"pathPrefixes": ["/api/v1/both"]})

    def route(name: str) -> tuple[str, str]:
        conditions = bare_looma.status(name).get("conditions") or []
        found = next(
            (item for item in conditions if item["type"] == "RouteAccepted"), {"status": "", "message": ""}
        )
        return found["status"], found["message"]

    bare_looma.play(lambda: route("younger")[0] == "False", "the younger one is told")
    assert route("younger")[1].startswith("/api/v1/both belongs to AIService older")
    assert route("older")[0] == "True"
    bare_looma.plane.request("DELETE", bare_looma.path("aiservices", "older"))
    bare_looma.play(lambda: route("younger")[0] == "True", "and gets the path once it is free")


def _now(looma: Looma) -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_without_a_webhook_nobody_is_blamed(bare_looma: Looma):
    bare_looma.start()
    bare_looma.apply("anonymous")
    bare_looma.play(lambda: bool(bare_looma.status("anonymous").get("revisions")), "it has a revision")
    assert bare_looma.status("anonymous")["revisions"][0]["changedBy"] == "unknown (person)"


def test_a_request_is_of_who_made_it_whoever_changed_the_spec(looma: Looma):
    """The spec is of one person, the request of another, whom the API server lets both act for."""
    assert looma.apply("asked")[0] == 201
    author = annotations(looma, "asked")[WHO]
    request = '{"id": "one", "action": "restart", "reason": "new certificate"}'
    options = ("-n", looma.namespace, "--as", "grace", "--as-group", "system:masters")
    looma.plane.kubectl(*options, "annotate", "aiservice", "asked", f"looma.dev/request={request}")
    looma.until(lambda: bool(looma.status("asked").get("requests")), "the request is carried out")
    (done,) = looma.status("asked")["requests"]
    assert (done["result"], done["requestedBy"]) == ("Done", "grace")
    assert annotations(looma, "asked")[WHO] == author != "grace"
