"""Builds what is missing: inputs first, side by side, then one image after another.

Called by `looma up` and `looma images`. Nothing is built whose archive is in the cache under the tag that its inputs
give, so a second call takes as long as hashing the sources.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from looma_cluster.images import assets, dependencies, rootfs, wheel
from looma_cluster.images.builders import Buildah, Builder, Docker
from looma_cluster.images.catalog import CONTAINERFILES, RECIPES, REGISTRY, Image, Recipe
from looma_cluster.images.content import digest, tree

Report = Callable[[str], None]

KEEP_ARCHIVES = 2
"""Archives of one image that stay in the cache: the one in use, and the one before it for a way back."""


def build(
    *,
    cache: Path,
    report: Report,
    builder: Literal["buildah", "docker"] = "buildah",
    fresh: bool = False,
) -> list[Image]:
    """Build the images that are not in the cache, and return all of them.

    Args:
        cache: Looma's cache folder; all that is made here is below `cache/images`.
        report: Takes one line a step, as it begins or ends.
        builder: Docker for kind, buildah otherwise.
        fresh: Make the root file systems anew, to take in Debian's security updates.

    Raises:
        ImageBuildError: If a step fails; the message names its log.
    """
    folder = cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    # One build at a time in one cache: a second `looma up` waits, and then finds everything built.
    with FileLock(folder / "lock"):
        return _build(folder, report, builder, fresh)


def _build(cache: Path, report: Report, kind: Literal["buildah", "docker"], fresh: bool) -> list[Image]:
    bases, code = _inputs(cache, report, kind, fresh)
    machine: Builder = Docker(cache=cache) if kind == "docker" else Buildah(cache=cache, bases=bases)
    images = [_image(recipe, cache, kind, bases, code.get(recipe.name)) for recipe in RECIPES]
    missing = [(r, i) for r, i in zip(RECIPES, images, strict=True) if not i.archive.is_file()]
    if missing and isinstance(machine, Buildah):
        machine.clean()
    for recipe, image in missing:
        started = time.monotonic()
        contexts = {}
        if recipe.lock:
            contexts["code"] = code[recipe.name]
            contexts["dependencies"] = dependencies.install(recipe.lock, cache=cache)
        image.archive.parent.mkdir(parents=True, exist_ok=True)
        partial = image.archive.with_suffix(".partial")
        machine.build(recipe, image.reference, contexts, partial)
        partial.replace(image.archive)
        size = image.archive.stat().st_size / 1e6
        report(f"{image.name}:{image.tag} built in {time.monotonic() - started:.0f} s, {size:.0f} MB")
    if not missing:
        report(f"{len(images)} images are built already")
    for image in images:
        prune(image)
    if missing and isinstance(machine, Buildah):
        machine.forget({kept_reference(path) for path in (cache / "archives" / kind).glob("*.tar")})
    return images


def _inputs(
    cache: Path, report: Report, kind: Literal["buildah", "docker"], fresh: bool
) -> tuple[dict[str, rootfs.BuiltRootFs], dict[str, Path]]:
    """Make root file systems, dependencies and code; what does not wait for another runs side by side."""
    python = [recipe for recipe in RECIPES if recipe.lock]
    with ThreadPoolExecutor(max_workers=2) as pool:
        wanted = {r.base.name: r.base for r in RECIPES} if kind == "buildah" else {}
        making = {
            name: pool.submit(rootfs.make, base, cache=cache, fresh=fresh) for name, base in wanted.items()
        }
        installing = [pool.submit(dependencies.install, r.lock, cache=cache) for r in python if r.lock]
        assets.make(cache=cache)
        built = wheel.build(cache=cache)
        code = {r.name: wheel.unpack(built, r, cache / "code" / r.name) for r in python}
        for name, future in making.items():
            if not future.done():
                report(f"making the root file system {name} of Debian's packages")
        for waiting in installing:
            waiting.result()
        bases = {name: future.result() for name, future in making.items()}
    return bases, code


def _image(
    recipe: Recipe,
    cache: Path,
    kind: str,
    bases: Mapping[str, rootfs.BuiltRootFs],
    code: Path | None,
) -> Image:
    """Name an image by the hash of everything it is made of."""
    base = bases[recipe.base.name].identity if recipe.base.name in bases else recipe.base.official
    parts: list[tuple[str, bytes]] = [
        ("base", base.encode()),
        ("containerfile", (CONTAINERFILES / recipe.containerfile).read_bytes()),
    ]
    if recipe.lock:
        parts.append(("dependencies", dependencies.identity(recipe.lock).encode()))
    for folder in filter(None, (recipe.context, code)):
        parts += tree(folder)
    tag = digest(parts)
    return Image(
        name=recipe.name,
        reference=f"{REGISTRY}/{recipe.name}:{tag}",
        archive=cache / "archives" / kind / f"{recipe.name}-{tag}.tar",
    )


def kept_reference(archive: Path) -> str:
    """Reference of the image in an archive: `looma-engine-0123.tar` holds `localhost/looma-engine:0123`."""
    name, _, tag = archive.stem.rpartition("-")
    return f"{REGISTRY}/{name}:{tag}"


def prune(image: Image) -> None:
    """Remove the oldest archives of an image beyond `KEEP_ARCHIVES`, never the one just named."""
    others = [p for p in image.archive.parent.glob(f"{image.name}-*.tar") if p != image.archive]
    for path in sorted(others, key=lambda p: p.stat().st_mtime)[: -(KEEP_ARCHIVES - 1)]:
        path.unlink()


def push(images: Iterable[Image], registry: str, *, cache: Path, report: Report) -> list[Image]:
    """Push images to a registry and return them under their new names.

    Args:
        images: What `build` returned.
        registry: Host, port and path without a slash at the end, as `registry.example.org/looma`.
        cache: Looma's cache folder.
        report: Takes one line an image.

    Raises:
        ImageBuildError: If the registry refuses; `buildah login REGISTRY` is then the likely cure.
    """
    folder = cache / "images"
    pushed = []
    for image in images:
        docker = image.archive.parent.name == "docker"
        machine: Builder = Docker(cache=folder) if docker else Buildah(cache=folder, bases={})
        destination = f"{registry}/{image.name}:{image.tag}"
        machine.push(image.archive, image.reference, destination)
        report(f"pushed {destination}")
        pushed.append(replace(image, reference=destination))
    return pushed


def values(images: Iterable[Image]) -> dict[str, Any]:
    """Values of the chart that make a release use these images.

    The images must all be of one registry, as `build` and `push` return them.
    """
    listed = list(images)
    registry = listed[0].reference.rpartition("/")[0]
    return {
        "image": {
            "registry": registry,
            "tags": {image.name.removeprefix("looma-"): image.tag for image in listed},
        }
    }
