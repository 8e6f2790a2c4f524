"""The node: a process that is the first in process, mount, network, host-name and IPC namespaces of its own.

All that the cluster runs is below that process. Ending it ends everything, and the kernel then takes back the
mounts, the network and its rules with the namespaces; nothing of that has to be cleaned up by hand, not even after
a kill. Two instances never see each other's processes, rules or mounts.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from looma_cluster import processes
from looma_cluster.builtin import cgroups, facts
from looma_cluster.builtin.components import Component
from looma_cluster.commands import CommandError, run
from looma_cluster.paths import Instance
from looma_cluster.processes import Known

READY_MARK = f"{facts.RUN}/ready"
# libcni writes here whatever it is told; each node covers the machine's folder with one of its own.
CNI = Path("/var/lib/cni")
_KEPT = ("kubelet", "containerd", "volumes", "pods")


class Started(msgspec.Struct, kw_only=True):
    """What an instance has running on the machine, kept in its state folder."""

    init: Known | None = None
    forwarder: Known | None = None
    programs: str = ""
    layout: str = ""


class NodeError(RuntimeError):
    """The node could not be made or ended."""


def started(instance: Instance) -> Started:
    """What the instance recorded of its processes; empty if it never ran."""
    try:
        return msgspec.json.decode(instance.processes.read_bytes(), type=Started)
    except (FileNotFoundError, msgspec.DecodeError):
        return Started()


def record(instance: Instance, now: Started) -> None:
    """Keep it, whole or not at all."""
    temporary = instance.processes.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(now))
    temporary.replace(instance.processes)


def find_init(instance: Instance) -> Known | None:
    """The node's first process, if it runs: the one on record, or one that an interrupted start left off the record.

    It is called with the instance's state folder as its only argument, which no other process is.
    """
    known = started(instance).init
    if processes.alive(known):
        return known
    for folder in Path("/proc").glob("[0-9]*"):
        words = processes.arguments(int(folder.name))
        if len(words) == 2 and Path(words[0]).name == "looma-init" and words[1] == str(instance.state):
            return processes.know(int(folder.name))
    return None


def is_ready(instance: Instance) -> bool:
    """Whether the node runs and its mounts are all in place."""
    init = find_init(instance)
    return init is not None and Path(f"/proc/{init.pid}/root{READY_MARK}").exists()


def make(instance: Instance, *, programs: Path, layout: str) -> Known:
    """Start the namespaces and their first process, in the instance's control group, and put it on record.

    Args:
        instance: whose node.
        programs: the folder of the programs that it will run.
        layout: the digest of the files that its components read.

    Raises:
        NodeError: if the kernel refuses; the message says what it said.
    """
    joins = cgroups.make(instance.name)
    log = instance.logs / "node.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *_in_groups(joins),
                *("unshare", "--fork", "--pid", "--mount", "--net", "--uts", "--ipc", "--mount-proc"),
                *(str(programs / "looma-init"), str(instance.state)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NodeError(f"unshare ended with {process.returncode}: {log.read_text()[-300:].strip()}")
        for child in processes.children(process.pid):
            words = processes.arguments(child)
            if words and Path(words[0]).name == "looma-init" and (known := processes.know(child)):
                now = started(instance)
                now.init, now.programs, now.layout = known, str(programs), layout
                record(instance, now)
                return known
        time.sleep(0.01)
    process.kill()
    raise NodeError(f"the node's first process did not start within 10 s; see {log}")


def furnish(instance: Instance, *, init: Known) -> None:
    """Give the node its mounts: its own /run, /sys and logs, with the kept folders of the instance in them.

    Raises:
        CommandError: if a mount fails.
    """
    for name in _KEPT:
        (instance.state / name).mkdir(parents=True, exist_ok=True)
    CNI.mkdir(parents=True, exist_ok=True)
    run(
        [*inside(init), "sh", "-euc", furnishing_script(instance, Path(os.path.realpath("/etc/resolv.conf")))]
    )


def furnishing_script(instance: Instance, resolver: Path) -> str:
    """The shell script that makes the mounts, run once inside a fresh node; the ready mark is its last word."""
    quote = shlex.quote
    binds = "\n".join(
        f"mkdir -p {facts.RUN}/{name}\nmount --bind {quote(str(instance.state / name))} {facts.RUN}/{name}"
        for name in _KEPT
    )
    servers = quote(str(instance.config / "resolv.conf"))
    if resolver.is_relative_to("/run"):
        names = f"mkdir -p {quote(str(resolver.parent))}\ncp {servers} {quote(str(resolver))}"
    else:
        names = f"mount --bind {servers} {quote(str(resolver))}"
    return f"""\
