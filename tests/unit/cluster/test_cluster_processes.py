"""Processes are known by more than their number, and nobody else's is ever ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import msgspec
import pytest

from looma_cluster import processes
from looma_cluster.processes import Known, alive, arguments, children, end, know, started_at


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_running_process_is_known(sleeper):
    known = know(sleeper.pid)
    assert alive(known)
    assert arguments(sleeper.pid) == ["sleep", "60"]
    assert sleeper.pid in children(os.getpid())
    assert abs(started_at(known) - time.time()) < 5


def test_the_same_number_at_another_time_is_somebody_else(sleeper):
    known = know(sleeper.pid)
    for other in (
        msgspec.structs.replace(known, ticks=known.ticks - 1),
        msgspec.structs.replace(known, boot="another"),
    ):
        assert not alive(other)
        end(other, grace=0)
    assert sleeper.poll() is None


def test_ending_waits_until_it_is_gone(sleeper):
    known = know(sleeper.pid)
    end(known)
    assert not alive(known)
    end(known)


def test_one_that_ignores_the_request_is_killed():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    end(know(process.pid), grace=0.1)
    assert process.wait() == -9
    process.stdout.close()


def test_nobody_is_alive_and_ends_well():
    assert know(2**22 + 1) is None
    assert not alive(None)
    end(None)
    assert arguments(2**22 + 1) == []
    assert children(2**22 + 1) == []
    assert processes.start_ticks(2**22 + 1) is None


def test_a_zombie_does_not_count(sleeper):
    known = know(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not alive(known)


def test_a_record_survives_writing_and_reading():
    known = Known(pid=1, ticks=2, boot="b")
    assert msgspec.json.decode(msgspec.json.encode(known), type=Known) == known
