"""The command of a gateway pod's container with the real HAProxy: it ends as Kubernetes ends containers, softly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from looma_operator.render.gateway import RUN, RUN_HAPROXY
from support.haproxy import Engine, Haproxy, free_ports

LONGEST_SECONDS = 60.0
EVENTS = 30
CONFIGURATION = """
global
    stats socket {inside}/worker.sock mode 600 level admin expose-fd listeners
    hard-stop-after 60s
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend http
    bind 127.0.0.1:{port}
    default_backend engine
backend engine
    server one 127.0.0.1:{engine}
"""


@contextmanager
def running(haproxy: Haproxy) -> Iterator[subprocess.Popen[bytes]]:
    """The container's command, in the root file system of the gateway's image."""
    script = RUN_HAPROXY.replace(RUN, str(haproxy.inside))
    with (haproxy.folder / "log").open("ab") as log:
        shell = subprocess.Popen(
            [*haproxy._command()[:-1], "/bin/sh", "-c", script],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield shell
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()


def until(holds: Callable[[], bool], sentence: str) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not holds():
        assert time.monotonic() < deadline, sentence
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_stream_that_is_under_way_ends_by_itself_and_nobody_new_gets_in(
    new_haproxy: Callable[[], Haproxy], new_engine: Callable[[], Engine]
):
    haproxy, (port,) = new_haproxy(), free_ports(1)
    settings = CONFIGURATION.format(inside=haproxy.inside, port=port, engine=new_engine().port)
    haproxy.write({"haproxy.cfg": settings})
    wanted = {"x-say-stream": str(EVENTS), "x-say-wait": "0.1"}
    with running(haproxy) as shell:
        until(lambda: listens(port), f"HAProxy listens: {haproxy.log}")
        with httpx.stream("GET", f"http://127.0.0.1:{port}/", headers=wanted, timeout=30) as answer:
            lines = answer.iter_lines()
            received = [next(lines)]
            shell.send_signal(signal.SIGTERM)
            until(lambda: not listens(port), "it takes no more connections")
            assert shell.poll() is None, "it ended with a stream under way"
            received += lines
        assert [line for line in received if line] == [f"data: {number}" for number in range(EVENTS)]
        assert shell.wait(timeout=LONGEST_SECONDS) == 0, haproxy.log


def test_a_configuration_that_does_not_hold_ends_the_container(new_haproxy: Callable[[], Haproxy]):
    haproxy = new_haproxy()
    haproxy.write({"haproxy.cfg": "frontend\n    nonsense\n"})
    with running(haproxy) as shell:
        assert shell.wait(timeout=LONGEST_SECONDS) == 1
    assert "found in configuration file" in haproxy.log
