"""The real Prometheus of Debian 13, the one that Looma's image holds, for contract tests; and asking one on a cluster.

`prometheuses` gives a factory of processes, each with a folder of its own below the root's /run. `PrometheusApi` is a
client of the HTTP API, of whichever Prometheus.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.haproxy import free_ports
from support.roots import entered, unpacked

START_SECONDS = 60.0  # A cold 2-core machine that builds something else beside.
END_SECONDS = 20.0
Labels = dict[str, str]


@dataclass(frozen=True)
class PrometheusApi:
    """A Prometheus by its address."""

    address: str

    def _get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.address}/api/v1/{path}", params=parameters, timeout=30)
        said = answer.json()
        assert said["status"] == "success", said
        return said["data"]

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """Labels and value of each series, now."""
        found = self._get("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes: `labels`, `health`, `lastError`, `scrapeUrl` and so on."""
        found: list[dict[str, Any]] = self._get("targets", state="active")["activeTargets"]
        return found

    def until(self, holds: Callable[[], object], sentence: str, seconds: float = 60) -> None:
        """Wait for something to be so; a miss prints `sentence` and the targets."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{sentence}: not within {seconds:g} s\n{self.targets()}"
            time.sleep(0.1)


@dataclass
class Prometheus:
    """One process. `folder` is where the tests see its files, `inside` where it sees them itself."""

    root: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def inside(self) -> Path:
        """Its folder, as it sees it."""
        return Path("/run") / self.folder.name

    @property
    def log(self) -> str:
        """What it has printed until now."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into its folder."""
        for name, content in files.items():
            (self.folder / name).write_text(content, encoding="utf-8")

    def check(self) -> str:
        """What promtool finds wrong with prometheus.yml; empty for nothing."""
        done = subprocess.run(
            [*entered(self.root, "/usr/bin/promtool"), "check", "config", f"{self.inside}/prometheus.yml"],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def start(self, *options: str) -> PrometheusApi:
        """Start it with prometheus.yml of its folder, and return when it is ready."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *entered(self.root, "/usr/bin/prometheus"),
                    f"--config.file={self.inside}/prometheus.yml",
                    f"--storage.tsdb.path={self.inside}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        address = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(address):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return PrometheusApi(address)

    def stop(self) -> None:
        """End it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/-/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def prometheus_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the unpacked root file system that the image is made from."""
    from looma_cluster.images.catalog import PROMETHEUS

    return unpacked(PROMETHEUS, tmp_path_factory)


@contextlib.contextmanager
def prometheuses(root: Path) -> Iterator[Callable[[], Prometheus]]:
    """A factory: each call gives another Prometheus, not started, with an empty folder; all end with the block."""
    with contextlib.ExitStack() as ends:

        def make() -> Prometheus:
            folder = Path(tempfile.mkdtemp(dir=root / "run", prefix="looma-"))
            ends.callback(shutil.rmtree, folder, ignore_errors=True)
            made = Prometheus(root=root, folder=folder, port=free_ports(1)[0])
            ends.callback(made.stop)
            return made

        yield make
