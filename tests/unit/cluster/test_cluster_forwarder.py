"""The forwarder as a process: found again, replaced when its ports change, and the only one that is ended."""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest

from looma_cluster import processes
from looma_cluster.builtin import forwarder, network, node
from looma_cluster.builtin.forwarder import ForwardError


@pytest.fixture
def link():
    return network.choose_link("one", taken=[])


@pytest.fixture
def ports():
    first = network.free_port(20000 + os.getpid() % 10000)
    second = network.free_port(first + 1)
    return first, second, network.free_port(second + 1)


@pytest.fixture
def wanted(link, ports):
    return forwarder.arguments(link=link, api_port=ports[0], console_port=ports[1], https_port=ports[2])


@pytest.fixture
def started(instance, stand_ins, monkeypatch, wanted, ports):
    """A forwarder that listens; ended whatever the test does."""
    monkeypatch.setattr(forwarder.binaries, "path", stand_ins.program)
    forwarder.start(instance, wanted, ports=ports)
    known = node.started(instance).forwarder
    yield known
    processes.end(known)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(known.pid, 0)


def test_it_is_there_once_its_ports_are_taken(instance, started, wanted, ports):
    assert forwarder.runs(instance, wanted)
    assert not any(network.port_is_free(port) for port in ports)


def test_one_with_other_ports_is_not_the_one_that_is_wanted(instance, started, link):
    other = forwarder.arguments(link=link, api_port=1, console_port=2, https_port=3)
    assert not forwarder.runs(instance, other)
    # It is the instance's all the same, and goes before the one that is wanted comes.
    assert forwarder.find(instance, other) == started


def test_one_that_is_not_on_record_is_found_by_its_arguments(instance, started, wanted, link):
    node.record(instance, node.Started())
    assert forwarder.find(instance, wanted) == started
    assert (
        forwarder.find(instance, forwarder.arguments(link=link, api_port=1, console_port=2, https_port=3))
        is None
    )


def test_stopping_ends_it_and_forgets_it(instance, started, wanted, ports):
    forwarder.stop(instance, wanted)
    assert not processes.alive(started)
    assert node.started(instance).forwarder is None
    assert all(network.port_is_free(port) for port in ports)
    forwarder.stop(instance, wanted)


def test_somebody_elses_program_with_the_same_arguments_is_left_alone(instance, stand_ins, wanted):
    other = subprocess.Popen([stand_ins.program("forwarder-of-others"), *wanted])
    try:
        assert forwarder.find(instance, wanted) is None
        forwarder.stop(instance, wanted)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_one_that_ends_at_once_names_ports_and_log(instance, monkeypatch, tmp_path, wanted, ports):
    failing = tmp_path / "looma-forward"
    failing.write_text("#!/bin/sh\necho address already in use\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(forwarder.binaries, "path", lambda name: failing)
    with pytest.raises(ForwardError, match=rf"{ports[0]}, {ports[1]}.*looma-forward\.log"):
        forwarder.start(instance, wanted, ports=ports)
    assert "already in use" in (instance.logs / "looma-forward.log").read_text()
