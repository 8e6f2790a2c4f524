"""`make bench`: takes the figures on an instance of its own and keeps them in docs/reports.

usage: python -m tests.bench [--name INSTANCE] [--only PART,PART]
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import (
    bench_aborts,
    bench_console,
    bench_duplicates,
    bench_gateway,
    bench_http,
    bench_judging,
    bench_queries,
    bench_reconcile,
    bench_records,
    bench_resume,
    bench_rollbacks,
    bench_scale,
    bench_storage,
    bench_sync,
    bench_sync_changes,
    bench_traffic,
    bench_up,
)
from bench.report import Row, table, write
from support.cluster import BIN, Cluster, instance

PARTS = ("up", "reconcile", "resume", "http", "gateway", "traffic")
GATEWAY_PARTS = ("gateway", "traffic")
ROLLOUT_PARTS = ("aborts", "rollbacks")
JUDGING_PARTS = ("judging",)
SCALE_PARTS = ("scale",)
RECORD_PARTS = ("records",)
DUPLICATE_PARTS = ("duplicates",)
SYNC_PARTS = ("sync",)
QUERY_PARTS = ("queries",)
STORAGE_PARTS = ("storage",)
CONSOLE_PARTS = ("console",)
MILLION = 1_000_000
"""Parts of a report of their own: each takes long."""
ALL = (
    *(*PARTS, *ROLLOUT_PARTS, *JUDGING_PARTS, *SCALE_PARTS, *RECORD_PARTS),
    *(*DUPLICATE_PARTS, *SYNC_PARTS, *QUERY_PARTS, *STORAGE_PARTS, *CONSOLE_PARTS),
)
REPORTS = (
    ("first", "The first table", PARTS),
    ("gateway", "What the gateway promises", GATEWAY_PARTS),
    ("rollouts", "What rollouts promise", ROLLOUT_PARTS),
    ("judging", "How canaries are judged", JUDGING_PARTS),
    ("scale", "A thousand AIServices", SCALE_PARTS),
    ("records", "What rules of records promise", RECORD_PARTS),
    ("duplicates", "How well duplicates are found", DUPLICATE_PARTS),
    ("sync", "What sync jobs promise", SYNC_PARTS),
    ("queries", "What the database promises", QUERY_PARTS),
    ("storage", "The room that records take", STORAGE_PARTS),
    ("console", "The console over many records", CONSOLE_PARTS),
)


def main() -> None:
    """Take the figures asked for, print the table, keep the report when all were taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="bench", help="the instance to make; it is purged at the end")
    parser.add_argument(
        "--only", default=",".join(PARTS), help=f"parts of {', '.join(ALL)}, separated by commas"
    )
    parser.add_argument(
        "--aborts", type=int, default=bench_aborts.ABORTS, help="how many aborts are measured"
    )
    parser.add_argument(
        "--rollbacks", type=int, default=bench_rollbacks.ROLLBACKS, help="how many rollbacks are measured"
    )
    parser.add_argument(
        "--judged",
        type=int,
        default=bench_judging.RUNS,
        help="how many canaries that are the same, and how many bad ones, are judged",
    )
    parser.add_argument(
        "--count", type=int, default=bench_scale.COUNT, help="how many AIServices the scale part makes"
    )
    parser.add_argument(
        "--soak-minutes", type=float, default=bench_scale.SOAK_MINUTES, help="how long they rest after that"
    )
    parser.add_argument(
        "--synced", type=int, help="how many people a sync brings, instead of the usual sizes"
    )
    parser.add_argument(
        "--queried", type=int, help="how many talents are asked about, instead of the usual number"
    )
    parser.add_argument("--stored", type=int, help="of how many talents the room is measured")
    options = parser.parse_args()
    # Ended from outside it takes away what it made, as it does at the keyboard.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts = options.only.split(",")
    if unknown := set(parts) - set(ALL):
        parser.error(f"no part named {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    rows = taken(options, parts)
    sys.stdout.write(table(rows) + "\n")
    for name, title, whole in REPORTS:
        if set(parts) == set(whole) and not (options.synced or options.queried or options.stored):
            sys.stdout.write(f"kept in {write(name, title, rows).name}\n")
    if set(parts) == set(SYNC_PARTS) and options.synced == MILLION:
        sys.stdout.write(f"kept in {write('million', 'A million people in one sync', rows).name}\n")
    if set(parts) == set(QUERY_PARTS) and options.queried == MILLION:
        kept = write("queries-million", "What the database promises, of a million people", rows)
        sys.stdout.write(f"kept in {kept.name}\n")
    if set(parts) == set(STORAGE_PARTS) and options.stored == MILLION:
        kept = write("storage-million", "The room that a million people take", rows)
        sys.stdout.write(f"kept in {kept.name}\n")


def taken(options: argparse.Namespace, parts: Sequence[str]) -> list[Row]:
    """Bring an instance up, take the figures of the parts, and take it away again."""
    # The parts without a cluster first: a running node would share its two cores.
    rows = bench_resume.run() if "resume" in parts else []
    if "records" in parts:
        rows += bench_records.run()
    if "duplicates" in parts:
        rows += bench_duplicates.run()
    if "sync" in parts:
        rows += bench_sync.run((options.synced,) if options.synced else bench_sync.SIZES)
        rows += [] if options.synced else bench_sync_changes.run()
    if "queries" in parts:
        rows += bench_queries.run(options.queried or bench_queries.TALENTS_FILLED)
    if "storage" in parts:
        rows += bench_storage.run(options.stored or bench_storage.TALENTS_FILLED)
    if "scale" in parts:
        rows += bench_scale.run(count=options.count, minutes=options.soak_minutes)
    if not set(parts) - {"resume", "records", "duplicates", "sync", "queries", "storage", "scale"}:
        return rows
    on_cluster: dict[str, Callable[[Cluster], list[Row]]] = {
        "reconcile": bench_reconcile.run,
        "http": bench_http.run,
        "gateway": bench_gateway.run,
        "traffic": bench_traffic.run,
        "aborts": lambda cluster: bench_aborts.run(cluster, aborts=options.aborts),
        "rollbacks": lambda cluster: bench_rollbacks.run(cluster, rollbacks=options.rollbacks),
        "console": bench_console.run,
        "judging": lambda cluster: bench_judging.run(cluster, runs=options.judged),
    }
    try:
        if "up" in parts:
            rows += bench_up.run(options.name)
        else:
            subprocess.run([str(BIN / "looma"), "up", "--name", options.name], check=True)
        for part, run in on_cluster.items():
            if part in parts:
                rows += run(instance(options.name))
    finally:
        subprocess.run([str(BIN / "looma"), "down", "--purge", "--name", options.name], check=True)
    return rows


if __name__ == "__main__":
    main()
