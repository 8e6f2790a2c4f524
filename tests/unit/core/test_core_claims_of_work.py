"""Claims against the real database: one holder at a time, in one process and over several, gone with the connection."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

from looma_core.db.claims import Claims
from looma_core.problems import NotReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.database import DatabaseUrls

_numbers = itertools.count(-5)


@pytest.fixture
def number() -> int:
    """What no other test claims."""
    return next(_numbers)


@pytest.fixture
async def pods(database_urls: DatabaseUrls) -> AsyncIterator[list[Claims]]:
    """The claims of two processes."""
    made = [Claims(make_url(database_urls.app)) for _ in range(2)]
    yield made
    for claims in made:
        await claims.close()


@pytest.mark.parametrize("other", [0, 1], ids=["the same process", "another process"])
async def test_what_one_has_no_other_gets(pods: list[Claims], number: int, other: int) -> None:
    async with pods[0].claim(number, wait_seconds=0) as first:
        async with pods[other].claim(number, wait_seconds=0) as second:
            assert (first, second) == (True, False)
        # Not to have got it gives nothing back.
        async with pods[other].claim(number, wait_seconds=0) as third:
            assert not third
    async with pods[other].claim(number, wait_seconds=0) as again:
        assert again


async def test_another_thing_is_another_claim(pods: list[Claims], number: int) -> None:
    async with pods[0].claim(number, wait_seconds=0), pods[1].claim(number + 2**40, wait_seconds=0) as free:
        assert free


async def test_who_waits_gets_it_when_it_is_given_back(pods: list[Claims], number: int) -> None:
    given_back = asyncio.Event()

    async def hold() -> None:
        async with pods[0].claim(number, wait_seconds=0):
            await given_back.wait()

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0.05)
    asyncio.get_running_loop().call_later(0.3, given_back.set)
    async with pods[1].claim(number, wait_seconds=60) as claimed:
        assert claimed
        assert given_back.is_set()
    await holder


async def test_many_in_one_process_hold_it_one_after_the_other(pods: list[Claims], number: int) -> None:
    holding = 0

    async def work(claims: Claims) -> bool:
        nonlocal holding
        async with claims.claim(number, wait_seconds=60) as claimed:
            holding += 1
            assert holding == 1
            await asyncio.sleep(0)
            holding -= 1
            return claimed

    assert all(await asyncio.gather(*(work(pods[n % 2]) for n in range(10))))


async def test_an_error_and_a_cancelled_request_give_it_back(pods: list[Claims], number: int) -> None:
    with pytest.raises(RuntimeError):
        async with pods[0].claim(number, wait_seconds=0):
            raise RuntimeError
    begun = asyncio.Event()

    async def work() -> None:
        async with pods[0].claim(number, wait_seconds=0):
            begun.set()
            await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pods[1].claim(number, wait_seconds=0) as free:
        assert free


async def test_a_request_that_is_cancelled_while_it_asks_leaves_no_claim(
    pods: list[Claims], number: int
) -> None:
    for _ in range(20):
        asking = asyncio.create_task(pods[0].claim(number, wait_seconds=0).__aenter__())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with pods[1].claim(number, wait_seconds=60) as free:
            assert free


async def test_claims_go_with_the_connection_and_the_next_one_gets_a_new_one(
    pods: list[Claims], number: int, database_urls: DatabaseUrls
) -> None:
    async with pods[0].claim(number, wait_seconds=0):
        with psycopg.connect(database_urls.admin, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = 'looma-claims' AND datname = current_database()"
            )
        async with pods[1].claim(number, wait_seconds=0) as free:
            assert free
    async with pods[0].claim(number, wait_seconds=0) as again:
        assert again


async def test_a_database_that_is_away_is_a_passing_fault() -> None:
    claims = Claims(make_url("postgresql+psycopg://looma_app:hidden-word@127.0.0.1:1/looma"))

    async def ask() -> None:
        async with claims.claim(1, wait_seconds=0):
            pass

    for _ in range(2):
        with pytest.raises(NotReady) as caught:
            await ask()
        assert caught.value.headers["Retry-After"]
        assert "hidden-word" not in str(caught.value.problem())
    await claims.close()
