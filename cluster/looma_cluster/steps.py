"""The road of `looma up` as steps: what is done is skipped, what can run together does, a failure explains itself.

A step has a name, a question ("is this done?"), an action, and, for the day it fails, its log and the likely cure.
`run_steps` runs each as soon as those it needs are done. On a terminal it shows what runs and for how long; elsewhere
(a pipe, CI) it writes plain lines.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from looma_cluster import commands

Report = Callable[[str], None]


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do.

    `done` is asked before `action` and must not change anything; both may be asked again after an interruption.
    """

    name: str
    action: Callable[[Report], None]
    done: Callable[[], bool] = _never
    needs: tuple[str, ...] = ()
    log: Path | None = None
    cure: str = ""


class StepError(RuntimeError):
    """A step failed; the message names the step, the reason, the log, and what probably helps."""

    def __init__(self, step: Step, reason: BaseException) -> None:
        parts = [f"{step.name}: {reason}"]
        if step.log is not None:
            parts.append(f"log: {step.log}")
        if step.cure:
            parts.append(f"likely cure: {step.cure}")
        super().__init__("\n".join(parts))


class Display:
    """Tells a person how the steps go; safe to call from several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._guard = threading.Lock()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def begin(self, name: str) -> None:
        """The step runs."""
        with self._guard:
            self._began[name] = time.monotonic()
            if self._console.is_terminal:
                self._tasks[name] = self._progress.add_task(escape(name))
            else:
                self._line(f"... {name}")

    def detail(self, name: str, text: str) -> None:
        """How far the step is; shown on terminals only, where it replaces what was there."""
        with self._guard:
            if name in self._tasks:
                self._progress.update(
                    self._tasks[name], description=f"{escape(name)} [dim]{escape(text[:70])}[/]"
                )

    def finish(self, name: str, *, error: bool = False) -> None:
        """The step ended."""
        with self._guard:
            if name in self._tasks:
                self._progress.remove_task(self._tasks.pop(name))
            seconds = time.monotonic() - self._began.pop(name, time.monotonic())
            self._line(f"{'FAILED' if error else 'ok '} {name} ({seconds:.1f} s)")

    def _line(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)
        sys.stderr.flush()


@dataclass
class _Run:
    """The state of one run: what is under way, and the first thing that went wrong."""

    steps: dict[str, Step]
    display: Display
    futures: dict[Future[None], str] = field(default_factory=dict)
    failure: StepError | None = None

    def perform(self, step: Step) -> None:
        if step.done():
            return
        self.display.begin(step.name)
        try:
            step.action(lambda text: self.display.detail(step.name, text))
        except BaseException:
            self.display.finish(step.name, error=True)
            raise
        self.display.finish(step.name)

    def collect(self, finished: set[Future[None]]) -> list[str]:
        done: list[str] = []
        for future in finished:
            name = self.futures.pop(future)
            error = future.exception()
            if error is None:
                done.append(name)
            elif self.failure is None:
                self.failure = StepError(self.steps[name], error)
                self.failure.__cause__ = error
                # The others are of no use any more, and may run for minutes.
                commands.stop_all()
        return done


def run_steps(steps: Sequence[Step], *, display: Display | None = None, workers: int = 4) -> None:
    """Run every step that is not done, each after those it needs, several at once where they allow it.

    Raises:
        StepError: for the first step that failed, when all that ran beside it have ended.
        graphlib.CycleError: if steps need each other.
        KeyError: if a step needs one that is not in `steps`.
    """
    by_name = {step.name: step for step in steps}
    order = TopologicalSorter({step.name: step.needs for step in steps})
    order.prepare()
    with display or Display() as shown, ThreadPoolExecutor(workers) as pool:
        run = _Run(by_name, shown)
        try:
            while order.is_active():
                if run.failure is None:
                    for name in order.get_ready():
                        run.futures[pool.submit(run.perform, by_name[name])] = name
                if not run.futures:
                    break
                finished, _ = wait(run.futures, return_when=FIRST_COMPLETED)
                order.done(*run.collect(finished))
        except KeyboardInterrupt:
            commands.stop_all()
            pool.shutdown(cancel_futures=True)
            raise
    if run.failure is not None:
        raise run.failure
