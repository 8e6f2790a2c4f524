"""The worker's own functions, called here in the test's process; the contract tests have the real processes."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import signal
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from looma_engines.resume.config import ResumeConfig
from looma_engines.resume.documents.model import Limits
from looma_engines.resume.worker import WorkerPool, pool, process
from looma_engines.resume.worker.messages import (
    HEADER,
    MAX_FRAME,
    Job,
    Result,
    frame,
    job_encoder,
    ready_decoder,
    result_decoder,
)
from support.resume_files import ADA, build, parser, pdf_encrypted

SENTENCE = "Ada Lindqvist wrote Python.\nNationality: Swedish\n"


def test_a_file_and_a_text_are_parsed_and_timed() -> None:
    file = process.answer(Job(kind="file", data=build("docx-plain", "en")), parser())
    text = process.answer(Job(kind="text", text=f"{ADA.name}\n{ADA.email}\n"), parser())
    for result in (file, text):
        assert result.parsed is not None
        assert result.parsed.contact.full_name == ADA.name
        assert result.parse_seconds > 0
        assert not result.worn
    assert "wordprocessingml" in file.media_type
    assert text.media_type == "text/plain"


def test_spans_and_skills_of_a_text() -> None:
    spans = process.answer(Job(kind="entities", text=SENTENCE), parser()).entities
    skills = process.answer(Job(kind="skills", text=SENTENCE), parser()).skills
    assert ("CONT", "Swedish") in [(span.label, span.text) for span in spans or []]
    assert [skill.name for skill in skills or []] == ["Python"]


class _Breaks:
    """Stands in for a parser that meets a document too deep or too large for it."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def skills(self, _text: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("job", "error", "code", "worn"),
    [
        (Job(kind="file", data=pdf_encrypted(ADA)), None, "encrypted-document", False),
        (Job(kind="text", text="x" * 9, limits=Limits(max_characters=5)), None, "document-too-large", False),
        (Job(kind="skills", text="x"), RecursionError, "damaged-document", False),
        (Job(kind="skills", text="x"), MemoryError, "document-too-costly", True),
    ],
    ids=["a document's problem", "the job's own limits", "nested too deeply", "out of memory"],
)
def test_a_refusal_is_an_answer(job: Job, error: type[BaseException] | None, code: str, worn: bool) -> None:
    worker: Any = parser() if error is None else _Breaks(error)
    result = process.answer(job, worker)
    assert result.refusal is not None
    assert (result.refusal.code, result.worn) == (code, worn)


JOB = Job(kind="text", text="Ada")


@pytest.mark.parametrize(
    ("stream", "jobs"),
    [
        (frame(JOB) * 2, 2),
        (b"", 0),
        (frame(JOB) + b"\x00\x00", 1),
        (frame(JOB) + frame(JOB)[:-1], 1),
        (HEADER.pack(MAX_FRAME + 1) + job_encoder.encode(JOB), 0),
    ],
    ids=["two jobs", "no job", "cut in its length", "cut in its body", "longer than allowed"],
)
def test_jobs_are_read_until_the_input_ends_or_makes_no_sense(stream: bytes, jobs: int) -> None:
    source = io.BytesIO(stream)
    read = []
    while (job := process._next_job(source)) is not None:
        read.append(job)
    assert [job.text for job in read] == ["Ada"] * jobs


class _Loud:
    """The session's parser, but each text makes it print and a full memory wears it out."""

    def parse(self, document: Any) -> Any:
        os.write(1, b"a library prints what nobody asked for")
        return parser().parse(document)

    def skills(self, _text: str) -> None:
        raise MemoryError


def _served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *jobs: Job, arguments: list[str]
) -> tuple[bytes, list[int]]:
    """What ``main`` writes to its standard output for ``jobs``, and the caps of memory that it set."""
    caps: list[int] = []
    monkeypatch.setattr(process, "ResumeParser", _Loud)
    # This process must neither die with its parent nor lose its memory.
    monkeypatch.setattr(process, "_die_with_parent", lambda: None)
    monkeypatch.setattr(process, "_limit", caps.append)
    monkeypatch.setattr(sys, "argv", ["process", *arguments])
    stdin = SimpleNamespace(buffer=io.BytesIO(b"".join(frame(job) for job in jobs)))
    monkeypatch.setattr(sys, "stdin", stdin)
    kept = os.dup(1)
    try:
        with (tmp_path / "out").open("wb") as out:
            os.dup2(out.fileno(), 1)
            process.main()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    return (tmp_path / "out").read_bytes(), caps


def _frames(data: bytes) -> list[bytes]:
    bodies = []
    while data:
        (length,) = HEADER.unpack(data[: HEADER.size])
        bodies.append(data[HEADER.size : HEADER.size + length])
        data = data[HEADER.size + length :]
    return bodies


