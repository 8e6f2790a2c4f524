"""Processes of sync workers in the place of pods: each is a fork of one process that has imported everything.

A worker begins by what is its entry point in a pod, with an environment and an account of its own. Only its imports are
done: hundreds of runs start thousands of workers. `python -m support.worker_pods` is the process that forks; it is told
by lines of JSON, and says which process began and which ended, and how.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 60.0
IDLE_TIMEOUT_MS = 4_000


@dataclass
class Pod:
    """One worker's process: `pid`, a handle of it that no other process ever gets, and its log."""

    pid: int
    handle: int
    log: Path
    code: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still is there."""
        if self.code is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)


@dataclass
class Pods:
    """The process that forks, and the workers that it began."""

    folder: Path
    process: subprocess.Popen[str]
    _pods: dict[int, Pod] = field(default_factory=dict)
    _codes: dict[int, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _begun: int = 0
    _answers: list[int] = field(default_factory=list)

    def start(self, environment: dict[str, str], account: Path | None = None) -> Pod:
        """Begin a worker; `account` is the folder with its service account's token and `ca.crt`.

        Without one it is as `support.sync_process`: no API server is there, and the database alone fences.
        """
        self._begun += 1
        log = self.folder / f"worker-{self._begun}.log"
        told = {"environment": environment, "account": str(account or ""), "log": str(log)}
        assert self.process.stdin is not None
        with self._changed:
            self.process.stdin.write(json.dumps(told) + "\n")
            self.process.stdin.flush()
            assert self._changed.wait_for(lambda: bool(self._answers), timeout=SECONDS), "it forks"
            pid = self._answers.pop()
        # It stays a child, though a dead one, until the process that forks was answered.
        pod = Pod(pid, os.pidfd_open(pid), log)
        self._answer(f"watch {pid}")
        self._pods[pid] = pod
        return pod

    def _answer(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def code(self, pod: Pod) -> int | None:
        """Its exit code once it has ended; of one that was killed the signal's number, negative."""
        if pod.code is None and pod.pid in self._codes:
            pod.code = self._codes.pop(pod.pid)
            os.close(pod.handle)
            self._pods.pop(pod.pid)
        return pod.code

    def ended(self, pod: Pod, *, seconds: float = SECONDS) -> int:
        """Wait for its exit code."""
        until = time.monotonic() + seconds
        while (code := self.code(pod)) is None:
            assert time.monotonic() < until, pod.log.read_text()[-3000:]
            time.sleep(0.02)
        return code

    def end(self) -> None:
        """Kill all that are left."""
        for pod in list(self._pods.values()):
            pod.signal(signal.SIGKILL)
            self.ended(pod)

    def listen(self) -> None:
        """Take what the process says, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, *numbers = line.split()
            with self._changed:
                if word == "began":
                    self._answers.append(int(numbers[0]))
                else:
                    self._codes[int(numbers[0])] = int(numbers[1])
                self._changed.notify_all()


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """For the tests of one module."""
    with worker_pods(tmp_path_factory.mktemp("workers")) as found:
        yield found


@contextmanager
def worker_pods(folder: Path) -> Iterator[Pods]:
    """The process that forks, until the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.worker_pods"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pods = Pods(folder, process)
    listener = threading.Thread(target=pods.listen, daemon=True)
    listener.start()
    try:
        yield pods
    finally:
        with contextlib.suppress(AssertionError):
            pods.end()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(timeout=SECONDS)
        listener.join(timeout=SECONDS)
        process.stdout.close()


# ---- the process that forks ------------------------------------------------------------------------------


def _work(told: dict[str, Any]) -> int:
    from looma_engines.sync_worker import cluster
    from looma_engines.sync_worker.main import start
    from looma_engines.talent_sync.syncing import connecting
    from looma_engines.talent_sync.syncing.main import make
    from support import sync_process

    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(told["environment"])
    # A worker that is frozen in a transaction holds up the next run for so long: no test needs to wait for a minute.
    connecting.IDLE_TIMEOUT_MS = IDLE_TIMEOUT_MS  # type: ignore[misc]
    if not told["account"]:
        return sync_process.main()
    cluster.ACCOUNT = Path(told["account"])  # type: ignore[misc]
    return start(make)


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def main() -> None:
    """Fork workers until standard input ends."""
    import looma_engines.talent_sync.syncing.main  # noqa: F401 - so that no worker has to
    import support.sync_process  # noqa: F401 - as above

    watched: set[int] = set()
    rest = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.02)
        if readable:
            read = os.read(0, 1 << 20)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                told = json.loads(line)
                if isinstance(told, str):
                    watched.add(int(told.split()[1]))
                    continue
                pid = os.fork()
                if pid == 0:
                    os.close(0)
                    code = 1
                    try:
                        code = _work(told)
                    finally:
                        sys.stdout.flush()
                        sys.stderr.flush()
                        os._exit(code)
                _say(f"began {pid}")
        for pid in list(watched):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                watched.discard(pid)
                _say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
