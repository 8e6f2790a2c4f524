"""One look at a service against an API server in memory: what it reads and writes, and whether it comes to rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from looma_operator.analysis.measuring import Measuring
from looma_operator.echoes import Echoes, Seen
from looma_operator.kube import kinds
from looma_operator.kube.client import ConflictError, NotFoundError
from looma_operator.kube.newcomers import LIMIT, Newcomers
from looma_operator.kube.peers import Peers
from looma_operator.notifying.telling import Telling
from looma_operator.plan.models import Fetcher
from looma_operator.plan.receivers import NONE
from looma_operator.posting import Posting
from looma_operator.queueing import Key, Rest
from looma_operator.reconcile import REFUSED_SECONDS, Reconciler, moment
from looma_operator.render.route import ParentGateway
from support.operator_world import copied, spec

Json = dict[str, Any]
KEY = Key("AIService", "looma", "resume")


class Store:
    """The API server's client over objects in memory; `asked` counts what was asked for, by verb and kind."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Json] = {}
        self.asked: Counter[str] = Counter()
        self.version = 10
        meta = {"name": "resume", "namespace": "looma", "uid": "u1", "generation": 1, "resourceVersion": "1"}
        created = {"creationTimestamp": "2026-11-20T10:00:00Z"}
        self.objects["AIService", "resume"] = {
            "kind": "AIService",
            "metadata": meta | created,
            "spec": spec(),
        }

    async def get(self, kind: kinds.Kind, _namespace: str, name: str, **_: Any) -> Json:
        self.asked[f"get {kind.name}"] += 1
        if (kind.name, name) not in self.objects:
            raise NotFoundError(404, f"{name} not found")
        return copied(self.objects[kind.name, name])

    async def serves(self, _kind: kinds.Kind) -> bool:
        return True

    async def list(self, kind: kinds.Kind, _namespace: str, **_: Any) -> list[Json]:
        self.asked[f"list {kind.name}"] += 1
        return [copied(found) for (name, _), found in self.objects.items() if name == kind.name]

    async def pages(self, kind: kinds.Kind, _namespace: str) -> AsyncIterator[tuple[list[Json], str]]:
        yield (
            [copied(found) for (name, _), found in self.objects.items() if name == kind.name],
            str(self.version),
        )

    async def apply(
        self,
        kind: kinds.Kind,
        manifest: Json,
        *,
        resource_version: str | None = None,
        absent: bool = False,
        subresource: str = "",
        **_: Any,
    ) -> Json:
        name = manifest["metadata"]["name"]
        before = self.objects.get((kind.name, name), {})
        if before and absent:
            self.asked[f"meet {kind.name}"] += 1
            raise ConflictError(409, "is there")
        self.asked[f"apply {kind.name}"] += 1
        if resource_version and before["metadata"]["resourceVersion"] != resource_version:
            raise ConflictError(409, "changed")
        self.version += 1
        fresh = {"uid": f"uid-{self.version}", "creationTimestamp": "2026-11-20T10:00:01Z", "generation": 1}
        body = {"status": manifest["status"]} if subresource else manifest
        meta = fresh | before.get("metadata", {}) | (manifest["metadata"] if not subresource else {})
        self.objects[kind.name, name] = {
            **before,
            **copied(body),
            "kind": kind.name,
            "metadata": meta | {"resourceVersion": str(self.version)},
        }
        return copied(self.objects[kind.name, name])


def reconciler(
    store: Store, *, crowded: bool = False, heard: Newcomers | None = None
) -> tuple[Reconciler, Echoes]:
    echoes = Echoes()
    made = Reconciler(
        store,  # type: ignore[arg-type]
        instance="pod-a",
        gateway=ParentGateway(),
        measuring=Measuring(None, wake=lambda _: None, clock=moment),  # type: ignore[arg-type]
        telling=Telling(
            NONE, None, namespace="looma", wake=lambda _: None, may_send=lambda: False, clock=moment
        ),
        fetcher=Fetcher(),
        peers=Peers(store, ["looma"], news=lambda *_: None),  # type: ignore[arg-type]
        newcomers=heard or Newcomers(),
        posting=Posting(busy=lambda: True),
        echoes=echoes,
        crowded=lambda: crowded,
    )
    return made, echoes


def writes(store: Store) -> Counter[str]:
    return Counter({what: number for what, number in store.asked.items() if what.startswith("apply")})


async def test_a_new_service_is_one_look_that_lists_no_children_and_writes_each_object_once():
    store = Store()
    looks, echoes = reconciler(store)
    again = await looks.look(KEY)
    children = (*kinds.CHILDREN, kinds.HTTP_ROUTE)
    assert writes(store) == Counter({f"apply {kind.name}": 1 for kind in (*children, kinds.AI_SERVICE)})
    assert set(store.asked) - set(writes(store)) == {"get AIService"}
    assert again is not None
    assert again > REFUSED_SECONDS
    for (kind, name), found in store.objects.items():
        assert echoes.heard(KEY, Seen(kind, name, found["metadata"]["resourceVersion"]))


async def test_a_new_service_that_a_watch_told_of_is_not_read_again():
    store, heard = Store(), Newcomers()
    heard.note(copied(store.objects["AIService", "resume"]))
    looks, _ = reconciler(store, heard=heard)
    await looks.look(KEY)
    assert set(store.asked) == set(writes(store))
    await looks.look(KEY)
    assert store.asked["get AIService"] == 1