def test_the_worker_says_it_is_ready_and_answers_each_job_whatever_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = Job(kind="text", text=f"{ADA.name}\n{ADA.email}\n")
    data, caps = _served(monkeypatch, tmp_path, text, text, arguments=["64"])
    ready, *answers = _frames(data)
    assert ready_decoder.decode(ready).pid == os.getpid()
    results = [result_decoder.decode(answer) for answer in answers]
    assert [result.parsed and result.parsed.contact.email for result in results] == [ADA.email] * 2
    assert caps == [64]


def test_a_worn_worker_ends_after_its_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worn = Job(kind="skills", text="x")
    data, caps = _served(monkeypatch, tmp_path, worn, worn, arguments=[])
    assert [result_decoder.decode(answer).worn for answer in _frames(data)[1:]] == [True]
    assert caps == [512]


def test_limits_are_what_the_pipeline_holds_and_the_documents_share(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    before = process._address_space()
    process._limit(64)
    soft, hard = limits[resource.RLIMIT_AS]
    assert soft == hard
    assert before + 64 * 2**20 <= soft <= process._address_space() + 64 * 2**20
    assert limits[resource.RLIMIT_CORE] == (0, 0)
    assert limits[resource.RLIMIT_FSIZE] == (0, 0)


@pytest.mark.parametrize(
    ("parent", "engine", "ends"),
    [(4711, "4711", False), (1, "1", False), (1, "4711", True)],
    ids=["the engine lives", "the engine is process 1", "the engine is gone"],
)
def test_a_worker_dies_with_its_engine(
    monkeypatch: pytest.MonkeyPatch, parent: int, engine: str, ends: bool
) -> None:
    asked: list[tuple[int, int]] = []
    library = SimpleNamespace(prctl=lambda *call: asked.append(call))
    monkeypatch.setattr(process.ctypes, "CDLL", lambda *_, **__: library)
    monkeypatch.setattr(os, "getppid", lambda: parent)
    monkeypatch.setenv("LOOMA_WORKER_PARENT", engine)
    monkeypatch.setattr(sys, "platform", "linux")
    if ends:
        with pytest.raises(SystemExit):
            process._die_with_parent()
    else:
        process._die_with_parent()
    assert asked == [(process._PR_SET_PDEATHSIG, signal.SIGKILL)]


class _Process:
    """A worker's process that has written ``data``."""

    def __init__(self, data: bytes | None) -> None:
        self.returncode = None
        self.stdin = None if data is None else SimpleNamespace(write=lambda _: None, drain=self._drain)
        self.stdout = None
        if data is not None:
            self.stdout = asyncio.StreamReader()
            self.stdout.feed_data(data)
            self.stdout.feed_eof()

    async def _drain(self) -> None:
        return None


@pytest.mark.parametrize(
    "data",
    [None, b"", HEADER.pack(MAX_FRAME + 1), HEADER.pack(10) + b"short"],
    ids=["no pipes", "it ended", "an answer longer than allowed", "an answer that is cut off"],
)
@pytest.mark.asyncio
async def test_a_worker_that_answers_nonsense_counts_as_dead(data: bytes | None) -> None:
    worker = pool._Worker(_Process(data))  # type: ignore[arg-type]
    with pytest.raises(EOFError):
        await worker.ask(JOB)


@pytest.mark.asyncio
async def test_an_answer_of_a_worker_is_read_whole() -> None:
    worker = pool._Worker(_Process(frame(Result(media_type="text/plain"))))  # type: ignore[arg-type]
    assert (await worker.ask(JOB)).media_type == "text/plain"


@pytest.mark.asyncio
async def test_a_worker_that_does_not_start_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Starts like the real one, only faster: the first attempt fails, the second says that it is ready.
    program = tmp_path / "python"
    program.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable} -S
            import os, sys
            if not os.path.exists({str(tmp_path / "tried")!r}):
                open({str(tmp_path / "tried")!r}, "w").close()
                sys.exit(3)
            body = {frame(process.Ready(7))!r}
            os.write(1, body)
            sys.stdin.read()
            """)
    )
    program.chmod(0o755)
    monkeypatch.setattr(pool.sys, "executable", str(program))
    monkeypatch.setattr(pool, "RESTART_SECONDS", 0.0)
    workers = WorkerPool(ResumeConfig(workers=1))
    await workers.start()
    try:
        async with asyncio.timeout(30):
            worker = await workers._idle.get()
        await workers.check()
        assert workers._all == {worker}
    finally:
        await workers.close()


@pytest.mark.asyncio
async def test_a_worker_that_died_between_two_documents_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = WorkerPool(ResumeConfig(workers=1, wait_seconds=0.05))
    replaced: list[object] = []
    monkeypatch.setattr(workers, "_replace", replaced.append)
    dead = pool._Worker(SimpleNamespace(returncode=-9))  # type: ignore[arg-type]
    alive = pool._Worker(SimpleNamespace(returncode=None))  # type: ignore[arg-type]
    workers._idle.put_nowait(dead)
    workers._idle.put_nowait(alive)
    assert await workers._take() is alive
    assert replaced == [dead]
