"""The watch keeps what it knew; impersonation names the person; going back writes what was there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from looma_console.cluster import listwatch
from looma_console.cluster.actions import VERDICT_SECONDS, ClusterActions, UnknownRevision
from looma_console.cluster.api import KubernetesError, Person, impersonation
from looma_console.cluster.listwatch import Gone, ListWatch
from looma_core.api.aiservice import CHANGE_REASON, rollback_patch, spec_with_content

PERSON = Person(login="ada", roles=("operator", "admin"))


def item(name: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


class Script:
    """A source that plays a script: each step is what one list or one watch gives."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.watched_from: list[str] = []
        self.done = threading.Event()
        self.stopped = threading.Event()

    def _next(self) -> Any:
        if not self.steps:
            self.done.set()
            # Until then it hangs, as a silent server does; what it says later nobody hears.
            self.stopped.wait(5)
            raise Gone
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def list(self) -> tuple[list[dict[str, Any]], str]:
        return self._next()

    def watch(self, resource_version: str, stop: threading.Event) -> Iterator[tuple[str, dict[str, Any]]]:
        self.watched_from.append(resource_version)
        yield from self._next()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listwatch, "RETRY_SECONDS", (0.01,))


def play(*steps: Any) -> tuple[ListWatch, Script]:
    script = Script(*steps)
    watch = ListWatch("things", script)
    watch.start()
    assert script.done.wait(5)
    watch.stop()
    script.stopped.set()
    return watch, script


def names(watch: ListWatch) -> list[str]:
    return [found["metadata"]["name"] for found in watch.objects()]


def test_list_then_watch_from_there() -> None:
    events = [
        ("ADDED", item("b", "6")),
        ("MODIFIED", item("a", "7")),
        ("DELETED", item("b", "8")),
        ("BOOKMARK", item("", "9")),
    ]
    watch, script = play(([item("a")], "5"), events, [("ADDED", item("c", "10"))])
    assert names(watch) == ["a", "c"]
    assert script.watched_from[:2] == ["5", "9"]


def test_what_was_known_stays_while_the_server_is_away() -> None:
    watch, _ = play(([item("a")], "5"), ConnectionError("gone"), ConnectionError("still gone"))
    assert names(watch) == ["a"]
    assert watch.synced.is_set()


def test_a_version_too_old_is_listed_anew() -> None:
    watch, _ = play(([item("a")], "5"), Gone(), ([item("b")], "50"))
    assert names(watch) == ["b"]


def test_nothing_is_synced_before_the_first_list() -> None:
    watch, _ = play(ConnectionError("no server yet"))
    assert not watch.synced.is_set()


def test_waiting_ends_with_a_change_or_with_time() -> None:
    watch = ListWatch("things", Script())
    assert watch.wait(watch.version, 0.01) == watch.version
    threading.Timer(0.05, watch.apply, ("ADDED", item("a"))).start()
    assert watch.wait(0, 5) == 1


def test_every_role_is_a_group_of_its_own() -> None:
    headers = impersonation(PERSON)
    assert headers.getlist("Impersonate-Group") == ["looma:operator", "looma:admin"]
    assert headers["Impersonate-User"] == "looma:console"
    assert headers["Impersonate-Extra-person"] == "ada"


@pytest.mark.parametrize(
    ("spec", "content", "answer"),
    [
        ({"engine": "e", "image": "b"}, {"engine": "e", "image": "a"}, {"engine": "e", "image": "a"}),
        ({"image": "b", "config": {"x": 1}}, {"image": "a"}, {"image": "a"}),
        (
            {"image": "b", "replicas": 3, "route": {"r": 1}},
            {"image": "a"},
            {"image": "a", "replicas": 3, "route": {"r": 1}},
        ),
        (
            {"image": "b", "modelRefs": [{"name": "new"}]},
            {"image": "a", "models": [{"name": "old", "uri": "oci://x"}]},
            {"image": "a", "modelRefs": [{"name": "old"}]},
        ),
        ({"image": "b", "modelRefs": [{"name": "new"}]}, {"image": "a"}, {"image": "a"}),
    ],
    ids=["image", "config goes", "replicas and route stay", "models by name", "models go"],
)
def test_spec_with_content(spec: dict, content: dict, answer: dict) -> None:
    assert spec_with_content(spec=spec, content=content) == answer


