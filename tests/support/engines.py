"""Engines as processes of their own, an issuer's keys by HTTP, and the one address before them."""

from __future__ import annotations

import http.server
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from looma_core.auth import public_jwks
from looma_core.crypto import new_key
from support.key_ring import VARIABLE, ring_file
from support.tokens import private_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_KEYS = new_key()
"""Every engine of a test reads what the others encrypted, unless the test gives keys of its own."""

LEDGER_KEY = "only-for-tests-" + secrets.token_hex(16)
"""What one engine erased, the workers of the same test know of."""

START_SECONDS = 120.0
"""Several interpreters on a busy machine of two cores."""

STOP_SECONDS = 20.0
"""Well inside the pod's grace period of 30 s."""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers the issuer's keys, and forwards /api/v1 to the engine whose prefix fits, as the console does."""

    routes: Mapping[str, str] = {}

    def _answer(self) -> None:
        if self.path == "/jwks.json":
            self._send(
                200, {"content-type": "application/json"}, json.dumps(public_jwks(private_key())).encode()
            )
            return
        for prefix, target in self.routes.items():
            if self.path.startswith(prefix):
                self._forward(target)
                return
        self._send(404, {}, b"")

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server looks for these names

    def _forward(self, target: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        try:
            answer = httpx.request(
                self.command, target + self.path, headers=headers, content=body, timeout=60
            )
        except httpx.TransportError:
            self._send(503, {}, b"")
            return
        kept = {
            name: value for name, value in answer.headers.items() if name not in {"content-length", "date"}
        }
        self._send(answer.status_code, kept, answer.content)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def one_address(routes: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server with the issuer's keys at /jwks.json and the engines behind their prefixes; yields its address."""
    # Made here, once: of two requests at the same time each would make one of its own.
    private_key()
    handler = type("Handler", (_Handler,), {"routes": routes if routes is not None else {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def engine_process(
    name: str, environment: Mapping[str, str], *, code: str = "from looma_engines.main import main; main()"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`looma-engine NAME` with these settings, a file key and a key ring alone; yields the process and its address."""
    port = free_port()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LOOMA_")}
    process = subprocess.Popen(
        [sys.executable, "-c", code, name],
        env={
            **clean,
            "LOOMA_HOST": "127.0.0.1",
            "LOOMA_PORT": str(port),
            "LOOMA_FILE_KEYS": FILE_KEYS,
            VARIABLE: ring_file(),
            "LOOMA_LEDGER_KEY": LEDGER_KEY,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def wait_until_ready(url: str, process: subprocess.Popen[str]) -> None:
    """Return when the engine is ready; fails with its output where it ends first."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        try:
            if httpx.get(f"{url}/readyz", timeout=3).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        # Each look is a line in the engine's log, and nobody reads its pipe meanwhile: it must not fill up.
        time.sleep(1)
    msg = f"not ready within {START_SECONDS} s"
    raise AssertionError(msg)


def lines_of(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """The log of a process that ends by itself."""
    output, _ = process.communicate(timeout=STOP_SECONDS)
    return [json.loads(line) for line in output.splitlines()]
