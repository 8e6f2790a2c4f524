"""Root file systems of Debian 13, made by mmdebstrap, and kept in the cache with the list of what is in them.

A root file system is known by what it asks for (suite, packages, trimming) until somebody asks for a fresh one: the
cache holds it as it was made, so builds repeat. The tag of an image, though, hashes the packages and versions that
are really in it: a fresh root file system with a security update gives new images, one without changes gives the
same ones.
"""

import os
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from looma_cluster.images.catalog import SLIM_PATHS, RootFs
from looma_cluster.images.content import digest
from looma_cluster.images.process import run

SUITE = "trixie"
MIRROR_VARIABLE = "LOOMA_DEBIAN_MIRROR"
"""Address of a nearer mirror of Debian, for who has one; mmdebstrap's own default otherwise."""

SAME_DATE = "1735689600"
"""Time stamp of every file in a root file system (2025-01-01), so that the same packages give the same bytes."""


@dataclass(frozen=True, kw_only=True)
class BuiltRootFs:
    """A root file system in the cache.

    Attributes:
        archive: Its tar file.
        identity: Hash of its packages with their versions, and of what was trimmed.
    """

    archive: Path
    identity: str


def command(rootfs: RootFs, archive: Path, mirror: str | None) -> list[str]:
    """Mmdebstrap's command line for one root file system.

    The essential variant leaves out apt, which nothing in a container needs. PostgreSQL's packages would make a
    first database in the image, on whose data nobody could rely; they are told not to.
    """
    argv = ["mmdebstrap", "--variant=essential", f"--include={','.join(rootfs.packages)}"]
    argv += [f"--dpkgopt=path-exclude={path}" for path in SLIM_PATHS]
    # Licences stay: who hands an image on must hand them on too.
    argv.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    argv.append(
        "--essential-hook=mkdir -p $1/etc/postgresql-common && "
        "echo 'create_main_cluster = false' > $1/etc/postgresql-common/createcluster.conf"
    )
    if rootfs.trim is not None:
        # The shell of the hook expands the patterns below the new root.
        argv.append(f"--customize-hook=while read -r path; do rm -rf $1$path; done < '{rootfs.trim}'")
    argv += ["--customize-hook=rm -rf $1/var/cache/debconf/*-old $1/var/lib/dpkg/*-old", SUITE, str(archive)]
    return argv + ([mirror] if mirror else [])


def installed_packages(archive: Path) -> str:
    """Read "name=version" of every package in a root file system, one a line, sorted."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile("./var/lib/dpkg/status")
        status = member.read().decode() if member else ""
    fields = (
        dict(line.split(": ", 1) for line in p.splitlines() if ": " in line) for p in status.split("\n\n")
    )
    return "\n".join(sorted(f"{f['Package']}={f['Version']}" for f in fields if "Package" in f))


def make(rootfs: RootFs, *, cache: Path, fresh: bool = False) -> BuiltRootFs:
    """Return the root file system from the cache, making it first if it is not there.

    Args:
        rootfs: What it holds.
        cache: Folder of image builds.
        fresh: Make it anew although it is there, to take in Debian's updates.

    Raises:
        ImageBuildError: If mmdebstrap fails.
    """
    trim = rootfs.trim.read_bytes() if rootfs.trim else b""
    # The same for every checkout: where the file of what to trim lies says nothing about what is in it.
    wanted = replace(rootfs, trim=Path("trim") if rootfs.trim else None)
    asked = digest([("command", " ".join(command(wanted, Path("out"), None)).encode()), ("trim", trim)])
    archive = cache / "rootfs" / f"{rootfs.name}-{asked}.tar"
    packages = archive.with_suffix(".packages")
    archive.parent.mkdir(parents=True, exist_ok=True)
    # An image and the tests of its program may want the same one at once.
    with FileLock(archive.with_suffix(".lock")):
        if fresh or not (archive.is_file() and packages.is_file()):
            partial = archive.with_suffix(".partial.tar")
            run(
                command(rootfs, partial, os.environ.get(MIRROR_VARIABLE)),
                step=f"making the root file system {rootfs.name}",
                log=cache / "logs" / f"{rootfs.name}.log",
                env={"SOURCE_DATE_EPOCH": SAME_DATE},
                cure=f"Is Debian's package archive reachable? {MIRROR_VARIABLE} names another mirror.",
            )
            packages.write_text(installed_packages(partial), encoding="utf-8")
            partial.replace(archive)
    listed = packages.read_bytes()
    return BuiltRootFs(archive=archive, identity=digest([("asked", asked.encode()), ("packages", listed)]))
