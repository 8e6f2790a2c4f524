"""A service that gets copies of requests, on a port of loopback: it remembers them, and answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

HANG_SECONDS = 60.0  # Longer than any test waits for a copy.


class Copied(msgspec.Struct, kw_only=True):
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Said(msgspec.Struct, kw_only=True):
    """What is answered."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


class ShadowTarget:
    """Answers with `say(request)`; while `hangs` is set it says nothing."""

    def __init__(self, say: Callable[[Copied], Said] | None = None) -> None:
        self.say = say or (lambda _: Said())
        self.seen: list[Copied] = []
        self.hangs = False
        self._go_on = threading.Event()
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                target._answer(self)

            do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815 - its names

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A copy that was given up is no error here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening, and let go what hangs."""
        self._go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        body = asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
        copied = Copied(
            method=asked.command,
            path=asked.path,
            headers={name.lower(): value for name, value in asked.headers.items()},
            body=body,
        )
        self.seen.append(copied)
        if self.hangs:
            self._go_on.wait(HANG_SECONDS)
            asked.close_connection = True
            return
        said = self.say(copied)
        asked.send_response(said.status)
        own = {"Content-Type": said.content_type, "Content-Length": str(len(said.body))}
        for name, value in {**said.headers, **own}.items():
            asked.send_header(name, value)
        asked.end_headers()
        if asked.command != "HEAD":
            asked.wfile.write(said.body)


def echo(copied: Copied) -> Said:
    """Answer a JSON document of what was asked."""
    document: dict[str, Any] = {"path": copied.path, "bytes": len(copied.body)}
    return Said(body=json.dumps(document).encode())
