"""What the tests of the cluster share: an instance of the test's own, and real processes that harm nobody."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from looma_cluster import paths
from looma_cluster.builtin import cgroups, node
from looma_cluster.builtin.components import Component
from looma_cluster.paths import Instance
from looma_cluster.prerequisites import is_present

_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000

# Runs in place of the interpreter's usual start: `looma-init FOLDER` is then an interpreter that never reads FOLDER.
_STAND_IN = """\
import os, signal, socket, sys

folder, name = os.path.split(sys.orig_argv[0])
if folder == {folder!r}:
    def note(what):
        with open({notes!r}, "a") as file:
            file.write(f"{{what}} {{name}}\\n")

    def end(*_):
        note("ended")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    kept = []
    for word in sys.orig_argv[1:]:
        if word.startswith("127.0.0.1:"):
            kept.append(socket.create_server(("127.0.0.1", int(word.split("=")[0].split(":")[1]))))
    note("began")
    while True:
        signal.pause()
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance of no other test; nothing of the person's own state or cache is seen."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("LOOMA_CONTEXT", "LOOMA_REGISTRY", "LOOMA_NO_INSTALL"):
        monkeypatch.delenv(name, raising=False)
    made = paths.instance("one")
    made.logs.mkdir(parents=True)
    return made


@dataclass
class StandIns:
    """Programs with any name and arguments that do nothing, listen where a forwarder would, and note their end."""

    folder: Path
    notes: Path

    def program(self, name: str) -> Path:
        program = self.folder / name
        if not program.exists():
            program.symlink_to(os.path.realpath(sys.executable))
        return program

    def component(self, name: str, *arguments: str) -> Component:
        return Component(name=name, command=(str(self.program(name)), *arguments))

    def noted(self, what: str) -> list[str]:
        text = self.notes.read_text() if self.notes.exists() else ""
        return [line.split()[1] for line in text.splitlines() if line.startswith(what)]

    def wait_for(self, *names: str) -> None:
        """Until they run: one that is stopped before could not note it."""
        deadline = time.monotonic() + 20
        while not set(names) <= set(self.noted("began")):
            assert time.monotonic() < deadline, f"of {names}, only {self.noted('began')} run"
            time.sleep(0.01)


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    folder = tmp_path / "programs"
    folder.mkdir()
    made = StandIns(folder, tmp_path / "notes")
    text = _STAND_IN.format(folder=str(folder), notes=str(made.notes))
    (folder / "sitecustomize.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return made


Machine = Callable[..., object]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Calls functions on a machine of their own: a thread whose network and mounts nobody else sees.

    Its one way out is the interface up0. All of it goes with the thread.
    """
    if missing := [tool for tool in ("ip", "iptables", "nsenter") if not is_present(tool)]:
        pytest.skip(f"not here, `looma build --only packages` installs them: {', '.join(missing)}")
    groups = tmp_path / "groups"
    groups.mkdir()
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(_leave, groups).result()
        except OSError as error:
            pytest.skip(f"namespaces cannot be made here: {error}")
        yield lambda function, *given, **named: pool.submit(function, *given, **named).result()


def _leave(groups: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_NEW_NETWORK | _NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "only root may")
    script = f"""
        mount --make-rprivate /
        mount --rbind /sys/fs/cgroup {groups}
        mount -t sysfs looma /sys
        mount --rbind {groups} /sys/fs/cgroup
        umount -R {groups}
        ip link set lo up
        ip link add up0 type veth peer name up1
        ip address add 192.0.2.2/24 dev up0
        ip link set up0 up
        ip link set up1 up
        ip route add default via 192.0.2.1
    """
    try:
        subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise OSError(error.returncode, error.stderr.strip()) from error


@pytest.fixture
def node_instance(
    instance: Instance, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Instance]:
    """An instance whose node may be made in earnest; it is ended whatever the test does."""
    monkeypatch.setattr(node, "CNI", tmp_path / "cni")
    # Control groups are the machine's, so the name is one that nobody else has.
    own = paths.instance(f"unit-{os.getpid()}")
    own.logs.mkdir(parents=True)
    try:
        cgroups.make(own.name)
    except OSError as error:
        pytest.skip(f"control groups cannot be made here: {error}")
    yield own
    machine(node.end, own)
