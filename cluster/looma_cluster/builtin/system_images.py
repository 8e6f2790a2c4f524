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
    image.archive.parent.mkdir(parents=True, exist_ok=True)
    container = _buildah("from", "scratch").strip()
    try:
        _buildah("copy", container, binaries.path(image.program), f"/{image.program}", log=log)
        _buildah(
            *("config", "--user", USER, "--entrypoint", f'["/{image.program}"]'),
            *("--label", f"org.opencontainers.image.title={image.name}", container),
        )
        _buildah("commit", "--quiet", container, image.reference)
        # Under a name of its own until it is whole: an interrupted build must not look like a finished one.
        partial = image.archive.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        # buildah compresses every layer of an OCI archive, whatever it is told; this format it leaves as it is.
        target = f"docker-archive:{partial}:{image.reference}"
        _buildah("push", "--quiet", image.reference, target, log=log)
        partial.replace(image.archive)
    finally:
        _buildah("rm", container, check=False)
        _buildah("rmi", image.reference, check=False)
    return image
