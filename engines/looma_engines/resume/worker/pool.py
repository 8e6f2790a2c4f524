"""The engine's side of the workers: one document each at a time, ended and replaced when it must be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process

from looma_core import logging
from looma_engines.resume.config import ResumeConfig
from looma_engines.resume.documents.problems import DocumentProblem
from looma_engines.resume.worker.messages import (
    HEADER,
    MAX_FRAME,
    Job,
    Result,
    frame,
    ready_decoder,
    result_decoder,
)

START_SECONDS = 60.0
"""Building the pipeline takes about a second; a loaded node takes longer."""

RESTART_SECONDS = 0.5
"""Pause before a worker that did not even start is tried again."""

log = logging.get(__name__)
# What a worker may know of the engine's environment: where libraries are, nothing secret.
_KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "HOME",
    "TMPDIR",
    "COVERAGE_PROCESS_START",
    "VIRTUAL_ENV",
)


class PoolBusy(Exception):
    """No worker came free in time."""


class _Worker:
    """One process. Not shared: whoever took it from the queue has it alone."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def ask(self, job: Job) -> Result:
        """The answer to ``job``; raises EOFError if the process ends instead."""
        stdin = self.process.stdin
        if stdin is None:
            raise EOFError
        try:
            stdin.write(frame(job))
            await stdin.drain()
            return result_decoder.decode(await self._frame())
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError) as error:
            raise EOFError from error

    async def ready(self) -> None:
        """Wait for the worker's first message."""
        ready_decoder.decode(await self._frame())

    async def _frame(self) -> bytes:
        stdout = self.process.stdout
        if stdout is None:
            raise EOFError
        (length,) = HEADER.unpack(await stdout.readexactly(HEADER.size))
        if length > MAX_FRAME:
            raise EOFError
        return await stdout.readexactly(length)

    async def end(self) -> None:
        """Kill the process and wait for it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


class WorkerPool:
    """Keeps ``config.workers`` processes.

    Args:
        config: how many, and their limits.
    """

    def __init__(self, config: ResumeConfig) -> None:
        self._config = config
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._all: set[_Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._started = False
        self.replaced = 0

    async def start(self) -> None:
        """Start the workers; returns at once, ``check`` tells when the first one is ready."""
        for _ in range(self._config.workers):
            self._spawn_soon()

    async def close(self) -> None:
        """End all workers."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in list(self._all)))
        self._all.clear()

    async def check(self) -> None:
        """Readiness: raises RuntimeError until the first worker has built its pipeline, and while none lives.

        A worker that is being replaced later does not count against it: requests wait for the new one.
        """
        if not self._started or not any(worker.alive for worker in self._all):
            raise RuntimeError("no worker is ready")

    async def run(self, job: Job) -> Result:
        """Let a worker do ``job``.

        Raises:
            PoolBusy: none came free within ``waitSeconds``.
            DocumentProblem: the worker refused the document, took too long, or died of it.
        """
        try:
            return await self._once(job)
        except EOFError:
            # It may have been killed from outside, by the node's memory keeper say: a document that ends two is guilty.
            log.warning("worker died of a document", kind=job.kind, size=len(job.data), attempt=1)
        try:
            return await self._once(job)
        except EOFError as error:
            log.warning("worker died of a document", kind=job.kind, size=len(job.data), attempt=2)
            raise DocumentProblem(
                "document-too-costly",
                "The document broke its reader or needs more memory than one may take. Open it, export it again "
                "as PDF, and send that.",
            ) from error

    async def _once(self, job: Job) -> Result:
        """``run`` without a second attempt; raises EOFError if the worker dies."""
        worker = await self._take()
        clean = False
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                result = await worker.ask(job)
            clean = not result.worn
        except TimeoutError as error:
            raise DocumentProblem(
                "document-too-costly",
                f"The document was not read within {self._config.timeout_seconds:g} seconds. "
                "Send a smaller or simpler file, or its text.",
            ) from error
        finally:
            # Also when the request was cancelled: a worker in the middle of a job cannot be given out again.
            if clean:
                self._idle.put_nowait(worker)
            else:
                self._replace(worker)
        if result.refusal is not None:
            raise DocumentProblem(result.refusal.code, result.refusal.detail)
        return result

    async def _take(self) -> _Worker:
        try:
            async with asyncio.timeout(self._config.wait_seconds):
                while True:
                    worker = await self._idle.get()
                    if worker.alive:
                        return worker
                    # It died between two documents, killed from outside perhaps.
                    self._replace(worker)
        except TimeoutError as error:
            raise PoolBusy from error

    def _replace(self, worker: _Worker) -> None:
        self.replaced += 1
        self._all.discard(worker)
        self._keep(worker.end())
        self._spawn_soon()

    def _spawn_soon(self) -> None:
        if not self._closing:
            self._keep(self._spawn())

    def _keep(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _spawn(self) -> None:
        while not self._closing:
            worker = _Worker(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "looma_engines.resume.worker.process",
                    str(self._config.memory_mib),
                    stdin=PIPE,
                    stdout=PIPE,
                    env=_environment(),
                    start_new_session=True,
                    limit=2**20,
                )
            )
            self._all.add(worker)
            try:
                async with asyncio.timeout(START_SECONDS):
                    await worker.ready()
            except (TimeoutError, asyncio.IncompleteReadError, EOFError):
                log.exception("worker did not start", code=worker.process.returncode)
                self._all.discard(worker)
                await worker.end()
                await asyncio.sleep(RESTART_SECONDS)
                continue
            self._started = True
            self._idle.put_nowait(worker)
            return


def _environment() -> dict[str, str]:
    """A worker's environment: no database address, no keys; one thread for numpy's libraries."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "LOOMA_WORKER_PARENT": str(os.getpid()),
    }