mount --make-rprivate /
hostname {facts.NODE}
mount -t tmpfs -o mode=755,nosuid,nodev looma /run
mkdir -p /run/lock {facts.RUN}
{binds}
mount -t tmpfs -o mode=755 looma /var/log
mkdir -p /var/log/containers
mount -t tmpfs -o mode=755 looma {quote(str(CNI))}
{names}
# /sys shows the network of whoever mounted it; the control groups stay the machine's.
mkdir /run/groups
mount --rbind /sys/fs/cgroup /run/groups
mount -t sysfs looma /sys
mount --rbind /run/groups /sys/fs/cgroup
umount -R /run/groups
echo 1 > /proc/sys/net/ipv4/ip_forward
touch {READY_MARK}
"""


def end(instance: Instance) -> None:
    """End the node and so all that runs in it, wait for the last process, and remove the control groups.

    Raises:
        TimeoutError: if a process does not end, as one stuck in the kernel.
        OSError: if a process that is not ours sits in our control groups.
    """
    processes.end(find_init(instance), grace=0)
    deadline = time.monotonic() + 20
    while left := {pid for pid in cgroups.members(instance.name) if processes.start_ticks(pid) is not None}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes do not end: {sorted(left)}")
        time.sleep(0.02)
    # What a killed kubelet left makes the next one wait 3 s for every container that is not there any more.
    cgroups.remove(instance.name)
    now = started(instance)
    now.init = None
    if instance.state.is_dir():
        record(instance, now)


def inside(init: Known) -> list[str]:
    """The words before a command that make it run in the node."""
    return ["nsenter", "-t", str(init.pid), "-m", "-u", "-i", "-n", "-p", "--"]


def start(instance: Instance, component: Component, *, init: Known) -> None:
    """Start a component in the node as a child of its first process; its log is kept from before, up to 20 MB.

    Raises:
        CommandError: if it cannot be started at all; whether it works is for its health check to say.
    """
    log = instance.logs / f"{component.name}.log"
    if log.exists() and log.stat().st_size > 20_000_000:
        log.replace(log.with_suffix(".log.1"))
    command = [
        *_in_groups(cgroups.make(instance.name)),
        *inside(init),
        "setsid",
        "--fork",
        *component.command,
    ]
    with log.open("ab") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False
        )
    if done.returncode != 0:
        raise CommandError(command, done.returncode, log.read_text(errors="replace")[-2000:])
    # setsid answers before its child has become the program; one that ends at once is never seen, and told later.
    deadline = time.monotonic() + 3
    while running(init, component) is None and time.monotonic() < deadline:
        time.sleep(0.01)


def running(init: Known, component: Component) -> Known | None:
    """The component's process, if it runs: a child of the node's first process that is that program."""
    for child in processes.children(init.pid):
        if processes.arguments(child)[:1] == [component.command[0]]:
            return processes.know(child)
    return None


def as_wanted(init: Known, component: Component) -> bool:
    """Whether it runs, and with the arguments that it should have."""
    known = running(init, component)
    return known is not None and tuple(processes.arguments(known.pid)) == component.command


def stop(init: Known, component: Component, *, grace: float) -> bool:
    """Stop a component and wait until it is gone; whether there was one.

    Raises:
        TimeoutError: if it cannot be ended.
    """
    known = running(init, component)
    processes.end(known, grace=grace)
    return known is not None


def tidy() -> None:
    """Take away the folder that nodes need on the machine, if nobody has put anything there.

    Only when no node runs: with the folder goes what any of them has mounted over it.
    """
    with contextlib.suppress(OSError):
        CNI.rmdir()


def _in_groups(joins: Sequence[Path]) -> list[str]:
    """The words before a command that make it, and all it starts, members of the node's control groups."""
    lines = "; ".join(f"echo $$ > {shlex.quote(str(join))}" for join in joins)
    return ["sh", "-euc", f'{lines or ":"}; exec "$@"', "looma"]
