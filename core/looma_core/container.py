"""What the container of this process uses, as the kernel counts it against the container's limits.

A process knows its own time and memory; an engine with workers has several processes, and it is all of them together
that the kernel slows down or ends. The files are those of control groups, version 2 or 1, as a container sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

ROOT = Path("/sys/fs/cgroup")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time since the container began, in seconds, and the memory that it could not give back, in bytes."""

    cpu_seconds: float
    memory_bytes: int


def read_usage(root: Path = ROOT) -> Usage | None:
    """What the container uses; None where the kernel does not say, as on another system.

    Memory is the working set, as the kubelet counts it: without what is cached of files that nobody looked at lately.
    """
    try:
        if (root / "cgroup.controllers").exists():
            used = _pairs(root / "cpu.stat")["usage_usec"] / 1e6
            memory, idle = _number(root / "memory.current"), _pairs(root / "memory.stat")["inactive_file"]
        else:
            used = _number(root / "cpuacct" / "cpuacct.usage") / 1e9
            memory = _number(root / "memory" / "memory.usage_in_bytes")
            idle = _pairs(root / "memory" / "memory.stat")["total_inactive_file"]
    except (OSError, ValueError, KeyError):
        return None
    return Usage(cpu_seconds=used, memory_bytes=max(0, memory - idle))


def _number(path: Path) -> int:
    return int(path.read_text())


def _pairs(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


class ContainerCollector(Collector):
    """The usage as metrics, read when they are asked for."""

    def __init__(self, *, service: str, revision: str, usage: Callable[[], Usage | None]) -> None:
        """`service` and `revision` are labels; `usage` reads."""
        self._labels = [service, revision]
        self._usage = usage

    def collect(self) -> Iterator[Metric]:
        """Both metrics, or none."""
        usage = self._usage()
        if usage is None:
            return
        cpu = CounterMetricFamily(
            "looma_container_cpu_seconds_total",
            "Processor time of all processes of the container.",
            labels=["service", "revision"],
        )
        cpu.add_metric(self._labels, usage.cpu_seconds)
        yield cpu
        memory = GaugeMetricFamily(
            "looma_container_memory_bytes",
            "Memory of all processes of the container that could not be given back.",
            labels=["service", "revision"],
        )
        memory.add_metric(self._labels, usage.memory_bytes)
        yield memory
