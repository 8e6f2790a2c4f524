"""Steps: order, skipping, side by side, and what a failure says."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from looma_cluster.steps import Display, Step, StepError, run_steps


@pytest.fixture
def output():
    return io.StringIO()


@pytest.fixture
def display(output):
    return Display(Console(file=output, width=200))


def noting(did, name):
    return lambda report: did.append(name)


def test_a_step_waits_for_those_it_needs(display):
    did = []
    run_steps(
        [
            Step(name="c", needs=("a", "b"), action=noting(did, "c")),
            Step(name="b", needs=("a",), action=noting(did, "b")),
            Step(name="a", action=noting(did, "a")),
        ],
        display=display,
    )
    assert did == ["a", "b", "c"]


def test_what_is_done_is_not_done_again(display, output):
    did = []
    run_steps([Step(name="a", done=lambda: True, action=noting(did, "a"))], display=display)
    assert did == []
    assert output.getvalue() == ""


def test_steps_that_do_not_need_each_other_run_together(display):
    both = threading.Barrier(2, timeout=10)
    wait = lambda report: both.wait()  # noqa: E731
    run_steps([Step(name="a", action=wait), Step(name="b", action=wait)], display=display)


def test_a_failure_names_step_reason_log_and_cure(display, output):
    def fail(report):
        raise ValueError("the disk is full")

    did = []
    steps = [
        Step(name="write", action=fail, log=Path("/state/write.log"), cure="make room"),
        Step(name="read", needs=("write",), action=noting(did, "read")),
    ]
    with pytest.raises(StepError) as caught:
        run_steps(steps, display=display)
    assert str(caught.value).splitlines() == [
        "write: the disk is full",
        "log: /state/write.log",
        "likely cure: make room",
    ]
    assert did == []
    assert "FAILED write" in output.getvalue()


def test_a_question_that_fails_is_a_failure_of_its_step(display):
    def broken():
        raise OSError("no such device")

    with pytest.raises(StepError, match="ask: no such device"):
        run_steps([Step(name="ask", done=broken, action=lambda report: None)], display=display)


def test_what_runs_beside_a_failure_is_waited_for(display):
    failed = threading.Event()
    ended = threading.Event()

    def fail(report):
        failed.set()
        raise ValueError("no")

    def slow(report):
        assert failed.wait(10)
        ended.set()

    with pytest.raises(StepError, match="no"):
        run_steps([Step(name="slow", action=slow), Step(name="fail", action=fail)], display=display)
    assert ended.is_set()


def test_without_a_terminal_each_step_is_two_plain_lines(display, output):
    run_steps([Step(name="a [1]", action=lambda report: report("half"))], display=display)
    first, second = output.getvalue().splitlines()
    assert first == "... a [1]"
    assert second.startswith("ok  a [1] (0.")
