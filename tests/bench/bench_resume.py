"""Time for one résumé on one core, in this process, beside pdfium's bare text of the same file.

The files are our own (`support.resume_files`). Reading and parsing are timed together, as a worker does them;
the worker's pipe and the HTTP frame are not in it. One CPU is set for the process, warm-up is not counted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pypdfium2

from bench.report import Row
from looma_engines.resume.documents import read_document
from looma_engines.resume.parsing import ResumeParser
from support.resume_files import ADA, LIN, build, pdf_pages

ROUNDS = 60
WARM_UP = 5


def run() -> list[Row]:
    """p95 of a text, a DOCX and two-page PDFs in both languages."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return _rows()
    finally:
        os.sched_setaffinity(0, cores)


def _rows() -> list[Row]:
    parser = ResumeParser()
    cases = {
        "text résumé, English": (build("txt-utf8", "en"), "150 ms"),
        "text résumé, Chinese": (build("txt-utf8", "zh"), "150 ms"),
        "DOCX résumé with tables, Chinese": (build("docx-table", "zh"), ""),
        "two-page PDF résumé, English": (pdf_pages(ADA, 2), "400 ms"),
        "two-page PDF résumé, Chinese": (pdf_pages(LIN, 2), "400 ms"),
    }
    rows = []
    for what, (data, limit) in cases.items():
        bare = _p95(lambda data=data: _bare(data))[0] if data.startswith(b"%PDF") else None
        value, busy = _p95(lambda data=data: parser.parse(read_document(data)))
        rows.append(
            Row(
                what=f"{what}: read and parse, p95",
                value=value,
                unit="ms",
                baseline=bare,
                baseline_name="pdfium's text of the same file" if bare else "",
                limit=limit,
                note=f"{ROUNDS} rounds in one process on one core, {busy:.1f} ms of it CPU, {len(data):,} bytes",
            )
        )
    return rows


def _bare(data: bytes) -> None:
    document = pypdfium2.PdfDocument(data)
    for page in document:
        page.get_textpage().get_text_bounded()
    document.close()


def _p95(work: Callable[[], object]) -> tuple[float, float]:
    """p95 of the time on the clock and of the processor's, in ms; they part where others use the core."""
    for _ in range(WARM_UP):
        work()
    clock: list[float] = []
    busy: list[float] = []
    for _ in range(ROUNDS):
        started, used = time.perf_counter(), time.process_time()
        work()
        clock.append(1000 * (time.perf_counter() - started))
        busy.append(1000 * (time.process_time() - used))
    at = int(0.95 * ROUNDS)
    return sorted(clock)[at], sorted(busy)[at]
