"""The real HAProxy of Debian 13, the one that the gateway's image holds, for contract tests.

`haproxy_root` is the image's root file system, unpacked (`support.roots`).
`haproxy` gives a factory of processes: each has a folder of its own below the root's /run, runs with the root as its
root (`chroot`; by a user namespace where the tests are not root), and ends with the test that started it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from support.obedient_engine import Engine
from support.roots import entered, unpacked

if TYPE_CHECKING:
    from looma_engines.gateway.model import DataPlane

START_SECONDS = 60.0  # A cold 2-core machine that builds something else beside.
END_SECONDS = 10.0


@pytest.fixture(scope="session")
def haproxy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the unpacked root file system of the gateway's image."""
    from looma_cluster.images.catalog import GATEWAY

    return unpacked(GATEWAY, tmp_path_factory)


@dataclass
class Haproxy:
    """One master with its worker. `folder` is where the tests see its files, `inside` where it sees them itself."""

    root: Path
    folder: Path
    inside: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def master_socket(self) -> Path:
        """The master's command socket."""
        return self.folder / "master.sock"

    @property
    def worker_socket(self) -> Path:
        """The worker's command socket."""
        return self.folder / "worker.sock"

    @property
    def log(self) -> str:
        """What it has printed until now."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Put files into its folder, by relative path."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def check(self) -> str:
        """Have it read its configuration, and return what it says about it; empty means without a warning."""
        done = subprocess.run(
            [*self._command(), "-c", "-f", str(self.inside / "haproxy.cfg")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=START_SECONDS,
            check=False,
        )
        text = done.stdout.decode()
        said = [line for line in text.splitlines() if line.startswith(("[WARNING]", "[ALERT]"))]
        return "\n".join(said) if done.returncode == 0 else text

    def start(self) -> Haproxy:
        """Start it with haproxy.cfg of its folder, and return when the worker answers on its socket."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self._command(),
                    *("-W", "-S", f"{self.inside}/master.sock,mode,600", "-f", f"{self.inside}/haproxy.cfg"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        # The master executes itself anew once its worker runs, and is away for that moment.
        while not self._answers(master=False) or not self._answers(master=True):
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = f"HAProxy did not start:\n{self.log}"
                self.stop()
                raise RuntimeError(message)
            time.sleep(0.02)
        return self

    def command(self, text: str, *, master: bool = False) -> str:
        """Send one line to the worker (or the master) and return the answer; the plain way, for tests."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self.master_socket if master else self.worker_socket))
            connection.sendall(text.encode() + b"\n")
            # The master waits for another command until it hears that none comes.
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode().strip("\n")

    def reload(self) -> None:
        """Read the files anew; raises AssertionError with what it said where they do not hold."""
        answer = self.command("reload", master=True)
        assert answer.startswith("Success=1"), answer

    def stop(self) -> None:
        """End the master, and with it all of its workers."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=END_SECONDS)
        # A session of its own, so that nothing but what it forked is in the group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=END_SECONDS)
        self.process = None

    def _command(self) -> list[str]:
        # The master executes itself anew at a reload, by the path that it sees: its own loader must find it.
        return entered(self.root, "/usr/sbin/haproxy")

    def _answers(self, *, master: bool) -> bool:
        try:
            return bool(self.command("help", master=master))
        except OSError:
            return False


@contextlib.contextmanager
def haproxies(haproxy_root: Path) -> Iterator[Callable[[], Haproxy]]:
    """A factory: each call gives another HAProxy, not started, with an empty folder; all end with the block."""
    with contextlib.ExitStack() as ends:

        def make() -> Haproxy:
            runs = haproxy_root / "run"
            real = Path(tempfile.mkdtemp(dir=runs, prefix="looma-"))
            ends.callback(shutil.rmtree, real, ignore_errors=True)
            # The path of a socket has little room, and a cache may lie deep.
            short = Path(tempfile.mkdtemp(prefix="hx-"))
            ends.callback(shutil.rmtree, short, ignore_errors=True)
            link = short / "r"
            link.symlink_to(real)
            made = Haproxy(root=haproxy_root, folder=link, inside=Path("/run") / real.name)
            ends.callback(made.stop)
            return made

        yield make


@pytest.fixture
def new_haproxy(haproxy_root: Path) -> Iterator[Callable[[], Haproxy]]:
    """`haproxies` that end with the test."""
    with haproxies(haproxy_root) as make:
        yield make


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on right now."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            taken = held.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 0))
            found.append(int(taken.getsockname()[1]))
        return found


@dataclass
class Gateway:
    """A running HAProxy with the configuration of a `DataPlane`, and a client of it."""

    haproxy: Haproxy
    settings: Any
    port: int
    client: httpx.Client
    plane: Any = None

    def apply(self, plane: DataPlane) -> None:
        """Write the plane's files and start, or reload; a plane without listeners gets one."""
        from looma_engines.gateway.haproxy.config import render
        from looma_engines.gateway.model import Listener

        listeners = plane.listeners or (Listener(name="http", port=self.port),)
        self.plane = msgspec.structs.replace(plane, listeners=listeners)
        self.haproxy.write(render(self.plane, self.haproxy.inside, self.settings))
        if self.haproxy.process is None:
            self.haproxy.start()
        else:
            self.haproxy.reload()
            # A connection that waits would get one more answer of the worker before.
            self.client.close()
            self.client = httpx.Client(base_url=self.client.base_url, timeout=30)

    def close(self) -> None:
        """Let go of the client's connections."""
        self.client.close()

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are, and return all that comes until the end of the connection or two silent seconds."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(request)
            answer = b""
            with contextlib.suppress(TimeoutError):
                while part := connection.recv(65536):
                    answer += part
            return answer

    def until(self, ready: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for something to be so; raises AssertionError if it does not come to be."""
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, f"did not come to be:\n{self.haproxy.log}"
            time.sleep(0.02)


@contextlib.contextmanager
def gateways(new_haproxy: Callable[[], Haproxy]) -> Iterator[Callable[..., Gateway]]:
    """A factory of gateways: `make(plane, **settings)` starts one, with ports of its own; all end with the block."""
    from looma_engines.gateway.haproxy.settings import Settings

    with contextlib.ExitStack() as ends:

        def make(plane: DataPlane, **settings: Any) -> Gateway:
            port, probes = free_ports(2)
            told = {"address": "127.0.0.1", "probes_port": probes, "access_log": False, **settings}
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
            gateway = Gateway(haproxy=new_haproxy(), settings=Settings(**told), port=port, client=client)
            ends.callback(gateway.close)
            gateway.apply(plane)
            return gateway

        yield make


@pytest.fixture
def new_gateway(new_haproxy: Callable[[], Haproxy]) -> Iterator[Callable[..., Gateway]]:
    """`gateways` that end with the test."""
    with gateways(new_haproxy) as make:
        yield make


@pytest.fixture
def new_engine() -> Iterator[Callable[..., Engine]]:
    """A factory of engines that end with the test."""
    with contextlib.ExitStack() as ends:

        def make(name: str = "engine", port: int = 0) -> Engine:
            engine = Engine(name, port)
            ends.callback(engine.stop)
            return engine

        yield make
