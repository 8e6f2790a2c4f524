"""An engine that carries a request out and ends before it answers: once, at the first POST or PATCH it would answer.

Several of them share the file that says whether it was done already: whichever is asked first breaks, and no other.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

BROKEN = "TEST_BROKEN_FILE"
"""Environment variable with the path of that file."""


def program(file: Path) -> tuple[str, Mapping[str, str]]:
    """What `engine_process` runs in an engine's place, and the environment that it needs beside."""
    here = str(Path(__file__).parents[1])
    code = "from support.breaking_engine import main; main()"
    return code, {BROKEN: str(file), "PYTHONPATH": here}


def main() -> None:
    """`looma-engine NAME`, with its application inside of the one below."""
    from looma_core.http import serve as serving
    from looma_engines.main import main as engine

    def serve(_target: str, **told: Any) -> None:
        real("support.breaking_engine:application", **told)

    module = sys.modules["looma_core.http.serve"]
    real = serving
    module.serve = serve  # type: ignore[attr-defined]
    engine()


def application() -> Any:
    """The engine's application; called in the worker process."""
    from looma_engines.main import application as build

    inner = build()

    async def breaking(scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if scope["type"] == "http" and scope["method"] in {"POST", "PATCH"}:
                break_once(Path(os.environ[BROKEN]))
            await send(message)

        await inner(scope, receive, told)

    return breaking


def break_once(file: Path) -> None:
    """End this process as the kernel would, unless one did so before."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
