"""Steps: order, skipping, side by side, and what a failure says."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from looma_cluster import steps
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


@pytest.fixture
def terminal(output):
    return Display(Console(file=output, width=200, force_terminal=True, color_system=None, highlight=False))


def test_on_a_terminal_what_runs_is_shown_until_it_ends(terminal, output):
    shown = []

    def action(report):
        report("[half] done")
        terminal._progress.refresh()
        shown.append(output.getvalue())

    run_steps([Step(name="a", action=action)], display=terminal)
    assert "[half] done" in shown[0]
    assert "..." not in output.getvalue()
    assert "ok  a (0." in output.getvalue()
    assert not terminal._progress.tasks


def test_an_interruption_ends_what_runs_and_begins_nothing_more(display, monkeypatch):
    did, stopped = [], threading.Event()
    monkeypatch.setattr(steps.commands, "stop_all", stopped.set)

    def interrupted(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "wait", interrupted)
    slow = Step(name="slow", action=lambda report: stopped.wait(10) and did.append("slow"))
    with pytest.raises(KeyboardInterrupt):
        run_steps([slow, Step(name="next", needs=("slow",), action=noting(did, "next"))], display=display)
    assert did == ["slow"]


def test_of_two_failures_the_first_is_told(display):
    failed = threading.Event()

    def first(report):
        failed.set()
        raise ValueError("the first")

    def second(report):
        assert failed.wait(10)
        time.sleep(0.05)
        raise ValueError("the second")

    with pytest.raises(StepError, match="the first"):
        run_steps([Step(name="b", action=second), Step(name="a", action=first)], display=display)
