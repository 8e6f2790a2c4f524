"""1,000 AIServices: until all children exist, at once and at 20 creations a second; what it needs at rest.

Takes no cluster: an API server with etcd, as the contract tests have it, and the operator beside it as a process with
its webhook. There is no kubelet and no controller manager, so a figure is the operator's and the API server's alone;
once all children exist, Deployments are told that their pods answer, so that what rests afterwards is Ready.

| figure                 | from                         | until                                     |
| ---------------------- | ---------------------------- | ----------------------------------------- |
| all at once            | the first creation is sent   | a watch has seen the last child           |
| bare client            | its first write is sent      | its last write is answered                |
| one service (p50, p99) | its own creation is answered | a watch has seen the last of its children |

The bare client writes the services themselves as well, since they are written in the operator's time too. It has the
operator's rights and no more, so that the API server weighs and records its requests likewise, and the same watches
follow what it writes. Requests at rest are of the API server's audit log, by the operator's user.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, quantiles

from bench.bare_client import (
    AT_ONCE,
    KINDS,
    LABEL,
    LONGEST_SECONDS,
    OURS,
    Bare,
    Object,
    Watched,
    client,
    watching,
)
from bench.report import Row
from support import control_plane
from support.audit import AuditLog
from support.control_plane import ControlPlane
from support.operator_process import Looma, Replica, grant, make

COUNT = 1000
SOAK_MINUTES = 30.0
PER_SECOND = 20
SAMPLE_SECONDS = 5.0
SETTLE_SECONDS = 20.0
"""After the last write of the operator; what is still under way would count as rest."""
APPLY = "application/apply-patch+yaml"
WRITER = "bare-client"


def service(name: str) -> Object:
    """A service with a pod and a path of its own."""
    return {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "metadata": {"name": name},
        "spec": {
            "engine": "custom",
            "image": "engine:1",
            "replicas": 1,
            "route": {"pathPrefixes": [f"/api/v1/{name}"]},
        },
    }


async def create(bare: Bare, looma: Looma, watched: Watched, name: str) -> None:
    """Create one service."""
    await bare.send("POST", looma.path("aiservices"), service(name))
    watched.created[name] = time.perf_counter()


async def children(bare: Bare, looma: Looma, name: str) -> list[tuple[str, Object]]:
    """The children that the operator made for a service, as a bare client would write them for another."""
    found = []
    for plural, (prefix, kind) in KINDS.items():
        answer = await bare.send(
            "GET", f"{prefix}/namespaces/{looma.namespace}/{plural}?labelSelector={LABEL}%3D{name}"
        )
        for item in answer["items"]:
            meta = item["metadata"]
            body = {key: value for key, value in item.items() if key not in {"metadata", "status"}}
            for given in ("clusterIP", "clusterIPs"):
                body.get("spec", {}).pop(given, None)
            kept = {key: meta[key] for key in ("name", "labels", "annotations") if key in meta}
            version = prefix.removeprefix("/apis/").removeprefix("/api/")
            found.append((plural, {"apiVersion": version, "kind": kind, **body, "metadata": kept}))
    return found


async def write_bare(
    people: Bare, bare: Bare, namespace: str, like: list[tuple[str, Object]], count: int
) -> float:
    """Seconds until `people` has created the services and `bare` has written the same children for them."""

    async def apply(plural: str, body: Object, number: int) -> None:
        text = json.dumps(body).replace("sample", f"bare-{number:04}")
        named = json.loads(text)
        path = f"{KINDS[plural][0]}/namespaces/{namespace}/{plural}/{named['metadata']['name']}"
        await bare.send("PATCH", f"{path}?fieldManager=bench&force=true", named, APPLY)

    began = time.perf_counter()
    owners = f"/apis/looma.dev/v1alpha1/namespaces/{namespace}/aiservices"
    await asyncio.gather(
        *(people.send("POST", owners, service(f"bare-{number:04}")) for number in range(count))
    )
    await asyncio.gather(*(apply(plural, body, number) for number in range(count) for plural, body in like))
    return time.perf_counter() - began


def resident(replica: Replica) -> float:
    """Memory of the operator's process, in MiB."""
    text = Path(f"/proc/{replica.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def used(replica: Replica) -> float:
    """Seconds of processor time that the operator's process has used."""
    return _used(replica.process.pid)


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def spent(plane: ControlPlane, replica: Replica) -> Counter[str]:
    """Processor time of everybody who takes part so far, in hundredths of a second."""
    found = {name: _used(process.pid) for name, process in plane.processes.items()}
    found |= {"the operator": used(replica), "this client": time.process_time()}
    return Counter({name: round(seconds * 100) for name, seconds in found.items()})


def told(ours: Counter[str], bare: Counter[str]) -> str:
    """Where the processor's time went, with the operator and without it."""
    parts = [f"{name} {ours[name] / 100:.1f} ({bare[name] / 100:.1f})" for name in ours]
    return f"processor time in seconds (the bare client's run): {', '.join(parts)}"


async def quiet(log: AuditLog, replica: Replica) -> None:
    """Wait until the operator has written nothing for a while."""
    deadline = time.monotonic() + LONGEST_SECONDS
    before, since = -1, time.monotonic()
    while time.monotonic() - since < SETTLE_SECONDS:
        now = sum(1 for entry in log.read() if entry.writes and entry.resource != "leases")
        if now != before:
            before, since = now, time.monotonic()
        if time.monotonic() > deadline:
            raise TimeoutError("the operator goes on writing")
        await asyncio.sleep(1)


async def answer_for_pods(bare: Bare, looma: Looma) -> None:
    """Tell every Deployment that its pod answers, as the controller manager would."""
    base = f"/apis/apps/v1/namespaces/{looma.namespace}/deployments"
    status = {"status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1}}
    items = (await bare.send("GET", f"{base}?labelSelector={OURS.replace('=', '%3D')}"))["items"]
    await asyncio.gather(
        *(
            bare.send(
                "PATCH", f"{base}/{item['metadata']['name']}/status", status, "application/merge-patch+json"
            )
            for item in items
        )
    )


async def beside(plane: ControlPlane, people: Bare, like: list[tuple[str, Object]], count: int) -> float:
    """Seconds that a bare client with the operator's rights needs for the same objects."""
    plane.pki.issue(WRITER, WRITER)
    for namespace in ("first", "bare"):
        await people.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        grant(plane, namespace, WRITER)
    async with client(plane, WRITER) as bare:
        await write_bare(people, bare, "first", like, 20)
        async with watching(people, "bare"):
            return await write_bare(people, bare, "bare", like, count)


async def at_once(bare: Bare, looma: Looma, replica: Replica, count: int) -> list[Row]:
    """The first rows: all at once, beside the bare client."""
    async with watching(bare, looma.namespace) as first:
        await create(bare, looma, first, "sample")
        await first.until(1)
    like = await children(bare, looma, "sample")
    before = spent(looma.plane, replica)
    took = await beside(looma.plane, bare, like, count)
    alone = spent(looma.plane, replica) - before
    names = [f"bench-{number:04}" for number in range(count)]
    async with watching(bare, looma.namespace) as watched:
        began, before = time.perf_counter(), spent(looma.plane, replica)
        await asyncio.gather(*(create(bare, looma, watched, name) for name in names))
        created = time.perf_counter() - began
        await watched.until(count + 1)
        ours, together = time.perf_counter() - began, spent(looma.plane, replica) - before
    waits = watched.waits()
    objects, written = len(like) * count, (len(like) + 1) * count
    return [
        Row(
            what=f"{count:,} AIServices at once, until all {objects:,} children exist",
            value=ours,
            unit="s",
            baseline=took,
            baseline_name=f"bare client, the same {count:,} services and {objects:,} children, {AT_ONCE} at once "
            f"({written / took:.0f} writes/s)",
            limit="≤ 1.5 ×",
            note=f"creating them took {created:.1f} s of it; {told(together, alone)}",
        ),
        Row(
            what="one of them, from its creation to its last child, p99",
            value=quantiles(waits, n=100)[98],
            unit="s",
            note=f"p50 {quantiles(waits, n=2)[0]:.2f} s",
        ),
    ]


async def paced(bare: Bare, looma: Looma, replica: Replica, count: int) -> list[Row]:
    """The same at PER_SECOND creations a second, in a namespace of its own."""
    async with watching(bare, looma.namespace) as watched:
        began, cpu = time.perf_counter(), used(replica)
        tasks = []
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.perf_counter()))
            tasks.append(asyncio.create_task(create(bare, looma, watched, f"bench-{number:04}")))
        await asyncio.gather(*tasks)
        pace = count / (time.perf_counter() - began)
        await watched.until(count)
        cpu = used(replica) - cpu
    waits = watched.waits()
    return [
        Row(
            what=f"{count:,} AIServices at {PER_SECOND} creations a second, from a creation to its last child, p99",
            value=quantiles(waits, n=100)[98],
            unit="s",
            limit="≤ 2 s",
            note=f"p50 {quantiles(waits, n=2)[0]:.2f} s, most {waits[-1]:.2f} s; {pace:.1f} a second came about; "
            f"the operator used {cpu:.1f} s of processor time",
        )
    ]


