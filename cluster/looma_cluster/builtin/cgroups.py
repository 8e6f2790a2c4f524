"""The control groups of an instance: one at the top of every hierarchy, for versions 1, 2 and both at once.

`/looma-NAME` holds the node's own processes in `node` and, made by the kubelet, the pods' beside it; a group that
has children with controllers may hold no processes itself under version 2.
"""

from __future__ import annotations

import contextlib
import errno
import time
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")


def group(instance: str) -> str:
    """The instance's group as the kubelet is told of it."""
    return f"/looma-{instance}"


def hierarchies(mount: Path = MOUNT) -> list[Path]:
    """Folders at which a hierarchy starts: one under version 2, one per controller under version 1.

    Links such as cpu -> cpu,cpuacct are left out; the hybrid layout's `unified` is among them.
    """
    if (mount / "cgroup.controllers").exists():
        return [mount]
    if not mount.is_dir():
        return []
    return sorted(
        folder
        for folder in mount.iterdir()
        if folder.is_dir() and not folder.is_symlink() and (folder / "cgroup.procs").exists()
    )


def make(instance: str, mount: Path = MOUNT) -> list[Path]:
    """Make the groups; the `cgroup.procs` files through which a process joins the node's.

    Raises:
        OSError: if the machine does not allow it.
    """
    joins: list[Path] = []
    for hierarchy in hierarchies(mount):
        top = hierarchy / group(instance).lstrip("/")
        top.mkdir(exist_ok=True)
        _inherit_cpus(top)
        node = top / "node"
        node.mkdir(exist_ok=True)
        _inherit_cpus(node)
        joins.append(node / "cgroup.procs")
    return joins


def remove(instance: str, mount: Path = MOUNT, *, seconds: float = 10.0) -> None:
    """Remove the groups and all below them, waiting for the kernel to notice that their processes are gone.

    Raises:
        OSError: if one cannot be removed within `seconds`, as when a process is still in it.
    """
    deadline = time.monotonic() + seconds
    for hierarchy in hierarchies(mount):
        top = hierarchy / group(instance).lstrip("/")
        while top.is_dir():
            try:
                _remove_tree(top)
            except OSError as error:
                if error.errno not in {errno.EBUSY, errno.ENOTEMPTY} or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def members(instance: str, mount: Path = MOUNT) -> set[int]:
    """The processes in the instance's groups."""
    found: set[int] = set()
    for hierarchy in hierarchies(mount):
        for file in (hierarchy / group(instance).lstrip("/")).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {int(word) for word in file.read_text().split()}
    return found


def _inherit_cpus(folder: Path) -> None:
    """Version 1's cpuset starts empty, and an empty one takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        if file.exists() and (folder.parent / name).exists() and not file.read_text().strip():
            with contextlib.suppress(OSError):
                file.write_text((folder.parent / name).read_text())


def _remove_tree(folder: Path) -> None:
    for child in list(folder.iterdir()):
        if child.is_dir():
            _remove_tree(child)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
