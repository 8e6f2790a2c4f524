"""Starts what sources are read from over HTTP, each as a process of its own: `source_server`, and an S3 server."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock

from looma_cluster import binaries, paths
from support.haproxy import free_ports

TESTS = Path(__file__).resolve().parents[1]
S3_MODULE = Path(__file__).parent / "s3"
S3_PROGRAM = "github.com/versity/versitygw/cmd/versitygw"
BUCKET, ACCESS_KEY, SECRET_KEY = "imports", "looma-tests", "a-secret-that-is-for-tests-alone"
START_SECONDS = 20.0


@dataclass
class SourceServer:
    """The process; what it holds is in `folder` and outlives it."""

    folder: Path
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin, on the same port as before."""
        self.kill()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.source_server", str(self.folder), str(self.port)],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "listening\n"

    def kill(self) -> None:
        """End it as the kernel would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def put(self, kind: str, records: list[dict[str, Any]]) -> None:
        """What the platform has from now on."""
        partial = self.folder / f"{kind}.partial"
        partial.write_text(json.dumps(records))
        partial.replace(self.folder / f"{kind}.json")

    def file(self, name: str) -> Path:
        """Where the file of this name is."""
        (self.folder / "files").mkdir(exist_ok=True)
        return self.folder / "files" / name

    def faults(self, *faults: dict[str, Any]) -> None:
        """What goes wrong from now on, and nothing else."""
        httpx.post(f"{self.url}/_faults", json=faults).raise_for_status()

    def settings(self, **settings: Any) -> None:
        """Change settings, as `token_seconds`."""
        httpx.post(f"{self.url}/_settings", json=settings).raise_for_status()

    def told(self) -> dict[str, Any]:
        """Requests by path, faults that struck by kind, and when each request came."""
        found: dict[str, Any] = httpx.get(f"{self.url}/_seen").json()
        return found

    def forget(self) -> None:
        """Count anew."""
        httpx.post(f"{self.url}/_forget").raise_for_status()


@contextlib.contextmanager
def source_server(folder: Path) -> Iterator[SourceServer]:
    """A server that runs until the end."""
    folder.mkdir(parents=True, exist_ok=True)
    server = SourceServer(folder, free_ports(1)[0])
    try:
        server.start()
        yield server
    finally:
        server.kill()


def s3_program() -> Path:
    """versitygw, built once per state of its module into the user's cache; minutes where nothing is compiled yet.

    Raises:
        CalledProcessError: Go is missing, or the module cannot be had.
    """
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((S3_MODULE / name).read_bytes())
    cache = paths.cache()
    if not os.access(cache, os.W_OK):
        # Made by sudo: this person has a folder of their own.
        cache = Path(tempfile.gettempdir()) / f"looma-tests-{os.getuid()}"
        cache.mkdir(parents=True, exist_ok=True)
    program = cache / f"versitygw-{digest.hexdigest()[:12]}"
    with FileLock(cache / "versitygw.lock"):
        if not program.exists():
            partial = program.with_suffix(".partial")
            subprocess.run(
                [
                    "go",
                    "build",
                    "-trimpath",
                    "-buildvcs=false",
                    "-ldflags",
                    "-s -w",
                    "-o",
                    partial,
                    S3_PROGRAM,
                ],
                cwd=S3_MODULE,
                env={**os.environ, **binaries.go_environment()},
                check=True,
                capture_output=True,
            )
            partial.rename(program)
    return program


@dataclass
class S3Server:
    """An S3 server over a folder: a bucket is a folder in it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def bucket(self) -> Path:
        """The bucket's folder; files there are its objects, but without ETag: `put` is how objects are made."""
        return self.folder / BUCKET

    def start(self) -> None:
        """Begin, on the same port as before."""
        self.kill()
        self.bucket.mkdir(parents=True, exist_ok=True)
        secrets = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        self.process = subprocess.Popen(
            [s3_program(), "--port", f"127.0.0.1:{self.port}", "--quiet", "posix", str(self.folder)],
            env={**os.environ, **secrets},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self.process.poll() is None, "the S3 server ended"
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.url)
                return
            time.sleep(0.05)
        raise AssertionError(f"the S3 server does not answer within {START_SECONDS} s")

    def kill(self) -> None:
        """End it as the kernel would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def put(self, key: str, content: bytes) -> None:
        """Make an object."""
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            BUCKET,
            endpoint=self.url,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            region="us-east-1",
            client_options={"allow_http": True},
        )
        obstore.put(store, key, content)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """An S3 server that runs until the end."""
    server = S3Server(folder, free_ports(1)[0])
    try:
        server.start()
        yield server
    finally:
        server.kill()
