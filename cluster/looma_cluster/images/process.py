"""Runs the programs that build images, and says where to look when one fails."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from looma_cluster import commands


class ImageBuildError(RuntimeError):
    """A step of an image build failed; the message names the step, its log, the likely cure and the last output."""


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
        log: File that takes the output in place of what was there; its folder is made.
        cwd: Folder to run in.
        env: Variables that are added to this process's own.
        cure: What a person can do about a failure, for the error message.

    Raises:
        ImageBuildError: If the program is missing or ends with anything but 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"$ {' '.join(argv)}\n", encoding="utf-8")
    try:
        return commands.run(argv, environment=env, cwd=cwd, log=log)
    except commands.CommandError as error:
        message = f"{step}: {error}\nlog: {log}"
        raise ImageBuildError(f"{message}\nlikely cure: {cure}" if cure else message) from error
