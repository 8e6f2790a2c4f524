"""A real Prometheus that scrapes a real little target: `observed` has both, for a whole module of tests.

What is scraped are the metrics of engines and gateways, made by the same library, that a test counts up.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from looma_core.container import Usage
from looma_core.http.shadow.observing import Observer
from looma_core.metrics import CONTENT_TYPE, Metrics

from .prometheus import prometheuses

CONFIGURATION = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: looma
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
BEAT_SECONDS = 0.1


@dataclass
class Service:
    """Requests of one AIService's revision, counted as its engine and its gateway do."""

    engine: Metrics
    copies: Observer
    usage: Usage = field(default_factory=lambda: Usage(cpu_seconds=0, memory_bytes=2**27))
    cores: float = 0.01
    seconds: float = 0.02
    bad: float = 0.0
    per_beat: int = 5
    copied_to: str = ""
    otherwise: int = 0
    done: int = 0
    failed: float = 0.0
    dice: random.Random | None = None

    def request(self) -> tuple[bool, float]:
        """Whether one more request fails, and how many seconds it takes: by dice, or as regularly as can be."""
        if self.dice is not None:
            return self.dice.random() < self.bad, self.seconds * self.dice.uniform(0.5, 1.5)
        self.failed += self.bad
        fails = self.failed >= 1
        self.failed -= fails
        return fails, self.seconds


@dataclass
class Target:
    """What Prometheus scrapes: several revisions, each with requests that go on until the test says otherwise."""

    namespace: str = ""
    services: dict[tuple[str, str], Service] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    gateway: Metrics = field(default_factory=lambda: Metrics(service="gateway", revision="r1"))

    def __post_init__(self) -> None:
        self.attempts = self.gateway.counter(
            "looma_gateway_attempts_total", "Attempts.", ["service", "revision", "code", "retry"]
        )

    def serve(
        self,
        name: str,
        revision: str,
        *,
        bad: float = 0.0,
        seconds: float = 0.02,
        cores: float = 0.01,
        memory: int = 2**27,
        seed: int | None = None,
    ) -> None:
        """From now on a revision answers requests, with such a share of failures, in so many seconds each.

        It uses so much of its container's processor, in cores, and memory, in bytes. With a seed, which requests fail
        and how long each takes, half as much more or less, is a matter of dice.
        """
        with self.lock:
            made = self.services.get((name, revision))
            if made is None:
                engine = Metrics(service=name, revision=revision, usage=lambda: self._usage(name, revision))
                made = Service(engine=engine, copies=Observer(engine, service=name))
                self.services[name, revision] = made
            made.bad, made.seconds, made.cores = bad, seconds, cores
            made.usage = Usage(cpu_seconds=made.usage.cpu_seconds, memory_bytes=memory)
            made.dice = None if seed is None else random.Random(seed)  # noqa: S311 - the same in each run

    def copy(self, name: str, revision: str, *, to: str, otherwise: int = 0) -> None:
        """From now on so many of ten copies of a revision's requests are answered otherwise by another one."""
        with self.lock:
            made = self.services[name, revision]
            made.copied_to, made.otherwise = f"{name}/{to}", otherwise

    def _usage(self, name: str, revision: str) -> Usage | None:
        # Asked for the first time before there is the service.
        found = self.services.get((name, revision))
        return found.usage if found is not None else None

    def beat(self) -> None:
        """A few more requests of each."""
        with self.lock:
            for (name, revision), service in self.services.items():
                service.usage = Usage(
                    cpu_seconds=service.usage.cpu_seconds + service.cores * BEAT_SECONDS,
                    memory_bytes=service.usage.memory_bytes,
                )
                for _ in range(service.per_beat):
                    fails, seconds = service.request()
                    code = 500 if fails else 200
                    service.engine.observe_request(route="/x", code=code, seconds=seconds)
                    labels = (f"{self.namespace}/{name}", revision, f"{code // 100}xx", "false")
                    self.attempts.labels(*labels).inc()
                    service.done += 1
                    if service.copied_to:
                        differs = service.done % 10 < service.otherwise
                        service.copies.count(service.copied_to, "different" if differs else "same")

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format; each engine's process is another, so its own series are left out."""
        with self.lock:
            engines = [
                line
                for service in self.services.values()
                for line in service.engine.exposition().splitlines(keepends=True)
                if line.startswith(b"looma_")
            ]
            return b"".join([*engines, self.gateway.exposition()])


@dataclass
class Observed:
    """Prometheus and its target."""

    url: str
    target: Target
    process: subprocess.Popen[bytes]

    def query(self, text: str) -> str:
        """The answer to an instant query, as text."""
        body = urllib.parse.urlencode({"query": text}).encode()
        with urllib.request.urlopen(f"{self.url}/api/v1/query", data=body, timeout=5) as answer:
            return str(answer.read().decode())


def _handler(target: Target) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = target.exposition()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    return Handler


@pytest.fixture(scope="module")
def observed(prometheus_root: Path) -> Iterator[Observed]:
    """Prometheus, ready, with a target whose requests come until the module's end."""
    target = Target()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(target))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(BEAT_SECONDS):
            target.beat()

    threading.Thread(target=go_on, daemon=True).start()
    with prometheuses(prometheus_root) as make:
        made = make()
        made.write({"prometheus.yml": CONFIGURATION.format(port=server.server_address[1])})
        api = made.start()
        assert made.process is not None
        try:
            yield Observed(api.address, target, made.process)
        finally:
            # A test may have stopped it.
            made.process.send_signal(signal.SIGCONT)
            over.set()
            server.shutdown()
            server.server_close()
