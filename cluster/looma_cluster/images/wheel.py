"""Looma's own code in an image: the project's wheel, unpacked, less what this image does not run.

The wheel is built as for a release, so that what runs in the cluster is what packaging gives. Each image takes only
its own packages out of it: a change of the console then leaves the engines' image, and so their pods, as they are.
"""

import shutil
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from looma_cluster.images.catalog import PROJECT, Recipe
from looma_cluster.images.process import run
from looma_cluster.images.rootfs import SAME_DATE

SITE = Path("lib/python3.13/site-packages")
LAUNCHER = """#!/opt/looma/bin/python3.13
import sys

from {module} import {function}

sys.exit({function}())
"""


def build(*, cache: Path) -> Path:
    """Build the project's wheel and return its path.

    Raises:
        ImageBuildError: If hatchling fails.
    """
    folder = cache / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        step="building Looma's wheel",
        log=cache / "logs" / "wheel.log",
        cwd=PROJECT,
        env={"SOURCE_DATE_EPOCH": SAME_DATE},
    )
    return next(folder.glob("*.whl"))


def belongs(path: str, packages: tuple[str, ...]) -> bool:
    """Whether a file of the wheel belongs to an image that carries `packages`.

    | path                            | packages                   | answer |
    | ------------------------------- | -------------------------- | ------ |
    | looma_core/auth.py              | looma_core                 | True   |
    | looma_core_extra/x.py           | looma_core                 | False  |
    | looma_console/routes.py         | looma_console/migrations   | False  |
    | looma_console/migrations/env.py | looma_console/migrations   | True   |
    """
    return any(path == package or path.startswith(f"{package}/") for package in packages)


def _carries(target: str, packages: tuple[str, ...]) -> bool:
    """Whether an image with `packages` has the module of an entry point, be it a package or a file."""
    path = target.partition(":")[0].replace(".", "/")
    return belongs(path, packages) or belongs(f"{path}.py", packages)


def _parsed(entry_points: str) -> ConfigParser:
    parser = ConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(entry_points)
    return parser


def _kept_entry_points(entry_points: str, recipe: Recipe) -> str:
    """The entry points whose module this image carries: plugins are found by them, as the migrations are."""
    lines = []
    for group, points in _parsed(entry_points).items():
        kept = [f"{name} = {target}" for name, target in points.items() if _carries(target, recipe.packages)]
        lines += [f"[{group}]", *kept, ""] if kept else []
    return "\n".join(lines)


def commands(entry_points: str, packages: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield (command, module, function) of the console scripts that an image with `packages` can run."""
    for command, target in _parsed(entry_points)["console_scripts"].items():
        module, _, function = target.partition(":")
        if _carries(target, packages):
            yield command, module, function


def unpack(wheel: Path, recipe: Recipe, folder: Path) -> Path:
    """Lay out an image's part of the wheel in `folder`, as it goes into `/opt/looma`.

    The distribution's metadata is cut to name and version: its README would else be an input of every image.
    """
    shutil.rmtree(folder, ignore_errors=True)
    site, scripts = folder / SITE, folder / "bin"
    scripts.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        info = next(name.split("/")[0] for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        for name in archive.namelist():
            if belongs(name, recipe.packages):
                target = site / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
        kept = ("Metadata-Version:", "Name:", "Version:")
        lines = archive.read(f"{info}/METADATA").decode().splitlines()
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    (site / info).mkdir(parents=True)
    metadata = "\n".join(line for line in lines if line.startswith(kept))
    (site / info / "METADATA").write_text(metadata + "\n", encoding="utf-8")
    (site / info / "entry_points.txt").write_text(_kept_entry_points(entry_points, recipe), encoding="utf-8")
    for command, module, function in commands(entry_points, recipe.packages):
        script = scripts / command
        script.write_text(LAUNCHER.format(module=module, function=function), encoding="utf-8")
        script.chmod(0o755)
    if recipe.command:
        (scripts / "main").symlink_to(recipe.command)
    return folder
