"""Buildah and Docker, behind one interface: build one image from a Containerfile into an archive.

Buildah needs no daemon and no network here: it works on a storage folder of our own in the cache, so neither the
images nor the settings of the machine's user are touched. Docker is used where kind is, since kind has its engine.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from looma_cluster.images.catalog import CONTAINERFILES, Recipe
from looma_cluster.images.process import run
from looma_cluster.images.rootfs import SAME_DATE, BuiltRootFs

KEEP_OLD = 12
"""Old images that may stay in the storage: removing takes seconds, and need not follow every build."""


class Builder(Protocol):
    """What a builder can do."""

    def base(self, recipe: Recipe) -> str:
        """Name of the image that `recipe` starts from."""
        ...

    def build(self, recipe: Recipe, reference: str, contexts: Mapping[str, Path], archive: Path) -> None:
        """Build `recipe` as `reference` into `archive`."""
        ...

    def push(self, archive: Path, source: str, destination: str) -> None:
        """Push the image of an archive to a registry as `destination`."""
        ...


class Buildah:
    """Buildah on its own storage, with overlay mounts; isolation `chroot`, which asks for no further rights."""

    def __init__(self, *, cache: Path, bases: Mapping[str, BuiltRootFs]) -> None:
        """Use `cache` for storage and logs; `bases` has the root file systems by name."""
        self._cache = cache
        self._bases = bases

    def _argv(self, *arguments: str) -> list[str]:
        storage = self._cache / "storage"
        return [
            *("buildah", "--root", str(storage / "root"), "--runroot", str(storage / "run")),
            *("--storage-driver", "overlay", *arguments),
        ]

    def _run(self, *arguments: str, step: str, log: str) -> str:
        return run(self._argv(*arguments), step=step, log=self._cache / "logs" / log)

    def clean(self) -> None:
        """Take away what a build that was killed left behind: its working containers and their mounts."""
        if self._run("containers", "--quiet", step="looking for left-over builds", log="clean.log").strip():
            self._run("rm", "--all", step="removing left-over builds", log="clean.log")

    def base(self, recipe: Recipe) -> str:
        """Import the root file system as an image, once."""
        built = self._bases[recipe.base.name]
        reference = f"localhost/{recipe.base.name}:{built.identity}"
        known = self._run(
            "images", "--quiet", "--filter", f"reference={reference}", step="listing images", log="images.log"
        )
        if not known.strip():
            context = self._cache / "base" / recipe.base.name
            shutil.rmtree(context, ignore_errors=True)
            context.mkdir(parents=True)
            (context / "rootfs.tar").hardlink_to(built.archive)
            self._run(
                *("build", "--timestamp", SAME_DATE, "--tag", reference),
                *("--file", str(CONTAINERFILES / "base.Containerfile"), str(context)),
                step=f"importing {recipe.base.name}",
                log=f"{recipe.base.name}-import.log",
            )
            shutil.rmtree(context)
        return reference

    def build(self, recipe: Recipe, reference: str, contexts: Mapping[str, Path], archive: Path) -> None:
        """Build with cached layers and save as a Docker archive.

        That format alone keeps buildah's layers as they are; for an OCI archive it compresses every layer anew,
        which took three times as long as all the rest of a changed line of code.
        """
        self._run(
            *("build", "--layers", "--isolation", "chroot", "--pull-never"),
            *("--timestamp", SAME_DATE, "--tag", reference),
            *build_arguments(recipe, self.base(recipe), contexts),
            step=f"building {recipe.name}",
            log=f"{recipe.name}.log",
        )
        archive.unlink(missing_ok=True)
        self._run(
            *("push", "--quiet", reference, f"docker-archive:{archive}:{reference}"),
            step=f"saving {recipe.name}",
            log=f"{recipe.name}-save.log",
        )

    def forget(self, keep: Collection[str]) -> None:
        """Remove images but the bases and those in `keep` from the storage, with the layers that only they had."""
        listed = self._run(
            "images", "--format", "{{.Name}}:{{.Tag}}", step="listing images", log="images.log"
        )
        keep = {*keep, *(f"localhost/{name}:{built.identity}" for name, built in self._bases.items())}
        old = [name for name in listed.split() if name.startswith("localhost/looma-") and name not in keep]
        if len(old) > KEEP_OLD:
            self._run("rmi", *old, step="removing old images", log="clean.log")

    def push(self, archive: Path, source: str, destination: str) -> None:
        """Push an archive's image, compressed, with the login that `buildah login` or `docker login` left."""
        self._run("pull", f"docker-archive:{archive}", step=f"reading {archive.name}", log="push.log")
        local = "127.0.0.1", "localhost"
        plain = ("--tls-verify=false",) if destination.partition(":")[0].partition("/")[0] in local else ()
        self._run(
            "push", *plain, source, f"docker://{destination}", step=f"pushing {destination}", log="push.log"
        )


class Docker:
    """Docker's own builder, on official slim images; needs a network for the packages of database and HAProxy."""

    def __init__(self, *, cache: Path) -> None:
        """Use `cache` for logs."""
        self._cache = cache

    def _run(self, *arguments: str, step: str, log: str) -> str:
        return run(
            ["docker", *arguments],
            step=step,
            log=self._cache / "logs" / log,
            env={"DOCKER_BUILDKIT": "1", "SOURCE_DATE_EPOCH": SAME_DATE},
            cure="Does `docker info` answer? Building needs Docker 23 or newer with buildx.",
        )

    def base(self, recipe: Recipe) -> str:
        """Official image that Docker pulls."""
        return recipe.base.official

    def build(self, recipe: Recipe, reference: str, contexts: Mapping[str, Path], archive: Path) -> None:
        """Build into Docker's engine and save as a Docker archive, which kind loads."""
        self._run(
            *("buildx", "build", "--load", "--provenance=false", "--tag", reference),
            *build_arguments(recipe, self.base(recipe), contexts),
            step=f"building {recipe.name}",
            log=f"{recipe.name}.log",
        )
        self._run("save", "--output", str(archive), reference, step=f"saving {recipe.name}", log="save.log")

    def push(self, archive: Path, source: str, destination: str) -> None:
        """Push an image that Docker's engine holds or reads from the archive."""
        self._run("load", "--input", str(archive), step=f"reading {archive.name}", log="push.log")
        self._run("tag", source, destination, step=f"naming {destination}", log="push.log")
        self._run("push", destination, step=f"pushing {destination}", log="push.log")


def build_arguments(recipe: Recipe, base: str, contexts: Mapping[str, Path]) -> list[str]:
    """Command line that buildah and Docker share: what to build, from what, with which extra contexts."""
    arguments = ["--build-arg", f"BASE={base}", "--file", str(CONTAINERFILES / recipe.containerfile)]
    for name, folder in sorted(contexts.items()):
        arguments += ["--build-context", f"{name}={folder}"]
    return [*arguments, str(recipe.context or min(contexts.values(), default=CONTAINERFILES))]