def test_the_patch_is_bound_to_what_was_seen() -> None:
    service = {"metadata": {"resourceVersion": "7", "annotations": {"keep": "me"}}, "spec": {"image": "b"}}
    version, notes, spec = rollback_patch(service=service, content={"image": "a"}, reason="slow")
    assert version == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    assert notes["value"] == {"keep": "me", CHANGE_REASON: "slow"}
    assert spec["value"] == {"image": "a"}


class Api:
    """Remembers requests and answers from a table, as the API server would."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, Person | None]] = []

    def request(self, method: str, path: str, *, person: Person | None = None, **given: Any) -> Any:
        self.asked.append((method, path, person))
        kind = (
            "review"
            if "accessreviews" in path
            else "revision"
            if "controllerrevisions" in path
            else method.lower()
        )
        answer = self.answers[kind]
        if isinstance(answer, Exception):
            raise answer
        return answer(given) if callable(answer) else answer


SERVICE = {"metadata": {"name": "resume", "resourceVersion": "7"}, "spec": {"image": "b", "replicas": 2}}


def actions(api: Api, clock=lambda: 0.0) -> ClusterActions:
    return ClusterActions(api, namespace="looma", clock=clock)  # type: ignore[arg-type]


def test_going_back_is_asked_as_the_person() -> None:
    api = Api(get=SERVICE, revision={"data": {"image": "a"}}, patch={})
    assert actions(api).rollback(PERSON, service="resume", revision="r1", reason="slow")
    assert [(method, person) for method, _, person in api.asked] == [
        ("GET", None),
        ("GET", PERSON),
        ("PATCH", PERSON),
    ]
    assert api.asked[1][1].endswith("/controllerrevisions/resume-r1")


def test_nothing_is_written_where_nothing_changes() -> None:
    api = Api(get=SERVICE, revision={"data": {"image": "b"}})
    assert not actions(api).rollback(PERSON, service="resume", revision="r1", reason="slow")


def test_a_revision_that_is_not_kept() -> None:
    api = Api(get=SERVICE, revision=KubernetesError(404, "NotFound", "no"))
    with pytest.raises(UnknownRevision):
        actions(api).rollback(PERSON, service="resume", revision="r1", reason="slow")


def test_what_admission_refuses_stays_what_it_is() -> None:
    api = Api(
        get=SERVICE,
        revision={"data": {"image": "a"}},
        patch=KubernetesError(422, "Invalid", "spec.image: bad"),
    )
    with pytest.raises(KubernetesError, match="422 Invalid"):
        actions(api).rollback(PERSON, service="resume", revision="r1", reason="slow")


def test_a_verdict_is_kept_for_a_while_and_per_person() -> None:
    clock = [0.0]
    api = Api(review={"status": {"allowed": True}})
    acting = actions(api, clock=lambda: clock[0])
    for _ in range(3):
        assert acting.may_change(PERSON, "resume").allowed
    assert len(api.asked) == 1
    acting.may_change(Person(login="bob", roles=("operator",)), "resume")
    assert len(api.asked) == 2
    clock[0] = VERDICT_SECONDS
    acting.may_change(PERSON, "resume")
    assert len(api.asked) == 3


def test_an_api_server_that_is_away_allows_nothing() -> None:
    api = Api(review=KubernetesError(0, "Unreachable", "no route to host"))
    verdict = actions(api).may_change(PERSON, "resume")
    assert (verdict.allowed, verdict.reason) == (False, "no route to host")
