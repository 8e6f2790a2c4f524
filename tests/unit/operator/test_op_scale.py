"""What keeps a thousand services cheap: peers that are kept, echoes that wake nobody, events that wait their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client.configuration import Configuration

from looma_core.kube import KubeError
from looma_operator import posting
from looma_operator.echoes import LIMIT, Echoes, Seen
from looma_operator.kube import kinds, peers
from looma_operator.kube.afterwards import Answers, afterwards
from looma_operator.kube.client import Kube, NotLeaderError, RefusedError
from looma_operator.kube.peers import Neighbours, Peers
from looma_operator.kube.read import read_service
from looma_operator.plan.observed import Peer
from looma_operator.posting import Posting
from looma_operator.queueing import Key, WorkQueue
from looma_operator.render.route import ParentGateway
from support.loops import settle, until
from support.operator_world import World, copied, spec

Json = dict[str, Any]
A = Key("AIService", "looma", "a")
WRITTEN = Seen("Deployment", "a-r1", "7")


# ---- echoes ------------------------------------------------------------------------------------------------


def test_what_was_written_is_heard_once():
    echoes = Echoes()
    echoes.wrote(A, WRITTEN)
    assert not echoes.heard(A, WRITTEN._replace(version="8"))
    assert not echoes.heard(Key("AIService", "looma", "b"), WRITTEN)
    assert echoes.heard(A, WRITTEN)
    assert not echoes.heard(A, WRITTEN)


def test_after_a_look_that_broke_off_everything_is_news():
    echoes = Echoes()
    echoes.wrote(A, WRITTEN)
    echoes.forget(A)
    assert not echoes.heard(A, WRITTEN)


def test_echoes_that_never_come_are_not_kept_for_ever():
    echoes = Echoes()
    for version in range(LIMIT + 1):
        echoes.wrote(A, WRITTEN._replace(version=str(version)))
    assert echoes.heard(A, WRITTEN._replace(version=str(LIMIT)))
    assert not echoes.heard(A, WRITTEN._replace(version="0"))


@pytest.mark.parametrize(
    ("heard", "looks"),
    [
        pytest.param([WRITTEN], 1, id="its own write"),
        pytest.param([WRITTEN, WRITTEN._replace(version="8")], 2, id="and somebody else's"),
        pytest.param([None], 2, id="another's change"),
    ],
)
async def test_what_is_heard_while_a_look_goes_on_is_judged_when_it_ends(
    heard: list[Seen | None], looks: int
):
    echoes, seen = Echoes(), []

    async def look(key: Key) -> float | None:
        seen.append(key)
        if len(seen) == 1:
            # The watch may tell of a write before its answer is there.
            for item in heard:
                queue.add(key, item)
            echoes.wrote(key, WRITTEN)
        return None

    queue = WorkQueue(look, workers=1, is_echo=echoes.heard)
    task = asyncio.create_task(queue.run())
    queue.add(A)
    await until(lambda: len(seen) >= looks)
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(seen) == looks


async def test_an_echo_leaves_the_next_look_where_it_was():
    echoes, seen, loop = Echoes(), [], asyncio.get_running_loop()

    async def look(key: Key) -> float | None:
        seen.append(loop.time())
        return None

    queue = WorkQueue(look, workers=1, is_echo=echoes.heard)
    task = asyncio.create_task(queue.run())
    echoes.wrote(A, WRITTEN)
    due = loop.time() + 0.05
    queue.add_after(A, 0.05)
    queue.add(A, WRITTEN)
    await until(lambda: seen)
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (looked,) = seen
    # A timer may be early by what the clock cannot tell apart.
    assert looked >= due - 0.01


# ---- the look after the writes -----------------------------------------------------------------------------


@pytest.mark.parametrize("image", ["looma-engine:1", "looma-engine:2"])
def test_what_is_made_of_the_answers_is_what_would_be_read(image: str):
    world = World()
    if image != "looma-engine:1":
        world.settle()
        world.change(image=image)
    observed = world.observe()
    made = world.plan()
    for action in made.actions:
        world._carry_out(action)
    answers = Answers(changed=True)
    for key, child in world.children.items():
        if child != observed.children.get(key):
            answers.children[key] = {"kind": key[0], **copied(child)}
    for child in answers.children.values():
        child["metadata"]["ownerReferences"] = [{"uid": "u1", "controller": True}]
    seen = afterwards(observed, answers, status=observed.service.status)
    read = world.observe()
    assert (seen.revisions, seen.pods) == (read.revisions, read.pods)
    assert seen.children.keys() == read.children.keys()


def test_a_child_that_was_deleted_is_not_there_afterwards():
    world = World()
    world.settle()
    observed = world.observe()
    seen = afterwards(
        observed,
        Answers(gone={("Deployment", "resume-r1")}, changed=True),
        status=observed.service.status,
    )
    assert ("Deployment", "resume-r1") not in seen.children
    assert seen.pods == {}


# ---- peers -------------------------------------------------------------------------------------------------


def service(name: str, version: int, *paths: str, **more: Any) -> Json:
    meta = {"name": name, "namespace": "looma", "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {"route": {"pathPrefixes": list(paths)}}, **more}


class Listed:
    """A client that lists what the test says, in pages of one."""

    def __init__(self, version: int, *items: Json) -> None:
        self.version, self.items, self.asked = version, list(items), 0

    async def pages(self, _kind: kinds.Kind, _namespace: str) -> AsyncIterator[tuple[list[Json], str]]:
        self.asked += 1
        for item in self.items or [None]:
            yield [item] if item else [], str(self.version)


def kept(listed: Listed) -> tuple[Peers, list[str]]:
    news: list[str] = []
    return Peers(listed, ["looma"], news=lambda _, name: news.append(name)), news  # type: ignore[arg-type]


async def everybody(book: Peers) -> Neighbours:
    """All services that these tests know of."""
    return await book.near("looma", paths=(), names=(*"abcd", "edge"))


async def test_peers_are_listed_once_and_then_heard_of():
    listed = Listed(5, service("a", 3, "/a"), service("b", 5, "/b"))
    book, news = kept(listed)
    assert {peer.name for peer in (await everybody(book)).peers} == {"a", "b"}
    book.note(service("c", 6, "/c"))
    book.note(service("a", 7, "/a"), gone=True)
    assert {peer.name for peer in (await everybody(book)).peers} == {"b", "c"}
    assert listed.asked == 1
    assert news == []


@given(
    changes=st.lists(
        st.tuples(st.sampled_from("abcd"), st.sets(st.sampled_from(["/x", "/y", "/z"])), st.booleans()),
        max_size=25,
    ),
    paths=st.sets(st.sampled_from(["/x", "/y", "/z"])),
    names=st.sets(st.sampled_from("abcde")),
)
def test_whom_a_service_meets_is_found_as_by_going_through_all(changes, paths, names):
    async def follow() -> None:
        book, _ = kept(Listed(1))
        await everybody(book)
        stands: dict[str, Peer] = {}
        for version, (name, theirs, gone) in enumerate(changes, start=2):
            book.note(service(name, version, *theirs), gone=gone)
            stands.pop(name, None)
            if not gone:
                stands[name] = Peer(name=name, created_at=peers.EPOCH, path_prefixes=tuple(theirs))
            there = list(stands.values())
            near = (await book.near("looma", paths=paths, names=names)).peers
            met = [peer for peer in there if paths & set(peer.path_prefixes) or peer.name in names]
            assert sorted(near, key=lambda peer: peer.name) == sorted(met, key=lambda peer: peer.name)
            for path in paths:
                owners = [
                    (path, peer.name) for peer in there if path in peer.path_prefixes and peer.name != "a"
                ]
                found = await book.owner_of("looma", [path], other_than="a")
                assert found in owners if owners else found is None

    asyncio.run(follow())


async def test_what_is_older_than_what_is_known_is_left():
    book, _ = kept(Listed(5, service("a", 5, "/new")))
    await everybody(book)
    assert not book.note(service("a", 4, "/old"))
    assert await book.owner_of("looma", ["/old"], other_than="b") is None
    assert await book.owner_of("looma", ["/x", "/new"], other_than="b") == ("/new", "a")
    assert await book.owner_of("looma", ["/new"], other_than="a") is None


async def test_a_listing_brings_what_the_watches_missed_and_tells_of_it():
    listed = Listed(5, service("a", 3, "/a"), service("b", 4, "/b"))
    book, news = kept(listed)
    await everybody(book)
    book.note(service("d", 9, "/d"))
    listed.version, listed.items = 8, [service("a", 3, "/a"), service("c", 7, "/c")]
    await book.refresh("looma")
    # b went, c came, and d is newer than the list.
    assert {peer.name for peer in (await everybody(book)).peers} == {"a", "c", "d"}
    assert news == ["c"]


async def test_a_listing_does_not_bring_back_what_went_after_it():
    listed = Listed(5, service("a", 3, "/a"))
    book, _ = kept(listed)
    await everybody(book)
    book.note(service("a", 9), gone=True)
    await book.refresh("looma")
    assert (await everybody(book)).peers == []


async def test_what_was_let_through_counts_before_the_watch_tells_of_it(monkeypatch: pytest.MonkeyPatch):
    book, _ = kept(Listed(5))
    book.claim("looma", "a", ["/a"])
    assert await book.owner_of("looma", ["/a"], other_than="b") == ("/a", "a")
    assert await book.owner_of("looma", ["/a"], other_than="a") is None, "its own"
    book.claim("looma", "a", ["/other"])
    assert await book.owner_of("looma", ["/a"], other_than="b") is None, "it was changed in the same moment"
    book.note(service("a", 7, "/other"), gone=True)
    assert await book.owner_of("looma", ["/other"], other_than="b") is None, "it was deleted"


async def test_what_was_let_through_and_never_came_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(peers, "CLAIM_SECONDS", 0.0)
    book, _ = kept(Listed(5))
    for number in range(100):
        book.claim("looma", f"a-{number}", ["/a"])
    assert len(book._claims["looma"]) == 1, "the last one, until it is asked for"
    assert await book.owner_of("looma", ["/a"], other_than="b") is None


async def test_gateways_are_counted_and_those_that_go_have_no_path():
    going = service("b", 4, "/b")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    edge = service("edge", 5, spec={"engine": "gateway"}, status={"replicas": 2})
    book, _ = kept(Listed(5, going, edge))
    there = await everybody(book)
    assert (there.gateways, [peer.name for peer in there.peers]) == (2, ["edge"])


async def test_a_namespace_that_is_not_watched_is_not_kept():
    book, _ = kept(Listed(5))
    assert not book.watches("edges")
    elsewhere = service("a", 3)
    elsewhere["metadata"]["namespace"] = "edges"
    assert not book.note(elsewhere)


async def test_a_list_that_cannot_be_had_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.setattr(peers, "REFRESH_SECONDS", 0.01)
    listed = Listed(5, service("a", 3))
    book, _ = kept(listed)
    answers = [KubeError(503, "not now")]
    refresh = book.refresh

    async def trying(namespace: str) -> None:
        if answers:
            raise answers.pop()
        await refresh(namespace)

    monkeypatch.setattr(book, "refresh", trying)
    task = asyncio.create_task(book.run())
    async with asyncio.timeout(5):
        while not listed.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    assert "not now" in caplog.text


async def test_a_long_list_is_read_in_pages():
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        last = "continue" in request.query
        meta = {"resourceVersion": "9"} | ({} if last else {"continue": "there"})
        return web.json_response({"metadata": meta, "items": [service("b" if last else "a", 1)]})

    app = web.Application()
    app.add_routes([web.get(kinds.AI_SERVICE.path("looma"), answer)])
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("")).rstrip("/")
        kube = Kube(configuration)
        try:
            pages = [
                ([item["metadata"]["name"] for item in items], version)
                async for items, version in kube.pages(kinds.AI_SERVICE, "looma", size=1)
            ]
        finally:
            await kube.close()
    assert pages == [(["a"], "9"), (["b"], "9")]
    assert asked == [{"limit": "1"}, {"limit": "1", "continue": "there"}]


SERVICE: Json = {
    "metadata": {"name": "a", "namespace": "looma", "uid": "u1", "resourceVersion": "7", "generation": 1},
    "spec": spec(),
}


class Reads:
    """A client of a cluster with one service and, if so, a ControllerRevision; notes what is listed."""

    def __init__(self, *, serves: bool | Exception = True, status: Json | None = None) -> None:
        self.raw = SERVICE | {"status": status or {}}
        self.answer = serves
        self.listed: list[str] = []

    async def get(self, *_: Any) -> Json:
        return self.raw

    async def serves(self, _kind: kinds.Kind) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def list(self, kind: kinds.Kind, _namespace: str, **_: Any) -> list[Json]:
        self.listed.append(kind.name)
        return []


@pytest.mark.parametrize(
    ("kube", "gateway_api", "listed"),
    [
        pytest.param(Reads(), True, {"AIService"}, id="new"),
        pytest.param(Reads(serves=False), False, {"AIService"}, id="new, without the Gateway API"),
        pytest.param(
            Reads(serves=RefusedError(403, "no")), True, {"AIService", "HTTPRoute"}, id="new, and may not ask"
        ),
        pytest.param(
            Reads(status={"observedGeneration": 1}),
            True,
            {"AIService", "HTTPRoute", *(kind.name for kind in kinds.CHILDREN)},
            id="not new",
        ),
    ],
)
async def test_children_of_a_service_without_a_status_are_not_listed(
    kube: Reads, gateway_api: bool, listed: set[str]
):
    reading = await read_service(kube, "looma", "a", gateway=ParentGateway(), suppose_new=True)  # type: ignore[arg-type]
    assert reading is not None
    assert reading.supposed is ("ControllerRevision" not in listed)
    assert reading.observed.gateway_api is gateway_api
    assert set(kube.listed) == listed


# ---- events ------------------------------------------------------------------------------------------------

epoch: ContextVar[int] = ContextVar("epoch")


class Work:
    """Whether there is something more urgent, and how often that was asked."""

    def __init__(self, *, busy: bool) -> None:
        self.busy, self.asked = busy, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.busy


async def run_posting(work: Work) -> tuple[Posting, asyncio.Task[None], list[tuple[str, int]]]:
    told: list[tuple[str, int]] = []
    made = Posting(busy=work)
    return made, asyncio.create_task(made.run()), told


async def test_events_are_told_in_their_order_and_context_once_there_is_time():
    work = Work(busy=True)
    made, task, told = await run_posting(work)

    def telling(name: str) -> posting.Post:
        async def post() -> None:
            told.append((name, epoch.get()))

        return post

    for number, name in enumerate("abc"):
        epoch.set(number)
        await made.add(telling(name))
    await until(lambda: work.asked >= 3)
    assert told == []
    work.busy = False
    await until(lambda: len(told) >= 3)
    task.cancel()
    assert told == [("a", 0), ("b", 1), ("c", 2)]


async def test_events_are_not_held_back_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(posting, "PATIENCE_SECONDS", 0.05)
    made, task, told = await run_posting(Work(busy=True))

    async def post() -> None:
        told.append(("late", 0))

    await made.add(post)
    await until(lambda: told)
    task.cancel()
    assert told == [("late", 0)]


async def test_an_event_of_a_leadership_that_ended_is_left_out(caplog):
    made, task, told = await run_posting(Work(busy=False))

    async def fenced() -> None:
        raise NotLeaderError("epoch 1 ended")

    async def post() -> None:
        told.append(("next", 0))

    await made.add(fenced)
    await made.add(post)
    await until(lambda: told)
    task.cancel()
    assert told == [("next", 0)]
    assert "epoch 1 ended" in caplog.text


def test_a_resync_is_spread():
    from looma_operator.reconcile import RESYNC_SECONDS, resync_seconds

    drawn = [timedelta(seconds=resync_seconds()) for _ in range(100)]
    assert (
        timedelta(seconds=RESYNC_SECONDS * 0.8)
        <= min(drawn)
        < max(drawn)
        <= timedelta(seconds=RESYNC_SECONDS * 1.2)
    )
    assert len(set(drawn)) > 50