async def at_rest(looma: Looma, replica: Replica, log: AuditLog, count: int, *, minutes: float) -> list[Row]:
    """Memory, its slope and the requests while nothing changes."""
    samples: list[tuple[float, float]] = []
    begun, cpu = time.monotonic(), used(replica)
    log.skip()
    while (now := time.monotonic() - begun) < minutes * 60:
        samples.append((now, resident(replica)))
        await asyncio.sleep(SAMPLE_SECONDS)
    cpu = (used(replica) - cpu) / (time.monotonic() - begun)
    asked = Counter(
        f"{entry.verb} {entry.resource}" for entry in log.read() if entry.user.startswith(looma.namespace)
    )
    # The first third may still give back what the burst took.
    later = samples[len(samples) // 3 :]
    slope = linear_regression([at for at, _ in later], [size for _, size in later]).slope * 3600
    kinds = ", ".join(f"{name} {number / minutes:.0f}" for name, number in asked.most_common(4))
    return [
        Row(
            what=f"memory of the operator with {count:,} AIServices at rest",
            value=later[-1][1],
            unit="MiB",
            limit="≤ 150 MiB",
            note=f"resident, at the end of {minutes:g} minutes; most {max(size for _, size in samples):.0f} MiB",
        ),
        Row(
            what="its slope",
            value=slope,
            unit="MiB an hour",
            limit="about 0",
            note=f"least squares over the last two thirds of {minutes:g} minutes",
        ),
        Row(
            what="requests that it makes of the API server at rest",
            value=sum(asked.values()) / minutes,
            unit="a minute",
            note=f"by the API server's audit log; {kinds}; {cpu:.1%} of a core",
        ),
    ]


async def measure(
    folder: Path, *, count: int, minutes: float, tell: Callable[[Iterable[Row]], None]
) -> list[Row]:
    """All rows."""
    plane = control_plane.start(folder / "plane")
    log = AuditLog(plane.audit)
    rows: list[Row] = []

    def took(more: list[Row]) -> None:
        rows.extend(more)
        tell(more)

    try:
        control_plane.define(
            plane, [*control_plane.loomas_definitions(), *control_plane.gateway_api_definitions()]
        )
        async with client(plane) as bare:
            burst = make(plane, folder)
            with contextlib.closing(_Stopping(burst)):
                replica = await asyncio.to_thread(burst.start, webhook=True)
                took(await at_once(bare, burst, replica, count))
                await answer_for_pods(bare, burst)
                await quiet(log, replica)
                took(
                    [
                        Row(
                            what="memory after the burst",
                            value=resident(replica),
                            unit="MiB",
                            limit="≤ 150 MiB",
                            note="resident, all services Ready",
                        )
                    ]
                )
                if minutes:
                    took(await at_rest(burst, replica, log, count, minutes=minutes))
            calm = make(plane, folder / "calm")
            (folder / "calm").mkdir()
            with contextlib.closing(_Stopping(calm)):
                replica = await asyncio.to_thread(calm.start, webhook=True)
                took(await paced(bare, calm, replica, count))
    finally:
        plane.stop()
    return rows


@dataclass
class _Stopping:
    looma: Looma

    def close(self) -> None:
        self.looma.stop()


def run(*, count: int = COUNT, minutes: float = SOAK_MINUTES) -> list[Row]:
    """Rows of the scale benchmark; takes no instance."""
    with tempfile.TemporaryDirectory(prefix="looma-scale-", ignore_cleanup_errors=True) as folder:

        def tell(rows: Iterable[Row]) -> None:
            for row in rows:
                print(f"{row.what}: {row.value:.4g} {row.unit} {row.ratio} ({row.note})", flush=True)

        return asyncio.run(measure(Path(folder), count=count, minutes=minutes, tell=tell))


def main() -> None:
    """Take the figures with fewer services or a shorter soak, and print them only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--soak-minutes", type=float, default=SOAK_MINUTES)
    options = parser.parse_args()
    run(count=options.count, minutes=options.soak_minutes)


if __name__ == "__main__":
    main()
