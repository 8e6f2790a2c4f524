"""Root file systems of Looma's images, unpacked on this machine, for contract tests with the programs in them.

`unpacked` makes one where the cache lacks it and unpacks it once, under its identity; `entered` is the command line of
a program that has it as its root (`chroot`; by a user namespace where the tests are not root).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from looma_cluster.images.catalog import RootFs

_OUTSIDE = ("./dev/*", "./usr/lib/python3*", "./var/cache/*", "./usr/share/zoneinfo/*")


def unpacked(wanted: RootFs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the unpacked root file system."""
    folder = kept()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except PermissionError:
        # Built by sudo: the folder is root's, and what is unpacked lives as long as this run's other files.
        folder = tmp_path_factory.getbasetemp().parent / "test-roots"
    return unpacked_in(folder, wanted)


def kept() -> Path:
    """Where root file systems stay unpacked from one run to the next."""
    from looma_cluster import paths

    return paths.cache() / "test-roots"


def unpacked_in(folder: Path, wanted: RootFs) -> Path:
    """The unpacked root file system, in a folder of such."""
    from looma_cluster import paths
    from looma_cluster.images import rootfs

    folder.mkdir(parents=True, exist_ok=True)
    # Two workers of one test run would make and unpack it at once.
    with FileLock(folder / f"{wanted.name}.lock"):
        built = rootfs.make(wanted, cache=paths.cache() / "images")
        root = folder / f"{wanted.name}-{built.identity}"
        if not root.is_dir():
            partial = Path(tempfile.mkdtemp(dir=folder, prefix="partial-"))
            subprocess.run(
                ["tar", "--extract", "--no-same-owner", f"--file={built.archive}", f"--directory={partial}"]
                + [f"--exclude={pattern}" for pattern in _OUTSIDE],
                check=True,
            )
            partial.chmod(0o755)
            # Programs open /dev/null to write to it; a device would need rights that the tests may not have.
            (partial / "dev").mkdir(exist_ok=True)
            (partial / "dev/null").touch(mode=0o666)
            (partial / "dev/shm").mkdir(exist_ok=True)
            partial.rename(root)
    return root


def entered(root: Path, program: str) -> list[str]:
    """Command line of `program`, a path inside of `root`, with `root` as its root."""
    # Debian gives a person no sbin in PATH.
    chroot = shutil.which("chroot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "chroot"
    enter = [chroot] if os.geteuid() == 0 else ["unshare", "--map-root-user", chroot]
    return [*enter, str(root), program]
