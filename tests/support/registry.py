"""The real docker-registry of Debian 13, the one that the registry's image holds, for contract tests.

`registry_root` makes the image's root file system where the cache lacks it and unpacks it once. `registry` is one
process with the image's own configuration and an empty store. `CuttingProxy` stands before it and breaks connections.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import httpx
import pytest
from filelock import FileLock

from support.haproxy import END_SECONDS, START_SECONDS, free_ports

CONFIG = Path(__file__).resolve().parents[2] / "cluster" / "images" / "registry" / "config.yml"
_NEEDED = (
    "./usr/bin/docker-registry",
    "./usr/lib/*",
    "./usr/lib64/*",
    "./lib",
    "./lib64",
    "./bin",
    "./usr/bin/env",
)


@pytest.fixture(scope="session")
def registry_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what the registry needs of its image's root file system."""
    from looma_cluster import paths
    from looma_cluster.images import rootfs
    from looma_cluster.images.catalog import MODEL_REGISTRY

    folder = paths.cache() / "test-roots"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except PermissionError:
        folder = tmp_path_factory.getbasetemp().parent / "test-roots"
        folder.mkdir(exist_ok=True)
    with FileLock(folder / "registry.lock"):
        built = rootfs.make(MODEL_REGISTRY, cache=paths.cache() / "images")
        root = folder / f"{MODEL_REGISTRY.name}-{built.identity}"
        if not root.is_dir():
            unpacked = Path(tempfile.mkdtemp(dir=folder, prefix="partial-"))
            subprocess.run(
                [
                    *("tar", "--extract", "--no-same-owner", "--wildcards", f"--file={built.archive}"),
                    *(f"--directory={unpacked}", *_NEEDED),
                ],
                check=True,
            )
            unpacked.chmod(0o755)
            (unpacked / "run").mkdir(exist_ok=True)
            unpacked.rename(root)
    return root


@dataclass
class RunningRegistry:
    """One registry; `host` is HOST:PORT, `store` where the tests see its blobs."""

    host: str
    store: Path
    log: Path
    process: subprocess.Popen[bytes]

    def blob(self, digest: str) -> Path:
        """The file in which it keeps a blob."""
        algorithm, _, digits = digest.partition(":")
        return self.store / "docker/registry/v2/blobs" / algorithm / digits[:2] / digits / "data"

    def flip_a_byte(self, digest: str) -> None:
        """Change one bit of a blob, as a disk may."""
        path = self.blob(digest)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


Starter = Callable[..., AbstractContextManager[RunningRegistry]]
# Of `reader` with `open sesame`, as `htpasswd -B` writes it.
PASSWORDS = "reader:$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n"


@pytest.fixture
def registry(registry_root: Path, tmp_path: Path) -> Iterator[RunningRegistry]:
    """A registry with nothing in it, which asks nobody who he is."""
    with _keeping(registry_root) as real, _running(registry_root, real, tmp_path, guarded=False) as made:
        yield made


@pytest.fixture
def guarded_later(
    registry_root: Path, tmp_path: Path
) -> Iterator[Callable[..., AbstractContextManager[RunningRegistry]]]:
    """Runs a registry, `guarded` or not, one after the other on one store."""
    with _keeping(registry_root) as real:
        yield partial(_running, registry_root, real, tmp_path)


@contextlib.contextmanager
def _keeping(root: Path) -> Iterator[Path]:
    real = Path(tempfile.mkdtemp(dir=root / "run", prefix="looma-"))
    try:
        yield real
    finally:
        shutil.rmtree(real, ignore_errors=True)


@contextlib.contextmanager
def _running(registry_root: Path, real: Path, tmp_path: Path, *, guarded: bool) -> Iterator[RunningRegistry]:
    inside = Path("/run") / real.name
    shutil.copy(CONFIG, real / "registry.yml")
    (real / "passwords").write_text(PASSWORDS)
    guard = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "models",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(inside / "passwords"),
    }
    (port,) = free_ports(1)
    chroot = shutil.which("chroot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "chroot"
    enter = [chroot] if os.geteuid() == 0 else ["unshare", "--map-root-user", chroot]
    log = tmp_path / "registry.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*enter, str(registry_root), "/usr/bin/docker-registry", "serve", str(inside / "registry.yml")],
            env={
                "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
                "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(inside / "store"),
                "PATH": os.environ.get("PATH", ""),
                **(guard if guarded else {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    made = RunningRegistry(host=f"127.0.0.1:{port}", store=real / "store", log=log, process=process)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://{made.host}/v2/", trust_env=False).status_code in (200, 401):
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield made
    finally:
        process.terminate()
        process.wait(timeout=END_SECONDS)


@dataclass
class CuttingProxy:
    """A TCP proxy that ends a connection after so many bytes of answers: of each connection in turn by `cuts`.

    After the last of `cuts` connections live as long as both ends want, or none does where `refuses`.
    """

    target: tuple[str, int]
    cuts: list[int]
    refuses: bool = False
    requests: list[bytes] = field(default_factory=list)
    listener: socket.socket = field(default_factory=socket.socket)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def host(self) -> str:
        """HOST:PORT at which it listens."""
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(timeout=END_SECONDS)

    def _start(self, run: object, *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)  # type: ignore[arg-type]
        self.threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.refuses and not self.cuts:
                    client.close()
                    continue
                server = socket.create_connection(self.target)
                self._start(self._forward, client, server)
                self._start(self._answer, server, client, self.cuts.pop(0) if self.cuts else None)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := client.recv(65536):
                self.requests.append(part)
                server.sendall(part)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket, left: int | None) -> None:
        with contextlib.suppress(OSError):
            while part := server.recv(65536):
                if left is not None:
                    part, left = part[:left], left - len(part[:left])
                client.sendall(part)
                if left == 0:
                    break
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
