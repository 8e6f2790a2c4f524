"""A real HTTP or HTTPS server that is told things: it keeps what it was sent, and answers what the test says."""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .control_plane import Pki

OK_ROBOT = '{"errcode":0,"errmsg":"ok"}'


@dataclass(frozen=True)
class Got:
    """One request as it came; headers' names are lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        """Its body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Webhook:
    """The receiver; `answers` are taken one by one before `answer` (status, body, further headers).

    It answers after `slow` seconds, or when `hold` is set.
    """

    port: int = 0
    tls: bool = False
    answer: tuple[int, str, dict[str, str]] = (200, OK_ROBOT, {})
    answers: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    slow: float = 0.0
    hold: threading.Event | None = None
    got: list[Got] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self, pki: Pki | None = None) -> Webhook:
        """Listen, on the port of the last time if there was one; with `pki` by TLS."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append(Got(parts.path, query, headers, body, time.time()))
                # As if it were far away, or for as long as the test says.
                (receiver.hold or threading.Event()).wait(60 if receiver.hold else receiver.slow)
                status, text, more = receiver.answers.pop(0) if receiver.answers else receiver.answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text.encode())), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                """Whoever hangs up, as a killed operator, is no error of the test."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        if pki is not None:
            self.tls = True
            crt, key = certificate(pki)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(crt, key)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def certificate(pki: Pki) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 with its key, signed by `pki`."""
    stem = "webhook-receiver"
    if not (pki.folder / f"{stem}.crt").exists():
        pki.issue(stem, "127.0.0.1")
    return pki.folder / f"{stem}.crt", pki.folder / f"{stem}.key"


def write_receivers(
    folder: Path,
    *receivers: dict[str, Any],
    console_url: str = "",
    cluster: str = "",
) -> Path:
    """A folder as the chart mounts it: of each receiver, `url`, `signing-secret` and `ca.crt` become files."""
    settings: list[dict[str, Any]] = []
    for receiver in receivers:
        own = folder / receiver["name"]
        own.mkdir(parents=True, exist_ok=True)
        for file in ("url", "signing-secret", "ca.crt"):
            if file in receiver:
                (own / file).write_text(receiver[file])
        settings.append(
            {key: value for key, value in receiver.items() if key not in ("url", "signing-secret", "ca.crt")}
        )
    document = {"receivers": settings, "consoleUrl": console_url, "cluster": cluster}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(document))
    return folder
