"""The fence where it stands: in the step that hands a write's bytes to the kernel, over real HTTP on loopback."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client.configuration import Configuration

from looma_operator.kube import kinds
from looma_operator.kube.client import Kube, NotLeaderError

EVENT = {"metadata": {"name": "resume.1"}}


class Fence:
    """Lets that many questions pass, and no more."""

    def __init__(self, passes: int) -> None:
        self.passes = passes
        self.asked = 0

    def check(self) -> float:
        self.asked += 1
        if self.asked > self.passes:
            raise NotLeaderError("slept")
        return 10.0


async def write_behind(fence: Fence, *, before: int = 0) -> tuple[list[str], BaseException | None]:
    """What an API server got of `before` reads and one create behind the fence, and what the create raised."""
    got: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        got.append(request.method)
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        kube = Kube(Configuration(host=str(server.make_url("")).rstrip("/")), fence=fence)
        raised: BaseException | None = None
        try:
            for _ in range(before):
                await kube.get(kinds.EVENT, "looma", "any")
            try:
                await kube.create(kinds.EVENT, "looma", EVENT)
            except NotLeaderError as error:
                raised = error
            # A fenced write leaves a client that works.
            await kube.get(kinds.EVENT, "looma", "after")
        finally:
            await kube.close()
    return got, raised


@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "connection that stood"])
def test_who_slept_between_the_decision_and_the_bytes_sends_nothing(before):
    fence = Fence(passes=1)
    got, raised = asyncio.run(write_behind(fence, before=before))
    assert isinstance(raised, NotLeaderError)
    assert got == ["GET"] * (before + 1)
    assert fence.asked == 2


def test_who_leads_writes_and_is_asked_twice():
    fence = Fence(passes=2)
    got, raised = asyncio.run(write_behind(fence))
    assert raised is None
    assert got == ["POST", "GET"]
