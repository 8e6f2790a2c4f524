"""Running other programs: their output goes to a log or back to the caller, and a failure names itself.

Everything in looma_cluster that starts a program that ends by itself does it here, so that an interrupted or failed
`looma up` can end what is still running (`stop_all`).
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_running: set[subprocess.Popen[str]] = set()
_guard = threading.Lock()


class CommandError(RuntimeError):
    """A program ended with an error; the message has its command and the end of what it said."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.command = list(command)
        self.code = code
        self.output = output
        last_lines = "\n".join(output.strip().splitlines()[-12:])
        super().__init__(f"`{' '.join(self.command[:8])}` ended with {code}:\n{last_lines}")


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    line: Callable[[str], None] | None = None,
    check: bool = True,
    seconds: float | None = None,
) -> str:
    """What the program wrote, output and errors together if `log` or `line` is given, else output alone.

    Args:
        command: program and arguments.
        stdin: what it reads.
        environment: variables added to our own.
        cwd: the folder it runs in.
        log: a file that its output is appended to.
        line: called with every line as it comes.
        check: whether an exit code other than 0 is an error.
        seconds: after which it is killed.

    Raises:
        CommandError: if it fails and `check` is set, cannot be started, or takes longer than `seconds`.
    """
    words = [str(word) for word in command]
    merged = log is not None or line is not None
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
            cwd=cwd,
        )
    except OSError as error:
        raise CommandError(words, 127, str(error)) from error
    with _guard:
        _running.add(process)
    try:
        if merged:
            output, errors = _follow(process, stdin, log, line), ""
        else:
            output, errors = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise CommandError(words, 124, f"no answer within {seconds:g} s") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        with _guard:
            _running.discard(process)
    if check and process.returncode != 0:
        raise CommandError(words, process.returncode, errors or output)
    return output


def _follow(
    process: subprocess.Popen[str],
    stdin: str | None,
    log: Path | None,
    line: Callable[[str], None] | None,
) -> str:
    if process.stdout is None:
        return ""
    if stdin is not None and process.stdin is not None:
        process.stdin.write(stdin)
        process.stdin.close()
    lines: list[str] = []
    file = log.open("a") if log is not None else None
    try:
        for text in process.stdout:
            lines.append(text)
            if file is not None:
                file.write(text)
                file.flush()
            if line is not None:
                line(text.rstrip())
    finally:
        if file is not None:
            file.close()
    process.wait()
    return "".join(lines)


def stop_all() -> None:
    """End the programs that are running: for an `up` that failed or was interrupted."""
    with _guard:
        for process in _running:
            if process.poll() is None:
                process.terminate()
