"""How soon the engine talent-sync answers over HTTP: the hot reads, asked of a process of its own over loopback.

As many are under way as the machine has cores, no more: what is timed is an answer, and not a queue. The client shares
those cores; what it, HTTP and the machine take by themselves is the first row.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx

from bench.hot_queries import CHANCE, NAMES, Sample
from bench.report import Row
from support.database import DatabaseUrls
from support.engines import engine_process, one_address, wait_until_ready
from support.tokens import bearer

REPEATS, AT_ONCE = 100, 2
MOST_MS = 50.0
API = "/api/v1"
NOTHING = "nothing (/healthz)"

READS: dict[str, Callable[[Sample], str]] = {
    NOTHING: lambda _: "/healthz",
    "one talent": lambda sample: f"{API}/talents/{CHANCE.choice(sample.talents)}",
    "talents, the newest": lambda _: f"{API}/talents",
    "talents by name": lambda _: f"{API}/talents?sort=full_name",
    "talents with a word that many have": lambda _: f"{API}/talents?q=engineer",
    "talents with a word that few have": lambda _: f"{API}/talents?q=kestrel",
    "talents with a skill that many have": lambda sample: (
        f"{API}/talents?skill={CHANCE.choice(sample.common_skills)}"
    ),
    "talents with a skill that few have": lambda sample: (
        f"{API}/talents?skill={CHANCE.choice(sample.rare_skills)}"
    ),
    "how many talents": lambda _: f"{API}/talents/count",
    "how many talents with a word": lambda _: f"{API}/talents/count?q=engineer",
    "how many talents with a skill": lambda sample: (
        f"{API}/talents/count?skill={CHANCE.choice(sample.common_skills)}"
    ),
    "open jobs of a place": lambda _: f"{API}/jobs?status=open&location=Leeds",
    "relations of a person": lambda sample: f"{API}/relations?talent_id={CHANCE.choice(sample.talents)}",
    "the history of a person": lambda sample: f"{API}/talents/{CHANCE.choice(sample.talents)}/history",
    "what a text means": lambda _: f"{API}/skills/lookup?text={CHANCE.choice(NAMES[:4])}",
    "open applications to a job": lambda sample: (
        f"{API}/applications?kind=open&job_id={CHANCE.choice(sample.jobs)}"
    ),
    "files of a person": lambda sample: f"{API}/resume-files?talent_id={CHANCE.choice(sample.talents)}",
}


def run(urls: DatabaseUrls, tenant: str, sample: Sample, talents: int) -> list[Row]:
    """p95 of each read, and of all of them together."""
    with ExitStack() as stack:
        issuer = stack.enter_context(one_address())
        process, url = stack.enter_context(
            engine_process(
                "talent-sync",
                {
                    "LOOMA_DATABASE_URL": urls.app,
                    "LOOMA_JWKS_URL": f"{issuer}/jwks.json",
                    "LOOMA_LOG_LEVEL": "error",
                },
            )
        )
        wait_until_ready(url, process)
        times = _taken(url, bearer(tenant=tenant, seconds=7200), sample)
    return _rows(times, talents)


def _taken(url: str, auth: dict[str, str], sample: Sample) -> dict[str, list[float]]:
    """Milliseconds of each answer, those of the first of each left out."""
    order = [(name, read(sample)) for name, read in READS.items() for _ in range(REPEATS)]
    CHANCE.shuffle(order)
    order = [*((name, read(sample)) for name, read in READS.items() for _ in range(AT_ONCE)), *order]
    times: dict[str, list[float]] = {name: [] for name in READS}
    with httpx.Client(base_url=url, headers=auth, timeout=60) as client, ThreadPoolExecutor(AT_ONCE) as pool:

        def ask(asked: tuple[str, str]) -> None:
            name, path = asked
            begun = time.perf_counter()
            answer = client.get(path)
            took = time.perf_counter() - begun
            answer.raise_for_status()
            times[name].append(took * 1000)

        list(pool.map(ask, order))
    return {name: found[AT_ONCE:] for name, found in times.items()}


def _rows(times: dict[str, list[float]], talents: int) -> list[Row]:
    how = f"over {talents:,} talents; {REPEATS} times, mixed with the others, {AT_ONCE} at once"
    everything = [one for name, found in times.items() if name != NOTHING for one in found]
    return [
        Row(
            what=f"answer of the API: {name}, p95",
            value=_p95(found),
            unit="ms",
            limit="" if name == NOTHING else f"{MOST_MS:g} ms",
            note=f"{how}; median {statistics.median(found):.2f} ms",
        )
        for name, found in times.items()
    ] + [
        Row(
            what="answer of the API: all of these reads, p95",
            value=_p95(everything),
            unit="ms",
            limit=f"{MOST_MS:g} ms",
            note=f"of {len(everything):,}; the slowest took {max(everything):.1f} ms; with token, rules and JSON, by "
            "one process",
        )
    ]


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]
