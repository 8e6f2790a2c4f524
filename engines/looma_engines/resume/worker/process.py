"""The worker process: ``python -m looma_engines.resume.worker.process MEMORY_MIB``.

Reads jobs from standard input, answers on what was standard output when it started; what a library prints
goes to standard error. Ends when its input ends or its parent dies.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO

from looma_engines.resume.documents import DocumentProblem, read_document, read_text
from looma_engines.resume.parsing import ResumeParser
from looma_engines.resume.worker.messages import (
    HEADER,
    MAX_FRAME,
    Job,
    Ready,
    Refusal,
    Result,
    frame,
    job_decoder,
)

_PR_SET_PDEATHSIG = 1
_WARM_UP = (
    "Ada Byron\nada@example.org\nEXPERIENCE\nEngineer, Engine Works\t2019 - 2021\n姓名：张伟\n工作经历\n"
)
_COSTLY = "The document needs more memory than one may take. Send a smaller or simpler file, or its text."


def main() -> None:
    """Serve jobs until the input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    # Whatever prints must not break the frames.
    os.dup2(2, 1)
    _die_with_parent()
    parser = ResumeParser()
    parser.parse(read_text(_WARM_UP))
    _limit(int(sys.argv[1]) if len(sys.argv) > 1 else 512)
    answers.write(frame(Ready(os.getpid())))
    jobs = sys.stdin.buffer
    while (job := _next_job(jobs)) is not None:
        result = answer(job, parser)
        answers.write(frame(result))
        if result.worn:
            return


def answer(job: Job, parser: ResumeParser) -> Result:
    """Do one job; a refusal is an answer too."""
    try:
        return _answer(job, parser)
    except DocumentProblem as problem:
        return Result(refusal=Refusal(problem.code, problem.detail))
    except MemoryError:
        return Result(refusal=Refusal("document-too-costly", _COSTLY), worn=True)
    except RecursionError:
        return Result(
            refusal=Refusal(
                "damaged-document", "The document nests too deeply. Export it as PDF and send that."
            )
        )


def _answer(job: Job, parser: ResumeParser) -> Result:
    if job.kind == "entities":
        return Result(entities=parser.entities(job.text))
    if job.kind == "skills":
        return Result(skills=parser.skills(job.text))
    started = time.perf_counter()
    if job.kind == "file":
        document = read_document(job.data, limits=job.limits)
    else:
        document = read_text(job.text, limits=job.limits)
    read = time.perf_counter()
    parsed = parser.parse(document)
    return Result(
        parsed=parsed,
        media_type=document.media_type,
        read_seconds=read - started,
        parse_seconds=time.perf_counter() - read,
    )


def _next_job(source: BinaryIO) -> Job | None:
    header = source.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    body = source.read(length) if length <= MAX_FRAME else b""
    return job_decoder.decode(body) if len(body) == length else None


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the engine is gone; Linux only, elsewhere the closed pipe must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1 and os.environ.get("LOOMA_WORKER_PARENT") != "1":
            sys.exit(0)


def _limit(memory_mib: int) -> None:
    """Cap memory at what the pipeline holds now plus ``memory_mib``; no core dumps, no files to write."""
    used = _address_space()
    cap = used + memory_mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (cap, cap))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _address_space() -> int:
    """Bytes of address space in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