async def test_what_a_watch_told_too_early_costs_a_second_look_and_nothing_else():
    store, heard = Store(), Newcomers()
    heard.note(copied(store.objects["AIService", "resume"]))
    service = store.objects["AIService", "resume"]
    service["spec"]["image"] = "looma-engine:2"
    service["metadata"] |= {"generation": 2, "resourceVersion": "2"}
    looks, _ = reconciler(store, heard=heard)
    assert await looks.look(KEY) == pytest.approx(0.05)
    assert "status" not in store.objects["AIService", "resume"]
    await looks.look(KEY)
    status = store.objects["AIService", "resume"]["status"]
    assert (status["observedGeneration"], status["targetRevision"]) == (2, "r2")
    assert store.asked["apply ServiceAccount"] == 1


def test_newcomers_are_those_about_which_nothing_was_done_and_not_too_many():
    heard = Newcomers()
    raw: Json = {"metadata": {"namespace": "looma", "name": "resume"}, "spec": {}}
    heard.note(raw)
    heard.note(raw | {"spec": {"replicas": 2}})
    assert heard.take("looma", "resume") == raw | {"spec": {"replicas": 2}}
    assert heard.take("looma", "resume") is None
    for later in (
        raw | {"status": {"observedGeneration": 1}},
        raw | {"metadata": raw["metadata"] | {"deletionTimestamp": "2026-11-20T10:00:00Z"}},
    ):
        heard.note(raw)
        heard.note(later)
        assert heard.take("looma", "resume") is None
    heard.note(raw)
    heard.note(raw, gone=True)
    assert heard.take("looma", "resume") is None
    for number in range(LIMIT + 1):
        heard.note({"metadata": {"namespace": "looma", "name": f"s{number}"}})
    assert heard.take("looma", f"s{LIMIT - 1}") is not None
    assert heard.take("looma", f"s{LIMIT}") is None


async def test_where_others_wait_a_new_service_has_its_children_first_and_its_status_after_theirs():
    calm, busy = Store(), Store()
    await reconciler(calm)[0].look(KEY)
    looks, echoes = reconciler(busy, crowded=True)
    rest = await looks.look(KEY)
    assert isinstance(rest, Rest)
    assert "status" not in busy.objects["AIService", "resume"]
    assert writes(calm) - writes(busy) == Counter({"apply AIService": 1})
    again = await rest.run()
    assert writes(busy) == writes(calm)
    assert again is not None
    assert again > REFUSED_SECONDS
    for (kind, name), found in busy.objects.items():
        assert echoes.heard(KEY, Seen(kind, name, found["metadata"]["resourceVersion"]))
    # Of what is not new nothing waits.
    busy.objects["AIService", "resume"]["spec"]["image"] = "looma-engine:2"
    busy.objects["AIService", "resume"]["metadata"]["generation"] = 2
    assert not isinstance(await looks.look(KEY), Rest)


async def test_a_service_that_was_changed_before_its_status_was_written_is_read_anew():
    store = Store()
    looks, _ = reconciler(store, crowded=True)
    rest = await looks.look(KEY)
    assert isinstance(rest, Rest)
    store.objects["AIService", "resume"]["metadata"]["resourceVersion"] = "77"
    assert await rest.run() == pytest.approx(0.05)
    assert "status" not in store.objects["AIService", "resume"]


async def test_what_one_look_left_the_next_finds_in_order():
    store = Store()
    looks, _ = reconciler(store)
    await looks.look(KEY)
    before = writes(store)
    await looks.look(KEY)
    assert writes(store) == before
    assert all(store.asked[f"list {kind.name}"] == 1 for kind in kinds.CHILDREN)


async def test_children_of_a_look_that_was_killed_before_its_status_are_read_and_kept():
    store = Store()
    looks, _ = reconciler(store)
    await looks.look(KEY)
    del store.objects["AIService", "resume"]["status"]
    # Somebody changed the spec meanwhile: a second revision, not another first one.
    store.objects["AIService", "resume"]["spec"]["image"] = "looma-engine:2"
    store.objects["AIService", "resume"]["metadata"]["generation"] = 2
    await looks.look(KEY)
    revisions = sorted(name for kind, name in store.objects if kind == "ControllerRevision")
    assert revisions == ["resume-r1", "resume-r2"]
    assert store.asked["apply ServiceAccount"] == 1
    # The second look began as if nothing were there, and met the first child that was.
    assert [what for what in store.asked if what.startswith("meet")] == ["meet ControllerRevision"]


async def test_a_service_of_somebody_else_is_left_as_it_is():
    store = Store()
    theirs = {
        "kind": "Service",
        "metadata": {"name": "resume-stable", "resourceVersion": "3", "uid": "theirs"},
    }
    store.objects["Service", "resume-stable"] = copied(theirs)
    looks, _ = reconciler(store)
    again = await looks.look(KEY)
    assert store.objects["Service", "resume-stable"] == theirs
    assert store.asked["meet Service"] == 1
    conditions = {
        item["type"]: item["reason"] for item in store.objects["AIService", "resume"]["status"]["conditions"]
    }
    assert conditions["Degraded"] == "NameTaken"
    assert again == pytest.approx(REFUSED_SECONDS)


async def test_a_change_by_hand_is_set_right_by_a_look_that_comes_to_rest():
    store = Store()
    looks, _ = reconciler(store)
    await looks.look(KEY)
    before = writes(store)
    store.objects["Deployment", "resume-r1"]["spec"]["replicas"] = 9
    store.objects["Deployment", "resume-r1"]["metadata"]["resourceVersion"] = "999"
    again = await looks.look(KEY)
    assert writes(store) - before == Counter({"apply Deployment": 1})
    assert store.objects["Deployment", "resume-r1"]["spec"]["replicas"] == 4
    assert again is not None
    assert again > REFUSED_SECONDS
