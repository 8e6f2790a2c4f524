"""What a container uses, by the files of both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_core.container import Usage, read_usage
from looma_core.metrics import Metrics

TWO = {
    "cgroup.controllers": "cpu memory\n",
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
    "memory.current": "5000\n",
    "memory.stat": "anon 1\ninactive_file 1500\n",
}
ONE = {
    "cpuacct/cpuacct.usage": "2500000000\n",
    "memory/memory.usage_in_bytes": "5000\n",
    "memory/memory.stat": "inactive_file 7\ntotal_inactive_file 1500\n",
}


def laid_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


@pytest.mark.parametrize("files", [TWO, ONE], ids=["version 2", "version 1"])
def test_both_versions_are_read_alike(tmp_path: Path, files: dict[str, str]):
    assert read_usage(laid_out(tmp_path, files)) == Usage(cpu_seconds=2.5, memory_bytes=3500)


@pytest.mark.parametrize("files", [TWO, ONE], ids=["version 2", "version 1"])
def test_where_a_file_is_missing_or_strange_nothing_is_said(tmp_path: Path, files: dict[str, str]):
    for number, name in enumerate(name for name in files if name != "cgroup.controllers"):
        for text in ({}, {name: "max\n"}):
            rest = {key: value for key, value in files.items() if key != name}
            folder = laid_out(tmp_path / f"{number}-{len(text)}", rest | text)
            assert read_usage(folder) is None


def test_more_that_is_idle_than_there_is_is_nothing(tmp_path: Path):
    folder = laid_out(tmp_path, TWO | {"memory.current": "1000\n"})
    assert read_usage(folder) == Usage(cpu_seconds=2.5, memory_bytes=0)


def test_it_is_among_the_metrics_where_it_is_known():
    def told(usage: Usage | None) -> str:
        return Metrics(service="people", revision="r2", usage=lambda: usage).exposition().decode()

    labels = '{revision="r2",service="people"}'
    text = told(Usage(cpu_seconds=2.5, memory_bytes=3500))
    assert f"looma_container_cpu_seconds_total{labels} 2.5\n" in text
    assert f"looma_container_memory_bytes{labels} 3500.0\n" in text
    assert "looma_container" not in told(None)
