"""What the kill matrices share: where their table is written, and how many of the kills must have struck."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# Conflicts and what is told last come in one time and not in another, so a few writes of the calm time are not reached.
STRUCK = 0.8


def too_few(writes: int, struck: int) -> list[str]:
    """What is wrong with so many kills that struck, of two for each write of the calm time; empty if nothing is.

    A matrix whose kills do not strike shows nothing, however alike its ends are.
    """
    meant = 2 * writes
    if meant and struck >= STRUCK * meant:
        return []
    return [f"{struck} of {meant} kills struck"]


def keep(lines: Sequence[str], file: str) -> None:
    """Add the table to what is beside the other results, from where `make` shows it; its first two lines are the head.

    Roads may be gone by several processes, each with a table of its own roads.
    """
    folder = Path(os.environ.get("LOOMA_TEST_RESULTS", "test-results"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / file).open("x") as table:
            table.write("\n".join(lines) + "\n")
    except FileExistsError:
        with (folder / file).open("a") as table:
            table.write("".join(f"{line}\n" for line in lines[2:]))
