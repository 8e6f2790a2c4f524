"""Images that the cluster itself needs: a pod's first process, CoreDNS, metrics-server; each one program and no more.

They are built from scratch by buildah out of our own programs, and kept as archives in the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from looma_cluster import binaries, paths
from looma_cluster.commands import run

USER = "65532:65532"


@dataclass(frozen=True, kw_only=True)
class SystemImage:
    """An image of one program: `reference` is its full name, `archive` where it is kept."""

    name: str
    program: str
    reference: str
    archive: Path


_PROGRAMS = {
    "looma-pause": "pause",
    "looma-cluster": "coredns",
    "looma-metrics-server": "metrics-server",
}


def images() -> dict[str, SystemImage]:
    """The system images of the present sources, by name."""
    tag = hashlib.sha256(f"{binaries.source_hash()} {_PROGRAMS} {USER}".encode()).hexdigest()[:12]
    return {
        name: SystemImage(
            name=name,
            program=program,
            reference=f"localhost/{name}:{tag}",
            archive=paths.cache() / "images" / f"{name}-{tag}.tar",
        )
        for name, program in _PROGRAMS.items()
    }


def _buildah(*arguments: str | Path, log: Path | None = None, check: bool = True) -> str:
    # A storage of our own: the user's images, and theirs of Docker or Podman, are none of our business.
    storage = paths.cache() / "system-storage"
    places: list[str | Path] = ["--root", storage / "root", "--runroot", storage / "run"]
    return run(["buildah", *places, "--storage-driver", "vfs", *arguments], log=log, check=check)


def build(name: str, report: Callable[[str], None], *, log: Path | None = None) -> SystemImage:
    """The image, built if its archive is not there.

    Raises:
        CommandError: if buildah fails.
        NotBuiltError: if the programs have not been built.
    """
    image = images()[name]
    if image.archive.exists():
        return image
    report(image.name)
    pack(
        binaries.path(image.program),
        title=image.name,
        reference=image.reference,
        archive=image.archive,
        log=log,
    )
    return image


def pack(program: Path, *, title: str, reference: str, archive: Path, log: Path | None = None) -> None:
    """Make `archive` an image called `reference` that holds a static program and no more.

    Raises:
        CommandError: if buildah fails.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    container = _buildah("from", "scratch").strip()
    try:
        _buildah("copy", container, program, f"/{program.name}", log=log)
        _buildah(
            *("config", "--user", USER, "--entrypoint", f'["/{program.name}"]'),
            *("--label", f"org.opencontainers.image.title={title}", container),
        )
        _buildah("commit", "--quiet", container, reference)
        # Under a name of its own until it is whole: an interrupted build must not look like a finished one.
        partial = archive.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        # buildah compresses every layer of an OCI archive, whatever it is told; this format it leaves as it is.
        _buildah("push", "--quiet", reference, f"docker-archive:{partial}:{reference}", log=log)
        partial.replace(archive)
    finally:
        _buildah("rm", container, check=False)
        _buildah("rmi", reference, check=False)
