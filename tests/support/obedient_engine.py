"""An engine for tests of what stands before engines: it says what it was asked, and does what a request tells it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

END_SECONDS = 10.0


class Engine:
    """A small HTTP engine on loopback that says what it was asked, and does what the request's headers tell it.

    `x-say-status: 503` answers so, `x-say-wait: 0.5` waits first, `x-say-close: 1` closes without an answer, and
    `x-say-stream: 3` sends that many events, `x-say-wait` seconds apart. `x-say-bytes: 9` answers with so many bytes,
    `x-say-chunks: 9` with so many in chunks of 100 and no length, and `x-say-cost: 7` states that cost. `ready` is what
    /readyz says.
    """

    def __init__(self, name: str = "engine", port: int = 0) -> None:
        self.name = name
        self.ready = True
        self.asked: list[str] = []
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = 30

            def do_GET(self) -> None:
                engine._answer(self)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        for method in ("POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"):
            setattr(Handler, f"do_{method}", Handler.do_GET)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                """Connections that a test breaks are no errors."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; connections that are open go on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=END_SECONDS)

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        told = asked.headers
        body = _body(asked)
        if asked.path == "/readyz":
            _send(asked, 200 if self.ready else 503, b"{}")
            return
        self.asked.append(asked.path)
        if told.get("x-say-close"):
            asked.close_connection = True
            return
        if told.get("x-say-stream"):
            _stream(asked, int(told["x-say-stream"]), float(told.get("x-say-wait", "0.01")))
            return
        time.sleep(float(told.get("x-say-wait", "0")))
        cost = told.get("x-say-cost")
        more = {} if cost is None else {"x-looma-cost": cost}
        if told.get("x-say-chunks"):
            _send_chunks(asked, int(told["x-say-chunks"]), more)
            return
        if told.get("x-say-bytes"):
            _send(asked, 200, b"x" * int(told["x-say-bytes"]), more)
            return
        report = {
            "engine": self.name,
            "method": asked.command,
            "path": asked.path,
            "headers": [[name.lower(), value] for name, value in told.items()],
            "bytes": len(body),
        }
        _send(asked, int(told.get("x-say-status", "200")), json.dumps(report).encode(), more)


def _body(asked: BaseHTTPRequestHandler) -> bytes:
    if asked.headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(asked.rfile.readline().strip() or b"0", 16):
            body += asked.rfile.read(size)
            asked.rfile.readline()
        asked.rfile.readline()
        return body
    return asked.rfile.read(int(asked.headers.get("content-length") or 0))


def _send(
    asked: BaseHTTPRequestHandler, status: int, body: bytes, more: Mapping[str, str] | None = None
) -> None:
    asked.send_response(status)
    asked.send_header("content-type", "application/json")
    asked.send_header("content-length", str(len(body)))
    # What only a gateway may say of itself.
    asked.send_header("x-looma-source", "an engine")
    for name, value in (more or {}).items():
        asked.send_header(name, value)
    asked.end_headers()
    if asked.command != "HEAD":
        asked.wfile.write(body)


def _send_chunks(asked: BaseHTTPRequestHandler, count: int, more: Mapping[str, str]) -> None:
    asked.send_response(200)
    for name, value in {"content-type": "text/plain", "transfer-encoding": "chunked", **more}.items():
        asked.send_header(name, value)
    asked.end_headers()
    # What is cut off in between is the test's wish.
    with contextlib.suppress(OSError):
        for start in range(0, count, 100):
            size = min(100, count - start)
            asked.wfile.write(f"{size:x}\r\n".encode() + b"x" * size + b"\r\n")
        asked.wfile.write(b"0\r\n\r\n")


def _stream(asked: BaseHTTPRequestHandler, events: int, pause: float) -> None:
    asked.send_response(200)
    asked.send_header("content-type", "text/event-stream")
    asked.send_header("connection", "close")
    asked.end_headers()
    for number in range(events):
        asked.wfile.write(f"data: {number}\n\n".encode())
        asked.wfile.flush()
        time.sleep(pause)
