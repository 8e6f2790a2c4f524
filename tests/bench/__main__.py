"""`make bench`: takes the figures on an instance of its own and keeps them in docs/reports.

usage: python -m tests.bench [--name INSTANCE] [--only up,reconcile,resume,http,gateway,traffic,aborts]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import bench_aborts, bench_gateway, bench_http, bench_reconcile, bench_resume, bench_traffic, bench_up
from bench.report import Row, table, write
from support.cluster import BIN, instance

PARTS = ("up", "reconcile", "resume", "http", "gateway", "traffic")
GATEWAY_PARTS = ("gateway", "traffic")
ROLLOUT_PARTS = ("aborts",)
"""Parts of a report of their own: each takes long."""


def main() -> None:
    """Take the figures asked for, print the table, keep the report when all were taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="bench", help="the instance to make; it is purged at the end")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--aborts", type=int, default=bench_aborts.ABORTS, help="how many aborts are measured")
    options = parser.parse_args()
    parts = options.only.split(",")
    known = (*PARTS, *ROLLOUT_PARTS)
    if unknown := set(parts) - set(known):
        parser.error(f"no part named {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    rows: list[Row] = []
    # The part without a cluster first: a running node would share its two cores.
    if "resume" in parts:
        rows += bench_resume.run()
    if set(parts) - {"resume"}:
        try:
            if "up" in parts:
                rows += bench_up.run(options.name)
            else:
                subprocess.run([str(BIN / "looma"), "up", "--name", options.name], check=True)
            if "reconcile" in parts:
                rows += bench_reconcile.run(instance(options.name))
            if "http" in parts:
                rows += bench_http.run(instance(options.name))
            if "gateway" in parts:
                rows += bench_gateway.run(instance(options.name))
            if "traffic" in parts:
                rows += bench_traffic.run(instance(options.name))
            if "aborts" in parts:
                rows += bench_aborts.run(instance(options.name), aborts=options.aborts)
        finally:
            subprocess.run([str(BIN / "looma"), "down", "--purge", "--name", options.name], check=True)
    sys.stdout.write(table(rows) + "\n")
    if set(parts) == set(PARTS):
        sys.stdout.write(f"kept in {write('first', 'The first table', rows).name}\n")
    elif set(parts) == set(GATEWAY_PARTS):
        sys.stdout.write(f"kept in {write('gateway', 'What the gateway promises', rows).name}\n")
    elif set(parts) == set(ROLLOUT_PARTS):
        sys.stdout.write(f"kept in {write('rollouts', 'What rollouts promise', rows).name}\n")


if __name__ == "__main__":
    main()
