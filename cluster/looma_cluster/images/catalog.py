"""The images as data: one entry for each, read by everything else in this package.

Four images hold Python and differ in their dependencies and in which of Looma's packages they carry, the gateway's in
HAProxy too; the others are the database, Prometheus and the registry of models. A new image is a new entry here and, if
it is no Python image, a Containerfile in `cluster/images`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from looma_cluster import paths

REGISTRY = "localhost"
"""Registry prefix of images that were never pushed anywhere: the built-in cluster and kind know them by it."""

PROJECT = paths.ROOT
"""The project's checkout: images are built from it, not from an installed package."""

CONTAINERFILES = PROJECT / "cluster" / "images"

SLIM_PATHS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
"""Never unpacked into a root file system: nobody reads a manual in a container."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """One built image.

    Attributes:
        name: Name without registry and tag, as `looma-engine`.
        reference: What a pod names, as `localhost/looma-engine:3f2a…`.
        archive: Docker archive of the image, not compressed; containerd, kind and Docker take it.
    """

    name: str
    reference: str
    archive: Path

    @property
    def tag(self) -> str:
        """The tag alone: a hash of everything the image is made of."""
        return self.reference.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class RootFs:
    """A root file system of Debian 13, from its packages.

    Attributes:
        name: Name of the base image made of it.
        packages: Debian packages, besides those that every Debian has.
        official: Image that stands in for it when Docker builds.
        trim: File with paths (shell patterns) to remove, one a line, or None.
    """

    name: str
    packages: tuple[str, ...]
    official: str
    trim: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one image is made.

    Attributes:
        name: Name of the image.
        containerfile: File in `cluster/images`.
        base: Root file system it stands on.
        command: Command that the image runs if a pod names none; only for those with Python.
        context: Folder with further files of the image, or None.
        lock: File in `locks/` with its Python dependencies, or None if it holds no Python.
        packages: Paths inside the wheel that this image carries (a folder stands for all below it).
    """

    name: str
    containerfile: str
    base: RootFs
    command: str | None = None
    context: Path | None = None
    lock: str | None = None
    packages: tuple[str, ...] = field(default=())


# libstdc++ and the time zones are what wheels and date libraries expect to find; python3.13 brings the rest.
PYTHON = RootFs(
    name="looma-base-python",
    packages=("python3.13", "libstdc++6", "tzdata", "ca-certificates"),
    official="python:3.13-slim-trixie",
)
# The gateway's image holds its data plane and its controller: two containers of one pod.
GATEWAY = RootFs(
    name="looma-base-gateway",
    packages=(*PYTHON.packages, "haproxy"),
    official="python:3.13-slim-trixie",
)
POSTGRES = RootFs(
    name="looma-base-postgres",
    packages=("postgresql-17", "postgresql-17-pgvector", "pgbackrest"),
    official="debian:trixie-slim",
    trim=CONTAINERFILES / "postgres" / "trim.txt",
)
# Its promtool stays in the root file system, for contract tests; the image takes the server alone.
PROMETHEUS = RootFs(
    name="looma-base-prometheus",
    packages=("prometheus",),
    official="debian:trixie-slim",
)
# Not `REGISTRY`, which is where images are: this one holds models.
MODEL_REGISTRY = RootFs(
    name="looma-base-registry",
    packages=("docker-registry",),
    official="debian:trixie-slim",
)

RECIPES = (
    Recipe(
        name="looma-engine",
        containerfile="python.Containerfile",
        base=PYTHON,
        command="looma-engine",
        lock="engines.txt",
        # The migrations of every schema run from this image, the console's too.
        packages=(
            "looma_core",
            "looma_engines/__init__.py",
            "looma_engines/main.py",
            "looma_engines/demo",
            "looma_engines/models",
            "looma_engines/resume",
            "looma_engines/sync_worker",
            "looma_engines/talent_sync",
            "looma_console/__init__.py",
            "looma_console/migrations",
        ),
    ),
    Recipe(
        name="looma-operator",
        containerfile="python.Containerfile",
        base=PYTHON,
        command="looma-operator",
        lock="operator.txt",
        packages=("looma_core", "looma_operator"),
    ),
    Recipe(
        name="looma-gateway",
        containerfile="gateway.Containerfile",
        base=GATEWAY,
        command="looma-engine",
        lock="gateway.txt",
        packages=(
            "looma_core",
            "looma_engines/__init__.py",
            "looma_engines/main.py",
            "looma_engines/gateway",
        ),
    ),
    Recipe(
        name="looma-console",
        containerfile="python.Containerfile",
        base=PYTHON,
        command="looma-console",
        lock="console.txt",
        packages=("looma_core", "looma_console"),
    ),
    Recipe(
        name="looma-postgres",
        containerfile="postgres.Containerfile",
        base=POSTGRES,
        context=CONTAINERFILES / "postgres",
    ),
    Recipe(
        name="looma-prometheus",
        containerfile="prometheus.Containerfile",
        base=PROMETHEUS,
    ),
    Recipe(
        name="looma-registry",
        containerfile="registry.Containerfile",
        base=MODEL_REGISTRY,
        context=CONTAINERFILES / "registry",
    ),
)
