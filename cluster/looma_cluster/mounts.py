"""Mounts that building images leaves on the machine: buildah binds its storage onto itself and never lets go.

Called under the lock of the builds, so that no build loses its storage.
"""

from __future__ import annotations

import re
from pathlib import Path

from filelock import FileLock, Timeout

from looma_cluster import paths
from looma_cluster.commands import run


def below(folder: Path, mountinfo: str) -> list[Path]:
    """Mount points at or below `folder`, the innermost and latest first, as `/proc/self/mountinfo` lists them."""
    points = [Path(_plain(line.split()[4])) for line in mountinfo.splitlines() if line]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def release() -> None:
    """Take away the mounts in the cache, unless a build is under way, which will do it itself at its end.

    Raises:
        CommandError: if one is in use by something else.
    """
    images = paths.cache() / "images"
    if not images.is_dir():
        return
    try:
        with FileLock(images / "lock", timeout=0):
            for point in below(paths.cache(), Path("/proc/self/mountinfo").read_text()):
                run(["umount", point])
    except Timeout:
        return


def _plain(escaped: str) -> str:
    """The path without the kernel's octal escapes for spaces and the like."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), escaped)
