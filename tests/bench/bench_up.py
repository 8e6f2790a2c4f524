"""How long `looma up` takes: from what is built, on a running instance, and after `looma down`."""

from __future__ import annotations

import subprocess
import time

from bench.report import Row
from support.cluster import BIN


def looma(*arguments: str) -> float:
    """Seconds a `looma` command took.

    Raises:
        subprocess.CalledProcessError: if it failed.
    """
    began = time.perf_counter()
    subprocess.run([str(BIN / "looma"), *arguments], check=True)
    return time.perf_counter() - began


def run(name: str) -> list[Row]:
    """Rows for an instance that this run makes and leaves running."""
    looma("up", "--name", name, "--environment", "dev")
    again = looma("up", "--name", name, "--environment", "dev")
    looma("down", "--purge", "--name", name)
    warm = looma("up", "--name", name, "--environment", "dev")
    looma("down", "--name", name)
    restart = looma("up", "--name", name, "--environment", "dev")
    return [
        Row(
            what="`looma up`, everything cached, no data",
            value=warm,
            unit="s",
            baseline=60,
            baseline_name="the limit",
            limit="≤ 60 s",
            note="after `looma down --purge`",
        ),
        Row(
            what="`looma up` after `looma down`, data kept",
            value=restart,
            unit="s",
            baseline=60,
            baseline_name="the limit",
            limit="≤ 60 s",
            note="same instance",
        ),
        Row(
            what="`looma up` on a running instance",
            value=again,
            unit="s",
            baseline=10,
            baseline_name="the limit",
            limit="≤ 10 s",
            note="nothing to do",
        ),
    ]
