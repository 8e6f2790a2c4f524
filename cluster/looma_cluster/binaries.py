"""Our own programs, built from Go once per state of their sources.

`ensure` builds them into CACHE/bin-HASH, where HASH is of everything that goes in; `path` says where one is. The
cluster, the images of CoreDNS and metrics-server, `release` and the tests take kubectl, helm and the rest from here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as remembered
from pathlib import Path

from filelock import FileLock

from looma_cluster import paths
from looma_cluster.commands import run
from looma_cluster.steps import Step

KUBERNETES_VERSION = "v1.35.4"
_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One build: `package` (a folder below cluster/), and the names it is called by."""

    name: str
    package: str
    names: tuple[str, ...]
    flags: str = "-s -w"


PROGRAMS = (
    Program(
        name="looma-cluster",
        package=".",
        names=(
            *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"),
            *("kubectl", "helm", "coredns", "looma-stop-pods"),
        ),
        flags=(
            f"-s -w -X {_VERSION_PACKAGE}.gitVersion={KUBERNETES_VERSION} "
            f"-X {_VERSION_PACKAGE}.gitMajor=1 -X {_VERSION_PACKAGE}.gitMinor=35"
        ),
    ),
    Program(name="looma-addons", package="./addons", names=("metrics-server", "looma-provisioner")),
    Program(name="looma-pause", package="./pause", names=("looma-init", "pause")),
    Program(name="looma-forward", package="./forward", names=("looma-forward",)),
)


class NotBuiltError(RuntimeError):
    """A program is asked for that `looma up` or `looma build` has not made yet."""


class SourcesMissingError(RuntimeError):
    """Looma was installed without the sources of the cluster."""


@remembered
def source_hash() -> str:
    """Twelve hex digits that change when any source, dependency or flag of the programs changes.

    Raises:
        SourcesMissingError: if the Go sources are not beside this package, as in an installed wheel.
    """
    if not (paths.SOURCES / "go.mod").exists():
        raise SourcesMissingError(
            "the built-in cluster is built from source: run looma from a clone of Looma"
        )
    digest = hashlib.sha256(repr(PROGRAMS).encode())
    for pattern in ("*.go", "go.mod", "go.sum"):
        for folder in (".", "addons", "pause", "forward"):
            for file in sorted((paths.SOURCES / folder).glob(pattern)):
                if not file.name.endswith("_test.go"):
                    digest.update(f"{folder}/{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def folder() -> Path:
    """Where the programs of the present sources are, or will be."""
    return paths.cache() / f"bin-{source_hash()}"


def path(name: str) -> Path:
    """The program of that name, as `kubectl` or `helm`.

    Raises:
        NotBuiltError: if it has not been built.
    """
    program = folder() / name
    if not program.exists():
        raise NotBuiltError(f"{name} is not built yet: `looma build --only binaries` makes it")
    return program


def built() -> bool:
    """Whether all programs of the present sources are there."""
    return folder().is_dir()


def ensure(report: Callable[[str], None], *, log: Path | None = None) -> Path:
    """The folder with all programs, built if need be (minutes when nothing is cached, seconds otherwise).

    Args:
        report: told how far the build is.
        log: a file for the compiler's output.

    Raises:
        CommandError: if Go is missing, too old, or finds an error.
    """
    target = folder()
    # Two instances may be brought up at once; a half-built folder must never be seen under the final name.
    with FileLock(paths.cache() / "bin.lock"):
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(dir=paths.cache(), prefix="building-") as temporary:
            making = Path(temporary) / "bin"
            making.mkdir()
            for program in PROGRAMS:
                _build(program, making, report, log)
            making.rename(target)
    _forget_old(target)
    return target


def step(*, log: Path | None = None) -> Step:
    """The step that builds them, which every kind of cluster begins with."""

    def action(report: Callable[[str], None]) -> None:
        ensure(report, log=log)

    return Step(
        name="programs",
        done=built,
        action=action,
        log=log,
        cure="Go 1.26 or newer must be in PATH; `go version` says which one is",
    )


def _build(program: Program, into: Path, report: Callable[[str], None], log: Path | None) -> None:
    compiled = 0

    def count(_: str) -> None:
        nonlocal compiled
        compiled += 1
        if compiled % 10 == 0:
            report(f"{program.name}: {compiled} packages")

    report(program.name)
    output = into / program.name
    run(
        [
            "go",
            "build",
            "-v",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            program.flags,
            "-o",
            output,
            program.package,
        ],
        environment=go_environment(),
        cwd=paths.SOURCES,
        log=log,
        line=count,
    )
    for name in program.names:
        if name != program.name:
            # Hard links: the name must survive as argv[0] and /proc/PID/exe, and images copy the file itself.
            (into / name).hardlink_to(output)


def go_environment() -> dict[str, str]:
    """Variables with which Go is started: nothing of C, no other Go, and root's files in Looma's own cache."""
    environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    if os.environ.get("SUDO_UID") and os.environ.get("SUDO_UID") != "0":
        # Under sudo the user's own Go cache would fill with files of root's that they can no longer change.
        environment |= {
            "GOCACHE": str(paths.cache() / "go-build"),
            "GOMODCACHE": str(paths.cache() / "go-modules"),
        }
    return environment


def _forget_old(current: Path, keep: int = 2) -> None:
    """Remove all but the newest builds; running processes keep their files until they end."""
    builds = sorted(paths.cache().glob("bin-*"), key=lambda build: build.stat().st_mtime, reverse=True)
    for build in [build for build in builds if build != current][keep:]:
        shutil.rmtree(build, ignore_errors=True)
