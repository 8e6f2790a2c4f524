"""Workers: hostile or endless documents end a worker, never the engine; the next document is served."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from looma_engines.resume.config import ResumeConfig
from looma_engines.resume.documents import DocumentProblem
from looma_engines.resume.worker import PoolBusy, WorkerPool
from looma_engines.resume.worker.messages import Job, Result
from looma_engines.resume.worker.pool import _environment
from support.resume_files import ADA, build

FILE = Job(kind="file", data=build("pdf-one-column", "en"))


CONFIG = ResumeConfig(workers=1, memory_mib=256, timeout_seconds=30, wait_seconds=60)

# One pool for the module: a worker takes seconds to start on a busy machine.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(CONFIG)
    await pool.start()
    yield pool
    await pool.close()


@pytest.fixture(autouse=True)
def _usual_limits(pool: WorkerPool) -> Iterator[None]:
    yield
    pool._config = CONFIG


def _pids(pool: WorkerPool) -> list[int]:
    return [worker.process.pid for worker in pool._all]


async def _name(pool: WorkerPool) -> str | None:
    result = await pool.run(FILE)
    assert result.parsed is not None
    return result.parsed.contact.full_name


async def test_a_worker_that_is_killed_is_replaced(pool: WorkerPool) -> None:
    assert await _name(pool) == ADA.name
    (before,) = _pids(pool)
    replaced = pool.replaced
    os.kill(before, signal.SIGKILL)
    assert await _name(pool) == ADA.name
    assert _pids(pool) != [before]
    assert pool.replaced == replaced + 1


async def test_a_document_beyond_time_or_memory_is_refused_and_its_worker_replaced(pool: WorkerPool) -> None:
    assert await _name(pool) == ADA.name
    (worker,) = pool._all
    # Stopped, the worker answers as slowly as one in an endless loop.
    os.kill(worker.process.pid, signal.SIGSTOP)
    pool._config = ResumeConfig(workers=1, timeout_seconds=0.3, wait_seconds=60)
    with pytest.raises(DocumentProblem, match=r"within 0\.3 seconds") as raised:
        await pool.run(FILE)
    assert raised.value.code == "document-too-costly"
    assert await worker.process.wait() == -signal.SIGKILL
    pool._config = CONFIG
    assert await _name(pool) == ADA.name


async def test_a_cancelled_request_does_not_hand_its_answer_to_the_next(pool: WorkerPool) -> None:
    await pool.run(FILE)
    request = asyncio.create_task(pool.run(Job(kind="text", text="Grace Hopper\ngrace@example.org\n" * 2000)))
    await asyncio.sleep(0.01)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await _name(pool) == ADA.name


async def test_busy_workers_are_waited_for_and_then_said(pool: WorkerPool) -> None:
    await pool.run(FILE)
    pool._config = ResumeConfig(workers=1, wait_seconds=0.05)
    worker = pool._idle.get_nowait()
    with pytest.raises(PoolBusy):
        await pool.run(FILE)
    pool._idle.put_nowait(worker)


def _limits(pid: int) -> dict[str, list[str]]:
    text = Path(f"/proc/{pid}/limits").read_text()
    return {line[:25].strip(): line[26:].split() for line in text.splitlines()[1:]}


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_worker_knows_no_secret_and_has_limits(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOMA_DATABASE_URL", "postgresql+psycopg://secret")
    monkeypatch.setenv("LOOMA_FILE_KEYS", "secret")
    assert "secret" not in " ".join(_environment().values())
    await pool.run(FILE)
    await pool.check()
    (pid,) = _pids(pool)
    rows = _limits(pid)
    assert rows["Max address space"][0].isdigit()
    assert rows["Max core file size"][0] == "0"
    assert rows["Max file size"][0] == "0"


async def test_a_document_that_ends_two_workers_is_refused(pool: WorkerPool) -> None:
    await pool.run(FILE)

    async def dies(self: object, job: Job) -> Result:
        raise EOFError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("looma_engines.resume.worker.pool._Worker.ask", dies)
        # Starting two real ones would take most of this module's time.
        patch.setattr(pool, "_replace", pool._idle.put_nowait)
        with pytest.raises(DocumentProblem) as raised:
            await pool.run(FILE)
    assert raised.value.code == "document-too-costly"
    assert await _name(pool) == ADA.name


async def test_a_closed_pool_leaves_no_process(pool: WorkerPool) -> None:
    await pool.run(FILE)
    (pid,) = _pids(pool)
    await pool.close()
    assert not _lives(pid)
    with pytest.raises(RuntimeError):
        await pool.check()


async def test_a_pool_is_ready_when_its_first_worker_is() -> None:
    pool = WorkerPool(CONFIG)
    await pool.start()
    try:
        with pytest.raises(RuntimeError):
            await pool.check()
    finally:
        await pool.close()


async def test_a_memory_error_in_the_worker_is_an_answer() -> None:
    from looma_engines.resume.worker.process import answer

    class Full:
        def entities(self, _text: str) -> None:
            raise MemoryError

    result: Result = answer(Job(kind="entities", text="x"), Full())  # type: ignore[arg-type]
    assert result.worn
    assert result.refusal is not None
    assert result.refusal.code == "document-too-costly"
