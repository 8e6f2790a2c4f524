"""A containerd's data with Looma's images unpacked in it, made once and given to new nodes by hard links.

Importing the images takes half a minute of both cores, and every new instance, the tests' among them, would pay it
again. `ensure` makes the store in the cache with a containerd of its own; `plant` gives it to a node whose containerd
never ran. What containerd keeps is never changed in place (layers are read-only below the pods' own, contents are
named by their hash), so that links are safe; only its two databases are, which are copied.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from looma_cluster import paths
from looma_cluster.commands import CommandError, run

DATABASE = Path("io.containerd.metadata.v1.bolt/meta.db")
"""Written last when a store is planted: a folder with it is whole."""

_SNAPSHOTS = Path("io.containerd.snapshotter.v1.overlayfs/metadata.db")
_LISTED = "looma-images"
_START_SECONDS = 30


def folder() -> Path:
    """Where the store is kept."""
    return paths.cache() / "image-store"


def current(archives: Mapping[str, Path]) -> bool:
    """Whether the store in the cache holds just these images, archives by reference."""
    listed = folder() / _LISTED
    return listed.is_file() and listed.read_text() == _listing(archives)


def is_new(target: Path) -> bool:
    """Whether no containerd has ever worked in the folder: only such a one may be planted in."""
    return not (target / DATABASE).exists()


def ensure(archives: Mapping[str, Path], report: Callable[[str], None], *, log: Path) -> None:
    """Make the store hold just these images; what the one before has of them is not imported again.

    Raises:
        CommandError: if an archive is damaged, the disk full, or containerd does not start.
    """
    with FileLock(paths.cache() / "image-store.lock"):
        if current(archives):
            return
        making = paths.cache() / "image-store.partial"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        if (folder() / DATABASE).exists():
            link(folder(), making)
        with _containerd(making, log) as control:
            present = set(run([*control, "images", "list", "-q"]).split())
            missing = [archive for reference, archive in archives.items() if reference not in present]

            def load(archive: Path) -> None:
                report(archive.name)
                run([*control, "images", "import", archive])

            with ThreadPoolExecutor(max_workers=2) as pool:
                list(pool.map(load, missing))
            if gone := present - set(archives):
                run([*control, "images", "remove", "--sync", *sorted(gone)])
        (making / _LISTED).write_text(_listing(archives))
        shutil.rmtree(folder(), ignore_errors=True)
        making.rename(folder())


def plant(target: Path) -> bool:
    """Give the store to a containerd that never ran; False if there is none, or it is on another file system.

    Raises:
        CommandError: if the disk is full.
    """
    with FileLock(paths.cache() / "image-store.lock"):
        if not (folder() / DATABASE).exists():
            return False
        # What an interrupted planting left.
        for left in target.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            link(folder(), target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        return True


def link(source: Path, target: Path) -> None:
    """Make an empty folder a copy of a store: files by hard links, databases by copies, the main one last.

    Raises:
        OSError: with EXDEV if they are on different file systems.
        CommandError: if a file cannot be made.
    """
    probe = target / _LISTED
    probe.hardlink_to(source / _LISTED)
    probe.unlink()
    for entry in source.iterdir():
        if entry.is_dir() and entry.name != DATABASE.parts[0]:
            run(["cp", "--archive", "--link", entry, target])
    if (target / _SNAPSHOTS).exists():
        (target / _SNAPSHOTS).unlink()
        shutil.copy2(source / _SNAPSHOTS, target / _SNAPSHOTS)
    (target / DATABASE).parent.mkdir(mode=0o700)
    partial = (target / DATABASE).with_suffix(".partial")
    shutil.copy2(source / DATABASE, partial)
    partial.rename(target / DATABASE)


def configuration(*, root: Path, state: Path) -> str:
    """The TOML of a containerd that only keeps images: no CRI, and a socket in `state`."""
    return f"""\
version = 2
root = "{root}"
state = "{state}/run"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.restart"]

[grpc]
  address = "{state}/socket"

[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
"""


def _listing(archives: Mapping[str, Path]) -> str:
    return "".join(f"{reference}\n" for reference in sorted(archives))


@contextmanager
def _containerd(root: Path, log: Path) -> Iterator[list[str]]:
    """A containerd on `root` while the context lasts; the words of `ctr` that talk to it.

    It lives in a mount namespace of its own, so that the mounts by which it unpacks go with it, and ends when we do.
    """
    with tempfile.TemporaryDirectory(prefix="looma-images-") as temporary:
        state = Path(temporary)
        (state / "containerd.toml").write_text(configuration(root=root, state=state))
        control = ["ctr", "--address", f"{state}/socket", "--namespace", "k8s.io"]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private"),
                    *("containerd", "--config", f"{state}/containerd.toml"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "TMPDIR": str(state)},
            )
        try:
            _wait(control, process, log)
            yield control
        finally:
            process.terminate()
            process.wait(timeout=_START_SECONDS)


def _wait(control: list[str], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            run([*control, "version"])
        except CommandError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                words = log.read_text(errors="replace")[-1000:]
                raise CommandError(
                    error.command, error.code, f"containerd does not start: {words}"
                ) from error
            time.sleep(0.05)
        else:
            return
