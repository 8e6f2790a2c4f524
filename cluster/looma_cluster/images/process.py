"""Runs the programs that build images, and says where to look when one fails."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TAIL_LINES = 15
"""Lines of a failed program's output that its error repeats: the cause is nearly always among the last few."""


class ImageBuildError(Exception):
    """A step of an image build failed; the message names the step, its log and the end of it."""


def run(
    argv: Sequence[str],
    *,
    step: str,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    cure: str = "",
) -> str:
    """Run a program to its end and return what it printed; all of it is in `log` too.

    Args:
        argv: Program and arguments.
        step: What is being done, for the error message.
        log: File that takes the output; its folder is made.
        cwd: Folder to run in.
        env: Variables that are added to this process's own.
        cure: What a person can do about a failure, for the error message.

    Raises:
        ImageBuildError: If the program is missing or ends with anything but 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        message = f"{step}: {argv[0]} is not installed. {cure}".rstrip()
        raise ImageBuildError(message) from error
    log.write_text(f"$ {' '.join(argv)}\n{done.stdout}", encoding="utf-8")
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-TAIL_LINES:])
        message = f"{step} failed ({argv[0]} ended with {done.returncode}). {cure}\nLog: {log}\n{tail}"
        raise ImageBuildError(message)
    return done.stdout
